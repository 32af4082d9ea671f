"""The placement benchmark, on a small made-up trace: every policy, both regimes, the check of logs."""

import csv
import json
import random
from pathlib import Path
from typing import Any

import pytest

from tests.bench.placement.__main__ import POLICIES, Options, main
from tests.bench.placement.fgd import Fgd, Fragmentation
from tests.bench.placement.peers import Cluster
from tests.bench.placement.replay import BadLogError, Machine, Row, Wish, check, read
from tests.bench.placement.trace import PERTURBATIONS, load

MACHINES = {"one": Machine(8000, 1000, 2, "A"), "two": Machine(4000, 1000, 1, "B")}
WISHES = {
    "half": Wish(1000, 100, 1, 500, frozenset()),
    "pair": Wish(1000, 100, 2, 1000, frozenset()),
    "onlyb": Wish(1000, 100, 1, 1000, frozenset({"B"})),
    "cpu": Wish(3000, 100, 0, 0, frozenset()),
}


@pytest.fixture
def traces(tmp_path: Path) -> Path:
    """Twelve servers and sixty pods, in the columns of openb."""
    dice = random.Random("a small trace")
    folder = tmp_path / "traces"
    folder.mkdir()
    servers = [
        (f"node-{at}", cpu, 65536, count, model)
        for at, (cpu, count, model) in enumerate(
            [(16000, 2, "A"), (96000, 8, "B"), (32000, 4, "A"), (64000, 2, "C")] * 3
        )
    ]
    pods = []
    for at in range(60):
        count = dice.choice([0, 1, 1, 1, 1, 1, 2, 4])
        milli = dice.choice([250, 470, 810, 1000]) if count == 1 else 1000
        spec = dice.choice(["", "", "", "A", "B|C"]) if count == 1 else ""
        cpu = dice.choice([1000, 4000, 8000])
        pods.append((f"pod-{at}", cpu, 1024, count, milli * bool(count), spec))
    _csv(folder / "openb_node_list_gpu_node.csv", "sn,cpu_milli,memory_mib,gpu,model", servers)
    head = "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec"
    _csv(folder / "openb_pod_list_default.csv", head, pods)
    plain = [row[:5] for row in pods]
    _csv(folder / "openb_pod_list_nospec.csv", head.removesuffix(",gpu_spec"), plain)
    return folder


def _csv(path: Path, head: str, rows: list[tuple[Any, ...]]) -> None:
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(head.split(","))
        out.writerows(rows)


def test_every_policy_runs_in_both_regimes_and_is_checked(traces: Path, tmp_path: Path) -> None:
    log, results = tmp_path / "log", tmp_path / "results"
    env = {"TRACES": str(traces), "POLICIES": " ".join(POLICIES), "SEEDS": "3", "LOADS": "1.0"}
    assert main({**env, "LOG": str(log)}, results) == 0
    rows = json.loads((results / "placement.json").read_text())
    assert [(row["policy"], row["regime"]) for row in rows] == [
        (policy, regime) for policy in POLICIES for regime in ("fill", "departures")
    ]
    for row in rows:
        assert row["validated"] is True
        assert row["trace"] == "default"
        assert row["seed"] == 3
        assert 0 < row["allocated"] <= 100
        assert 0 <= row["fragmentation"] <= 100
        assert row["decisions_per_s"] > 0
        assert row["p99_ms"] > 0
        if row["regime"] == "fill":
            assert list(row["arrived"]) == ["90", "100", "110", "120", "130"]
            assert sorted(row["arrived"].values()) == list(row["arrived"].values())
            assert row["unallocated"] == pytest.approx(48 * (1 - row["allocated"] / 100), abs=0.01)
        else:
            assert (row["arrived"], row["load"]) == ({}, 1.0)
    assert len(list(log.iterdir())) == len(rows)


