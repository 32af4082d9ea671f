"""The menu: answers inside bounds are accepted, all others refused by name; so are bad files."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from catalog.errors import BadSetup, BadValue, NotFound
from catalog.offers import Menu, Offer, Quantity, cost_of, load_menu, parse_menu
from catalog.units import GIB, MIB, parse_credits

SHIPPED = Path(__file__).resolve().parents[3] / "catalog" / "menu.yaml"
SIZES = {"cpu": 1, "memory": "1Gi", "duration": "1h"}


def offer_of(**fields: Any) -> dict[str, Any]:
    given = {name: {"fixed": value} for name, value in SIZES.items()} | fields
    return {"id": "o", "kind": "notebook", "title": "O", "price_per_hour": "1", "fields": given}


def menu_of(*offers: dict[str, Any]) -> Menu:
    return parse_menu(yaml.safe_dump({"offers": list(offers)}).encode(), "menu.yaml")


def one(**fields: Any) -> Offer:
    return menu_of(offer_of(**fields)).offers["o"]


@st.composite
def adjustable(draw: st.DrawFn) -> tuple[Quantity, int, int, int]:
    """A quantity with a range and a default in it."""
    quantity = draw(st.sampled_from([Quantity.CPU, Quantity.MEMORY, Quantity.DURATION]))
    low, high = quantity.bounds
    least = draw(st.integers(low, high))
    most = draw(st.integers(least, high))
    return quantity, least, most, draw(st.integers(least, most))


@given(adjustable(), st.data())
def test_every_answer_inside_the_bounds_is_accepted_and_no_other(
    field: tuple[Quantity, int, int, int], data: st.DataObject
) -> None:
    quantity, least, most, default = field
    show = quantity.show
    spec = {"default": show(default), "min": show(least), "max": show(most)}
    offer = one(**{quantity.value: spec})
    inside = data.draw(st.integers(least, most))
    answer = offer.answer({quantity.value: show(inside)})
    ask = answer.ask
    assert {
        Quantity.CPU: ask.cpu_milli,
        Quantity.MEMORY: ask.memory_bytes,
        Quantity.DURATION: int(ask.duration.total_seconds()),
    }[quantity] == inside
    assert dict(offer.answer(answer.set).set) == dict(answer.set)
    outside = data.draw(
        st.one_of(st.integers(0, least - 1) if least else st.nothing(),
                  st.integers(most + 1, most * 2 + 10))
    )  # fmt: skip
    with pytest.raises(BadValue) as caught:
        offer.answer({quantity.value: show(outside)})
    assert caught.value.message.startswith(quantity.value)
    assert caught.value.next


def test_only_the_choices_are_accepted() -> None:
    offer = one(cpu={"default": 2, "choices": [1, 2, 4]})
    assert offer.answer({"cpu": "4"}).ask.cpu_milli == 4000
    with pytest.raises(BadValue, match="not one of the choices"):
        offer.answer({"cpu": 3})


def test_fixed_fields_cannot_be_moved_and_hidden_ones_not_be_named() -> None:
    offer = one(cpu={"fixed": 2}, memory={"hidden": "1Gi"})
    assert offer.answer({"cpu": 2}).ask.cpu_milli == 2000
    with pytest.raises(BadValue, match="fixed"):
        offer.answer({"cpu": 1})
    for name in ("memory", "gpu", "colour"):
        with pytest.raises(BadValue, match=name):
            offer.answer({name: "1Gi"})


def test_more_than_one_device_is_whole() -> None:
    offer = one(gpu={"default": 1, "min": 0.5, "max": 4})
    assert offer.answer({"gpu": 3}).ask.parts == (1000, 1000, 1000)
    assert offer.answer({"gpu": "1/2"}).ask.parts == (500,)
    with pytest.raises(BadValue, match="not whole"):
        offer.answer({"gpu": 1.5})


def test_shares_of_several_devices_are_counted_together() -> None:
    offer = one(gpu={"default": "1/4", "choices": ["1/4", "1/2"]}, gpu_count={"fixed": 2})
    ask = offer.answer({"gpu": "1/2"}).ask
    assert (ask.gpu_milli, ask.gpu_count, ask.parts) == (1000, 2, (500, 500))
    assert offer.answer({"gpu": "1/2"}).price_per_hour == parse_credits(2)


def test_a_share_may_be_asked_for_by_memory() -> None:
    offer = one(gpu_memory={"default": "10Gi", "min": "5Gi", "max": "40Gi"})
    ask = offer.answer({"gpu_memory": "20Gi"}).ask
    assert (ask.gpu_milli, ask.gpu_memory_mib, ask.count) == (0, 20_480, 1)
    assert offer.answer({"gpu_memory": "20Gi"}).price_per_hour == parse_credits(2)
    assert dict(offer.answer({"gpu_memory": "20Gi"}).set) == {"gpu_memory": "20Gi"}


def test_an_offer_says_where_and_how_it_may_run() -> None:
    row = offer_of(gpu={"fixed": 8}) | {
        "whole_node": True, "vendors": ["nvidia"], "models": ["H200"], "priority": "best-effort",
        "preemptible": True, "split": True,
    }  # fmt: skip
    ask = menu_of(row).offers["o"].answer({}).ask
    assert (ask.whole_node, ask.split, ask.preemptible) == (True, True, True)
    assert (ask.vendors, ask.models, ask.priority) == (("nvidia",), ("H200",), "best-effort")


def test_prices_follow_what_is_chosen() -> None:
    row = offer_of(
        cpu={"default": 1, "min": 0.5, "max": 4},
        memory={"default": "2Gi", "min": "1Gi", "max": "8Gi"},
    ) | {"price_of_extra": {"cpu": "0.02", "memory_gib": "0.01"}}
    offer = menu_of(row).offers["o"]
    assert offer.answer({}).price_per_hour == parse_credits(1)
    assert offer.answer({"cpu": 4}).price_per_hour == parse_credits("1.06")
    assert offer.answer({"memory": "1Gi"}).price_per_hour == parse_credits("0.99")


@given(st.integers(0, 10**12), st.integers(-100, 10**8))
def test_cost_is_rounded_up_and_never_negative(price: int, milliseconds: int) -> None:
    cost = cost_of(price, timedelta(milliseconds=milliseconds))
    assert cost >= 0
    assert cost * 3_600_000 >= price * milliseconds
    assert cost * 3_600_000 < price * max(0, milliseconds) + price * 1000 + 3_600_000


@given(st.integers(0, 10**12), st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_longer_time_never_costs_less(price: int, one_: int, more: int) -> None:
    short, long = timedelta(seconds=one_), timedelta(seconds=one_ + more)
    assert cost_of(price, short) <= cost_of(price, long)
    parts = cost_of(price, short) + cost_of(price, timedelta(seconds=more))
    assert cost_of(price, long) <= parts <= cost_of(price, long) + 1


def test_offers_are_seen_by_their_tenants() -> None:
    menu = menu_of(offer_of() | {"visible_to": ["blue"]})
    assert menu.get("o", {"blue", "x"}).id == "o"
    assert menu.seen_by({"red"}) == []
    with pytest.raises(NotFound):
        menu.get("o", {"red"})


BAD_ROWS: list[tuple[dict[str, Any], str]] = [
    (offer_of() | {"colour": "red"}, "offer o, colour: there is no such field"),
    (offer_of(cpu={"fixed": 1, "speed": 2}), "fields.cpu.speed: there is no such field"),
    (offer_of(cpu={"fixed": -1}), "is negative"),
    (offer_of(cpu={"fixed": 10**9}), "absurd"),
    (offer_of(memory={"fixed": "900Ti"}), "absurd"),
    (offer_of(memory={"fixed": "1e9"}), "not a size"),
    (offer_of(duration={"fixed": "400d"}), "absurd"),
    (offer_of(cpu={"fixed": 1, "hidden": 1}), "exactly one"),
    (offer_of(cpu={"fixed": 1, "min": 1}), "has no min"),
    (offer_of(cpu={"default": 1}), "needs min and max"),
    (offer_of(cpu={"default": 9, "min": 1, "max": 4}), "outside"),
    (offer_of(cpu={"default": 2, "choices": [1, 3]}), "outside"),
    (offer_of(cpu={"default": 2, "min": 1, "max": 4, "step": 0}), "step"),
    (offer_of() | {"price_per_hour": "-1"}, "price_per_hour"),
    (offer_of() | {"price_per_hour": "1e999999999"}, "price_per_hour"),
    (offer_of() | {"price_per_hour": float("nan")}, "price_per_hour"),
    (offer_of() | {"id": "Bad Id"}, "id"),
    (offer_of() | {"kind": "spaceship"}, "kind"),
    (offer_of() | {"fields": {"cpu": {"fixed": 1}}}, "needs the fields"),
    (offer_of() | {"fields": {"tpu": {"fixed": 1}}}, "fields.tpu"),
    (offer_of(gpu={"fixed": 1.5}), "offer o, fields: gpu: 1.5 is more than one device"),
    (offer_of(gpu={"fixed": 2}, gpu_count={"fixed": 2}), "more than one device and not whole"),
    (offer_of(gpu={"fixed": 1}, gpu_memory={"fixed": "1Gi"}), "two ways to say the same"),
    (offer_of(gpu_count={"fixed": 2}), "gpu_count needs gpu or gpu_memory"),
    (offer_of(gpu={"fixed": 1}, gpu_count={"fixed": 0}), "fields.gpu_count: the smallest value 0"),
    (offer_of(gpu={"fixed": 1}, gpu_count={"fixed": "two"}), "is not a number of devices"),
    (offer_of(gpu_memory={"fixed": "90Ti"}), "fields.gpu_memory: the smallest value 90Ti"),
    (offer_of() | {"vendors": ["intel"]}, "vendors.0"),
    (offer_of() | {"preemptible": "perhaps"}, "preemptible"),
    (offer_of() | {"whole_node": True}, "whole_node needs the field gpu"),
    (offer_of(gpu={"fixed": "1/2"}) | {"whole_node": True}, "comes with whole devices"),
]  # fmt: skip


@pytest.mark.parametrize(("row", "said"), BAD_ROWS, ids=[said for _, said in BAD_ROWS])
def test_a_mistake_is_named_with_its_place(row: dict[str, Any], said: str) -> None:
    with pytest.raises(BadSetup) as caught:
        menu_of(row)
    assert caught.value.message.startswith("menu.yaml")
    assert said in caught.value.message
    assert caught.value.next


def test_an_id_that_is_there_twice_is_named() -> None:
    with pytest.raises(BadSetup, match="offer o is there twice"):
        menu_of(offer_of(), offer_of())


@pytest.mark.parametrize(
    "raw",
    [b"", b"[]", b"offers: []", b"offers: 5", b"offers: [1]", b"{", b"\xff\xfe", b"\x00", b"a: b: c",
     b"offers: &a [*a]", b"offers: !!python/object/apply:os.system ['true']", b"- " * 5000,
     b"offers: [{id: o}]", b"[" * 3000, b"offers: [null]", b"x: 1\noffers: []", b"offers: 2026-99-99"],
    ids=lambda raw: repr(raw[:20]),
)  # fmt: skip
def test_what_is_no_menu_is_refused_with_its_place(raw: bytes) -> None:
    with pytest.raises(BadSetup) as caught:
        parse_menu(raw, "menu.yaml")
    assert caught.value.message.startswith("menu.yaml")


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    with pytest.raises(BadSetup):
        parse_menu(raw, "menu.yaml")


def test_a_file_that_is_away_or_huge_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadSetup, match=r"none\.yaml cannot be read"):
        load_menu(tmp_path / "none.yaml")
    huge = tmp_path / "huge.yaml"
    huge.write_bytes(b"#" * (2 * MIB))
    with pytest.raises(BadSetup, match="larger than 1 MiB"):
        load_menu(huge)


def test_the_shipped_menu_goes_from_none_to_a_whole_gpu() -> None:
    menu = load_menu(SHIPPED)
    shares = [offer.answer({}).ask.gpu_milli for offer in menu.offers.values()]
    assert shares == [0, 125, 250, 500, 1000]
    assert all(offer.answer({}).ask.memory_bytes >= GIB for offer in menu.offers.values())
