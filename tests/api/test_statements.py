"""Statements add up, files hold the same, and a cell cannot act."""

import csv
import io
import itertools
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pyarrow.parquet as pq
import pytest

from hub import people, statements, transfers
from tests.site import V1, Site, add_tenant


@pytest.fixture
async def campus(site: Site) -> Site:
    """A month with grants, transfers, a run, and one that never came up."""
    add_tenant(site.control, "physics")
    add_tenant(site.control, "optics", "physics")
    for login, tenant, role in (
        ("pia", "physics", "admin"), ("ada", "optics", "member"), ("ben", "optics", "member"),
    ):  # fmt: skip
        site.person(login, tenant, role)
    site.later(days=1)
    await site.call("admin", "POST", "/tenants/physics/grant", {"credits": "10"})
    move = {"from": {"tenant": "physics"}, "to": {"tenant": "optics"}, "credits": "6"}
    await site.call("pia", "POST", "/credits/transfer", move)
    move = {"from": {"tenant": "optics"}, "to": {"person": "ada"}, "credits": "2.5"}
    await site.call("pia", "POST", "/credits/transfer", move)
    for login, offer, hours in (("ada", "gpu-quarter", 1), ("ada", "cpu", 2), ("ben", "cpu", 1)):
        workload = await site.run(login, offer, name="=cmd|' /C calc'!A0")
        site.later(hours=hours)
        await site.call(login, "POST", f"/workloads/{workload}/stop")
        await site.until_status(login, workload, "stopped")
        site.later(minutes=1)
    return site


async def get(site: Site, login: str, **query: str) -> Any:
    answer = await site.call(login, "GET", "/statement", params=query)
    assert answer.status == 200, answer.body
    return answer.body


async def file(site: Site, login: str, **query: str) -> httpx.Response:
    headers = {"Authorization": f"token {site.token_of(login)}"}
    return await site.raw("GET", f"{V1}/statement/file", headers=headers, params=query)


def total(found: Any, key: str = "amount") -> Decimal:
    return sum((Decimal(item[key]) for item in found["items"]), Decimal())


@pytest.mark.parametrize(
    ("login", "query"),
    [
        ("ada", {}), ("pia", {"person": "ada"}), ("pia", {"tenant": "physics"}),
        ("pia", {"tenant": "optics"}), ("admin", {"tenant": "main"}), ("admin", {}),
    ],
)  # fmt: skip
async def test_opening_and_lines_add_up_to_closing_whatever_the_times(
    campus: Site, login: str, query: dict[str, str]
) -> None:
    now = campus.clock.now()
    cuts = [now - timedelta(hours=h) for h in (60, 30, 3, 2, 1, 0)]
    for begins, ends in itertools.pairwise(cuts):
        times = {"from": begins.isoformat(), "to": ends.isoformat(), "limit": "500"}
        found = await get(campus, login, **query, **times)
        assert Decimal(found["opening"]) + total(found) == Decimal(found["closing"])
        assert total(found, "used") == Decimal(found["used"])
        for sums in ("by_offer", "by_person"):
            assert sum(Decimal(one["used"]) for one in found[sums]) == Decimal(found["used"])
        if found["items"]:
            assert found["items"][-1]["balance"] == found["closing"]
        following = await get(campus, login, **query, **{"from": ends.isoformat()})
        assert following["opening"] == found["closing"]


async def test_the_closing_of_a_person_is_the_balance(campus: Site) -> None:
    found = await get(campus, "ada")
    me = (await campus.call("ada", "GET", "/me")).body
    assert (found["closing"], found["used"]) == (me["balance"], me["spent"])
    assert found["by_offer"][0]["id"] == "gpu-quarter"
    assert found["by_person"] == [{"id": "ada", "used": found["used"]}]


async def test_a_tenants_statement_holds_its_people_and_those_below(campus: Site) -> None:
    found = await get(campus, "pia", tenant="physics", limit="500")
    who = {(line["tenant"], line["person"]) for line in found["items"]}
    assert who == {("physics", ""), ("optics", ""), ("optics", "ada"), ("optics", "ben"),
                   ("physics", "pia")}  # fmt: skip
    inside = [line for line in found["items"] if line["kind"] == "transfer"]
    assert sorted(line["amount"] for line in inside) == ["-2.50", "-6.00", "2.50", "6.00"]


async def test_pages_hold_each_line_once_and_go_on_with_the_balance(campus: Site) -> None:
    whole = (await get(campus, "pia", tenant="physics", limit="500"))["items"]
    found: list[Any] = []
    cursor = "0"
    while cursor:
        page = await get(campus, "pia", tenant="physics", limit="2", cursor=cursor)
        found += page["items"]
        cursor = page["next"]
    assert found == whole