def test_a_log_can_be_replayed_from_its_file(traces: Path, tmp_path: Path) -> None:
    env = {"TRACES": str(traces), "POLICIES": "perijove", "SEEDS": "1", "LOG": str(tmp_path)}
    assert main({**env, "LOADS": "1.0"}, tmp_path) == 0
    first = (tmp_path / "default-perijove-1.csv").read_text().splitlines()[:2]
    assert first[0] == "pod,node,devices"
    trace = load(traces, "default", 1)
    wishes = {
        pod.name: Wish(pod.cpu_milli, pod.memory_mib, pod.count, pod.milli, frozenset(pod.models))
        for pod in trace.pods
    }
    machines = {s.name: Machine(s.cpu_milli, s.memory_mib, s.count, s.model) for s in trace.servers}
    logs = [read(path) for path in sorted(tmp_path.glob("default-perijove-1*.csv"))]
    assert [check(rows, wishes, machines) for rows in logs] == [len(rows) for rows in logs]
    placed = next(row for row in logs[0] if row.devices)
    with pytest.raises(BadLogError, match="twice"):
        check([placed, placed], wishes, machines)


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([Row("half", "one", "0:500"), Row("half#1", "one", "0:500"), Row("half#2", "one", "0:500")],
         "more of a device"),
        ([Row("half", "one", "0:400")], "not the 500"),
        ([Row("half", "one", "0:500;1:500")], "1 wanted"),
        ([Row("pair", "one", "0:1000;0:1000")], "2 wanted"),
        ([Row("half", "one", "0:500"), Row("pair", "one", "0:1000;1:1000")], "more of a device"),
        ([Row("onlyb", "one", "0:1000")], "A is not a model"),
        ([Row("half", "two", "1:500")], "does not have"),
        ([Row("half", "three", "0:500")], "no such node"),
        ([Row("nobody", "one", "")], "no such pod"),
        ([Row("cpu", "two", ""), Row("cpu#1", "two", "")], "more cpu"),
        ([Row("half", "", "")], "though it fits"),
        ([Row("half", "", "0:500")], "without a node"),
        ([Row("half", "two", "0:500", 0.0, 1.0), Row("onlyb", "", "", 0.5, 2.0),
          Row("onlyb#1", "", "", 1.5, 2.0)], "row 3.*though it fits"),
    ],
)  # fmt: skip
def test_a_log_that_cannot_be_is_refused(rows: list[Row], why: str) -> None:
    with pytest.raises(BadLogError, match=why):
        check(rows, WISHES, MACHINES)


def test_a_log_that_can_be_is_not_refused() -> None:
    rows = [
        Row("pair", "one", "0:1000;1:1000"), Row("pair#1", "", ""), Row("onlyb", "two", "0:1000"),
        Row("half", "", ""), Row("cpu", "one", ""),
    ]  # fmt: skip
    assert check(rows, WISHES, MACHINES) == 5


def test_arrivals_and_order_depend_on_the_seed_alone(traces: Path) -> None:
    trace = load(traces, "default", 0)
    pods = trace.arrivals(0)
    assert pods == trace.arrivals(0) != trace.arrivals(1)
    assert trace.shuffled(0) == trace.shuffled(0) != trace.shuffled(1)
    assert sum(pod.gpu_milli for pod in pods) >= 1.3 * trace.capacity_milli
    assert len({pod.name for pod in pods}) == len(pods)


@pytest.mark.parametrize("change", PERTURBATIONS)
def test_a_perturbation_changes_what_it_says(traces: Path, change: str) -> None:
    before, after = load(traces, "default", 5).pods, load(traces, f"default~{change}", 5).pods
    assert after == load(traces, f"default~{change}", 5).pods
    assert len(after) == len(before)
    shares = [sorted(pod.milli for pod in pods) for pods in (before, after)]
    cpus = [[pod.cpu_milli for pod in pods] for pods in (before, after)]
    assert (shares[0] == shares[1]) == (change != "redraw")
    assert (cpus[0] == cpus[1]) == (change == "mixed")


def test_fgd_scores_as_its_definition_says(traces: Path) -> None:
    """The tables against the sum over all pods, on nodes in use."""
    trace = load(traces, "default", 0)
    servers = trace.shuffled(0)
    fgd, cluster = Fgd(servers, trace, 0), Cluster(servers, trace)
    for pod in trace.arrivals(0)[:30]:
        place = fgd.choose(pod)
        if place:
            fgd.took(pod, place)
            cluster.took(pod, place)
    measure = Fragmentation(trace, cluster.models)
    for node, server in enumerate(servers):
        free, lost = cluster.free[node], 0.0
        for pod in trace.pods:
            can = (
                pod.count
                and cluster.cpu[node] >= pod.cpu_milli
                and (not pod.models or server.model in pod.models)
                and (free >= pod.milli).sum() >= pod.count
            )
            lost += free[free < pod.milli].sum() if can else free.sum()
        found = measure.lost(int(cluster.model[node]), int(cluster.cpu[node]), free)
        assert found == pytest.approx(lost / len(trace.pods))


@pytest.mark.parametrize(
    ("name", "value"),
    [("TRACES", ""), ("SEEDS", "x"), ("SEEDS", "4..1"), ("POLICIES", "guess"), ("REGIMES", "empty"),
     ("LOADS", "0"), ("LOADS", "much")],
)  # fmt: skip
def test_an_option_that_is_wrong_is_named(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=name):
        Options.read({"TRACES": "somewhere", name: value})


def test_a_trace_that_is_not_there_is_named(
    traces: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for names in ("nothing", "default~nothing"):
        assert main({"TRACES": str(traces), "NAMES": names}) == 2
        assert "nothing" in capsys.readouterr().err
