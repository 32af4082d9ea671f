"""What every use case of control needs, in one value."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from catalog.clock import Clock
from catalog.inventory import Capacity, Node
from catalog.placement import Placer
from hub.bus import Bus
from hub.menu import MenuSource
from hub.settings import Settings
from hub.store.store import Store
from quotas.admission import Slot
from spawners.engine import Engine, Limits


@dataclass(slots=True)
class Control:
    """Built once by the wiring; `nodes` is refreshed by the reconciler."""

    settings: Settings
    store: Store
    clock: Clock
    placer: Placer
    menu: MenuSource
    engine: Engine
    bus: Bus
    pepper: str
    limits: Limits
    nodes: list[Node] = field(default_factory=list[Node])
    inventory_warnings: Callable[[], list[str]] = list
    draining: bool = False
    """The site stops: nothing is granted any more."""
    launching: set[str] = field(default_factory=set[str])
    """Workloads whose launch is under way in this process; see `hub.starting.start`."""
    promised: Mapping[str, Slot] = field(default_factory=dict[str, Slot])
    """The last plan of the queue: the next one keeps what it promised. A restart begins anew."""
    wake: Callable[[], None] = lambda: None
    """Asks the reconciler to look now rather than at its next beat."""

    @property
    def capacity(self) -> Capacity:
        """What exists, with nothing taken off."""
        return Capacity.of(self.nodes)

    @property
    def emulated(self) -> bool:
        return any(device.emulated for node in self.nodes for device in node.devices)
