"""What an offer asks for reaches the allocator and the store, and the Verdict says why it waits."""

from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import pytest
from sqlmodel import select

from catalog.allocator import Allocator
from catalog.asks import Ask, Priority
from catalog.inventory import Device, Mode, Node, Vendor
from catalog.mix import Mix
from catalog.units import GIB
from hub.asks_seen import AsksSeen
from hub.store.tables import ShareRow, WorkloadRow
from hub.world import Limits, ask_of, read_world
from tests.site import Site

MENU = """
offers:
  - {id: mig-quarter, kind: notebook, title: Quarter H200, price_per_hour: 1, models: [H200],
     fields: {gpu: {default: 1/4, choices: [1/8, 1/4, 1/2, 1]}, cpu: {fixed: 1},
     memory: {fixed: 1Gi}, duration: {default: 2h, min: 15m, max: 8h, step: 15m}}}
  - {id: by-memory, kind: notebook, title: Eight GiB, price_per_hour: 1, models: [Toy],
     fields: {gpu_memory: {default: 8Gi, min: 1Gi, max: 48Gi}, cpu: {fixed: 1},
     memory: {fixed: 1Gi}, duration: {fixed: 1h}}}
  - {id: two-halves, kind: notebook, title: Two halves, price_per_hour: 1, vendors: [emulated],
     models: [Toy], priority: best-effort, preemptible: true,
     fields: {gpu: {fixed: 1/2}, gpu_count: {fixed: 2}, cpu: {fixed: 1}, memory: {fixed: 1Gi},
     duration: {fixed: 1h}}}
  - {id: node, kind: notebook, title: A node, price_per_hour: 1, whole_node: true, models: [Toy],
     fields: {gpu: {fixed: 2}, cpu: {fixed: 1}, memory: {fixed: 1Gi}, duration: {fixed: 1h}}}
  - {id: split, kind: notebook, title: Split, price_per_hour: 1, split: true,
     fields: {gpu: {fixed: 4}, cpu: {fixed: 1}, memory: {fixed: 1Gi}, duration: {fixed: 1h}}}
  - {id: real-mig, kind: notebook, title: Real, price_per_hour: 1, models: [A100],
     fields: {gpu: {fixed: 1/4}, cpu: {fixed: 1}, memory: {fixed: 1Gi}, duration: {fixed: 1h}}}
"""
TOYS = tuple(Device(f"toy-{i}", Vendor.EMULATED, "Toy", 24_576, i) for i in range(2))
CUT = (Device("cut-0", Vendor.EMULATED, "H200", 144_384, sharing=Mode.MIG),)
REAL = (Device("GPU-1", Vendor.NVIDIA, "A100", 40_960, sharing=Mode.MIG),)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    (tmp_path / "menu.yaml").write_text(MENU)
    built = Site(tmp_path, menu=tmp_path / "menu.yaml")
    built.engine.nodes = [
        Node("toys", 16_000, 64 * GIB, TOYS),
        Node("cut", 16_000, 64 * GIB, CUT),
        Node("real", 16_000, 64 * GIB, REAL),
    ]
    async with built:
        built.person("mia")
        built.person("noa")
        yield built


async def check(site: Site, offer: str, **answers: str) -> dict[str, object]:
    body = {"offer": offer, "set": answers}
    return (await site.call("noa", "POST", "/check", body)).body


def shares(site: Site) -> list[tuple[str, str, int, int]]:
    with site.control.store.read() as session:
        found = session.exec(select(ShareRow)).all()
    return sorted((s.device_id, s.profile, s.start, s.milli) for s in found)


