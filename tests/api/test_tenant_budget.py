"""Credits of a tenant: a ceiling over what its people hold and have spent together."""

from tests.site import Site, add_tenant


async def limit(site: Site, credits_: str | None) -> None:
    answer = await site.call(
        "admin", "PUT", "/quotas", {"tenant": "main", "dimension": "credits", "limit": credits_}
    )
    assert answer.status == 200, answer.body


async def test_a_launch_beyond_the_budget_is_denied_for_everybody(site: Site) -> None:
    await limit(site, "1")
    await site.run("mia", "gpu-quarter")  # holds 0.60
    answer = await site.call("noa", "POST", "/workloads", {"offer": "gpu-quarter"})
    assert answer.status == 403
    assert answer.body["error"]["verdict"]["code"] == "credits"
    assert answer.body["error"]["message"] == (
        "Main's limit is 1.00 credits, in use now: 0.60 credits"
    )
    seen = await site.call("noa", "POST", "/check", {"offer": "cpu"})
    assert seen.body["verdict"] == "fits"
    await limit(site, None)
    await site.run("noa", "gpu-quarter")


async def test_an_extension_beyond_the_budget_is_refused(site: Site) -> None:
    await limit(site, "0.8")
    workload = await site.run("mia", "gpu-quarter")
    answer = await site.call("mia", "POST", f"/workloads/{workload}/extend", {"by": "1h"})
    assert (answer.status, answer.code) == (403, "credits")
    assert site.leaks() == []


async def test_two_that_were_asked_for_at_once_do_not_pass_it_together(site: Site) -> None:
    await limit(site, "1")
    first = await site.launch("mia", "gpu-quarter")
    site.later(seconds=1)
    second = await site.launch("noa", "gpu-quarter")
    await site.until_status("mia", first, "running")
    await site.settled()
    seen = await site.view("noa", second)
    assert (seen["status"], seen["reason_code"]) == ("queued", "credits")
    assert "Main's limit" in seen["reason"]
    assert site.leaks() == []


async def test_what_was_spent_by_tenants_below_counts(site: Site) -> None:
    add_tenant(site.control, "physics")
    site.person("ada", "physics")
    await limit(site, "1")
    await site.run("ada", "gpu-quarter")
    answer = await site.call("mia", "POST", "/check", {"offer": "gpu-quarter"})
    assert answer.body["verdict"] == "denied"
