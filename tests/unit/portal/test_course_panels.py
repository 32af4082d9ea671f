from html import escape
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.panels.attendance import attendance_html
from portal.panels.room import counts_html, outcomes_html, ready_html, visits_html
from portal.panels.spending import ahead, numbers_html, shown

NASTY = "<img src=x onerror=alert(1)>"


def room(**more: Any) -> dict[str, Any]:
    people = [{"attended": True, "role": "member"}, {"attended": True, "role": "assistant"}]
    counts = {"running": 3, "starting": 1, "waiting": 0, "away": 9}
    return {"counts": counts, "session": None, "people": people, **more}


def test_the_head_of_the_room_counts_students_only() -> None:
    html = counts_html(room(session={"name": NASTY}))
    assert "1 of the students" in html
    assert "<img" not in html
    assert "No lab hours now." in counts_html(room())


@given(st.lists(st.tuples(st.text(max_size=20), st.booleans(), st.text(max_size=20)), max_size=9))
def test_every_outcome_is_told_and_none_is_html(items: list[tuple[str, bool, str]]) -> None:
    told = [{"login": a, "done": b, "message": c} for a, b, c in items]
    html = outcomes_html("Extend", told, {})
    assert html.count("<li>") == len(items)
    assert f"done for {sum(done for _, done, _ in items)}" in html
    read = Read()
    read.feed(html)
    assert set(read.tags) <= {"div", "p", "strong", "ul", "li", "details", "summary"}
    for login, _, message in items:
        assert f"{login}: {message}" in read.text


class Read(HTMLParser):
    """What a browser makes of it."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def visit(**more: Any) -> dict[str, Any]:
    return {"student": "alan", "state": "granted", "url": "", "course": "phys", **more}


def test_a_granted_visit_has_a_link_once_its_door_is_open() -> None:
    names = {"alan": NASTY}
    assert "<a " not in visits_html([visit()], names)
    html = visits_html([visit(url='/user/alan/w"><script>/lab')], names)
    assert 'href="/user/alan/w&quot;&gt;&lt;script&gt;/lab"' in html
    assert "<img" not in html


def test_attendance_shows_who_missed_what() -> None:
    key = {"key": "r@1", "name": NASTY, "starts_at": "2026-02-02T08:00:00Z"}
    line = {"login": "alan", "name": "", "minutes": {"r@1": 41}}
    html = attendance_html({"sessions": [key], "people": [line, line | {"minutes": {}}]})
    assert "<td>41 min</td>" in html
    assert "<td>–</td>" in html
    assert "<img" not in html
    assert "1 of 1" in html
    assert "0 of 1" in html
    assert "No lab hours have begun" in attendance_html({"sessions": [], "people": []})


def test_the_dashed_line_ends_where_nothing_is_left() -> None:
    points = [{"day": "2026-02-01", "spent": "0", "left": "100"},
              {"day": "2026-02-02", "spent": "10.5", "left": "89.5"}]  # fmt: skip
    found = {"budget": "100", "spent": "10.5", "held": "0", "points": points}
    days, left = ahead({**found, "forecast_empty_on": "2026-02-11"})
    assert [day.isoformat() for day in days] == ["2026-02-02T12:00:00", "2026-02-11T12:00:00"]
    assert left == [89.5, 0.0]
    assert ahead({**found, "forecast_empty_on": None}) == ([], [])
    assert "89.5" in numbers_html({**found, "forecast_empty_on": None})
    assert "11 February 2026" in numbers_html({**found, "forecast_empty_on": "2026-02-11"})


def test_a_guess_that_reaches_further_than_a_year_names_no_day() -> None:
    points = [{"day": "2026-02-02", "spent": "0.006126", "left": "99.993874"}]
    found = {"budget": "100", "spent": "0.006126", "held": "0", "points": points,
             "forecast_empty_on": "2071-07-31"}  # fmt: skip
    assert ahead(found) == ([], [])
    html = numbers_html(found)
    assert "2071" not in html
    assert "more than a year" in html


@pytest.mark.parametrize(
    ("amount", "words"),
    [("99.993874", "99.99"), ("0.006126", "0.0061"), ("0", "0.00"), ("100000.5", "100,000.50")],
)
def test_credits_are_cut_off_as_on_every_page(amount: str, words: str) -> None:
    assert shown(amount) == words


def test_what_is_wrong_comes_before_what_is_in_order() -> None:
    parts = [{"name": "places", "state": "ready", "text": "24 places held"},
             {"name": "material", "state": "wrong", "text": NASTY}]  # fmt: skip
    html = ready_html(
        {"state": "wrong", "text": f"Not ready for Tue: 24 places held, {NASTY}", "parts": parts}
    )
    assert "<strong>Not ready for Tue</strong>" in html
    assert html.index(escape(NASTY)) < html.index("24 places held")


def test_what_is_not_ready_for_a_class_stands_out() -> None:
    assert ready_html(None) == ""
    assert 'role="alert"' not in ready_html({"state": "soon", "text": "Getting ready"})
    wrong = ready_html({"state": "wrong", "text": NASTY})
    assert 'role="alert"' in wrong
    assert NASTY not in wrong
    assert "Ready for Tue" in counts_html(room(ready={"state": "ready", "text": "Ready for Tue"}))
