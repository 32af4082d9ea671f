"""Puts control together from settings: the one place that picks implementations."""

import socket
from dataclasses import dataclass

from catalog.clock import SystemClock
from catalog.discovery import Discovery
from catalog.inventory import Node
from catalog.placement import BestFit
from hub import people
from hub.bus import Bus
from hub.control_context import Control
from hub.menu import MenuSource
from hub.settings import Settings
from hub.store.schema import upgrade
from hub.store.store import Store
from spawners.local.engine import LocalEngine


@dataclass(frozen=True, slots=True)
class _Renamed:
    """Discovery under the name that this node had when the data was made: a machine whose
    host name changes must not forget what it holds."""

    discovery: Discovery
    name: str

    def nodes(self) -> list[Node]:
        return [
            Node(self.name, node.cpu_milli, node.memory_bytes, node.devices)
            for node in self.discovery.nodes()
        ]


def build_control(settings: Settings) -> Control:
    """Open the database (migrated to the newest schema), read the menu and the inventory.

    Raises BadSetup for whatever the operator must mend.
    """
    clock = SystemClock()
    store = Store(settings.database)
    upgrade(store)
    discovery = Discovery(settings.inventory or settings.home / "inventory.yaml", clock=clock)
    nodes = _Renamed(discovery, _node_name(settings))
    engine = LocalEngine(
        settings.run_dir / "engine", nodes.nodes, clock, cgroup_root=settings.cgroup_root
    )
    control = Control(
        settings=settings,
        store=store,
        clock=clock,
        placer=BestFit(),
        menu=MenuSource(settings.menu_file),
        engine=engine,
        bus=Bus(),
        pepper=settings.secret("pepper"),
        limits=engine.limits(),
        nodes=engine.inventory(),
        inventory_warnings=discovery.warnings,
    )
    people.prepare_site(control)
    return control


def _node_name(settings: Settings) -> str:
    path = settings.home / "node"
    if not path.exists():
        path.write_text(socket.gethostname() or "this-machine")
    return path.read_text().strip()
