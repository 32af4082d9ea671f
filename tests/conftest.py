"""What every test shares: marks by folder, and skips that name what is missing."""

from pathlib import Path

import pytest

from deploy import test_peers
from tests.examples import load_profiles

load_profiles()

HERE = Path(__file__).parent
MARKS_OF_FOLDER = {"browser": ("browser", "e2e"), "e2e": ("e2e",)}


def pytest_itemcollected(item: pytest.Item) -> None:
    folder = item.path.relative_to(HERE).parts[0] if item.path.is_relative_to(HERE) else ""
    for mark in MARKS_OF_FOLDER.get(folder, ()):
        item.add_marker(mark)


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark, reason in missing_here().items():
        if item.get_closest_marker(mark):
            pytest.skip(reason)


def missing_here() -> dict[str, str]:
    """Mark → why its tests cannot run on this machine."""
    reasons: dict[str, str] = {}
    if test_peers.chromium() is None:
        reasons["browser"] = test_peers.how_to_install("chromium")
    if test_peers.postgres_bin() is None:
        reasons["postgres"] = test_peers.how_to_install("postgresql")
    if not Path("/dev/nvidiactl").exists():
        reasons["gpu"] = "this machine has no NVIDIA device"
    return reasons


@pytest.fixture(scope="session")
def chromium() -> Path:
    """The Chromium to drive; skips where there is none."""
    found = test_peers.chromium()
    if found is None:
        pytest.skip(test_peers.how_to_install("chromium"))
    return found


@pytest.fixture(scope="session")
def postgres_bin() -> Path:
    """The folder of PostgreSQL's programs; skips where there is none."""
    found = test_peers.postgres_bin()
    if found is None:
        pytest.skip(test_peers.how_to_install("postgresql"))
    return found
