"""What the audit's facts say to people."""

from typing import Any

import pytest

from hub.audit_words import told


@pytest.mark.parametrize(
    ("detail", "words"),
    [
        ({}, {}),
        ({"micro": 5_000_000, "from": "main"}, {"amount": "5.00 credits", "from": "main"}),
        ({"per_hour": 250_000}, {"per hour": "0.25 credits"}),
        ({"seconds": 5400}, {"by": "1h30m"}),
        (
            {"most_out": 250, "span_s": 7200, "reason": ""},
            {"out at once": "25 %", "each within": "2h"},
        ),
        ({"files": 3, "bytes": 3 * 2**30}, {"files": "3", "size": "3 GiB"}),
        (
            {"expires_at": "2030-01-01T08:00:00+00:00"},
            {"expires at": "2030-01-01T08:00:00+00:00"},
        ),
        ({"active": False, "most": None}, {"active": "no"}),
        ({"before": ["member"], "after": []}, {"before": "member"}),
        ({"note": "ci", "may": "custom:perijove:api"}, {"note": "ci", "may": "use Perijove's API"}),
        ({"may": "all that the person may"}, {"may": "all that the person may"}),
        ({"student": "p-1", "reason": "p-1"}, {"student": "mia", "reason": "p-1"}),
    ],
)
def test_facts_have_names_and_units(detail: dict[str, Any], words: dict[str, str]) -> None:
    assert told(detail, {"p-1": "mia"}) == words


@pytest.mark.parametrize(
    ("dimension", "limit", "text"),
    [
        ("gpu", 250, "1/4 GPU"), ("cpu", 1500, "1.5 CPU"), ("memory", 8 * 2**30, "8 GiB"),
        ("credits", 5_000_000, "5.00 credits"), ("gpu-hours", 36_000_000, "10 GPU-hours a week"),
    ],
)  # fmt: skip
def test_a_changed_limit_is_told_as_the_console_tells_it(
    dimension: str, limit: int, text: str
) -> None:
    period = "week" if dimension == "gpu-hours" else ""
    state = {"limit": limit, "guaranteed": 0, "period": period}
    found = told({"dimension": dimension, "change": 7, "before": {}, **state}, {})
    assert found["before"] == "no limit"
    assert found["after"] == text
    assert set(found) == {"of what", "change", "before", "after"}
    undone = told({"dimension": dimension, "change": 8, "before": state, "undoes": 7}, {})
    assert (undone["before"], undone["after"]) == (text, "no limit")


def test_more_that_was_asked_for_is_told_with_its_unit() -> None:
    asked = {"request": "r-1", "dimension": "gpu", "amount": 2000, "period": "", "granted": None}
    assert told(asked | {"answer": ""}, {}) == {
        "request": "r-1", "of what": "GPU", "amount": "2 GPUs",
    }  # fmt: skip
    hours = asked | {"dimension": "gpu-hours", "amount": 72_000_000, "granted": 36_000_000}
    found = told(hours | {"period": "month"}, {})
    assert (found["amount"], found["granted"]) == ("20 GPU-hours a month", "10 GPU-hours a month")


@pytest.mark.parametrize(
    "odd",
    [
        {"dimension": "sleep", "before": {}}, {"dimension": "gpu", "before": 3},
        {"dimension": "gpu", "before": {"odd": 1}}, {"dimension": "gpu", "amount": "much"},
        {"micro": "much"}, {"before": {"limit": 3}}, {"seconds": 10**18},
    ],
)  # fmt: skip
def test_facts_of_another_version_are_shown_as_they_are(odd: dict[str, Any]) -> None:
    assert told(odd, {})
