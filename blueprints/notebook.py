"""What to run for a notebook: the command and environment of a JupyterLab single-user server."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from catalog.errors import BadSetup

JUPYTER_CONFIG = Path(__file__).parent / "library" / "notebook" / "jupyter"
"""Site-wide configuration of JupyterLab, found through ``JUPYTER_CONFIG_PATH``."""
PRELOAD = "PERIJOVE_PRELOAD"
"""Tells a server's kernels what to import ahead."""
_PASSED_ON = ("JUPYTERHUB_", "MEM_", "CPU_")
"""What of the Hub's environment for a server is passed on; the rest is rendered here."""

OPTIONS = (
    # Nothing is looked up on the internet: no news, no updates, no extensions from a package index.
    "--LabApp.extension_manager=readonly",
    "--LabApp.news_url=",
    "--LabApp.check_for_updates_class=jupyterlab.handlers.announcements.NeverCheckForUpdate",
    # Who is signed in is asked again after 10 s, not 300: signing out elsewhere must be felt here.
    "--HubAuth.cache_max_age=10",
)
"""Values alone: `perijove_inside.single_user` reads them without asking every class for its options."""

MODULES = (
    "jupyterhub.singleuser", "jupyterhub.singleuser.extension", "jupyterlab.labapp",
    # What its extensions and services import only when they begin.
    "IPython.display", "jinja2.ext", "jupyter_core.migrate", "jupyter_lsp.serverextension",
    "jupyter_lsp.specs",
    "jupyter_server.kernelspecs.handlers", "jupyter_server.nbconvert.handlers",
    "jupyter_server.services.api.handlers", "jupyter_server.services.config.handlers",
    "jupyter_server.services.contents.handlers", "jupyter_server.services.events.handlers",
    "jupyter_server.services.kernels.handlers", "jupyter_server.services.kernelspecs.handlers",
    "jupyter_server.services.nbconvert.handlers", "jupyter_server.services.security.handlers",
    "jupyter_server.services.sessions.handlers", "jupyter_server.services.shutdown",
    "jupyter_server.view.handlers", "jupyter_server_terminals.app",
    "jupyter_server_terminals.handlers", "jupyter_server_terminals.api_handlers",
    "notebook_shim.nbserver", "tornado.platform.asyncio",
    "perijove_inside.activity", "perijove_inside.handlers", "perijove_inside.idle",
    "perijove_inside.kernel_connection", "perijove_inside.lab_assets", "perijove_inside.reporter",
    "perijove_inside.single_user", "perijove_inside.upstream", "perijove_inside.watch",
    # Last: what each of them would do while it begins.
    "perijove_inside.ahead",
)  # fmt: skip
"""What a JupyterLab under the Hub imports, whoever it is for: an engine may have it imported ahead.
(Seen in a running server: ``sys.modules`` of it, less what a fork began with.)"""
MARKS = {
    "JUPYTERHUB_SERVICE_PREFIX": "/perijove-template-prefix/",
    "JUPYTERHUB_API_URL": "http://perijove-template-hub/hub/api",
}
"""Variables of which those modules keep something from their import on, and values that nobody has."""

_SINGLE_USER = """
import os, sys, time
began = time.monotonic()
program = os.environ.pop("PERIJOVE_MATERIAL_PROGRAM", "")
if program:
    import subprocess
    material = subprocess.Popen([sys.executable, "-I", "-S", program])
    del os.environ["PERIJOVE_MATERIAL"]
path = os.environ["PATH"]
os.environ["PATH"] = os.path.dirname(sys.executable)
import jupyterlab.labapp
os.environ["PATH"] = path
sys.path.append(os.path.join(os.environ["JUPYTER_CONFIG_PATH"], "server"))
from perijove_inside.single_user import main
if program:
    try:
        material.wait(max(0, 10 - (time.monotonic() - began)))
    except subprocess.TimeoutExpired:
        print('perijove-material {"code": "late"}', flush=True)
folder = os.path.join(os.environ["HOME"], os.environ.get("PERIJOVE_FOLDER", ""))
if os.environ.get("PERIJOVE_FOLDER") and os.path.isdir(folder):
    from urllib.parse import quote
    os.environ["JUPYTERHUB_DEFAULT_URL"] = "/lab/tree/" + quote(os.environ["PERIJOVE_FOLDER"])
    sys.argv.append("--ServerApp.preferred_dir=" + folder)
main()
"""
"""JupyterLab runs Node, where it finds one, just to be imported: a third of a second for nothing.
Only that import is kept from finding it. (With ``-P``: no file of a person's home is imported.)

The material of a course is brought meanwhile, by a process beside it that is waited for at most
10 s; then JupyterLab opens in its folder."""


