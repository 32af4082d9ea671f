"""The menu: offers in one YAML file, validated with the place of each mistake, reloadable.

An offer's field is fixed, adjustable (with bounds or choices) or hidden. `Offer.answer` turns
answers into an Ask and a price; everything downstream works on those two.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar, cast

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from catalog.asks import Ask, Priority, demand_possible
from catalog.errors import BadSetup, BadValue, NotFound, PerijoveError
from catalog.fields import STRICT, FieldSpec, OfferField, Quantity
from catalog.idleness import NEVER, parse_idle
from catalog.inventory import Vendor
from catalog.units import (
    GIB,
    WHOLE,
    format_credits,
    format_duration,
    parse_credits,
)

T = TypeVar("T")
MAX_FILE_BYTES = 2**20
MAX_PRICE = parse_credits("1000000")


def _text_of_number(value: Any) -> Any:
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


Amount = Annotated[str, BeforeValidator(_text_of_number)]


class ExtraPrice(BaseModel):
    """Price per hour of what is chosen above an offer's defaults (below them: credited back)."""

    model_config = STRICT

    cpu: Amount = "0"
    memory_gib: Amount = "0"


_OF_GPU = frozenset({Quantity.GPU, Quantity.GPU_MEMORY, Quantity.GPU_COUNT})


class OfferSpec(BaseModel):
    """An offer as the file has it."""

    model_config = STRICT

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")
    kind: Literal["notebook"]
    title: str = Field(min_length=1, max_length=80)
    summary: str = Field(default="", max_length=300)
    icon: Literal["cpu", "gpu"] = "cpu"
    price_per_hour: Amount
    price_of_extra: ExtraPrice = ExtraPrice()
    visible_to: Literal["everyone"] | list[str] = "everyone"
    priority: Priority = Priority.STANDARD
    preemptible: bool = False
    vendors: list[Vendor] = Field(default_factory=list[Vendor], max_length=10)
    whole_node: bool = False
    split: bool = False
    models: list[str] = Field(default_factory=list, max_length=50)
    environment: str = Field(default="standard", max_length=60)
    idle: str = ""
    """How long it may be idle, like ``2h``, or ``off``; empty: as the site says."""
    fields: dict[Quantity, FieldSpec]

    @field_validator("idle", mode="before")
    @classmethod
    def _idle(cls, value: Any) -> str:
        try:
            span = parse_idle(value)
        except BadValue as error:
            raise ValueError(f"{error.message}; {error.next}") from error
        return format_duration(span) if span else NEVER

    @field_validator("fields")
    @classmethod
    def _all_fields(cls, value: dict[Quantity, FieldSpec]) -> dict[Quantity, FieldSpec]:
        missing = [str(q) for q in Quantity if q not in value and q not in _OF_GPU]
        if missing:
            raise ValueError(f"needs the fields {', '.join(missing)}")
        if Quantity.GPU in value and Quantity.GPU_MEMORY in value:
            raise ValueError("gpu and gpu_memory are two ways to say the same: leave one out")
        if Quantity.GPU_COUNT in value and not {Quantity.GPU, Quantity.GPU_MEMORY} & set(value):
            raise ValueError("gpu_count needs gpu or gpu_memory: what to take of each device")
        return value

    @model_validator(mode="after")
    def _whole_node_has_a_size(self) -> Self:
        if self.whole_node and Quantity.GPU not in self.fields:
            raise ValueError("whole_node needs the field gpu: how many devices the node has")
        return self


@dataclass(frozen=True, slots=True)
class Answer:
    """An offer with every field decided: what to place and what it costs per hour."""

    offer: "Offer"
    ask: Ask
    price_per_hour: int
    set: Mapping[str, str]
    """Only what differs from the defaults, as written by people."""

    @property
    def cost(self) -> int:
        """Micro-credits of the whole duration, rounded up."""
        return cost_of(self.price_per_hour, self.ask.duration)


