"""When work is idle, asked and stopped: for every time that can be known of it."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.errors import BadValue
from catalog.idleness import (
    Act,
    Known,
    Rule,
    gpu_works,
    judge,
    parse_idle,
    processors_work,
    stop_at,
)

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
HEARD = timedelta(minutes=12)
RULE = Rule(timedelta(hours=2), timedelta(minutes=10), HEARD)

spans = st.timedeltas(timedelta(), timedelta(hours=9))
ahead = st.timedeltas(timedelta(hours=-1), timedelta(hours=9))
rules = st.builds(
    Rule, st.timedeltas(timedelta(seconds=20), timedelta(hours=8)),
    st.timedeltas(timedelta(seconds=1), timedelta(hours=1)), st.just(HEARD),
)  # fmt: skip
knowns = st.builds(
    lambda active, heard, ends, stop: Known(
        NOW - active, None if heard is None else NOW - heard, NOW + ends,
        None if stop is None else NOW + stop,
    ),
    spans, st.none() | spans, ahead, st.none() | ahead,
)  # fmt: skip


def known(idle: timedelta, stop: timedelta | None = None, heard: timedelta = timedelta()) -> Known:
    stops = None if stop is None else NOW + stop
    return Known(NOW - idle, NOW - heard, NOW + timedelta(hours=5), stops)


@given(rules, knowns)
def test_nothing_stops_without_a_question_whose_time_is_over(rule: Rule, it: Known) -> None:
    if judge(rule, it, NOW) is Act.STOP:
        assert it.stop_at is not None
        assert it.stop_at <= NOW
        assert it.heard_at is not None
        assert NOW - it.heard_at <= HEARD


@given(rules, knowns)
def test_what_worked_within_the_span_is_neither_asked_early_nor_stopped(
    rule: Rule, it: Known
) -> None:
    if NOW - it.active_at < rule.quiet:
        assert judge(rule, it, NOW) in {Act.LEAVE, Act.TAKE_BACK}
    if judge(rule, it, NOW) is Act.ASK:
        stops = stop_at(rule, it, NOW)
        assert stops - it.active_at >= rule.span
        assert stops > NOW
        assert stops < it.ends_at


@given(knowns)
def test_without_a_rule_questions_are_taken_back_and_none_is_asked(it: Known) -> None:
    wanted = Act.TAKE_BACK if it.stop_at else Act.LEAVE
    assert judge(None, it, NOW) is wanted


@pytest.mark.parametrize(
    ("it", "act"),
    [
        (known(timedelta(minutes=109)), Act.LEAVE),
        (known(timedelta(minutes=110)), Act.ASK),
        (known(timedelta(hours=3), heard=timedelta(minutes=13)), Act.LEAVE),
        (known(timedelta(minutes=111), timedelta(minutes=9)), Act.LEAVE),
        (known(timedelta(minutes=120), timedelta()), Act.STOP),
        (known(timedelta(minutes=130), timedelta(), timedelta(minutes=13)), Act.LEAVE),
        (known(timedelta(minutes=1), timedelta(minutes=9)), Act.TAKE_BACK),
    ],
)
def test_the_hours_of_one_rule(it: Known, act: Act) -> None:
    assert judge(RULE, it, NOW) is act


def test_a_question_is_taken_back_of_what_has_to_go_before_it_would_stop() -> None:
    goes = Known(NOW - timedelta(minutes=111), NOW, NOW + timedelta(minutes=4),
                 NOW + timedelta(minutes=9))  # fmt: skip
    assert judge(RULE, goes, NOW) is Act.TAKE_BACK


def test_a_short_time_is_half_a_question() -> None:
    assert Rule(timedelta(minutes=10), timedelta(minutes=10), HEARD).quiet == timedelta(minutes=5)


@pytest.mark.parametrize(
    ("idle_s", "heard_s", "act"),
    [(110, 110, Act.LEAVE), (130, 119, Act.LEAVE), (130, 95, Act.ASK), (130, 130, Act.ASK)],
)
def test_between_two_words_of_its_server_nothing_is_asked(
    idle_s: int, heard_s: int, act: Act
) -> None:
    short = Rule(timedelta(minutes=1), timedelta(minutes=10), HEARD, timedelta(minutes=2))
    it = known(timedelta(seconds=idle_s), heard=timedelta(seconds=heard_s))
    assert judge(short, it, NOW) is act


def test_what_is_work() -> None:
    assert [gpu_works(percent) for percent in (None, 0, 2, 3, 100)] == [False] * 3 + [True] * 2
    minute = timedelta(minutes=1)
    assert [processors_work(used, minute) for used in (0.0, 0.6, 3.0, 3.1)] == [False] * 3 + [True]


@pytest.mark.parametrize(
    ("text", "span"), [("2h", timedelta(hours=2)), ("off", None), (False, None)]
)
def test_a_time_is_read_as_people_write_it(text: object, span: timedelta | None) -> None:
    assert parse_idle(text) == span


@pytest.mark.parametrize("text", ["", "5s", "0m", "soon", True, None])
def test_what_is_no_such_time_is_refused(text: object) -> None:
    with pytest.raises(BadValue):
        parse_idle(text)
