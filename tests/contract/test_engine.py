"""The promises of `spawners.engine.Engine`, kept by the fake and by the real one."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from spawners.engine import EndCause, Enforcement, Exit, Phase
from tests.contract.engines import NODES, Bench, FakeBench, ForkedBench, LocalBench


@pytest.fixture(params=["fake", "local", "local-forked", "local-v2-tree", "local-unlimited"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    if request.param == "fake":
        yield FakeBench()
        return
    kind = ForkedBench if request.param == "local-forked" else LocalBench
    local = kind(tmp_path, _control_groups(request.param, tmp_path / "cgroup"))
    yield local
    local.close()


def _control_groups(kind: str, made: Path) -> Path:
    """The machine's own; or a tree of the second version that limits nothing; or none at all."""
    if kind in {"local", "local-forked"}:
        return Path("/sys/fs/cgroup")
    made.mkdir()
    if kind == "local-v2-tree":
        (made / "cgroup.controllers").write_text("cpu memory pids")
    return made


def now(bench: Bench) -> datetime:
    return bench.clock.now()


def end_of(bench: Bench, attempt_id: str) -> Exit:
    end = bench.wait_for(attempt_id, Phase.ENDED).exit
    assert end
    return end


def test_an_attempt_comes_up_at_its_url(bench: Bench) -> None:
    spec = bench.listen("a")
    assert bench.launch(spec).phase in (Phase.STARTING, Phase.UP)
    seen = bench.wait_for("a", Phase.UP)
    assert seen.url == f"http://127.0.0.1:{spec.port}"
    assert seen.started_at
    assert seen.exit is None


def test_a_repeated_launch_starts_nothing(bench: Bench) -> None:
    spec = bench.listen("a")
    first = bench.launch(spec)
    again = bench.launch(bench.listen("a"))
    assert again.attempt_id == first.attempt_id
    assert bench.wait_for("a", Phase.UP).url.endswith(f":{spec.port}")
    bench.launch(bench.listen("a"))
    assert bench.starts("a") == 1


def test_launching_what_has_ended_says_how_it_ended(bench: Bench) -> None:
    bench.launch(bench.exit_with("a", 3))
    end = end_of(bench, "a")
    again = bench.launch(bench.listen("a"))
    assert again.phase is Phase.ENDED
    assert again.exit == end


def test_an_exit_code_is_kept(bench: Bench) -> None:
    bench.launch(bench.exit_with("a", 3))
    end = end_of(bench, "a")
    assert (end.cause, end.exit_code) == (EndCause.EXITED, 3)
    assert abs(end.ended_at - now(bench)) < timedelta(minutes=1)


def test_observe_answers_for_what_it_knows(bench: Bench) -> None:
    bench.launch(bench.listen("a"))
    bench.launch(bench.listen("b"))
    assert [seen.attempt_id for seen in bench.engine.observe()] == ["a", "b"]
    assert [seen.attempt_id for seen in bench.engine.observe(["b", "nobody"])] == ["b"]
    assert bench.engine.observe([]) == []


def test_stop_ends_and_can_be_repeated(bench: Bench) -> None:
    bench.launch(bench.listen("a"))
    bench.wait_for("a", Phase.UP)
    bench.engine.stop("a")
    bench.engine.stop("a")
    assert end_of(bench, "a").cause is EndCause.STOPPED
    bench.engine.stop("a")
    assert end_of(bench, "a").cause is EndCause.STOPPED


def test_stop_right_after_the_launch_is_not_lost(bench: Bench) -> None:
    bench.launch(bench.listen("a"))
    bench.engine.stop("a")
    assert end_of(bench, "a").cause is EndCause.STOPPED


def test_what_ignores_a_stop_lives_until_its_grace_is_over(bench: Bench) -> None:
    bench.launch(bench.ignore_term("a"))
    bench.wait_for("a", Phase.UP)
    bench.engine.stop("a", 60)
    bench.let_pass(0.3)
    assert bench.engine.observe(["a"])[0].phase is Phase.UP
    bench.engine.stop("a", 0.2)
    assert end_of(bench, "a").cause is EndCause.STOPPED


def test_an_end_is_not_rewritten_by_a_later_stop(bench: Bench) -> None:
    bench.launch(bench.exit_with("a", 0))
    before = end_of(bench, "a")
    bench.engine.stop("a")
    assert end_of(bench, "a") == before


def test_the_deadline_ends_it(bench: Bench) -> None:
    bench.launch(bench.listen("a", lease_s=0.4))
    assert end_of(bench, "a").cause is EndCause.DEADLINE


def test_extending_moves_the_deadline_both_ways(bench: Bench) -> None:
    bench.launch(bench.listen("a", lease_s=1))
    bench.engine.extend("a", now(bench) + timedelta(minutes=10))
    bench.let_pass(1.7)
    assert bench.engine.observe(["a"])[0].phase is not Phase.ENDED
    bench.engine.extend("a", now(bench))
    assert end_of(bench, "a").cause is EndCause.DEADLINE


def test_only_the_ended_is_forgotten(bench: Bench) -> None:
    bench.launch(bench.listen("a"))
    bench.wait_for("a", Phase.UP)
    bench.engine.forget("a")
    assert bench.engine.observe(["a"])[0].phase is Phase.UP
    bench.engine.stop("a")
    end_of(bench, "a")
    bench.engine.forget("a")
    bench.engine.forget("a")
    assert bench.engine.observe() == []


def test_what_it_printed_is_kept_until_it_is_forgotten(bench: Bench) -> None:
    bench.launch(bench.print_text("a", "one two three"))
    end_of(bench, "a")
    assert bench.engine.log("a") == b"one two three"
    assert bench.engine.log("a", 5) == b"three"
    assert bench.engine.log("nobody") == b""
    assert bench.engine.log("../a") == b""
    bench.engine.forget("a")
    assert bench.engine.log("a") == b""


def test_the_unknown_is_no_error(bench: Bench) -> None:
    bench.engine.stop("nobody")
    bench.engine.extend("nobody", now(bench))
    bench.engine.forget("nobody")
    assert bench.engine.observe(["nobody"]) == []


def test_inventory_is_read(bench: Bench) -> None:
    assert bench.engine.inventory() == NODES


def test_a_limit_that_is_not_enforced_has_a_reason(bench: Bench) -> None:
    limits = bench.engine.limits()
    if Enforcement.NONE in (limits.cpu, limits.memory, limits.gpu):
        assert limits.reasons


def test_processor_time_is_told_of_what_lives(bench: Bench) -> None:
    bench.launch(bench.listen("a"))
    bench.wait_for("a", Phase.UP)
    before = bench.engine.processor_s(["a", "nobody"])
    assert set(before) <= {"a"}
    after = bench.engine.processor_s(["a"])
    assert 0 <= before.get("a", 0.0) <= after.get("a", 0.0) < 60
    bench.engine.stop("a")
    end_of(bench, "a")
    assert bench.engine.processor_s(["a"]) == {}
