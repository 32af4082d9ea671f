import ast
import shlex
from typing import Any

import pytest
import yaml

from portal.panels.code import as_cli, as_python, as_yaml
from portal.panels.fields import choices
from portal.panels.inventory import cells
from portal.panels.launch import verdict_html
from portal.panels.usage import balance_over_time
from tests.unit.portal.canned import device, fields, verdict

ANSWERS = {"cpu": "4", "duration": "2h"}


def test_the_same_launch_on_the_command_line() -> None:
    words = shlex.split(as_cli("gpu-quarter", ANSWERS, "it's mine"))
    assert words == [
        "perijove", "run", "--offer", "gpu-quarter", "--name", "it's mine",
        "--set", "cpu=4", "--set", "duration=2h", "--wait",
    ]  # fmt: skip


def test_the_same_launch_as_yaml() -> None:
    assert yaml.safe_load(as_yaml("gpu-quarter", ANSWERS, "Ünï: x")) == {
        "offer": "gpu-quarter", "name": "Ünï: x", "set": ANSWERS,
    }  # fmt: skip


def test_the_same_launch_in_python_is_python() -> None:
    code = as_python("gpu-quarter", ANSWERS, 'a "b"', "http://127.0.0.1:8000")
    call = next(
        node
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "requests.post"
    )
    assert ast.literal_eval(call.args[0]).endswith("/services/control/v1/workloads")
    body = next(word.value for word in call.keywords if word.arg == "json")
    assert ast.literal_eval(body) == {"offer": "gpu-quarter", "name": 'a "b"', "set": ANSWERS}


def one(**more: Any) -> dict[str, Any]:
    empty = {"min": None, "max": None, "step": None, "choices": None, "help": "", "mode": "x"}
    return {**empty, "label": "L", **more}


@pytest.mark.parametrize(
    ("field", "written"),
    [
        (one(name="memory", value="4Gi", min="1Gi", max="4Gi", step="1Gi"),
         ["1Gi", "2Gi", "3Gi", "4Gi"]),
        (one(name="memory", value="512Mi", min="512Mi", max="2Gi", step="512Mi"),
         ["512Mi", "1Gi", "1536Mi", "2Gi"]),
        (one(name="cpu", value="1", min="0.5", max="2", step="0.5"), ["0.5", "1", "1.5", "2"]),
        (one(name="gpu", value="1/4", min="1/8", max="1/2", step="1/8"),
         ["0.125", "1/4", "0.375", "0.5"]),
        (one(name="duration", value="2h", choices=["30m", "8h"]), ["30m", "2h", "8h"]),
        (one(name="gpu", value="0.5"), ["0.5"]),
    ],
)  # fmt: skip
def test_bounds_become_a_list_with_the_default_in_it(
    field: dict[str, Any], written: list[str]
) -> None:
    assert list(choices(field).values()) == written


def test_what_is_chosen_reads_like_people_write() -> None:
    shown = [list(choices(field)) for field in fields("0.25")]
    assert shown[0] == ["1/4 GPU"]
    assert shown[1][:2] == ["1 core", "2 cores"]
    assert shown[2][0] == "1 GiB"


@pytest.mark.parametrize("kind", ["fits", "waits", "denied"])
def test_a_verdict_is_shown_in_its_own_words_and_escaped(kind: str) -> None:
    told = verdict(kind, "0.60", reason="<img src=x>")
    html = verdict_html(told)
    assert ("&lt;img" in html) is (kind != "fits"), "a fit needs no reason"
    assert "<img" not in html
    assert "0.60" in html
    assert told["cost"] in html


def test_the_burn_chart_walks_back_from_todays_balance() -> None:
    lines = [
        {"at": "2026-01-05T11:00:00+00:00", "amount": "0.50", "text": "returned"},
        {"at": "2026-01-05T10:00:00+00:00", "amount": "-1.20", "text": "held"},
        {"at": "2026-01-05T09:00:00+00:00", "amount": "100.00", "text": "granted"},
    ]
    assert [left for _, left, _ in balance_over_time("99.30", lines)] == [100.0, 98.8, 99.3]


def test_the_map_marks_what_is_not_healthy() -> None:
    gone = device("gpu-1", 0, health="lost", health_reason="it vanished")
    node = {"name": "lab-1", "devices": [device("emu-0", 875), gone]}
    columns = cells([node])
    assert columns["mark"] == ["87 %", "✕"]
    assert columns["health"][1] == "lost: it vanished"
    assert columns["held"] == [875, 0]
