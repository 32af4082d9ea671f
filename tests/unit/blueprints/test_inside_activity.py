"""When a notebook server was last at work, as it tells control: kernels, terminals and its owner count, an
open page does not."""

import importlib
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from blueprints.notebook import JUPYTER_CONFIG

START = 1_000_000.0


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


class Control:
    """Notes what it is told; away while `away` is set."""

    def __init__(self) -> None:
        self.told: list[int] = []
        self.away: Exception | None = None

    async def post(self, path: str, body: dict[str, Any], key: str = "") -> dict[str, Any]:
        if self.away:
            raise self.away
        assert (path, key) == ("active", "")
        self.told.append(body["idle_s"])
        return {}


@pytest.fixture(scope="module")
def parts() -> Iterator[dict[str, ModuleType]]:
    folder = str(JUPYTER_CONFIG / "server")
    sys.path.append(folder)
    names = ("activity", "reporter", "upstream")
    yield {name: importlib.import_module(f"perijove_inside.{name}") for name in names}
    sys.path.remove(folder)


def kernel(state: str = "idle", at: float = 0.0) -> SimpleNamespace:
    return SimpleNamespace(execution_state=state, last_activity=datetime.fromtimestamp(at, UTC))


def server(parts: dict[str, ModuleType], clock: Clock, **held: dict[str, Any]) -> Any:
    """What it knows of a server with these kernels and terminals."""
    settings: dict[str, Any] = {
        "log_function": lambda handler: None,
        "kernel_manager": SimpleNamespace(_kernels=held.get("kernels", {})),
        "terminal_manager": SimpleNamespace(terminals=held.get("terminals", {})),
    }
    found = parts["activity"].Activity(settings, "mia", clock)
    found.watch_requests()
    found.log = settings["log_function"]
    return found


def request(
    method: str = "PUT", path: str = "/user/mia/w/api/contents/a.ipynb", *, user: str = "mia",
    status: int = 200, tracked: bool = True,
) -> Any:  # fmt: skip
    return SimpleNamespace(
        request=SimpleNamespace(method=method, path=path), get_status=lambda: status,
        _track_activity=tracked, _jupyter_current_user=SimpleNamespace(username=user),
    )  # fmt: skip


def test_a_busy_kernel_works_now_and_an_idle_one_when_it_last_did(
    parts: dict[str, ModuleType],
) -> None:
    clock = Clock()
    kernels = {"a": kernel("busy"), "b": kernel(at=START + 30)}
    activity = server(parts, clock, kernels=kernels)
    clock.now += 600
    assert (activity.at(), activity.busy) == (clock.now, 1)
    kernels["a"].execution_state = "idle"
    assert (activity.at(), activity.busy) == (START + 30, 0)


def test_a_terminal_counts_when_something_was_typed_or_written(
    parts: dict[str, ModuleType],
) -> None:
    clock = Clock()
    activity = server(parts, clock, terminals={"1": kernel(at=START + 50)})
    clock.now += 600
    assert activity.at() == START + 50


def test_a_server_without_terminals_or_with_another_manager_is_fine(
    parts: dict[str, ModuleType],
) -> None:
    clock = Clock()
    settings: dict[str, Any] = {"kernel_manager": SimpleNamespace(_kernels=None)}
    assert parts["activity"].Activity(settings, "mia", clock).at() == START


@pytest.mark.parametrize(
    ("handler", "counts"),
    [
        (request(), True),
        (request("DELETE"), True),
        (request("POST", "/user/mia/w/api/sessions"), True),
        (request("GET"), False),
        (request("GET", "/user/mia/w/api/kernels"), False),
        (request("PUT", "/user/mia/w/lab/api/workspaces/default"), False),
        (request("POST", "/user/mia/w/perijove/extend", tracked=False), False),
        (request(user="ana"), False),
        (request(status=403), False),
    ],
)
def test_a_request_counts_when_the_owner_changes_something(
    parts: dict[str, ModuleType], handler: Any, counts: bool
) -> None:
    clock = Clock()
    activity = server(parts, clock)
    clock.now += 600
    activity.log(handler)
    assert (activity.at() == clock.now) is counts


def test_a_page_says_how_long_ago_it_was_touched_and_a_clock_ahead_changes_nothing(
    parts: dict[str, ModuleType],
) -> None:
    clock = Clock()
    activity = server(parts, clock, kernels={"a": kernel(at=START + 10_000)})
    clock.now += 600
    assert activity.at() == clock.now  # never in the future
    other = server(parts, clock)
    clock.now += 600
    other.touched(15)
    assert other.at() == clock.now - 15
    other.touched(-99)
    assert other.at() == clock.now


async def test_it_tells_once_a_minute_while_it_works_and_every_five_when_not(
    parts: dict[str, ModuleType],
) -> None:
    clock, control = Clock(), Control()
    kernels = {"a": kernel("busy")}
    reporter = parts["reporter"].Reporter(
        server(parts, clock, kernels=kernels), control, clock
    )  # fmt: skip
    for _ in range(3):
        await reporter.look()
        clock.now += 60
    assert control.told == [0, 0, 0]
    kernels["a"].execution_state, kernels["a"].last_activity = (
        "idle",
        datetime.fromtimestamp(clock.now - 50, UTC),
    )
    for _ in range(11):
        await reporter.look()
        clock.now += 60
    assert control.told[3:] == [50, 350, 650]


async def test_what_control_did_not_hear_it_is_told_at_the_next_look(
    parts: dict[str, ModuleType],
) -> None:
    clock, control = Clock(), Control()
    reporter = parts["reporter"].Reporter(server(parts, clock), control, clock)
    control.away = parts["upstream"].Away("down")
    await reporter.look()
    with pytest.raises(parts["upstream"].Away):
        await reporter.tell()
    control.away = None
    clock.now += 60
    await reporter.look()
    assert control.told == [60]
