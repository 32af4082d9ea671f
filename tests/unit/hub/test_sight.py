"""What is seen of nodes over time: silence, return, failing devices."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.inventory import Device, Health, Node, Vendor
from catalog.units import GIB
from hub.sight import FAILS_FOR, Sight, look, seen_nodes
from tests.examples import examples

START = datetime(2026, 1, 5, 9, tzinfo=UTC)
SILENCE = timedelta(seconds=60)


def node(name: str, health: Health = Health.OK) -> Node:
    device = Device(f"{name}-0", Vendor.NVIDIA, "L4", 24 * 1024, health=health)
    return Node(name, 8000, 32 * GIB, (device,))


def first(names: str) -> Sight:
    """As control begins: what it was built with."""
    return Sight(tuple(node(name) for name in names))


def after(before: Sight, names: str, seconds: int, expected: str = "") -> Sight:
    """The next look, `seconds` after the start."""
    at = START + timedelta(seconds=seconds)
    return look(before, [node(name) for name in names], list(expected), SILENCE, at)


def silent(sight: Sight, seconds: int) -> set[str]:
    return set(sight.silent(SILENCE, START + timedelta(seconds=seconds)))


def closed(sight: Sight, **drains: str) -> dict[str, str]:
    return {seen.name: seen.closed for seen in seen_nodes(sight, drains, {})}


def test_a_node_that_is_missing_is_closed_at_once_and_silent_after_a_while() -> None:
    sight = after(first("ab"), "a", 10)
    assert closed(sight) == {"a": "", "b": "node b has not answered since 09:00 UTC"}
    assert (silent(sight, 69), silent(sight, 70)) == (set(), {"b"})


def test_what_answers_in_time_is_open_and_what_was_given_up_is_not_at_once() -> None:
    missing = after(first("ab"), "a", 10)
    assert closed(after(missing, "ab", 60)) == {"a": "", "b": ""}
    back = after(missing, "ab", 80)
    assert closed(back) == {"a": "", "b": "node b has just come back"}
    assert closed(after(back, "ab", 90))["b"] != ""
    assert closed(back.without_returned()) == {"a": "", "b": ""}


def test_a_node_that_nobody_knew_is_looked_at_before_it_is_used() -> None:
    assert closed(first("a")) == {"a": ""}
    assert closed(after(first("a"), "ab", 10))["b"] == "node b has just come back"


def test_a_node_on_which_something_should_run_is_missed_from_the_first_look_on() -> None:
    sight = after(first("a"), "a", 0, expected="c")
    assert silent(sight, 60) == {"c"}
    assert closed(sight) == {"a": ""}  # of what was never seen nothing can be shown


def test_a_device_fails_for_good_after_a_while() -> None:
    bad = replace(node("a", Health.FAILING))
    sight = look(look(Sight(), [node("a")], (), SILENCE, START), [bad], (), SILENCE, START)
    assert sight.failed(START + FAILS_FOR - timedelta(seconds=1)) == {}
    assert set(sight.failed(START + FAILS_FOR)) == {"a-0"}
    assert look(sight, [node("a")], (), SILENCE, START).failing == {}


def test_drains_and_quarantine_show() -> None:
    sight = first("ab")
    assert closed(sight, a="drained") == {"a": "drained", "b": ""}
    (one, second) = seen_nodes(sight, {}, {"b-0": "3 starts failed"})
    assert one.devices[0].health is Health.OK
    device = second.devices[0]
    assert (device.health, device.health_reason) == (Health.FAILING, "3 starts failed")
    gone = look(Sight(), [node("b", Health.GONE)], (), SILENCE, START)
    (seen,) = seen_nodes(gone, {}, {"b-0": "3 starts failed"})
    assert seen.devices[0].health is Health.GONE


@settings(max_examples=examples(100), deadline=None)
@given(st.lists(st.tuples(st.sets(st.sampled_from("abc")), st.integers(1, 90)), max_size=12))
def test_only_what_is_missing_at_each_look_for_long_enough_is_silent(
    looks: list[tuple[set[str], int]],
) -> None:
    """Against a plain history of the looks."""
    at, history = 0, [(0, set("abc"))]
    sight = after(Sight(), "abc", 0)
    for names, seconds in looks:
        at += seconds
        history.append((at, names))
        sight = after(sight, "".join(sorted(names)), at)
        for name in "abc":
            since = None
            for when, there in reversed(history):
                if name in there:
                    break
                since = when
            expected = since is not None and at - since >= SILENCE.total_seconds()
            assert (name in silent(sight, at)) == expected
            assert (name in sight.missing) == (since is not None)
        shown = {seen.name for seen in seen_nodes(sight, {}, {})}
        assert shown == set("abc")
        assert all(seen.closed for seen in seen_nodes(sight, {}, {}) if seen.name not in names)