async def test_a_file_holds_what_the_statement_says(
    campus: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statements, "BATCH", 2)
    found = await get(campus, "pia", tenant="physics", limit="500")
    answer = await file(campus, "pia", tenant="physics")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    day = f"{campus.clock.now():%Y-%m}-01"
    assert answer.headers["content-disposition"].startswith(
        f'attachment; filename="tenant-physics_{day}_'
    )
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert (rows[0]["kind"], rows[0]["balance"]) == ("opening", found["opening"])
    assert (rows[-1]["kind"], rows[-1]["balance"]) == ("closing", found["closing"])
    assert [row["posting"] for row in rows[1:-1]] == [item["id"] for item in found["items"]]
    for key in ("amount", "held", "used", "balance", "person", "tenant", "kind"):
        assert [row[key] for row in rows[1:-1]] == [item[key] for item in found["items"]]
    parquet = await file(campus, "pia", tenant="physics", format="parquet")
    assert parquet.headers["content-type"] == "application/vnd.apache.parquet"
    table = pq.read_table(io.BytesIO(parquet.content))
    assert table.column_names == list(rows[0])
    for key in ("amount", "held", "used", "balance"):
        assert table[key].to_pylist() == [Decimal(row[key]) for row in rows]
    assert table["at"].to_pylist() == [datetime.fromisoformat(row["at"]) for row in rows]


async def test_a_cell_that_a_spreadsheet_would_run_is_quoted(campus: Site) -> None:
    text = (await file(campus, "ada")).text
    rows = list(csv.DictReader(io.StringIO(text)))
    names = {row["workload_name"] for row in rows if row["workload_name"]}
    assert names == {"'=cmd|' /C calc'!A0"}
    assert any(row["held"].startswith("-") for row in rows)  # numbers stay numbers
    parquet = pq.read_table(io.BytesIO((await file(campus, "ada", format="parquet")).content))
    assert "=cmd|' /C calc'!A0" in parquet["workload_name"].to_pylist()


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_every_beginning_of_a_formula_is_quoted(start: str) -> None:
    line = statements._mark(datetime.fromisoformat("2030-01-01T00:00Z"), "opening", -1_500_000)
    cells = statements._cells(replace(line, text=f"{start}1"))
    assert cells[-1] == f"'{start}1"
    assert "-1.50" in cells


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo"])
async def test_a_statement_since_the_first_year_begins_with_the_calendar_of_computers(
    tmp_path: Path, zone: str
) -> None:
    async with Site(tmp_path, time_zone=zone) as site:
        site.person("mia")
        first = {"from": "0001-01-01T00:00Z"}
        seen = await get(site, "mia", **first)
        assert (seen["starts_at"], seen["opening"]) == ("1970-01-01T00:00:00Z", "0.00")
        answer = await file(site, "mia", **first)
        assert answer.status_code == 200
        assert "0.00" in answer.text


async def test_a_file_is_written_while_it_is_read(campus: Site) -> None:
    with campus.control.store.read() as session:
        scope = statements.of_tenant(session, "main")
    now = campus.clock.now()
    for write in (statements.csv_file, statements.parquet_file):
        parts = list(write(campus.control, scope, now - timedelta(days=9), now))
        assert len(parts) >= 3
    transfers.grant_to_tenant(
        campus.control, people.actor_of(campus.control, "admin"), "main", 5, "later"
    )


@pytest.mark.parametrize(
    ("login", "query", "status"),
    [
        ("ada", {"tenant": "optics"}, 403),
        ("ada", {"tenant": "nowhere"}, 403),
        ("ada", {"person": "ben"}, 404),
        ("ada", {"person": "nobody"}, 404),
        ("mia", {"person": "ada"}, 404),
        ("pia", {"tenant": "main"}, 403),
        ("admin", {"tenant": "nowhere"}, 404),
        ("pia", {"tenant": "optics", "person": "ada"}, 422),
        ("ada", {"from": "2030-02-01", "to": "2030-01-01"}, 422),
        ("ada", {"from": "yesterday"}, 422),
        ("ada", {"format": "xlsx"}, 422),
    ],
)
async def test_what_is_not_yours_or_makes_no_sense(
    campus: Site, login: str, query: dict[str, str], status: int
) -> None:
    answer = await file(campus, login, **query)
    assert answer.status_code == status
    assert set(answer.json()["error"]) == {"code", "message", "next"}
