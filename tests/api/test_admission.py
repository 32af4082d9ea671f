"""A class that asks at once: what a launch and a grant look at does not grow with the queue."""

from typing import Any

import pytest

from catalog.errors import Refused
from hub import grants, launching, world
from hub.launching import Wish
from hub.policy import Actor
from tests.site import Site

CLASS = 12


def no_world(*_: Any) -> Any:
    raise AssertionError("the world was read for it")


def ask(site: Site, actor: Actor, offer: str = "cpu") -> str:
    return launching.launch(site.control, actor, Wish(offer, {})).id


async def test_a_launch_needs_no_plan_of_the_queue(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = [site.person(f"s{n}") for n in range(CLASS)]
    with monkeypatch.context() as patch:
        patch.setattr(world, "read_world", no_world)
        labs = [ask(site, actor) for actor in people]
    assert {site.row(lab).status for lab in labs} == {"queued"}
    await site.beat()
    assert "queued" not in {site.row(lab).status for lab in labs}


async def test_a_launch_that_is_refused_says_what_would_start_instead(site: Site) -> None:
    body = {"tenant": "main", "person": "mia", "dimension": "gpu", "limit": "0.5"}
    assert (await site.call("admin", "PUT", "/quotas", body)).status < 300
    answer = await site.call("mia", "POST", "/workloads", {"offer": "gpu-whole"})
    verdict = answer.body["error"]["verdict"]
    assert verdict["code"] == "quota"
    assert verdict["alternatives"]


async def test_a_budget_of_a_period_asks_when_it_would_start(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = {
        "tenant": "main", "person": "zoe", "dimension": "gpu-hours", "limit": "1", "period": "week"
    }  # fmt: skip
    zoe, wish = site.person("zoe"), Wish("gpu-half", {"duration": "2h"})
    assert (await site.call("admin", "PUT", "/quotas", body)).status < 300
    launching.launch(site.control, zoe, wish)
    with pytest.raises(Refused):
        launching.launch(site.control, zoe, wish)
    monkeypatch.setattr(world, "read_world", no_world)
    with pytest.raises(AssertionError, match="was read"):
        launching.launch(site.control, zoe, wish)


async def test_a_whole_class_is_granted_in_one_look_at_the_world(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []
    real = grants.read_world

    def counted(*args: Any) -> Any:
        looks.append(1)
        return real(*args)

    monkeypatch.setattr(grants, "read_world", counted)
    for n in range(CLASS):
        ask(site, site.person(f"s{n}"))
    assert len(grants.give_what_fits(site.control)) == CLASS
    assert len(looks) == 1
    assert site.leaks() == []
