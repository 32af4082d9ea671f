"""The machine: who runs this, ports, limits, accelerators, clock."""

from collections.abc import Iterator
from datetime import UTC, datetime

from catalog.clock import SystemClock
from catalog.discovery import Discovery
from catalog.errors import BadSetup
from catalog.inventory import Device, Health
from catalog.units import MIB, format_bytes
from hub.settings import PACKAGE_ROOT, Settings
from hub.up import ports
from hub.up.checks.finding import Finding, bad, ok, warn
from hub.up.exposure import demand_safe_exposure
from hub.up.files import read_json
from hub.up.lock import holder_of
from hub.up.processes import Book, is_alive
from spawners.engine import Enforcement
from spawners.local.cgroups import detect

_SLACK_S = 300.0


def check_machine(settings: Settings) -> Iterator[Finding]:
    """What the machine gives, and what it does not."""
    yield _privileges(settings)
    yield from _ports(settings)
    yield from _limits(settings)
    yield from _accelerators(settings)
    yield _clock(settings)


def _privileges(settings: Settings) -> Finding:
    if settings.is_root:
        return ok("privileges", "root: each person's servers run under a uid of their own")
    if settings.trust_everyone:
        return warn(
            "privileges",
            "not root, and --trust-everyone is given: all people's servers run as one user and "
            "can read each other's files",
            "run as root to keep people apart",
        )
    return warn(
        "privileges",
        "not root: one person can use this; a second is denied",
        "run as root; or, among people who trust each other, start with --trust-everyone",
    )


def _ports(settings: Settings) -> Iterator[Finding]:
    try:
        demand_safe_exposure(settings)
        if holder_of(settings.run_dir) is None and not _ours(settings, "proxy"):
            ports.demand_public_port(settings)
    except BadSetup as error:
        yield bad("public-port", error.message, error.next)
    else:
        yield ok("public-port", f"port {settings.port} on {settings.ip} is usable")
    for name, port in read_json(settings.run_dir / "ports.json").items():
        process = "proxy" if name == "proxy_api" else name
        if not _ours(settings, process) and not ports.is_free(ports.LOCALHOST, port):
            yield warn(
                f"port-{process}",
                f"port {port} of {process} is held by {ports.holder_of(port) or 'somebody else'}",
                "end that process before the next start; else another port is chosen, and "
                "notebooks that run lose the Hub",
            )


def _ours(settings: Settings, name: str) -> bool:
    record = Book(settings.run_dir / "processes.json").read().get(name)
    return record is not None and is_alive(record.identity)


def _limits(settings: Settings) -> Iterator[Finding]:
    groups = detect(settings.cgroup_root)
    version = type(groups).__name__.lower()
    if groups.memory is Enforcement.HARD and groups.cpu is Enforcement.HARD:
        yield ok("cgroups", f"cpu and memory are limited through cgroup {version}")
        return
    for reason in groups.reasons or ("cpu and memory are not limited",):
        yield warn(
            "cgroups",
            reason,
            "mount cgroup v2 with the cpu and memory controllers, and run as root or with a "
            "delegated group (systemd: Delegate=yes)",
        )


def _accelerators(settings: Settings) -> Iterator[Finding]:
    try:
        discovery = Discovery(settings.inventory_file, clock=SystemClock())
    except BadSetup as error:
        yield bad("inventory", error.message, error.next)
        return
    devices = [device for node in discovery.nodes() for device in node.devices]
    for warning in discovery.warnings():
        yield warn("accelerators", warning, "see the page Operations of the handbook")
    if not devices:
        yield ok("accelerators", "none: only cpu offers can start")
    for device in devices:
        yield _device(device)


def _device(device: Device) -> Finding:
    said = f"{device.model}, {format_bytes(device.memory_mib * MIB)} ({device.id})"
    if device.health is not Health.OK:
        return bad(
            "accelerators",
            f"{said} is {device.health}: {device.health_reason}",
            "it is not offered; look at its driver (nvidia-smi, dmesg)",
        )
    if device.untested:
        return warn(
            "accelerators",
            f"{said}: nobody has run this vendor's code on hardware yet",
            "try a notebook on it, and report what you see",
        )
    return ok("accelerators", said + (" emulated" if device.emulated else ""))


def _clock(settings: Settings) -> Finding:
    """Leases and sign-ins go by the clock: it must not be behind what was already written."""
    now = datetime.now(UTC)
    marks = [PACKAGE_ROOT / "hub" / "settings.py", *settings.home.glob("*.sqlite*")]
    newest = max(path.stat().st_mtime for path in marks)
    if newest > now.timestamp() + _SLACK_S:
        return bad(
            "clock",
            f"the clock says {now:%Y-%m-%d %H:%M} UTC, and files here are from later",
            "set the clock (timedatectl set-ntp true) before starting",
        )
    return ok("clock", f"{now:%Y-%m-%d %H:%M:%S} UTC")
