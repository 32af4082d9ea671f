"""Guarantees and fair share through the API: set, refused, shown, and obeyed by the queue."""

from dataclasses import replace
from pathlib import Path

import pytest

from hub.store.tables import TenantRow
from tests.site import Site


@pytest.fixture
async def site(tmp_path: Path):  # noqa: ANN201 (a fixture)
    async with Site(tmp_path) as site:
        with site.control.store.write() as session:
            for name in ("art", "bio"):
                session.add(
                    TenantRow(
                        id=name, name=name.title(), parent_id="main",
                        created_at=site.clock.now(),
                    )
                )  # fmt: skip
        yield site


def lines(answer, tenant: str):  # noqa: ANN001, ANN201
    return [row for row in answer.body["items"] if row["tenant"] == tenant]


async def guarantee(site: Site, tenant: str, amount: str, dimension: str = "gpu"):  # noqa: ANN201
    body = {"tenant": tenant, "dimension": dimension, "amount": amount}
    return await site.call("admin", "PUT", "/quotas/guaranteed", body)


async def test_a_guarantee_is_set_shown_and_taken_back(site: Site) -> None:
    answer = await guarantee(site, "art", "1/2")
    assert answer.status == 200, answer.body
    (line,) = lines(answer, "art")
    assert (line["guaranteed"], line["limit"]) == (500, None)
    assert line["text"] == "no limit, 1/2 GPU guaranteed"
    limited = await site.call(
        "admin", "PUT", "/quotas", {"tenant": "art", "dimension": "gpu", "limit": "1"}
    )
    assert lines(limited, "art")[0]["text"] == "1 GPU, 1/2 GPU guaranteed"
    unlimited = await site.call(
        "admin", "PUT", "/quotas", {"tenant": "art", "dimension": "gpu", "limit": None}
    )
    assert lines(unlimited, "art")[0]["guaranteed"] == 500
    assert lines(await guarantee(site, "art", "0"), "art") == []


@pytest.mark.parametrize(
    ("amount", "dimension", "said"),
    [
        ("-1", "gpu", ""),
        ("nonsense", "gpu", ""),
        ("1", "workloads", ""),
        ("99999999999999999", "gpu", "absurd"),
    ],
)
async def test_bad_input_is_refused_with_the_next_step(
    site: Site, amount: str, dimension: str, said: str
) -> None:
    answer = await guarantee(site, "art", amount, dimension)
    assert answer.status == 422
    assert said in answer.body["error"]["message"]
    assert answer.body["error"]["next"]


async def test_what_the_tree_cannot_keep_is_refused_and_changes_nothing(site: Site) -> None:
    await site.call("admin", "PUT", "/quotas", {"tenant": "art", "dimension": "gpu", "limit": "1"})
    above = await guarantee(site, "art", "2")
    assert above.status == 422
    assert above.body["error"]["message"] == (
        "Art: 2 GPUs would be guaranteed and its limit is 1 GPU"
    )
    assert (await guarantee(site, "art", "1")).status == 200
    lower = await site.call(
        "admin", "PUT", "/quotas", {"tenant": "art", "dimension": "gpu", "limit": "1/2"}
    )
    assert lower.status == 422
    assert lines(await site.call("admin", "GET", "/quotas"), "art")[0]["limit"] == 1000
    with site.control.store.write() as session:
        session.add(TenantRow(id="ink", name="Ink", parent_id="art", created_at=site.clock.now()))
    assert (await guarantee(site, "ink", "3/4")).status == 200
    over = await guarantee(site, "ink", "1.25")
    assert "it has 1 GPU guaranteed itself" in over.body["error"]["message"]
    assert (await guarantee(site, "nowhere", "1")).status == 404


async def test_no_more_is_guaranteed_than_the_site_has(site: Site) -> None:
    assert (await guarantee(site, "art", "1")).status == 200
    over = await guarantee(site, "bio", "1.25")
    assert over.status == 422
    assert over.body["error"]["message"] == "2.25 GPU would be guaranteed and the site has 2 GPUs"
    assert (await guarantee(site, "bio", "1")).status == 200
    top = await guarantee(site, "main", "1000")
    assert top.body["error"]["message"] == "1000 GPUs would be guaranteed and the site has 2 GPUs"
    site.engine.nodes = [replace(node, devices=node.devices[:1]) for node in site.engine.nodes]
    site.later(seconds=11)
    await site.beat()
    assert (await guarantee(site, "bio", "1/2")).status == 200, "less than before is no more"


async def test_people_see_what_they_used_lately(site: Site) -> None:
    site.person("mia", "art")
    before = (await site.call("mia", "GET", "/me")).body["fair_share"]
    assert before[0] == {
        "scope": "you", "share": 0.0, "text": "you used 0.0 % of the site lately",
    }  # fmt: skip
    assert [line["scope"] for line in before[1:2]] == ["Art"]
    await site.run("mia", "gpu-quarter")
    site.later(hours=1)
    after = (await site.call("mia", "GET", "/me")).body["fair_share"]
    assert after[0]["share"] == after[1]["share"] > 0


async def test_who_used_less_goes_first_and_it_is_told_without_a_name(site: Site) -> None:
    """Mia asked before Noa, but has used the site all morning."""
    site.person("mia", "art")
    site.person("noa", "bio")
    for _ in range(2):
        await site.run("mia", "gpu-whole", set={"duration": "2h"})
    site.later(minutes=60)
    mine = await site.launch("mia", "gpu-quarter")
    site.later(minutes=1)
    hers = await site.launch("noa", "gpu-quarter")
    await site.beat()
    assert (await site.view("noa", hers))["position"] == 1
    seen = await site.view("mia", mine)
    assert seen["position"] == 2
    assert "noa" not in seen["reason"].lower()
