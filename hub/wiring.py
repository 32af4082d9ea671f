"""Puts control together from settings: the one place that picks implementations."""

import socket
from dataclasses import replace
from datetime import timedelta

from catalog.allocator import Allocator
from catalog.clock import SystemClock
from catalog.discovery import Discovery
from catalog.discovery.gpu_use import GpuUse
from catalog.discovery.host import read_host
from hub import people, prices
from hub.auth.providers import load_providers
from hub.bus import Bus
from hub.control_context import Control
from hub.menu import MenuSource
from hub.settings import Settings
from hub.store import owner
from hub.store.schema import upgrade
from hub.store.store import Store
from spawners.local.engine import LocalEngine

LOOK_APART = timedelta(seconds=1)
"""A menu may be as old as that: what is decided is decided by what is so."""


def build_control(settings: Settings) -> Control:
    """Open the database (migrated to the newest schema), read the menu and the inventory.

    Raises BadSetup for whatever the operator must mend.
    """
    clock = SystemClock()
    store = Store(settings.database)
    upgrade(store)
    # A machine whose host name changes must not forget what it holds.
    name = _node_name(settings)
    discovery = Discovery(
        settings.inventory or settings.home / "inventory.yaml",
        clock=clock,
        host=lambda: replace(read_host(), name=name),
    )
    owner.claim(
        store, settings.secret("pepper"), f"{settings.home} on {name}", clock.now(),
        take_over=settings.take_over,
    )  # fmt: skip
    engine = LocalEngine(
        settings.run_dir / "engine", discovery.nodes, clock, cgroup_root=settings.cgroup_root,
        gpu_use=GpuUse(clock).by_process,
    )  # fmt: skip
    allocator = Allocator()
    control = Control(
        settings=settings,
        store=store,
        clock=clock,
        placer=allocator,
        menu=MenuSource(settings.menu_file),
        engine=engine,
        bus=Bus(),
        look_apart=LOOK_APART,
        pepper=settings.secret("pepper"),
        limits=engine.limits(),
        nodes=engine.inventory(),
        inventory_warnings=discovery.warnings,
        learn=allocator.learn,
        providers={found.issuer: found for found in load_providers(settings.oidc_file)},
    )
    prices.attach(control)
    people.prepare_site(control)
    return control


def _node_name(settings: Settings) -> str:
    path = settings.home / "node"
    if not path.exists():
        path.write_text(socket.gethostname() or "this-machine")
    return path.read_text().strip()
