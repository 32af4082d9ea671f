"""Tables of the handbook say what the code says."""

import pkgutil
import re
import subprocess
from enum import StrEnum
from importlib import import_module

import pytest
from fastapi.routing import APIRoute

from blueprints.notebook import PRELOAD
from catalog.errors import BY_CODE, PerijoveError
from catalog.inventory import Device, Mode, Share, Vendor
from catalog.offers import FieldSpec, OfferSpec, Quantity, parse_menu
from catalog.units import MICRO
from hub import lab_assets
from hub.api import routers
from hub.api.errors import STATUS
from hub.lifecycle import MOVES, EndReason, Status
from hub.policy import TABLE, Action
from hub.settings import Settings
from quotas.ledger import AccountKind, PostingKind
from quotas.limits import Dimension
from quotas.reservations import WindowState
from quotas.verdict import Code
from spawners.local.gpu import render_gpu_environment
from spawners.local.processes import MARKER
from tests.docs import role_table, settings_page
from tests.docs.pages import blocks, first_cells, read, section
from tests.live import ROOT

API_ROW = re.compile(r"^\| `([A-Z]+) (/\S+)` \|.*\| `([a-z-]+)` \|$", re.MULTILINE)


def test_settings_page_is_fresh() -> None:
    stale = "write it anew: .venv/bin/python -m tests.docs.settings_page"
    assert settings_page.PAGE.read_text("utf-8") == settings_page.render(), stale


def test_every_setting_says_what_it_is() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_statuses_and_moves_are_the_table() -> None:
    text = read("docs/concepts/workload.md")
    rows = re.findall(r"^\| `(\w+)` \|[^|]*\|([^|]*)\|$", text, re.MULTILINE)
    documented = {status: set(re.findall(r"`(\w+)`", after)) for status, after in rows}
    assert documented == {str(s): {str(after) for after in MOVES[s]} for s in Status}


@pytest.mark.parametrize(
    ("page", "heading", "kind"),
    [
        ("workload", "Why it ended", EndReason),
        ("verdict", "", Code),
        ("quota", "", Dimension),
        ("reservation", "", WindowState),
    ],
)
def test_a_table_names_every_value(page: str, heading: str, kind: type[StrEnum]) -> None:
    name = f"docs/concepts/{page}.md"
    text = section(name, heading) if heading else read(name)
    assert set(first_cells(text)) == {str(value) for value in kind}


def test_the_ledger_page_names_every_account_and_posting() -> None:
    named = set(first_cells(read("docs/concepts/account.md")))
    assert named == {str(kind) for kind in (*AccountKind, *PostingKind)}


def test_every_route_is_documented_with_its_action() -> None:
    real = {
        (method, route.path, (route.openapi_extra or {}).get("x-action"))
        for found in pkgutil.iter_modules(routers.__path__)
        for route in import_module(f"{routers.__name__}.{found.name}").router.routes
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    }
    assert set(API_ROW.findall(read("docs/api.md"))) == real


def test_every_action_is_named() -> None:
    text = read("docs/api.md")
    assert [action for action in Action if f"`{action.value}`" not in text] == []


def test_the_table_of_roles_is_the_policy() -> None:
    stale = "write it anew: .venv/bin/python -m tests.docs.role_table"
    assert role_table.PAGE.read_text("utf-8") == role_table.render(), stale
    assert set(role_table.COLUMNS.values()) == set().union(*TABLE.values())


def test_every_error_code_is_documented_with_its_http_status() -> None:
    text = section("docs/api.md", "Errors")
    rows = re.findall(r"^\| `([a-z-]+)` \| (\d+) \|", text, re.MULTILINE)
    documented = {code: int(status) for code, status in rows}
    assert {code: documented.get(code) for code in STATUS} == STATUS
    assert {PerijoveError.code, *BY_CODE} - set(documented) == set()
    assert "`bad-usage`" in read("docs/api.md")


def test_every_variable_of_a_notebook_is_documented() -> None:
    device = Device("GPU-1", Vendor.NVIDIA, "L4", 24 * 1024)
    share = Share("GPU-1", 250, 6144, Mode.MPS)
    rendered = set(render_gpu_environment([share], [device], ROOT))
    rendered |= set(render_gpu_environment([], []))
    source = read("hub/starting.py")
    rendered |= set(re.findall(r'"(PERIJOVE_[A-Z_]+)":', source))
    rendered |= {MARKER, PRELOAD, lab_assets.VARIABLE}
    assert "PERIJOVE_WORKLOAD" in rendered
    documented = set(first_cells(read("docs/environment.md")))
    assert rendered - documented == set()
    ours = {name for name in documented if name.startswith("PERIJOVE_")}
    assert ours - rendered == set()


def test_no_variable_of_the_product_is_undocumented() -> None:
    found = subprocess.run(
        ["grep", "-rhoE", r"\bPERIJOVE_[A-Z][A-Z_]+", "--include=*.py", "hub", "portal", "spawners",
         "catalog", "quotas", "blueprints", "deploy"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    told = read("docs/settings.md") + read("docs/environment.md")
    assert sorted({name for name in found if f"`{name}`" not in told}) == []


def test_the_menu_page_names_every_key() -> None:
    page = read("docs/offers.md")
    keys = set(first_cells(section("docs/offers.md", "An offer")))
    assert keys == set(OfferSpec.model_fields)
    assert set(first_cells(section("docs/offers.md", "A field"))) >= {str(q) for q in Quantity}
    for key in FieldSpec.model_fields:
        assert re.search(rf"\b{key}\b", page), key


def test_the_menu_of_the_page_is_a_menu() -> None:
    (text,) = blocks("docs/offers.md", "yaml")
    offer = parse_menu(text.encode(), "docs/offers.md").offers["course-quarter"]
    answer = offer.answer({"memory": "4Gi", "duration": "2h"})
    assert answer.ask.gpu_milli == 250
    assert answer.price_per_hour == 27 * MICRO // 100
