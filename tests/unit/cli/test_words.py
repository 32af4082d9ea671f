"""Small rules with no server: overlapping logs, streams, waiting by an injected clock."""

from datetime import datetime
from typing import Any

import pytest

from catalog.errors import Unavailable
from hub.cli.words import facts, moment, plain, time_left
from hub.cli.workloads import added
from hub.client import Client, EndedInstead, Patience, TimedOut, wait_until_running
from hub.client.event_stream import Message, messages
from hub.client.waiting import GIVE_UP_AFTER_S

NOW = datetime.fromisoformat("2026-03-01T12:00:00+01:00")


@pytest.mark.parametrize(
    ("before", "after", "fresh"),
    [
        ("", "a\n", "a\n"),
        ("a\nb\n", "a\nb\n", ""),
        ("a\nb\n", "a\nb\nc\n", "c\n"),
        ("a\nb\n", "b\nc\nd\n", "c\nd\n"),
        ("a\n50 %", "a\n50 % 60 %", " 60 %"),
        ("x\nx\n", "x\nx\nx\n", "x\n"),
        ("a\nb\n", "y\nz\n", "y\nz\n"),
    ],
)
def test_following_a_log_prints_what_is_new(before: str, after: str, fresh: str) -> None:
    assert added(before, after) == fresh


def test_stream_messages() -> None:
    lines = [
        ": keep open", "", "id: 1", 'data: {"a": 1}', "", "data: [1]", "", "data: {", 'data: "b": 2}',
        "", "event: end", "data:", "",
    ]  # fmt: skip
    assert list(messages(lines)) == [
        Message("1", {"a": 1}),
        Message("1", {"b": 2}),
        Message("1", {}, is_end=True),
    ]


def test_times_are_local_and_lengths_short() -> None:
    assert moment("2026-03-01T13:30:00Z", NOW) == "14:30"
    assert moment("2026-03-02T13:30:00Z", NOW) == "2026-03-02 14:30"
    assert time_left("2026-03-01T13:30:00Z", NOW) == "2h30m"
    assert time_left("2026-03-01T10:30:00Z", NOW) == "ending"
    assert plain("a\x1b[1;31mb\x1b]8;;http://x\x1b\\c\x00\x9bd") == "abcd"


class Looks(Client):
    """A client that answers each look with the next of `answers`."""

    def __init__(self, *answers: str | Exception) -> None:
        self.answers = list(answers)

    def workload(self, id: str) -> dict[str, Any]:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return seen(answer)


class Time:
    """A clock that only pausing moves."""

    def __init__(self) -> None:
        self.at = 0.0

    def patience(self, timeout_s: float | None = None) -> Patience:
        return Patience(timeout_s, lambda: self.at, self.pause)

    def pause(self, seconds: float) -> None:
        self.at += seconds


def seen(status: str) -> dict[str, Any]:
    return {"id": "w1", "name": "lab", "status": status, "reason": "full"}


DOWN = Unavailable("down")


def test_waiting_outlasts_a_restart_of_the_server() -> None:
    looks = Looks("queued", DOWN, DOWN, DOWN, "running")
    assert wait_until_running(looks, seen("queued"), Time().patience())["status"] == "running"


def test_waiting_for_a_server_that_stays_away_ends() -> None:
    time = Time()
    with pytest.raises(Unavailable):
        wait_until_running(Looks(DOWN), seen("queued"), time.patience())
    assert GIVE_UP_AFTER_S < time.at < GIVE_UP_AFTER_S + 5


def test_waiting_ends_on_time() -> None:
    time = Time()
    with pytest.raises(TimedOut, match=r"lab \(w1\) does not run yet after 7 s"):
        wait_until_running(Looks("queued"), seen("queued"), time.patience(7))
    assert time.at == pytest.approx(7)


def test_what_runs_already_is_not_waited_for() -> None:
    time = Time()
    assert wait_until_running(Looks("failed"), seen("running"), time.patience(0))
    assert time.at == 0


def test_what_ended_is_not_waited_for() -> None:
    with pytest.raises(EndedInstead, match="full"):
        wait_until_running(Looks("stopped"), seen("queued"), Time().patience())


@pytest.mark.parametrize(
    "note", ["2026-13-45T99:99:99Z", "0001-01-01T00:00:00+23:00", "2026-11-21"]
)
def test_what_only_looks_like_a_time_is_shown_as_it_was_written(note: str) -> None:
    assert facts({"note": note}, NOW) == f"note: {note}"
