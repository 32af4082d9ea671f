"""The programs of the system that tests drive: Chromium and PostgreSQL.

``python -m deploy.test_peers`` installs what is missing where that is possible (as root, with
apt-get) and says what to install where it is not. Tests ask the same functions, and those that
miss a program are skipped by name.
"""

import os
import shutil
import sys
from pathlib import Path

from deploy.steps import SetupError, run, shown

PACKAGES = {
    "chromium": ("chromium", "fonts-dejavu-core"),
    "postgresql": ("postgresql",),
}
_CLUSTERS = Path("/etc/postgresql-common/createcluster.conf")
_UNATTENDED = {"DEBIAN_FRONTEND": "noninteractive", "UCF_FORCE_CONFFOLD": "1"}


def chromium() -> Path | None:
    """The Chromium to drive, or None."""
    for name in ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"):
        found = shutil.which(name)
        if found:
            return Path(found)
    return None


def postgres_bin() -> Path | None:
    """The folder with `initdb` and `postgres`, the newest one, or None."""
    folders = sorted(
        (path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")),
        key=lambda folder: float(folder.parent.name),
    )
    if folders:
        return folders[-1]
    # Some systems put a link to initdb on PATH; the other programs are beside the real one.
    found = shutil.which("initdb")
    return Path(os.path.realpath(found)).parent if found else None


def missing() -> list[str]:
    """Which of `PACKAGES` are not here."""
    found = {"chromium": chromium(), "postgresql": postgres_bin()}
    return [name for name in PACKAGES if found[name] is None]


def how_to_install(name: str) -> str:
    """One sentence for a person, or for the reason of a skipped test."""
    return f"{name} is not installed (Debian: apt-get install {' '.join(PACKAGES[name])})"


def main() -> int:
    """Always 0: without a peer its tests are skipped, the others run."""
    absent = missing()
    if not absent:
        return 0
    if os.geteuid() == 0 and shutil.which("apt-get"):
        try:
            _install(absent)
        except SetupError as error:
            sys.stderr.write(f"perijove: {error}\n")
    for name in missing():
        sys.stderr.write(f"perijove: {how_to_install(name)}; tests that need it are skipped\n")
    return 0


def _install(names: list[str]) -> None:
    install = ["apt-get", "install", "-y", "-q", "--no-install-recommends"]
    with shown(f"{' and '.join(names)} for the tests"):
        run(["apt-get", "update", "-q"], env=_UNATTENDED)
        if "postgresql" in names:
            run([*install, "postgresql-common"], env=_UNATTENDED)
            _want_no_cluster()
        run([*install, *(package for name in names for package in PACKAGES[name])], env=_UNATTENDED)


def _want_no_cluster() -> None:
    """Tests start servers of their own; a system-wide one would only take the port."""
    kept = [
        line
        for line in (_CLUSTERS.read_text("utf-8").splitlines() if _CLUSTERS.exists() else [])
        if not line.lstrip("# ").startswith("create_main_cluster")
    ]
    _CLUSTERS.parent.mkdir(parents=True, exist_ok=True)
    _CLUSTERS.write_text("\n".join([*kept, "create_main_cluster = false", ""]), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
