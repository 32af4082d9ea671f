"""Ports: the public one, and those on 127.0.0.1 that the processes use among themselves."""

import contextlib
import os
import random
import socket
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from catalog.errors import BadSetup
from hub.settings import Settings
from hub.up.files import read_json, write_json

NAMES = ("hub", "control", "portal", "proxy_api")
LOCALHOST = "127.0.0.1"
_LOWEST, _END = 12_000, 16_000
"""Notebooks have those above; see `hub.notebook_ports`."""
_TRIES = 200
_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
_UNPRIVILEGED = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
_LOWEST_OF_ROOT = 600


@dataclass(frozen=True, slots=True)
class Settled:
    """The inner ports, and a sentence for each that had to change."""

    ports: Mapping[str, int]
    warnings: tuple[str, ...] = ()


def settle_ports(path: Path, public: int, serving: Collection[str] = ()) -> Settled:
    """The ports kept in `path`, made at first; one that a stranger took is chosen anew.

    Ports named in `serving` belong to live processes of ours. They stay over restarts because
    running notebooks know the Hub's. All differ, also from the `public` one: two processes that
    were given the same would never run together, and either looks free until they start.
    """
    kept = {name: port for name, port in read_json(path).items() if isinstance(port, int)}
    ports: dict[str, int] = {}
    warnings: list[str] = []
    for name in NAMES:
        port, taken = kept.get(name), {public, *ports.values()}
        if port is not None and port not in taken and _stays(name, port, serving):
            ports[name] = port
            continue
        ports[name] = choose_port(taken={*taken, *kept.values()})
        if port is not None:
            warnings.append(
                f"port {port} of {name} was taken{_by(port)}; it is {ports[name]} now"
                + (": notebooks that run must be started again" if name == "hub" else "")
            )
    if ports != kept:
        write_json(path, ports)
    return Settled(ports, tuple(warnings))


def _stays(name: str, port: int, serving: Collection[str]) -> bool:
    return name in serving or is_free(LOCALHOST, port)


def choose_port(taken: Collection[int] = ()) -> int:
    """A free port on 127.0.0.1, below those that the system gives to outgoing connections.

    One of those could be in use by chance just when its server restarts. As root, one that only
    root may listen on: a notebook could wait for the moment when a process of ours restarts, take
    its port, and be given what is meant for it.
    """
    lowest, end = _range()
    for _ in range(_TRIES):
        port = random.randrange(lowest, end)  # noqa: S311 (no secret)
        if port not in taken and is_free(LOCALHOST, port):
            return port
    raise BadSetup(
        f"no free port on {LOCALHOST} between {lowest} and {end}",
        next="end what holds them (ss -ltnp lists it)",
    )


def is_free(ip: str, port: int) -> bool:
    """Whether a server could listen there now."""
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((ip, port))
        except PermissionError as error:
            raise BadSetup(
                f"port {port} needs root, or the capability to bind low ports",
                next="set PERIJOVE_PORT to 1024 or more",
            ) from error
        except (OSError, OverflowError):
            return False
        return True


def answers(port: int, ip: str = LOCALHOST) -> bool:
    """Whether something accepts connections there."""
    with contextlib.suppress(OSError), socket.create_connection((ip, port), timeout=0.5):
        return True
    return False


def demand_public_port(settings: Settings) -> None:
    """Raises BadSetup when the public port is taken or its address is not of this machine."""
    if is_free(settings.ip, settings.port):
        return
    if not is_free(settings.ip, 0):
        raise BadSetup(
            f"PERIJOVE_IP={settings.ip} is not an address of this machine",
            next="use 127.0.0.1, or an address that `ip address` shows",
        )
    other = next(
        (p for p in range(settings.port + 1, settings.port + 100) if is_free(settings.ip, p)), 8080
    )
    raise BadSetup(
        f"port {settings.port} is in use{_by(settings.port)}",
        next=f"end that process, or start with PERIJOVE_PORT={other}",
    )


def holder_of(port: int) -> str:
    """``"python3 (pid 12)"``: who listens on `port`; empty when that cannot be seen."""
    with contextlib.suppress(psutil.Error, OSError):
        for connection in psutil.net_connections(kind="tcp"):
            here = connection.laddr[-1:] == (port,) and connection.status == psutil.CONN_LISTEN
            if here and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
    return ""


def _by(port: int) -> str:
    holder = holder_of(port)
    return f" by {holder}" if holder else ""


def first_outgoing() -> int:
    """From here on, ports are given to outgoing connections."""
    return _number(_EPHEMERAL, 32_768)


def _range() -> tuple[int, int]:
    roots_own = _number(_UNPRIVILEGED, 1024)
    if os.geteuid() == 0 and roots_own > _LOWEST_OF_ROOT + _TRIES:
        return _LOWEST_OF_ROOT, roots_own
    return _LOWEST, min(_END, max(_LOWEST + 1000, first_outgoing()))


def _number(path: Path, otherwise: int) -> int:
    """The first number in a file of the kernel."""
    try:
        return int(path.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return otherwise
