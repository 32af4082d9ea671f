"""From what a notebook is forked, and what is kept ready for it."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from blueprints.notebook import Environment
from catalog.clock import ManualClock
from hub import environments, templates
from hub.control_context import Control
from hub.settings import Settings
from spawners.fake import FakeEngine
from tests.site import NODES, build_control, settings_in


def environment(settings: Settings, name: str, **facts: object) -> tuple[Path, Environment]:
    """A named environment of the site, with what its record says."""
    folder = environments.folder_of(settings) / name
    folder.mkdir(parents=True)
    record = {"python": sys.executable, "bin": f"/{name}/bin", "env": {"NAME": name}, **facts}
    (folder / environments.RECORD).write_text(json.dumps(record))
    return folder, Environment.load(folder)


def own(settings: Settings) -> tuple[Path, Environment]:
    folder = environments.find(settings, environments.DEFAULT)
    assert folder is not None
    return folder, Environment.load(folder)


@pytest.fixture
def control(tmp_path: Path) -> Control:
    clock = ManualClock()
    return build_control(settings_in(tmp_path), clock, FakeEngine(NODES, clock))


def kept(control: Control) -> list[str]:
    engine = control.engine
    assert isinstance(engine, FakeEngine)
    templates.TemplateKeeper(control).look()
    return [template.python for template in engine.prepared]


def test_the_sites_own_environment_is_forked(control: Control) -> None:
    found = templates.of(control.settings, *own(control.settings))
    assert found is not None
    assert found.python == sys.executable
    assert "jupyterlab.labapp" in found.modules
    assert kept(control) == [sys.executable]


@pytest.mark.parametrize("said", [False, None, "yes", 1])
def test_another_is_only_with_the_operators_word(control: Control, said: object) -> None:
    place = environment(control.settings, "theirs", fork=said)
    assert templates.of(control.settings, *place) is None
    assert templates.named(control.settings, "theirs") is None


def test_with_the_operators_word_it_has_a_template_of_its_own(control: Control) -> None:
    found = templates.of(control.settings, *environment(control.settings, "vision", fork=True))
    assert found is not None
    assert found.env == {"NAME": "vision"}
    assert found != templates.of(control.settings, *own(control.settings))


def test_without_forks_nothing_is_made_ready(tmp_path: Path) -> None:
    clock = ManualClock()
    settings = settings_in(tmp_path, fork="off")
    control = build_control(settings, clock, FakeEngine(NODES, clock))
    assert templates.of(settings, *own(settings)) is None
    assert templates.of(settings, *environment(settings, "vision", fork=True)) is None
    assert kept(control) == []


def test_an_environment_that_is_not_there_or_not_complete_is_no_fault(control: Control) -> None:
    folder, _ = own(control.settings)
    (folder / environments.RECORD).write_text("{")
    assert kept(control) == []
    shutil.rmtree(folder)
    assert kept(control) == []
    assert templates.named(control.settings, "nothing") is None
