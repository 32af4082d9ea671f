"""Versions: Python, JupyterHub, the notebook environment, Node, the proxy and git."""

import json
import os
import platform
import stat
import subprocess
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from hub.courses.material_git import git_binary
from hub.settings import PACKAGE_ROOT, Settings
from hub.up.checks.finding import Finding, bad, ok
from hub.up.programs import node_binary, proxy_script

_TIMEOUT_S = 20
_OLDEST_HUB = (6, 1, 1)
_INSTALL = "run `make up`, which installs it"


def check_software(settings: Settings) -> Iterator[Finding]:
    """The programs that the product is made of."""
    yield ok("python", f"Python {platform.python_version()}")
    yield _hub()
    yield from _notebook_environment(settings)
    yield _node()
    yield _proxy(settings)
    yield _git()


def _hub() -> Finding:
    try:
        found = version("jupyterhub")
    except PackageNotFoundError:
        return bad("jupyterhub", "JupyterHub is not installed", _INSTALL)
    if tuple(int(part) for part in found.split(".")[:3] if part.isdigit()) < _OLDEST_HUB:
        return bad("jupyterhub", f"JupyterHub {found} is older than 6.1.1", _INSTALL)
    return ok("jupyterhub", f"JupyterHub {found}")


def _notebook_environment(settings: Settings) -> Iterator[Finding]:
    folder = _environment(settings)
    if folder is None:
        yield bad("jupyterlab", "there is no environment for notebooks", _INSTALL)
        return
    lab = next(folder.glob("lib/python3.*/site-packages/jupyterlab-*.dist-info"), None)
    if lab is None:
        yield bad(
            "jupyterlab", f"JupyterLab is not in {folder}", f"delete {folder} and run `make up`"
        )
        return
    yield ok("jupyterlab", f"JupyterLab {lab.name.split('-')[1].removesuffix('.dist')} in {folder}")
    closed = next((path for path in (folder, *folder.parents) if not _open_to_all(path)), None)
    if os.geteuid() == 0 and closed:
        yield bad(
            "jupyterlab-reachable",
            f"people's servers have their own uids and cannot enter {closed}",
            f"chmod o+x {closed}, or set PERIJOVE_ENVS to a folder that others can enter",
        )


def _environment(settings: Settings) -> Path | None:
    """The environment that servers run in: the one in use, or one in the folder of the setting."""
    candidates = [PACKAGE_ROOT / ".envs" / "notebook"]
    if settings.envs is not None:
        candidates += sorted(settings.envs.glob("notebook-*"))
    found = (path.resolve() for path in candidates if (path / "perijove-env.json").exists())
    return next(found, None)


def _open_to_all(folder: Path) -> bool:
    return bool(folder.stat().st_mode & stat.S_IXOTH)


def _node() -> Finding:
    node = node_binary()
    if node is None:
        return bad("node", "Node is not installed", _INSTALL)
    try:
        done = subprocess.run(
            [node, "--version"], capture_output=True, text=True, check=True, timeout=_TIMEOUT_S
        )
    except (OSError, subprocess.SubprocessError) as error:
        return bad("node", f"{node} does not run: {error}", "delete .venv and run `make up`")
    return ok("node", f"Node {done.stdout.strip().removeprefix('v')}")


def _proxy(settings: Settings) -> Finding:
    package = proxy_script(settings).parent.parent / "package.json"
    try:
        found = json.loads(package.read_text())["version"]
    except (OSError, ValueError, KeyError, TypeError):
        return bad("proxy", f"configurable-http-proxy is not in {package.parent}", _INSTALL)
    return ok("proxy", f"configurable-http-proxy {found}")


def _git() -> Finding:
    program = git_binary()  # as control finds it, whatever the PATH of who asks
    if not program:
        return bad(
            "git",
            "git is not installed: the material of courses cannot be fetched",
            "install the package git of your system",
        )
    try:
        done = subprocess.run(
            [program, "--version"], capture_output=True, text=True, check=True,
            timeout=_TIMEOUT_S,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        return bad("git", f"{program} does not run: {error}", "install git again")
    return ok("git", f"Git {done.stdout.strip().removeprefix('git version ')}")
