"""The environment that people's servers run in, apart from the control plane's.

As root, servers run under uids of their own: their Python and packages must be reachable by
everybody, wherever the checkout and the interpreter that made it lie. `perijove-env.json` in the
environment is its stamp (written last) and all that a launcher needs::

    {"python": "/…/bin/python", "bin": "/…/bin", "env": {}, "lock": "<sha256 of the lock>"}

`env` holds variables that every process of the environment must have. An operator may have said more
of one that was added: `fork` and `preload`, which `blueprints.notebook` reads.
"""

import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deploy import lab_assets
from deploy.steps import SetupError, run, shown

RECORD = "perijove-env.json"
SYSTEM_HOME = Path("/var/lib/perijove/envs")
_MINORS = (13, 12, 11, 14)
_NOBODY = 65534
_LEFT_OUT = shutil.ignore_patterns(
    "test", "tests", "site-packages", "idlelib", "turtledemo", "config-*", "ensurepip"
)


@dataclass(frozen=True)
class Base:
    """An interpreter to build on, and the variables that it needs to run."""

    python: Path
    version: str
    env: dict[str, str] = field(default_factory=dict[str, str])


def home(checkout: Path) -> Path:
    """Where environments live: `PERIJOVE_ENVS`, or a place that other uids can reach."""
    chosen = os.environ.get("PERIJOVE_ENVS")
    if chosen:
        return Path(chosen).resolve()
    return SYSTEM_HOME if os.geteuid() == 0 else checkout / ".envs"


