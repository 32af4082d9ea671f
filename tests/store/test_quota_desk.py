"""The quota desk on both databases: the tree, its order, changes made by two at once."""

import threading

import pytest
from sqlmodel import select

from catalog.errors import Conflict
from hub import (
    grants,
    launching,
    quota_desk,
    quota_preview,
    quota_requests,
    quota_tree,
    tenants,
)
from hub.control_context import Control
from hub.people import actor_of
from hub.quota_desk import Wish
from hub.store.tables import QuotaRow
from quotas.limits import Dimension
from tests.site import add_person

GIB = 1024**3


@pytest.fixture
def campus(control: Control) -> Control:
    boss = actor_of(control, "admin")
    for name, parent in (("science", "main"), ("art", "main"), ("lab", "science")):
        tenants.add(control, boss, tenants.NewTenant(name, name.title(), parent))
    return control


def test_the_tree_sums_sorts_and_finds(campus: Control) -> None:
    boss, sam = actor_of(campus, "admin"), add_person(campus, "sam", "lab")
    quota_desk.apply(
        campus, boss,
        [Wish("science", "gpu", limit="2", guaranteed="1/8"), Wish("art", "gpu", guaranteed="1/8")],
    )  # fmt: skip
    launching.launch(campus, sam, launching.Wish("gpu-quarter", {}))
    grants.give_what_fits(campus)
    for sort, first in (("-used", "science"), ("-borrowed", "science"), ("limit", "science"),
                        ("-name", "science"), ("guaranteed", "art")):  # fmt: skip
        look = quota_tree.Look(parent="main", sort=sort)
        lines, after = quota_tree.page(campus, boss, look)
        assert (lines[0].id, len(lines), after) == (first, 2, None), sort
    science = next(line for line in lines if line.id == "science")
    gpu = science.amounts[Dimension.GPU]
    assert (gpu.used, gpu.borrowed, gpu.state.limit) == (250, 125, 2000)
    found, _ = quota_tree.page(campus, boss, quota_tree.Look(search="LA"))
    assert [line.id for line in found] == ["lab"]
    dean = add_person(campus, "dean", "science", "admin")
    mine, _ = quota_tree.page(campus, dean, quota_tree.Look())
    assert [line.id for line in mine] == ["science"]
    told = quota_preview.preview(campus, boss, [Wish("lab", "gpu", limit="0.1")])
    assert [one.kind for one in told.consequences] == ["over"]


def test_of_two_who_change_what_they_saw_one_does(campus: Control) -> None:
    boss = actor_of(campus, "admin")
    quota_desk.apply(campus, boss, [Wish("lab", "memory", limit="8Gi")])
    seen = quota_desk.State(8 * GIB).version
    outcomes: list[str] = []

    def change(limit: str) -> None:
        try:
            quota_desk.apply(campus, boss, [Wish("lab", "memory", limit=limit, version=seen)])
            outcomes.append(limit)
        except Conflict:
            outcomes.append("refused")

    threads = [threading.Thread(target=change, args=(f"{n}Gi",)) for n in (1, 2, 3, 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(outcomes)[-3:] == ["refused"] * 3
    made = quota_desk.changes(campus, boss)
    quota_desk.undo(campus, boss, [row.id or 0 for row in made])
    with campus.store.read() as session:
        assert session.exec(select(QuotaRow).where(QuotaRow.tenant_id == "lab")).all() == []


def test_a_request_is_decided_once_however_many_try(campus: Control) -> None:
    boss, sam = actor_of(campus, "admin"), add_person(campus, "sam", "lab")
    asked = quota_requests.Asked("lab", Dimension.GPU, "3", "", "thesis")
    request = quota_requests.ask(campus, sam, asked).id
    outcomes: list[str] = []

    def decide(number: int) -> None:
        try:
            quota_requests.decide(campus, boss, request, approve=bool(number % 2), answer="because")
            outcomes.append("decided")
        except Conflict:
            outcomes.append("refused")

    threads = [threading.Thread(target=decide, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(outcomes) == ["decided", "refused", "refused", "refused"]
