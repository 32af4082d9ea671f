"""Named notebook environments: ``python -m deploy.environments add FOLDER NAME REQUIREMENTS [FACTS]``.

An environment is the site's own (JupyterLab and the Hub's part, in the same versions) and the
packages of a requirements file. It is built beside the one in use and takes its place in one step:
``FOLDER/NAME`` is a link to the build. Running servers keep the build that they started with; a
build that nobody uses any more goes with the next one. `perijove env add` runs this. FACTS is a JSON
object that goes into its record: ``{"fork": true, "preload": ["torch"]}``.
"""

import json
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deploy import notebook_env
from deploy.bootstrap import REQUIREMENTS, VENV, compile_all, pip_install
from deploy.steps import SetupError, alone, run, shown

LOCK = REQUIREMENTS / "notebook.lock"
FIXED = ("jupyterhub", "jupyterlab", "jupyter-server")
"""What must have the versions that the site was tested with."""
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
TAKEN = {"default"}
_MOST_BYTES = 2**20


def main(arguments: list[str]) -> int:
    """Exit status 0, 1 when a step failed, 2 for bad usage."""
    if len(arguments) not in (4, 5) or arguments[0] != "add":
        sys.stderr.write(f"{(__doc__ or '').partition('``')[2].partition('``')[0]}\n")
        return 2
    os.umask(0o022)  # what is installed for everybody must be readable by everybody
    try:
        facts = json.loads(arguments[4]) if arguments[4:] else {}
        add(Path(arguments[1]), arguments[2], Path(arguments[3]), facts)
    except (SetupError, OSError) as error:
        sys.stderr.write(f"perijove: {error}\n")
        if isinstance(error, SetupError) and error.next:
            sys.stderr.write(f"  next: {error.next}\n")
        return 1
    return 0


def add(
    folder: Path, name: str, requirements: Path, facts: Mapping[str, Any] | None = None
) -> Path:
    """Make `name`, or make it anew, and return its build, with `facts` in its record. Raises
    `SetupError`; the one in use is then as it was."""
    if not NAME.fullmatch(name) or name in TAKEN:
        raise SetupError(
            f"{name!r} cannot name an environment", next="use lower-case letters, digits and -"
        )
    if not requirements.is_file() or requirements.stat().st_size > _MOST_BYTES:
        raise SetupError(f"there is no requirements file {requirements}", next="check the path")
    base = notebook_env.prepare(folder)
    place = folder / f"{name}@{time.strftime('%Y%m%d%H%M%S')}"
    with alone(folder / ".lock"):
        try:
            _build(place, base, requirements)
            notebook_env.note(place, facts or {})
        except BaseException:
            shutil.rmtree(place, ignore_errors=True)
            raise
        _switch(folder / name, place)
        _drop_unused(folder)
    return place


def _build(place: Path, base: notebook_env.Base, requirements: Path) -> None:
    def install(python: Path, env: dict[str, str]) -> None:
        with shown("JupyterLab, as the site's own"):
            pip_install(python, LOCK, env=env)
        with shown(f"packages of {requirements.name}"):
            _install(python, requirements, env)
            _same_versions(python, env)

    def compiled(python: Path, folder: Path, env: dict[str, str]) -> None:
        with shown(f"bytecode of {folder.name}"):
            compile_all(python, folder, env=env)

    mark = notebook_env.digest(LOCK)
    notebook_env.build(place, base, install=install, compile_all=compiled, lock=mark)


def _install(python: Path, requirements: Path, env: dict[str, str]) -> None:
    """Wheels only: nothing of a package runs as whoever installs it. A file with hashes is taken at
    its word; without, pip chooses, around what is fixed."""
    hashed = "--hash=" in requirements.read_text(encoding="utf-8", errors="replace")
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as fixed:
        fixed.write("".join(f"{name}=={version}\n" for name, version in _fixed().items()))
        fixed.flush()
        how = ["--require-hashes"] if hashed else ["--constraint", fixed.name]
        run(
            [VENV / "bin" / "python", "-m", "pip", "--python", python, "install", "-q",
             "--only-binary=:all:", "--no-compile", "--disable-pip-version-check", *how,
             "-r", requirements],
            env=env,
            next="mend the file; packages must have wheels, and leave JupyterLab's version alone",
        )  # fmt: skip


def _same_versions(python: Path, env: dict[str, str]) -> None:
    code = (
        "import sys\nfrom importlib.metadata import version\n"
        "wrong = [n for n in sys.argv[1:] if version(n.split('==')[0]) != n.split('==')[1]]\n"
        "sys.exit(f'other versions than the site has: {wrong}' if wrong else 0)"
    )
    wanted = [f"{name}=={version}" for name, version in _fixed().items()]
    run(
        [python, "-c", code, *wanted], env=env,
        next="leave jupyterlab, jupyterhub and jupyter-server out of the file",
    )  # fmt: skip
    run(
        [VENV / "bin" / "python", "-m", "pip", "--python", python, "check"], env=env,
        next="mend the file: these packages do not go together",
    )  # fmt: skip


def _fixed() -> dict[str, str]:
    """Versions from the lock."""
    found = re.findall(
        r"^([a-z0-9-]+)==([^ ;\\\n]+)", LOCK.read_text(encoding="utf-8"), re.MULTILINE
    )
    return {name: version for name, version in found if name in FIXED}


def _switch(link: Path, place: Path) -> None:
    fresh = link.with_name(f".{link.name}-{os.getpid()}")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(place.name)
    fresh.replace(link)


def _drop_unused(folder: Path) -> None:
    """Builds that no name leads to and no process runs from."""
    current = {link.resolve() for link in folder.iterdir() if link.is_symlink()}
    for build in folder.glob("*@*"):
        if build.resolve() not in current and not _in_use(build):
            shutil.rmtree(build, ignore_errors=True)


def _in_use(place: Path) -> bool:
    mark = f"{place}/".encode()
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                if mark in (process / "cmdline").read_bytes():
                    return True
            except OSError:
                continue
    return False


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