def find(envs: Path, lock: Path) -> Path | None:
    """The finished environment made from `lock`, or None."""
    wanted = digest(lock)
    for candidate in sorted(envs.glob(f"notebook-{wanted[:12]}-py3.*")):
        try:
            record = json.loads((candidate / RECORD).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if record.get("lock") == wanted and Path(record["python"]).exists():
            return candidate
    return None


def make(
    envs: Path,
    lock: Path,
    *,
    install: Callable[[Path, dict[str, str]], None],
    compile_all: Callable[[Path, Path, dict[str, str]], None],
) -> Path:
    """Build the environment anew and return its folder. Raises `SetupError`."""
    base = prepare(envs)
    place = envs / f"notebook-{digest(lock)[:12]}-py{base.version}"
    with shown("notebook environment"):
        build(place, base, install=install, compile_all=compile_all, lock=digest(lock))
    return place


def prepare(envs: Path) -> Base:
    """The folder of environments, reachable by whom it must be, and what to build on."""
    shared = os.geteuid() == 0
    if shared:
        _open_way(envs)
    return _base(shared=shared)


def build(
    place: Path,
    base: Base,
    *,
    install: Callable[[Path, dict[str, str]], None],
    compile_all: Callable[[Path, Path, dict[str, str]], None],
    lock: str,
) -> None:
    """One environment in `place`, whatever was there; its record comes last. Raises `SetupError`."""
    shared = os.geteuid() == 0
    shutil.rmtree(place, ignore_errors=True)
    if shared and not everybody_reaches(base.python):
        base = copy_base(base, place / "base")
    python = place / "bin" / "python"
    run([base.python, "-m", "venv", "--without-pip", place], env=base.env)
    install(python, base.env)
    for folder in (place / "base", place / "lib"):
        if folder.is_dir():
            compile_all(python, folder, base.env)
    lab_assets.publish(place)
    if shared:
        _open(place)
        _prove(python, base.env)
    record = {"python": str(python), "bin": str(python.parent), "env": base.env, "lock": lock}
    _write(place, record)


def note(place: Path, facts: Mapping[str, Any]) -> None:
    """Add to the record of a finished environment what its operator says of it."""
    if facts:
        record = json.loads((place / RECORD).read_text(encoding="utf-8"))
        _write(place, {**record, **facts})


def _write(place: Path, record: Mapping[str, Any]) -> None:
    fresh = place / f"{RECORD}.new"
    fresh.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    fresh.replace(place / RECORD)


def everybody_reaches(path: Path) -> bool:
    """Whether any uid may follow `path`, links resolved, down from the root and read its end."""
    real = Path(os.path.realpath(path))
    try:
        reachable = all(parent.stat().st_mode & stat.S_IXOTH for parent in real.parents)
        return reachable and bool(real.stat().st_mode & stat.S_IROTH)
    except OSError:
        return False


def copy_base(base: Base, place: Path) -> Base:
    """A copy of the whole base installation in `place`, less its tests and packages."""
    prefix = Path(os.path.realpath(base.python)).parent.parent
    name = f"python{base.version}"
    shutil.copytree(prefix / "lib" / name, place / "lib" / name, ignore=_LEFT_OUT)
    # Where the installation's packages were there must still be a folder, or `site` complains.
    (place / "lib" / name / "site-packages").mkdir(exist_ok=True)
    for library in prefix.glob("lib/*.so*"):
        if library.is_file():
            shutil.copy2(library, place / "lib" / library.name)
    python = place / "bin" / name
    python.parent.mkdir(parents=True)
    shutil.copy2(prefix / "bin" / name, python)
    shared = any(place.glob("lib/libpython*.so*"))
    return Base(python, base.version, {"LD_LIBRARY_PATH": str(place / "lib")} if shared else {})


def _base(*, shared: bool) -> Base:
    """The running interpreter's base; for other uids, one that they reach, where there is one."""
    running = Base(
        Path(os.path.realpath(getattr(sys, "_base_executable", sys.executable))),
        "{}.{}".format(*sys.version_info[:2]),
    )
    if not shared or everybody_reaches(running.python):
        return running
    for minor in _MINORS:
        for folder in ("/usr/local/bin", "/usr/bin"):
            candidate = Base(Path(folder, f"python3.{minor}"), f"3.{minor}")
            if everybody_reaches(candidate.python) and _complete(candidate.python):
                return candidate
    return running


def _complete(python: Path) -> bool:
    """Whether it has what a notebook server imports; slim system Pythons may lack parts."""
    probe = [str(python), "-c", "import venv, ssl, sqlite3, ctypes, zlib"]
    return subprocess.run(probe, check=False, capture_output=True).returncode == 0


def _open_way(envs: Path) -> None:
    """Make the folder of environments and its missing parents, reachable by everybody."""
    missing = [p for p in (envs, *envs.parents) if not p.exists()]
    for folder in reversed(missing):
        folder.mkdir()
        folder.chmod(0o755)
    if not everybody_reaches(envs):
        raise SetupError(
            f"people's servers run under their own uids and cannot reach {envs}",
            next="set PERIJOVE_ENVS to a folder whose parents everybody may enter (chmod o+x)",
        )


def _open(place: Path) -> None:
    """Let everybody read all of it, and run what its owner may run."""
    for folder, _, files in os.walk(place):
        Path(folder).chmod(0o755)
        for name in files:
            path = Path(folder, name)
            if not path.is_symlink():
                mode = stat.S_IMODE(path.stat().st_mode)
                path.chmod(mode | (0o555 if mode & stat.S_IXUSR else 0o444))


def _prove(python: Path, env: dict[str, str]) -> None:
    """Fail now, not at a person's first start: an unprivileged uid must be able to use it."""
    asked = subprocess.run(
        [python, "-c", "import jupyterlab, jupyterhub, ipykernel"],
        check=False,
        capture_output=True,
        text=True,
        cwd="/",
        env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", **env},
        user=_NOBODY,
        group=_NOBODY,
        extra_groups=[],
    )
    if asked.returncode:
        raise SetupError(
            f"an unprivileged uid cannot use {python}:\n{asked.stderr.strip()[-2000:]}",
            next="set PERIJOVE_ENVS to another folder and run this again",
        )


def digest(path: Path) -> str:
    """Of a lock file: what an environment was made from."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
