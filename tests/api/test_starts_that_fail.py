"""Each step of a start fails in turn: nothing leaks, the refund shows, and the next start works."""

from collections.abc import Callable
from types import ModuleType

import pytest

from hub import attempts, grants, starting
from spawners.engine import EndCause, PermanentError, TemporaryError
from tests.site import Site, die_once


def hub_refuses(site: Site) -> None:
    site.hub.refuses = "the Hub is full"


def hub_is_away(site: Site) -> None:
    site.hub.down = True


def engine_says_never(site: Site) -> None:
    site.engine.failures["launch"] = PermanentError("no such program")


def engine_says_later(site: Site) -> None:
    site.engine.failures["launch"] = TemporaryError("the machine is busy")


def never_listens(site: Site) -> None:
    site.engine.up_after_s = 1e9


def never_listens_and_the_hub_hangs(site: Site) -> None:
    site.engine.up_after_s = 1e9
    site.hub.gives_up_after = None


def home_cannot_be_made(site: Site) -> None:
    homes = site.settings.spaces_dir / "homes"
    (homes / "mia").write_text("a file where the home should be")


def environment_is_gone(site: Site) -> None:
    assert site.settings.envs is not None
    (site.settings.envs / "perijove-env.json").rename(site.settings.envs / "away")


def mend(site: Site) -> None:
    site.hub.refuses, site.hub.down = "", False
    site.hub.gives_up_after = None
    site.engine.up_after_s = 0.0
    home = site.settings.spaces_dir / "homes" / "mia"
    if home.is_file():
        home.unlink()
    assert site.settings.envs is not None
    away = site.settings.envs / "away"
    if away.exists():
        away.rename(site.settings.envs / "perijove-env.json")


FAULTS: list[tuple[Callable[[Site], None], str]] = [
    (hub_refuses, "the Hub is full"),
    (hub_is_away, "it was not up within 5m"),
    (engine_says_never, "no such program"),
    (engine_says_later, "the machine is busy"),
    (never_listens, "it was not up"),
    (never_listens_and_the_hub_hangs, "it was not up within 5m"),
    (home_cannot_be_made, "cannot make the home"),
    (environment_is_gone, "is not complete"),
]


@pytest.mark.parametrize(("break_it", "said"), FAULTS, ids=lambda f: getattr(f, "__name__", ""))
async def test_a_start_that_fails_leaves_nothing_and_costs_nothing(
    site: Site, break_it: Callable[[Site], None], said: str
) -> None:
    workload = await site.launch("mia")
    break_it(site)

    def ended() -> bool:
        site.later(seconds=20)
        return site.row(workload).status in {"failed", "stopped"}

    await site.until(ended, lambda: "the end")
    site.hub.down = False
    await site.settled()
    seen = await site.view("mia", workload)
    assert (seen["status"], seen["reason_code"]) == ("failed", "start-failed"), seen["reason"]
    assert said in seen["reason"]
    assert (seen["cost"], seen["next"] != "") == ("0.00", True)
    usage = (await site.call("mia", "GET", "/usage")).body
    assert usage["balance"] == "100.00"
    refund = next(line for line in usage["items"] if line["kind"] == "refund")
    assert (refund["amount"], refund["workload"]) == ("0.60", workload)
    notices = (await site.call("mia", "GET", "/notices")).body["items"]
    assert [n["workload"] for n in notices if n["kind"] == "ended"] == [workload]
    mend(site)
    await site.settled()
    assert site.clean() == []

    again = await site.call("mia", "POST", f"/workloads/{workload}/relaunch", {})
    await site.until_status("mia", again.body["id"], "running")
    assert site.leaks() == []


async def test_it_ends_while_it_starts(site: Site) -> None:
    site.engine.up_after_s = 1e9
    workload = await site.launch("mia")
    await site.until(lambda: site.engine.launches, lambda: "a launch")
    site.engine.end(site.engine.launches[0], EndCause.EXITED, 1)
    seen = await site.until_status("mia", workload, "failed")
    assert seen["reason_code"] == "start-failed"
    assert "code 1" in seen["reason"]
    await site.settled()
    assert site.clean() == []


async def test_it_is_stopped_while_it_starts(site: Site) -> None:
    site.engine.up_after_s = 1e9
    workload = await site.launch("mia")
    await site.until(lambda: site.engine.launches, lambda: "a launch")
    await site.call("mia", "POST", f"/workloads/{workload}/stop")
    seen = await site.until_status("mia", workload, "stopped")
    assert (seen["reason_code"], seen["cost"]) == ("asked", "0.00")
    await site.settled()
    assert site.clean() == []