async def test_mig_instances_are_remembered_over_a_crash(site: Site) -> None:
    first = await site.run("mia", "mig-quarter")
    await site.run("mia", "mig-quarter", set={"gpu": "1/2"})
    held = shares(site)
    assert [(profile, milli) for _, profile, _, milli in held] == [
        ("2g.35gb", 250),
        ("4g.71gb", 500),
    ]
    await site.crash()
    with site.control.store.read() as session:
        world = read_world(site.control, session, Limits(session))
    kept = sorted((s.profile, s.start) for c in world.running for s in c.placement.shares)
    assert kept == sorted((profile, start) for _, profile, start, _ in held)
    third = await site.run("mia", "mig-quarter")
    spans = sorted((start, start + milli // 125) for _, _, start, milli in shares(site))
    assert all(end <= start for (_, end), (start, _) in pairwise(spans))
    view = await site.view("mia", third)
    assert (view["share"]["milli"], view["share"]["mode"]) == (250, "emulated")
    waits = await check(site, "mig-quarter", gpu="1/2")
    assert (waits["verdict"], waits["code"]) == ("waits", "capacity")
    assert str(waits["reason"]).endswith("of 1 H200, 1 is held by standard work")
    assert (await site.call("mia", "POST", f"/workloads/{first}/stop")).status == 200


async def test_what_an_offer_says_is_kept_with_the_workload(site: Site) -> None:
    by_memory = await site.run("mia", "by-memory")
    assert (await site.view("mia", by_memory))["share"] == {
        "milli": 334, "memory_mib": 8208, "mode": "emulated", "emulated": True, "model": "Toy",
    }  # fmt: skip
    halves = await site.run("mia", "two-halves")
    with site.control.store.read() as session:
        ask = ask_of(session.get_one(WorkloadRow, halves))
    assert (ask.gpu_count, ask.gpu_milli, ask.vendors) == (2, 1000, ("emulated",))
    assert (ask.priority, ask.preemptible) == (Priority.BEST_EFFORT, True)
    held = [(device, milli) for device, _, _, milli in shares(site)]
    assert sorted(milli for _, milli in held) == [334, 500, 500]
    assert {device for device, milli in held if milli == 500} == {"toy-0", "toy-1"}


async def test_a_whole_node_is_nobody_elses(site: Site) -> None:
    mine = await site.run("mia", "node")
    seen = await check(site, "by-memory")
    assert (seen["verdict"], seen["starts_at"]) == ("waits", "2026-01-05T10:00:00Z")
    assert "all are in use: of 2 Toy, 2 are held by standard work" in str(seen["reason"])
    await site.call("mia", "POST", f"/workloads/{mine}/stop")
    await site.until_status("mia", mine, "stopped")
    await site.run("mia", "by-memory")
    seen = await check(site, "node")
    assert "a whole node with 2 GPUs is wanted, and something runs on each" in str(seen["reason"])


async def test_what_the_engine_cannot_run_is_denied_with_the_reason(site: Site) -> None:
    split = await check(site, "split")
    assert (split["verdict"], split["code"]) == ("denied", "engine")
    assert "starts a workload on one" in str(split["reason"])
    real = await check(site, "real-mig")
    assert (real["verdict"], real["code"]) == ("denied", "engine")
    assert "makes no instances" in str(real["reason"])
    assert (await site.call("mia", "POST", "/workloads", {"offer": "split"})).status == 403


async def test_what_would_start_now_is_offered_instead(site: Site) -> None:
    await site.run("mia", "mig-quarter", set={"gpu": "1/2"})
    seen = await check(site, "mig-quarter", gpu="1")
    assert seen["verdict"] == "waits"
    alternatives = seen["alternatives"]
    assert isinstance(alternatives, list)
    assert alternatives[0]["set"] == {"gpu": "0.5"}
    for other in alternatives:
        again = await check(site, other["offer"], **other["set"])
        assert again["verdict"] == "fits"


async def test_the_placer_learns_what_people_ask_for(site: Site) -> None:
    told: list[Mix] = []
    site.control.learn = told.append
    seen = AsksSeen(site.control)
    seen.keep()
    assert told == [Mix.prior()] or told[0].asks  # before anybody asked
    for _ in range(3):
        await site.launch("mia", "two-halves")
    seen.keep()
    assert len(told) == 1
    site.later(minutes=31)
    seen.keep()
    weights = {(ask.gpu_count, ask.gpu_milli): weight for ask, weight in told[1].asks}
    assert weights[2, 1000] > 0
    assert (2, 1000) not in {(ask.gpu_count, ask.gpu_milli) for ask, _ in told[0].asks}
    Allocator(told[1]).place(Ask(1, 1), site.control.capacity)
