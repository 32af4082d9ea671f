"""What else could be asked for instead. Whether it would start is for others to judge."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from catalog.errors import BadValue
from catalog.fields import OfferField, Quantity
from catalog.offers import Answer, Offer
from catalog.shortage import Shortage

MOST_VALUES = 100
"""Of one field."""
_SMALLER = {
    Shortage.GPU: (Quantity.GPU, Quantity.GPU_MEMORY, Quantity.GPU_COUNT),
    Shortage.NODE: (Quantity.GPU_COUNT, Quantity.GPU),
    Shortage.CPU: (Quantity.CPU,),
    Shortage.MEMORY: (Quantity.MEMORY,),
}


@dataclass(frozen=True, slots=True)
class Nearby:
    """`ladders`: the same with less and less of one thing, the most alike first: time, then what is
    short. `others`: other offers as they stand, the same share of another model first."""

    ladders: tuple[Sequence[Answer], ...]
    others: tuple[Sequence[Answer], ...]


def nearby(answer: Answer, offers: Iterable[Offer], short: Sequence[Shortage] = ()) -> Nearby:
    """What else is on the menu `offers`, near to an answer that is `short` of something."""
    smaller = (
        [_with_least(answer, short)]
        if len(short) > 1
        else [_with_less(answer, q) for q in _SMALLER.get(short[0] if short else Shortage.GPU, ())]
    )
    return Nearby((_with_less(answer, Quantity.DURATION), *smaller), _by_model(answer, [*offers]))


def lower_values(field: OfferField, below: int) -> list[int]:
    """What may be chosen below a value, the largest first; of a very long range some, evenly."""
    if field.mode != "adjustable":
        return []
    if field.choices:
        return sorted((choice for choice in field.choices if choice < below), reverse=True)
    step = field.step or max(1, (field.most - field.least) // 8)
    step = max(step, -(-(below - field.least) // MOST_VALUES))
    return [*range(field.least, below, step)][::-1]


def _with_least(answer: Answer, short: Sequence[Shortage]) -> list[Answer]:
    """The least of all that is short at once, where the offer lets it be chosen."""
    fields = answer.offer.fields
    least = {
        quantity: fields[quantity].least
        for dimension in short
        for quantity in _SMALLER.get(dimension, ())
        if quantity in fields and fields[quantity].mode == "adjustable"
    }
    changed = _changed(answer, least) if least else None
    return [changed] if changed else []


def _with_less(answer: Answer, quantity: Quantity) -> list[Answer]:
    field = answer.offer.fields.get(quantity)
    if field is None:
        return []
    now = field.accept(answer.set.get(quantity, field.quantity.show(field.default)))
    tried = (_changed(answer, {quantity: value}) for value in lower_values(field, now))
    return [changed for changed in tried if changed]


def _changed(answer: Answer, values: dict[Quantity, int]) -> Answer | None:
    """None where the values make no sense together."""
    shown = {quantity.value: quantity.show(value) for quantity, value in values.items()}
    try:
        return answer.offer.answer({**answer.set, **shown})
    except BadValue:
        return None


def _by_model(answer: Answer, offers: Sequence[Offer]) -> tuple[list[Answer], list[Answer]]:
    """Other offers as they stand: those of the same share on other models, and all the rest."""
    wanted, alike, rest = answer.ask, list[Answer](), list[Answer]()
    for offer in offers:
        if offer.id == answer.offer.id or offer.spec.kind != answer.offer.spec.kind:
            continue
        other = offer.answer({})
        same = (other.ask.gpu_milli, other.ask.gpu_count, other.ask.gpu_memory_mib) == (
            wanted.gpu_milli, wanted.gpu_count, wanted.gpu_memory_mib,
        )  # fmt: skip
        (alike if same and other.ask.models != wanted.models else rest).append(other)
    size = wanted.gpu_milli
    rest.sort(key=lambda o: (o.ask.gpu_milli > size, abs(o.ask.gpu_milli - size)))
    return alike, rest