async def test_what_ended_while_it_was_launched_does_not_stay(site: Site) -> None:
    """The stop comes between the look at the grant and the launch."""
    workload = await site.launch("mia")
    site.hub.down = True
    await site.until(lambda: site.row(workload).status == "starting", lambda: "its grant")
    real = site.engine.launch

    def launch_late(spec):  # noqa: ANN001, ANN202 (the engine's own)
        attempts.begin_stopping(site.control, workload, attempts.EndReason.ASKED, "stopped")
        exit_ = attempts.Exit(EndCause.STOPPED, site.clock.now())
        attempts.finish(site.control, spec.attempt_id, exit_)
        return real(spec)

    site.engine.launch = launch_late  # type: ignore[method-assign]
    with pytest.raises(starting.Conflict, match="ended while it was starting"):
        starting.start(site.control, "mia", workload, [], {})
    assert [o.exit is not None for o in site.engine.observe()] == [True]
    assert site.leaks() == []


@pytest.mark.parametrize("beats", range(1, 7))
async def test_control_may_die_after_any_beat_of_a_start(site: Site, beats: int) -> None:
    workload = await site.launch("mia")
    for _ in range(beats):
        await site.beat()
        await site.crash()
    await site.until_status("mia", workload, "running")
    assert len(site.engine.launches) == 1
    assert site.leaks() == []
    site.later(minutes=60)
    await site.crash()
    await site.call("mia", "POST", f"/workloads/{workload}/stop")
    await site.beat()
    await site.crash()
    seen = await site.until_status("mia", workload, "stopped")
    assert seen["cost"] == "0.30"
    await site.crash()
    await site.settled()
    site.hub.ready.clear()  # the Hub's own poll, if control died before it told the Hub
    assert site.clean() == []


STEPS = (
    (attempts, "mark_step"), (attempts, "mark_ready"), (attempts, "finish"),
    (grants, "give_what_fits"),
)  # fmt: skip


@pytest.mark.parametrize(
    ("module", "step"), STEPS, ids=lambda part: part if isinstance(part, str) else ""
)
@pytest.mark.parametrize("when", ["before", "after"])
async def test_control_may_die_at_any_step(
    site: Site, monkeypatch: pytest.MonkeyPatch, module: ModuleType, step: str, when: str
) -> None:
    """Killed right before or right after the transaction of the step."""
    deaths = die_once(monkeypatch, module, step, when)
    workload = await site.launch("mia")

    async def alive(status: str) -> bool:
        if len(deaths) == 1:
            deaths.append("restarted")
            await site.crash()
        return (await site.view("mia", workload))["status"] == status

    async def reach(status: str) -> None:
        for _ in range(2000):
            try:
                await site.until(lambda: alive(status), lambda: status)
            except SystemError:
                continue
            return

    await reach("running")
    site.later(minutes=60)
    await site.call("mia", "POST", f"/workloads/{workload}/stop")
    await reach("stopped")
    await site.settled()
    assert deaths == [step, "restarted"]
    seen = await site.view("mia", workload)
    assert seen["cost"] == "0.30"
    site.hub.ready.clear()
    assert site.clean() == []
    assert len(site.engine.launches) == 1


async def test_a_hub_that_forgot_everything_finds_what_runs(site: Site) -> None:
    workload = await site.run("mia")
    site.hub.forget_everything()
    site.later(seconds=11)
    await site.until(lambda: site.hub.ready, lambda: "the Hub knows it again")
    assert site.hub.ready == {("mia", workload)}
    assert len(site.engine.launches) == 1
    assert (await site.view("mia", workload))["status"] == "running"


async def test_what_nobody_granted_is_refused_in_words(site: Site) -> None:
    for _ in range(2):
        await site.run("mia", "gpu-whole")
    waiting = await site.launch("noa", "gpu-whole")
    for server, said in ((waiting, "waits in the queue"), ("w-unknown", "nothing was granted")):
        status, found = await site.hub._call(
            "POST", "/internal/servers/start",
            {"person": "noa", "server": server, "args": [], "env": {}},
        )  # fmt: skip
        assert (status, found["error"]["code"]) == (409, "not-granted")
        assert said in found["error"]["message"]


async def test_an_engine_that_fails_for_a_moment_changes_nothing(site: Site) -> None:
    workload = await site.run("mia")
    site.engine.failures["observe"] = TemporaryError("busy")
    with pytest.raises(TemporaryError):
        await site.beat()
    await site.beat()
    assert (await site.view("mia", workload))["status"] == "running"
