"""The extension of JupyterLab that is shipped: built from the source beside it, small, offline."""

import json
import re

from blueprints.notebook import JUPYTER_CONFIG
from deploy.lab_extension import BUILT, MARK, SOURCE, source_digest

MOST_BYTES = 60_000
URL = re.compile(rb"https?://[\w.-]+")


def test_what_is_shipped_was_built_from_the_committed_source() -> None:
    stale = "it is older than its source: make lab-extension"
    assert MARK.read_text().strip() == source_digest(), stale


def test_it_lies_where_jupyter_looks_for_it() -> None:
    assert BUILT.parent == JUPYTER_CONFIG / "labextensions"
    told = json.loads((BUILT / "package.json").read_text())["jupyterlab"]["_build"]
    assert (BUILT / told["load"]).is_file()
    enabled = json.loads((JUPYTER_CONFIG / "jupyter_server_config.d" / "perijove.json").read_text())
    assert enabled["ServerApp"]["jpserver_extensions"] == {"perijove_inside": True}


def test_it_is_small() -> None:
    scripts = list((BUILT / "static").glob("*.js"))
    assert sum(path.stat().st_size for path in scripts) < MOST_BYTES


def test_it_speaks_to_its_own_site_only() -> None:
    found = {
        url.decode()
        for path in (BUILT / "static").glob("*.js")
        for url in URL.findall(path.read_bytes())
    }
    assert found == set()


def test_nothing_that_people_type_is_read_as_markup() -> None:
    markup = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(")
    assert [path.name for path in SOURCE.glob("src/*.ts") if markup.search(path.read_text())] == []


def test_its_lock_names_no_place_of_download() -> None:
    lock = json.loads((SOURCE / "package-lock.json").read_text())
    assert not any("resolved" in one for one in lock["packages"].values())
    pinned = [one for name, one in lock["packages"].items() if name]
    assert all("integrity" in one for one in pinned)
