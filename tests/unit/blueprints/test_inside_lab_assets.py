"""What a notebook server does with the address of JupyterLab's files, and what it does not load."""

import hashlib
import importlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from jinja2 import DictLoader, Environment

from blueprints.notebook import JUPYTER_CONFIG

PAGE = b"<p>JupyterLab</p>"
ADDRESS = f"/services/portal/lab/{hashlib.sha256(PAGE).hexdigest()[:16]}"


@pytest.fixture(scope="module")
def parts() -> Iterator[dict[str, ModuleType]]:
    """Its modules, found as Jupyter finds them."""
    folder = str(JUPYTER_CONFIG / "server")
    sys.path.append(folder)
    yield {
        name: importlib.import_module(f"perijove_inside.{name}") for name in ("lab_assets", "idle")
    }
    sys.path.remove(folder)


@pytest.fixture
def lab(tmp_path: Path) -> SimpleNamespace:
    (tmp_path / "index.html").write_bytes(PAGE)
    return SimpleNamespace(templates_dir=str(tmp_path), static_url_prefix="/own/")


def app_with(*labs: SimpleNamespace) -> SimpleNamespace:
    return SimpleNamespace(extension_manager=SimpleNamespace(extension_apps={"jupyterlab": labs}))


@pytest.mark.parametrize("host", ["", "https://gpu.example.org"])
def test_the_page_is_pointed_at_the_address_of_its_own_build(
    parts: dict[str, ModuleType], lab: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    monkeypatch.setenv("PERIJOVE_LAB_ASSETS", host + ADDRESS)
    parts["lab_assets"].point_page_at_them(app_with(lab))
    assert lab.static_url_prefix == host + ADDRESS
    assert "PERIJOVE_LAB_ASSETS" not in os.environ


@pytest.mark.parametrize("told", ["", "/services/portal/lab/0123456789abcdef"])
def test_another_jupyterlab_and_no_address_leave_it_as_it_is(
    parts: dict[str, ModuleType], lab: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, told: str
) -> None:
    monkeypatch.setenv("PERIJOVE_LAB_ASSETS", told)
    parts["lab_assets"].point_page_at_them(app_with(lab))
    assert lab.static_url_prefix == "/own/"
    assert "PERIJOVE_LAB_ASSETS" not in os.environ


def test_a_server_without_jupyterlab_goes_on(
    parts: dict[str, ModuleType], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PERIJOVE_LAB_ASSETS", ADDRESS)
    gone = SimpleNamespace(templates_dir=str(tmp_path / "gone"), static_url_prefix="/own/")
    parts["lab_assets"].point_page_at_them(app_with(gone))
    assert gone.static_url_prefix == "/own/"
    parts["lab_assets"].point_page_at_them(app_with())


def test_the_page_names_the_scripts_that_its_main_script_will_ask_for(
    parts: dict[str, ModuleType], lab: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path(lab.templates_dir, "jlab_core.0a1b.js").touch()
    pages = {"index.html": '<head><script id="jupyter-config-data">', "error.html": "<p>Sorry"}
    lab.jinja2_env = Environment(loader=DictLoader(pages), autoescape=True)
    monkeypatch.setenv("PERIJOVE_LAB_ASSETS", ADDRESS)
    parts["lab_assets"].point_page_at_them(app_with(lab))

    page_config = {
        "fullStaticUrl": ADDRESS, "fullLabextensionsUrl": "/user/ada/lab/extensions",
        "federated_extensions": [{"name": "@x/y", "load": "static/entry.1.js"}],
    }  # fmt: skip
    link = '<link rel="preload" as="script" href="'
    assert lab.jinja2_env.get_template("index.html").render(page_config=page_config) == (
        f'<head>{link}/user/ada/lab/extensions/@x/y/static/entry.1.js">'
        f'{link}{ADDRESS}/jlab_core.0a1b.js?v=0a1b"><script id="jupyter-config-data">'
    )
    assert lab.jinja2_env.get_template("error.html").render() == "<p>Sorry"


def test_what_has_nothing_to_do_is_not_loaded(
    parts: dict[str, ModuleType], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    idle = parts["idle"]
    there: set[str] = set()
    monkeypatch.setattr(idle, "find_spec", lambda name: name if name in there else None)
    monkeypatch.setattr(idle.shutil, "which", lambda name: name if name in there else None)
    monkeypatch.setattr(idle.sys, "prefix", str(tmp_path))
    assert idle.without_work() == {"jupyter_lsp": False, "notebook_shim": False}
    there.add("pylsp")
    assert idle.without_work() == {"notebook_shim": False}
    there.clear()
    there.add("texlab")
    assert idle.without_work() == {"notebook_shim": False}
    there.clear()
    there.add("nbclassic")
    assert idle.without_work() == {"jupyter_lsp": False}
    there.clear()
    settings = tmp_path / "etc" / "jupyter" / "jupyter_notebook_config.d"
    settings.mkdir(parents=True)
    (settings / "jupyterlab.json").touch()
    assert idle.without_work() == {"jupyter_lsp": False, "notebook_shim": False}
    (settings / "another.json").touch()
    assert idle.without_work() == {"jupyter_lsp": False}