@dataclass(frozen=True, slots=True)
class Offer:
    """One line of the menu."""

    spec: OfferSpec
    fields: Mapping[Quantity, OfferField]
    price_per_hour: int
    extra_cpu: int
    extra_gib: int

    @property
    def id(self) -> str:
        return self.spec.id

    def visible_to(self, tenants: frozenset[str] | set[str]) -> bool:
        """Whether somebody in these tenants sees it."""
        return self.spec.visible_to == "everyone" or not tenants.isdisjoint(self.spec.visible_to)

    def answer(self, given: Mapping[str, Any]) -> Answer:
        """Decide every field. Raises BadValue naming the field, its bounds and the next step."""
        unknown = sorted(set(given) - {q.value for q in self.fields})
        hidden = [q.value for q, f in self.fields.items() if f.mode == "hidden"]
        if bad := [*unknown, *(name for name in hidden if name in given)]:
            adjustable = [q.value for q, f in self.fields.items() if f.mode == "adjustable"]
            raise BadValue(
                f"offer {self.id} has no field {bad[0]!r} to set",
                next=f"it lets you set {', '.join(adjustable)}" if adjustable else "set nothing",
            )
        values = {
            quantity: field.accept(given[quantity]) if quantity in given else field.default
            for quantity, field in self.fields.items()
        }
        ask = self._ask(values)
        changed = {
            quantity.value: quantity.show(value)
            for quantity, value in values.items()
            if value != self.fields[quantity].default
        }
        return Answer(self, ask, self._price(ask), changed)

    def _ask(self, values: Mapping[Quantity, int]) -> Ask:
        """Raises BadValue for values that are each inside of the bounds and make no sense together."""
        count, spec = values.get(Quantity.GPU_COUNT, 1), self.spec
        return demand_possible(
            Ask(
                cpu_milli=values[Quantity.CPU],
                memory_bytes=values[Quantity.MEMORY],
                gpu_milli=values.get(Quantity.GPU, 0) * count,
                duration=timedelta(seconds=values[Quantity.DURATION]),
                models=tuple(spec.models),
                priority=spec.priority,
                preemptible=spec.preemptible,
                gpu_count=count if values.get(Quantity.GPU) or Quantity.GPU_MEMORY in values else 1,
                gpu_memory_mib=-(-values.get(Quantity.GPU_MEMORY, 0) // 2**20),
                vendors=tuple(vendor.value for vendor in spec.vendors),
                whole_node=spec.whole_node,
                split=spec.split,
            )
        )

    def _price(self, ask: Ask) -> int:
        more_cpu = ask.cpu_milli - self.fields[Quantity.CPU].default
        more_memory = ask.memory_bytes - self.fields[Quantity.MEMORY].default
        price = self.price_per_hour + (self.extra_cpu * more_cpu) // WHOLE
        price += (self.extra_gib * more_memory) // GIB
        defaults = self._ask({quantity: field.default for quantity, field in self.fields.items()})
        usual, chosen = _gpu_of(defaults), _gpu_of(ask)
        if usual and chosen != usual:
            price += self.price_per_hour * (chosen - usual) // usual
        return max(0, price)


def _gpu_of(ask: Ask) -> int:
    """What the price of GPU is in proportion to: milli-GPU, or MiB of all shares."""
    return ask.gpu_milli or ask.gpu_memory_mib * ask.gpu_count


@dataclass(frozen=True, slots=True)
class Menu:
    """Every offer, in the order of the file."""

    offers: Mapping[str, Offer]

    def get(self, offer_id: str, tenants: frozenset[str] | set[str]) -> Offer:
        """An offer that somebody in `tenants` sees. Raises NotFound."""
        offer = self.offers.get(offer_id)
        if offer is None or not offer.visible_to(tenants):
            raise NotFound(
                f"there is no offer {offer_id!r}", next="see `perijove offers` for the menu"
            )
        return offer

    def seen_by(self, tenants: frozenset[str] | set[str]) -> list[Offer]:
        return [offer for offer in self.offers.values() if offer.visible_to(tenants)]


def load_menu(path: Path) -> Menu:
    """Read and check the file. Raises BadSetup naming file, offer and field, and what to do."""
    try:
        raw = path.read_bytes()[: MAX_FILE_BYTES + 1]
    except OSError as error:
        raise BadSetup(
            f"{path} cannot be read: {error.strerror}", next="restore it, or delete it and restart"
        ) from error
    if len(raw) > MAX_FILE_BYTES:
        raise BadSetup(f"{path} is larger than 1 MiB", next="a menu is a short file: split it up")
    return parse_menu(raw, str(path))


def parse_menu(raw: bytes, place: str) -> Menu:
    """The bytes of a menu file → Menu. Raises BadSetup whose message begins with `place`."""
    document = _read_yaml(raw, place)
    if not isinstance(document, dict) or set(cast("dict[object, object]", document)) != {"offers"}:
        raise BadSetup(f"{place}: must be a mapping with the one key 'offers'", next=_MEND)
    rows = cast("dict[str, object]", document)["offers"]
    if not isinstance(rows, list) or not rows:
        raise BadSetup(f"{place}: 'offers' must be a list with at least one offer", next=_MEND)
    offers: dict[str, Offer] = {}
    for number, row in enumerate(cast("list[object]", rows), start=1):
        name = cast("dict[str, object]", row).get("id", number) if isinstance(row, dict) else number
        offer = _build(cast("object", row), f"{place}: offer {name}")
        if offer.id in offers:
            raise BadSetup(
                f"{place}: offer {offer.id} is there twice", next="give each offer its own id"
            )
        offers[offer.id] = offer
    return Menu(offers)


_MEND = "correct the file; the menu that was loaded last stays in use until then"


def _read_yaml(raw: bytes, place: str) -> Any:
    try:
        text = raw.decode()
        if "&" in text and any(isinstance(t, yaml.AnchorToken) for t in _tokens(text)):
            raise BadSetup(f"{place}: anchors are not allowed in a menu", next=_MEND)
        return yaml.safe_load(text)
    except UnicodeDecodeError as error:
        raise BadSetup(f"{place}: is not UTF-8 text (byte {error.start})", next=_MEND) from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "is not YAML"
        raise BadSetup(f"{place}{where}: {problem}", next=_MEND) from error


def _tokens(text: str) -> Iterator[object]:
    return cast("Iterator[object]", yaml.scan(text))  # type: ignore[reportUnknownMemberType]


def _build(row: object, place: str) -> Offer:
    try:
        spec = OfferSpec.model_validate(row)
    except ValidationError as error:
        first = error.errors()[0]
        path = ".".join(str(part) for part in first["loc"] if part != "[key]")
        said = first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            said = "there is no such field"
        raise BadSetup(f"{place}, {path or 'whole'}: {said}", next=_MEND) from error
    fields: dict[Quantity, OfferField] = {}
    for quantity, field in spec.fields.items():
        fields[quantity] = _placed(
            f"{place}, fields.{quantity}", lambda q=quantity, f=field: OfferField.build(q, f)
        )
    extra = spec.price_of_extra
    offer = Offer(
        spec,
        fields,
        _price(f"{place}, price_per_hour", spec.price_per_hour),
        _price(f"{place}, price_of_extra.cpu", extra.cpu),
        _price(f"{place}, price_of_extra.memory_gib", extra.memory_gib),
    )
    _placed(f"{place}, fields", lambda: offer.answer({}))
    return offer


def _price(place: str, text: str) -> int:
    price = _placed(place, lambda: parse_credits(text))
    if not 0 <= price <= MAX_PRICE:
        raise BadSetup(
            f"{place}: {text} is not a price", next=f"use 0 to {format_credits(MAX_PRICE)}"
        )
    return price


def _placed(place: str, act: Callable[[], T]) -> T:
    try:
        return act()
    except PerijoveError as error:
        raise BadSetup(f"{place}: {error.message}", next=error.next or _MEND) from error


def cost_of(price_per_hour: int, span: timedelta) -> int:
    """Micro-credits for `span`, in whole seconds, rounded up; never negative."""
    seconds = max(0, -(-span // timedelta(seconds=1)))
    return -(-price_per_hour * seconds // 3600)
