"""The simulated campus: its demand is the same for everybody, its logs are checked, its figures add up."""

import csv
import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.bench.utilisation.__main__ import Options, main
from tests.bench.utilisation.campus import DAY, SPEC, Campus, read_campus
from tests.bench.utilisation.demand import LAB, Demand, Outage, Request, draw
from tests.bench.utilisation.metrics import figures
from tests.bench.utilisation.partition import optimised
from tests.bench.utilisation.peers import OneQueue, sizes_of
from tests.bench.utilisation.perijove import Perijove
from tests.bench.utilisation.simulation import Event, Site, Start, simulate
from tests.bench.utilisation.validator import verify


@pytest.fixture(scope="module")
def campus() -> Campus:
    """A day and a half of the campus: three labs."""
    return replace(read_campus(), minutes=DAY + DAY // 2)


@pytest.fixture(scope="module")
def demand(campus: Campus) -> Demand:
    return draw(campus, 0.9, 0)


def test_a_higher_load_only_adds_requests() -> None:
    campus = read_campus()
    low, high = (draw(campus, load, 3) for load in (0.5, 0.9))
    assert set(low.requests) < set(high.requests)
    assert low.outages == high.outages
    assert draw(campus, 0.5, 4).requests != low.requests == draw(campus, 0.5, 3).requests
    for one in (low, high):
        wanted = sum(r.total_milli * r.work for r in one.requests)
        offered = wanted / (len(campus.devices) * 1000 * campus.minutes)
        assert offered == pytest.approx(one.load, abs=0.02)


def test_labs_come_every_week() -> None:
    fortnight = read_campus()
    for course in fortnight.courses:
        own = [lab.begins for lab in fortnight.labs if lab.course == course["id"]]
        assert len(own) == 2 * len(course["labs"])
        assert {at + 7 * DAY for at in own if at < 7 * DAY} == {at for at in own if at >= 7 * DAY}


@pytest.mark.parametrize("name", ["fifo", "first-fit", "static", "static-pooled"])
def test_peers_pass_the_check(demand: Demand, name: str) -> None:
    policies = {
        "fifo": OneQueue(strict=True),
        "first-fit": OneQueue(strict=False),
        "static": optimised(demand, pooled=False),
        "static-pooled": optimised(demand, pooled=True),
    }
    log = simulate(demand, policies[name])
    row, verified = figures(demand, log), verify(demand, log)
    assert verified.wrong == ()
    assert verified.late_students == row["late"]
    assert verified.milli_minutes == row["held_milli_minutes"]
    if name.startswith("static"):
        assert row["late"] == 0


def test_the_engine_is_never_late_and_loses_little(campus: Campus) -> None:
    drawn, noon = draw(campus, 1.2, 0), DAY // 2 + 30
    short = replace(
        drawn,
        campus=replace(campus, minutes=noon),
        requests=tuple(r for r in drawn.requests if r.submitted < noon),
    )
    log = simulate(short, Perijove(short))
    row, verified = figures(short, log), verify(short, log)
    assert verified.wrong == ()
    assert row["students"] > 20
    assert row["late"] == verified.late_students == 0
    assert row["preemptions"]
    assert row["useful"] > 0.9 * row["utilisation"]


def test_partitions_cover_the_site_once(demand: Demand) -> None:
    policy = optimised(demand, pooled=False)
    given = [d for parts in policy.partitions.values() for m in parts for d in m.devices]
    assert sorted(given) == sorted(demand.campus.devices)
    assert sizes_of(policy.partitions).keys() == {
        owner["id"] for owner in (*demand.campus.courses, *demand.campus.groups)
    }


def _request(name: str, **changes: object) -> Request:
    plain = Request(name, "job", "physics", "physics/0", 10, 1, 1000, "", 100, 60, 20, True)
    return replace(plain, **changes)  # type: ignore[arg-type]


def _tiny(campus: Campus, *requests: Request, outages: tuple[Outage, ...] = ()) -> Demand:
    return Demand(replace(campus, minutes=200), 1.0, 0, requests, outages)


def test_a_failure_costs_what_was_not_saved(campus: Campus) -> None:
    device = next(iter(campus.devices))
    demand = _tiny(campus, _request("a", model="A100"), outages=(Outage(device, 55, 65),))
    log = simulate(demand, OneQueue(strict=True))
    # It began at 10 and was saved at 30 and 50; the last 20 minutes are done from 55 on.
    assert [(e.at, e.what) for e in log if e.id == "a"] == [
        (10, "arrive"), (10, "start"), (55, "failed"), (55, "start"), (75, "end"),
    ]  # fmt: skip
    row = figures(demand, log)
    assert row["lost_gpu_hours"] * 60 == pytest.approx(5)
    assert row["held_milli_minutes"] == 65_000
    assert (row["finished"], row["failures"], row["jain"]) == (1, 1, 1.0)
    assert verify(demand, log).wrong == ()


def _events(*rows: tuple[int, str, str, Iterable[str]]) -> list[Event]:
    return [
        Event(at, what, id_, tuple((d, 1000) for d in shares)) for at, what, id_, shares in rows
    ]


@pytest.mark.parametrize(
    ("fault", "rows"),
    [
        ("holds 2000", [(10, "start", "a", ["d0"]), (10, "start", "b", ["d0"])]),
        ("may not run", [(10, "start", "a", ["d0"]), (12, "start", "a", ["d1"])]),
        ("separate devices", [(10, "start", "a", ["d0", "d1"])]),
        ("is no A100", [(10, "start", "a", ["d31"])]),
        ("without leave or notice", [(10, "start", "a", ["d0"]), (20, "preempted", "a", ["d0"])]),
        ("failed on healthy", [(10, "start", "a", ["d0"]), (20, "failed", "a", ["d0"])]),
        ("ended after 30 of 60", [(10, "start", "a", ["d0"]), (40, "end", "a", ["d0"])]),
        ("outages differ", [(10, "down", "d3", [])]),
        ("does not run", [(20, "end", "a", ["d0"])]),
        ("out of order", [(9, "start", "a", ["d0"])]),
    ],
)
def test_the_validator_refuses(
    campus: Campus, fault: str, rows: list[tuple[int, str, str, list[str]]]
) -> None:
    devices = list(campus.devices)
    demand = _tiny(campus, _request("a", model="A100"), _request("b"))
    named = [
        (at, what, devices[int(i[1:])] if i.startswith("d") else i,
         [devices[int(d[1:])] for d in shares])
        for at, what, i, shares in rows
    ]  # fmt: skip
    log = _events((10, "arrive", "a", ()), (10, "arrive", "b", ()), *named)
    assert any(fault in wrong for wrong in verify(demand, log).wrong)
    good = _events((10, "arrive", "a", ()), (10, "arrive", "b", ()))
    assert verify(demand, good).wrong == ()


def test_a_student_who_waits_is_late(campus: Campus) -> None:
    class Slow:
        name = "slow"

        def wakes(self, now: int) -> Iterable[int]:
            return () if now else (12,)

        def decide(self, site: Site, now: int) -> Iterable[Start]:
            device = next(iter(site.free))
            if now >= 12 and "b" in site.waiting:
                yield Start("b", ((device, 250),))

    student = _request("b", kind=LAB, milli=250, lab="x", until=60, work=50, preemptible=False)
    demand = _tiny(campus, student, replace(student, id="c", until=40, work=30))
    log = simulate(demand, Slow())
    row = figures(demand, log)
    assert (row["students"], row["late"], row["unserved"]) == (2, 2, 1)
    assert verify(demand, log).late_students == 2
    assert verify(demand, log).wrong == ()


def test_the_command_writes_rows_demand_and_logs(tmp_path: Path) -> None:
    spec = tmp_path / "campus.yaml"
    spec.write_text(SPEC.read_text().replace("days: 14", "days: 1"))
    env = {
        "LOADS": "0.4", "SEEDS": "1", "POLICIES": "fifo perijove",
        "CAMPUS": str(spec), "LOG": str(tmp_path / "log"),
    }  # fmt: skip
    assert main(env, tmp_path) == 0
    rows = json.loads((tmp_path / "utilisation.json").read_text())
    assert [(r["policy"], r["validated"]) for r in rows] == [("fifo", True), ("perijove", True)]
    with (tmp_path / "demand-0.4-1.csv").open() as file:
        students = [r for r in csv.DictReader(file) if r["kind"] == LAB]
    assert len(students) == rows[0]["figures"]["students"]
    with (tmp_path / "log" / "perijove-0.4-1.csv").open() as log:
        assert {r["event"] for r in csv.DictReader(log)} >= {"arrive", "start", "end"}


def test_options_name_what_is_wrong() -> None:
    assert Options.read({}).loads == (0.5, 0.7, 0.9, 1.0, 1.1)
    for name, value in (("LOADS", "many"), ("SEEDS", "-1"), ("POLICIES", "best")):
        with pytest.raises(ValueError, match=name):
            Options.read({name: value})
    assert main({"LOADS": "x"}) == 2
