"""The menu in use: a changed file is read, a bad one keeps the last good menu."""

import os
from pathlib import Path

import pytest

from catalog.errors import BadSetup
from hub.menu import MenuSource

ROW = """
  - id: {id}
    kind: notebook
    title: T
    price_per_hour: 1
    fields: {{cpu: {{fixed: 1}}, memory: {{fixed: 1Gi}}, duration: {{fixed: 1h}}}}
"""


def write(path: Path, *ids: str, age: int = 0) -> None:
    path.write_text("offers:" + "".join(ROW.format(id=i) for i in ids))
    os.utime(path, (1_000_000 - age, 1_000_000 - age))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    write(tmp_path / "menu.yaml", "a", age=10)
    return tmp_path / "menu.yaml"


def test_a_changed_file_is_read_without_a_restart(file: Path) -> None:
    source = MenuSource(file)
    assert list(source.get().offers) == ["a"]
    write(file, "a", "b")
    assert list(source.get().offers) == ["a", "b"]


def test_a_mistake_keeps_the_last_good_menu_and_is_told(file: Path) -> None:
    source = MenuSource(file)
    file.write_text("offers: [")
    assert list(source.get().offers) == ["a"]
    assert source.problem is not None
    assert str(file) in source.problem.message
    with pytest.raises(BadSetup):
        source.reload()
    assert list(source.get().offers) == ["a"]
    write(file, "c")
    assert list(source.get().offers) == ["c"]
    assert source.problem is None


def test_a_file_that_goes_away_changes_nothing(file: Path) -> None:
    source = MenuSource(file)
    file.unlink()
    assert list(source.get().offers) == ["a"]
    assert source.problem is not None


def test_the_first_menu_must_be_good(file: Path) -> None:
    file.write_text("offers: 5")
    with pytest.raises(BadSetup):
        MenuSource(file)
