"""Credits on their way through the tree of tenants, and prices that change."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import Session, select

from catalog.units import MICRO, parse_credits
from hub import people
from hub.store import money
from hub.store.tables import AttemptRow, PriceRow
from quotas.ledger import AccountKind, Owner
from tests.site import Answer, Site, add_tenant


@pytest.fixture
def campus(site: Site) -> Site:
    """Physics with a course below it, and chemistry beside it; each with an administrator."""
    add_tenant(site.control, "physics")
    add_tenant(site.control, "optics", "physics")
    add_tenant(site.control, "chemistry")
    for login, tenant, role in (
        ("pia", "physics", "admin"), ("olaf", "optics", "admin"), ("ada", "optics", "member"),
        ("carl", "chemistry", "admin"), ("cleo", "chemistry", "member"),
    ):  # fmt: skip
        site.person(login, tenant, role)
    return site


async def give(site: Site, tenant: str, credits_: str, key: str = "") -> Answer:
    body = {"credits": credits_}
    return await site.call("admin", "POST", f"/tenants/{tenant}/grant", body, key=key)


async def move(
    site: Site, login: str, source: dict[str, str], target: dict[str, str], credits_: str = "1",
    key: str = "",
) -> Answer:  # fmt: skip
    body = {"from": source, "to": target, "credits": credits_}
    return await site.call(login, "POST", "/credits/transfer", body, key=key)


def tenant(id_: str) -> dict[str, str]:
    return {"tenant": id_}


def person(login: str) -> dict[str, str]:
    return {"person": login}


def wallet(site: Site, tenant_id: str, login: str = "") -> int:
    person_id = people.by_login(site.control, login).id if login else ""
    with site.control.store.read() as session:
        return money.balance(session, Owner(tenant_id, person_id), AccountKind.WALLET)


# ---- grants and transfers -------------------------------------------------------------------


async def test_credits_go_from_the_tenant_to_the_course_to_the_person_and_back(
    campus: Site,
) -> None:
    assert (await give(campus, "physics", "10")).status == 200
    before = wallet(campus, "optics", "ada")
    assert (await move(campus, "pia", tenant("physics"), tenant("optics"), "6")).status == 200
    assert (await move(campus, "olaf", tenant("optics"), person("ada"), "2.5")).status == 200
    assert wallet(campus, "physics") == 4 * MICRO
    assert wallet(campus, "optics") == parse_credits("3.5")
    assert wallet(campus, "optics", "ada") - before == parse_credits("2.5")
    assert (await move(campus, "olaf", person("ada"), tenant("optics"), "1")).status == 200
    assert (await move(campus, "pia", tenant("optics"), tenant("physics"), "4.5")).status == 200
    assert (wallet(campus, "physics"), wallet(campus, "optics")) == (parse_credits("8.5"), 0)
    assert campus.leaks() == []


async def test_the_accounts_of_a_tenant_add_up_those_below(campus: Site) -> None:
    await give(campus, "physics", "10")
    await move(campus, "pia", tenant("physics"), tenant("optics"), "6")
    await campus.run("ada", "gpu-quarter")
    answer = await campus.call("pia", "GET", "/accounts")
    lines = {line["tenant"]: line for line in answer.body["items"]}
    assert set(lines) == {"physics", "optics"}
    assert lines["physics"]["balance"] == "4.00"
    assert lines["optics"]["balance"] == "6.00"
    assert lines["physics"]["held"] == lines["optics"]["held"] == "0.60"
    assert lines["physics"]["people"] == "299.40"  # three people with 100 each to begin with


async def test_a_movement_happens_once_for_its_key(campus: Site) -> None:
    for _ in range(3):
        assert (await give(campus, "physics", "10", key="k")).status == 200
        moved = await move(campus, "pia", tenant("physics"), tenant("optics"), "4", key="k")
        assert moved.status == 200
    assert (wallet(campus, "physics"), wallet(campus, "optics")) == (6 * MICRO, 4 * MICRO)
    other = await move(campus, "pia", tenant("physics"), tenant("optics"), "5", key="k")
    assert (other.status, other.code) == (409, "conflict")
    assert (await give(campus, "physics", "11", key="k")).status == 409
    again = await give(campus, "physics", "1")
    assert again.status == 200
    assert campus.leaks() == []


async def test_a_wallet_is_never_overdrawn_by_a_transfer(campus: Site) -> None:
    await give(campus, "physics", "1")
    answer = await move(campus, "pia", tenant("physics"), tenant("optics"), "1.000001")
    assert (answer.status, answer.code) == (403, "credits")
    assert answer.body["error"]["message"] == "1.000001 credits are needed and 1.00 are left"
    assert wallet(campus, "physics") == MICRO
    assert campus.leaks() == []


@pytest.mark.parametrize(
    ("login", "source", "target", "status"),
    [
        ("ada", tenant("optics"), person("ada"), 403),
        ("ada", person("ada"), tenant("optics"), 404),
        ("olaf", tenant("physics"), tenant("optics"), 403),
        ("olaf", tenant("chemistry"), tenant("optics"), 403),
        ("olaf", tenant("nowhere"), tenant("optics"), 403),
        ("olaf", tenant("optics"), person("cleo"), 404),
        ("olaf", tenant("optics"), person("nobody"), 404),
        ("pia", tenant("physics"), tenant("chemistry"), 404),
        ("pia", tenant("physics"), tenant("nowhere"), 404),
        ("pia", person("cleo"), tenant("physics"), 404),
        ("carl", person("ada"), tenant("chemistry"), 404),
        ("olaf", tenant("optics"), tenant("main"), 200),
        ("admin", tenant("main"), person("cleo"), 200),
        ("admin", tenant("optics"), person("cleo"), 422),
        ("admin", tenant("optics"), tenant("chemistry"), 422),
        ("admin", tenant("nowhere"), tenant("chemistry"), 404),
        ("admin", tenant("optics"), tenant("optics"), 422),
        ("admin", person("ada"), person("ada"), 422),
        ("admin", person("ada"), person("olaf"), 422),
        ("admin", person("ada"), {"tenant": "optics", "person": "ada"}, 422),
        ("admin", {}, person("ada"), 422),
    ],
)
async def test_who_may_move_what_where(
    campus: Site, login: str, source: dict[str, str], target: dict[str, str], status: int
) -> None:
    for id_ in ("main", "physics", "optics", "chemistry"):
        await give(campus, id_, "5")
    answer = await move(campus, login, source, target)
    assert answer.status == status, answer.body
    assert campus.leaks() == []


async def test_a_hidden_party_is_answered_like_one_that_is_not_there(campus: Site) -> None:
    await give(campus, "physics", "5")
    real = await move(campus, "pia", tenant("physics"), person("cleo"))
    none = await move(campus, "pia", tenant("physics"), person("nobody"))
    assert str(real.body).replace("cleo", "X") == str(none.body).replace("nobody", "X")


@pytest.mark.parametrize("credits_", ["0", "-1", "0.0000001", "1e9", "1000000001", "nan", "", "x"])
async def test_absurd_amounts_are_refused(campus: Site, credits_: str) -> None:
    await give(campus, "physics", "5")
    for answer in (
        await give(campus, "physics", credits_),
        await move(campus, "pia", tenant("physics"), tenant("optics"), credits_),
    ):
        assert (answer.status, answer.code) == (422, "bad-value")
        assert answer.body["error"]["next"]
    assert wallet(campus, "physics") == 5 * MICRO


async def test_both_sides_see_the_movement_in_their_statements(campus: Site) -> None:
    await give(campus, "optics", "5")
    await move(campus, "olaf", tenant("optics"), person("ada"), "2")
    lines = (await campus.call("ada", "GET", "/usage")).body["items"]
    assert (lines[0]["kind"], lines[0]["amount"]) == ("transfer", "2.00")
    assert lines[0]["text"] == "from tenant 'optics' to person 'ada'"


# ---- refunds of a part ----------------------------------------------------------------------


def in_write(site: Site, act: Callable[[Session, AttemptRow], int], workload: str) -> int:
    with site.control.store.write() as session:
        attempt = session.exec(select(AttemptRow).where(AttemptRow.workload_id == workload)).one()
        return act(session, attempt)


async def ended_after_an_hour(site: Site) -> str:
    workload = await site.run("mia", "gpu-quarter")  # 0.30 an hour
    site.later(hours=1)
    await site.call("mia", "POST", f"/workloads/{workload}/stop")
    await site.until_status("mia", workload, "stopped")
    return workload


async def test_lost_work_is_refunded_once_and_never_more_than_was_paid(site: Site) -> None:
    workload = await ended_after_an_hour(site)
    before = wallet(site, "main", "mia")

    def lost(amount: int, key: str) -> int:
        cause = money.Cause(f"{workload}:lost:{key}", "system", site.clock.now(), "work was lost",
                            workload)  # fmt: skip

        def give_back(session: Session, attempt: AttemptRow) -> int:
            return money.refund_lost(
                session, attempt, amount, money.Cause(**{**fields(cause), "attempt_id": attempt.id})
            )

        return in_write(site, give_back, workload)

    assert lost(100_000, "a") == 100_000
    assert lost(100_000, "a") == 0
    assert lost(10**12, "b") == 200_000
    assert lost(1, "c") == 0
    assert lost(-5, "d") == 0
    assert wallet(site, "main", "mia") - before == 300_000
    assert site.row(workload).cost == 0
    assert site.leaks() == []


def fields(cause: money.Cause) -> dict[str, Any]:
    return {name: getattr(cause, name) for name in cause.__dataclass_fields__}


# ---- prices ---------------------------------------------------------------------------------


async def set_price(
    site: Site, per_hour: str, at: str | None = None, offer: str = "gpu-quarter"
) -> Answer:
    body = {"offer": offer, "per_hour": per_hour} | ({"from": at} if at else {})
    return await site.call("admin", "PUT", "/prices", body)


async def price_now(site: Site, offer: str = "gpu-quarter") -> str:
    seen = await site.call("mia", "POST", "/check", {"offer": offer})
    return seen.body["price"]["per_hour"]


async def test_a_change_in_the_middle_of_a_run_changes_nothing_for_that_run(site: Site) -> None:
    workload = await site.run("mia", "gpu-quarter")
    assert (await set_price(site, "7")).status == 200
    site.later(hours=1)
    assert (
        await site.call("mia", "POST", f"/workloads/{workload}/extend", {"by": "1h"})
    ).status == 200
    site.later(hours=1)
    await site.call("mia", "POST", f"/workloads/{workload}/stop")
    ended = await site.until_status("mia", workload, "stopped")
    assert (ended["price"]["per_hour"], ended["cost"]) == ("0.30", "0.60")
    again = await site.call("mia", "POST", f"/workloads/{workload}/relaunch", {})
    assert again.body["price"]["per_hour"] == "7.00"
    assert site.leaks() == []


async def test_what_waits_keeps_the_price_it_was_asked_for_at(site: Site) -> None:
    await site.call("mia", "POST", "/workloads", {"offer": "gpu-whole"})
    await site.call("noa", "POST", "/workloads", {"offer": "gpu-whole"})
    await site.settled()
    late = await site.launch("mia", "gpu-quarter")
    await set_price(site, "7")
    seen = await site.view("mia", late)
    assert (seen["status"], seen["price"]["per_hour"]) == ("queued", "0.30")
    assert site.row(late).price_per_hour == 300_000


async def test_a_price_takes_effect_at_its_time_everywhere(site: Site) -> None:
    later = site.clock.now() + timedelta(hours=2)
    assert (await set_price(site, "0.5", later.isoformat())).status == 200
    assert await price_now(site) == "0.30"
    site.later(hours=1, minutes=59, seconds=59)
    assert await price_now(site) == "0.30"
    site.later(seconds=1)
    assert await price_now(site) == "0.50"
    offers = (await site.call("mia", "GET", "/offers")).body["items"]
    assert {o["price"]["per_hour"] for o in offers if o["id"] == "gpu-quarter"} == {"0.50"}
    # A share of half the size costs half of the new price.
    larger = {"offer": "gpu-quarter", "set": {"duration": "4h"}}
    assert (await site.call("mia", "POST", "/check", larger)).body["cost"] == "2.00"


async def test_a_price_that_another_control_sets_is_known_soon_and_never_read_within_a_read(
    site: Site,
) -> None:
    control, offer = site.control, "gpu-quarter"
    with control.store.write() as session:  # as another control would, on the same database
        session.add(
            PriceRow(
                offer_id=offer, starts_at=site.clock.now(), per_hour=7 * MICRO,
                created_by="other", created_at=site.clock.now(),
            )
        )  # fmt: skip
    site.later(seconds=9)
    assert control.menu.get().offers[offer].price_per_hour == 300_000
    site.later(seconds=1)
    with control.store.read():
        assert control.menu.get().offers[offer].price_per_hour == 300_000
    assert control.menu.get().offers[offer].price_per_hour == 7 * MICRO
    site.clock.advance(timedelta(days=-1))  # a clock that goes back keeps nothing for ever
    assert control.menu.get().offers[offer].price_per_hour == 300_000


async def test_alternatives_show_the_price_in_effect(site: Site) -> None:
    await set_price(site, "0.9", offer="gpu-eighth")
    for login in ("mia", "noa"):
        await site.launch(login, "gpu-whole")
    await site.settled()
    answer = await site.call("mia", "POST", "/check", {"offer": "gpu-quarter"})
    assert all(
        other["price"]["per_hour"] == "0.90"
        for other in answer.body["alternatives"]
        if other["offer"] == "gpu-eighth"
    )


async def test_the_price_list_tells_what_was_and_what_will_be(site: Site) -> None:
    start = site.clock.now()
    await set_price(site, "0.4")
    site.later(hours=1)
    await set_price(site, "0.5")
    await set_price(site, "0.6", (start + timedelta(days=2)).isoformat())
    await set_price(site, "0.7", (start + timedelta(days=2)).isoformat())
    lines = [
        line for line in (await site.call("mia", "GET", "/prices")).body["items"]
        if line["offer"] == "gpu-quarter"
    ]  # fmt: skip
    assert [(line["per_hour"], line["in_effect"]) for line in lines] == [
        ("0.30", False), ("0.40", False), ("0.50", True), ("0.70", False),
    ]  # fmt: skip
    assert lines[0]["starts_at"] is None


async def test_a_price_of_nothing_is_a_price(site: Site) -> None:
    await set_price(site, "0")
    workload = await site.run("mia", "gpu-quarter")
    site.later(hours=1)
    assert (await site.view("mia", workload))["cost"] == "0.00"


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"offer": "nothing", "per_hour": "1"}, 404, "no offer"),
        ({"per_hour": "-1"}, 422, "not a price"),
        ({"per_hour": "1000001"}, 422, "not a price"),
        ({"per_hour": "much"}, 422, "not an amount"),
        ({"per_hour": "1", "from": "2020-01-01T00:00:00Z"}, 422, "has passed"),
        ({"per_hour": "1", "from": "2999-01-01T00:00:00Z"}, 422, "two years"),
        ({"per_hour": "1", "from": "2999-01-01T00:00:00"}, 422, "from"),
        ({"per_hour": "1", "from": "tomorrow"}, 422, "from"),
    ],
)
async def test_prices_that_are_none(
    site: Site, body: dict[str, str], status: int, said: str
) -> None:
    answer = await site.call("admin", "PUT", "/prices", {"offer": "gpu-quarter"} | body)
    assert answer.status == status, answer.body
    assert said in answer.body["error"]["message"]
    assert await price_now(site) == "0.30"


async def test_offers_that_are_hidden_are_not_on_the_price_list(site: Site) -> None:
    seen = {line["offer"] for line in (await site.call("mia", "GET", "/prices")).body["items"]}
    menu = {offer["id"] for offer in (await site.call("mia", "GET", "/offers")).body["items"]}
    assert seen == menu
