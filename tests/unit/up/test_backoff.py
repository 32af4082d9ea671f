from hub.up.backoff import FAILING_STEP_S, STEADY_S, Ladder


def test_quick_deaths_wait_longer_each_time_then_every_ten_seconds() -> None:
    ladder = Ladder()
    waits = [ladder.ended(at=float(at), ran_s=0.1) for at in range(7)]
    assert waits == [0.0, 0.2, 0.5, 1.0, FAILING_STEP_S, FAILING_STEP_S, FAILING_STEP_S]
    assert ladder.failing


def test_a_process_that_was_well_is_started_at_once_however_often_it_is_killed() -> None:
    ladder = Ladder()
    assert {ladder.ended(at=at * 11.0, ran_s=STEADY_S) for at in range(50)} == {0.0}
    assert not ladder.failing


def test_a_failing_process_that_stays_up_is_forgiven() -> None:
    ladder = Ladder()
    for at in range(5):
        ladder.ended(at=float(at), ran_s=0.1)
    ladder.steady()
    assert not ladder.failing
    assert ladder.ended(at=30.0, ran_s=0.1) == 0.0


def test_quick_deaths_far_apart_are_no_series() -> None:
    ladder = Ladder()
    assert {ladder.ended(at=at * 61.0, ran_s=1.0) for at in range(20)} == {0.0}
    assert not ladder.failing
