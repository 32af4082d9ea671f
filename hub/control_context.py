"""What every use case of control needs, in one value."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from catalog.clock import Clock
from catalog.inventory import Capacity, Node, Placement
from catalog.mix import Mix
from catalog.placement import Placer
from hub.auth.providers import Provider
from hub.auth.remembered import RememberedTokens
from hub.bus import Bus
from hub.menu import MenuSource
from hub.notebook_ports import NotebookPorts
from hub.settings import Settings
from hub.shared import Shared
from hub.sight import Sight
from hub.store.store import Store
from quotas.admission import Slot
from quotas.reservations import Places
from spawners.engine import Engine, Limits

if TYPE_CHECKING:
    from hub.picture import Picture


@dataclass(slots=True)
class Control:
    """Built once by the wiring; `sight` and `nodes` are refreshed by the reconciler.

    `sight` is what the engine's inventory says; `nodes` are the same as placement should see them,
    with drains, silence and quarantine.
    """

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
    sight: Sight = field(default_factory=Sight)
    inventory_warnings: Callable[[], list[str]] = list
    providers: Mapping[str, Provider] = field(default_factory=dict[str, Provider])
    """Identity providers by issuer."""
    tokens: RememberedTokens = field(default_factory=RememberedTokens)
    draining: bool = False
    """The site stops: nothing is granted any more."""
    ports: NotebookPorts = field(default_factory=NotebookPorts)
    launching: set[str] = field(default_factory=set[str])
    """Workloads whose launch is under way in this process; see `hub.starting.start`."""
    fetching: set[str] = field(default_factory=set[str])
    """Courses whose material this process fetches just now."""
    unhurried: set[str] = field(default_factory=set[str])
    """Of these, courses whose material is recent all the same: no start waits for the look."""
    promised: Mapping[str, Slot] = field(default_factory=dict[str, Slot])
    """The last plan of the queue: the next one keeps what it promised. A restart begins anew."""
    held: Places = field(default_factory=dict[str, tuple[Placement, ...]])
    """Where reservations were last seen to find their places: they stay there while they can."""
    picture: Shared["Picture"] = field(default_factory=Shared["Picture"])
    """What was last looked at of the whole site; see `hub.picture`."""
    look_apart: timedelta = timedelta()
    """How old a picture may be for those whom its changes do not concern; set by the wiring."""
    learn: Callable[[Mix], None] = lambda mix: None  # noqa: ARG005 (a placer that learns nothing)
    """Tells the placer what is usually asked for; set by the wiring."""
    wake: Callable[[], None] = lambda: None
    """Asks the reconciler to look now rather than at its next beat."""

    def __post_init__(self) -> None:
        if not self.sight.nodes:
            self.sight = Sight(tuple(self.nodes))

    @property
    def capacity(self) -> Capacity:
        """What exists, with nothing taken off."""
        return Capacity.of(self.nodes)

    @property
    def emulated(self) -> bool:
        return any(device.emulated for node in self.nodes for device in node.devices)