@dataclass(frozen=True, slots=True)
class Environment:
    """An installed notebook environment, as `deploy/bootstrap.py` records it."""

    python: Path
    bin: Path
    extra: Mapping[str, str]
    fork: bool = False
    """The operator's word that its modules may be imported by a process of the product's own user."""
    preload: tuple[str, ...] = ()
    """Modules that Python kernels of it should have imported when they begin."""

    @classmethod
    def load(cls, folder: Path) -> "Environment":
        """Read ``perijove-env.json``. Raises BadSetup when it is not installed."""
        try:
            found = json.loads((folder / "perijove-env.json").read_text())
            extra, fork = dict(found.get("env", {})), found.get("fork") is True
            preload = found.get("preload", ())
            if isinstance(preload, str):  # its letters would be taken for modules
                raise BadSetup(
                    f"the notebook environment in {folder}: preload is {preload!r}, not a list",
                    next='name modules like this: "preload": ["torch"]',
                )
            modules = tuple(str(name) for name in preload)
            return cls(Path(found["python"]), Path(found["bin"]), extra, fork, modules)
        except (OSError, TypeError, ValueError, KeyError) as error:
            raise BadSetup(
                f"the notebook environment in {folder} is not complete", next="run `make up` again"
            ) from error


@dataclass(frozen=True, slots=True)
class Command:
    """What an engine runs."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: str


def render_notebook(
    environment: Environment, hub_env: Mapping[str, str], hub_args: tuple[str, ...], *,
    home: Path, user: str, port: int, facts: Mapping[str, str],
) -> Command:  # fmt: skip
    """JupyterLab under the Hub on 127.0.0.1:`port`. `facts` are the ``PERIJOVE_`` and GPU variables.

    Pure: the same inputs give the same command.
    """
    argv = (str(environment.python), "-P", "-c", _SINGLE_USER, *hub_args, *OPTIONS)
    env = _base_env(environment, hub_env, home, user, port) | dict(facts)
    if environment.preload:
        env[PRELOAD] = ",".join(environment.preload)
    return Command(argv, env, str(home))


def render_rescue(
    environment: Environment, script: Path, hub_env: Mapping[str, str], *, home: Path, user: str,
    port: int,
) -> Command:  # fmt: skip
    """The page that shows what fills a home and lets its owner delete it."""
    argv = (str(environment.python), "-I", str(script))
    return Command(argv, _base_env(environment, hub_env, home, user, port), str(home))


def _base_env(
    environment: Environment, hub_env: Mapping[str, str], home: Path, user: str, port: int
) -> dict[str, str]:
    env = {name: value for name, value in hub_env.items() if name.startswith(_PASSED_ON)}
    prefix = env.get("JUPYTERHUB_SERVICE_PREFIX", "/")
    return {
        "LANG": hub_env.get("LANG", "C.UTF-8"),
        # Only the environment's own programs and the system's: no surprise from root's PATH.
        "PATH": f"{environment.bin}:/usr/local/bin:/usr/bin:/bin",
        "HOME": str(home),
        "USER": user,
        "LOGNAME": user,
        "SHELL": "/bin/bash",
        "JUPYTERHUB_DEFAULT_URL": "/lab",
        # The Hub need not hear of each server's work: its proxy sees requests, and Perijove is told.
        "JUPYTERHUB_ACTIVITY_INTERVAL": "0",
        **env,
        **environment.extra,
        "JUPYTERHUB_SERVICE_URL": f"http://127.0.0.1:{port}{prefix}",
    }
