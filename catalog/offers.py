"""The menu: offers in one YAML file, validated with the place of each mistake, reloadable.

An offer's field is fixed, adjustable (with bounds or choices) or hidden. `Offer.answer` turns
answers into an Ask and a price; everything downstream works on those two.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar, cast

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from catalog.asks import Ask, Priority
from catalog.errors import BadSetup, BadValue, NotFound, PerijoveError
from catalog.units import (
    GIB,
    TIB,
    WHOLE,
    format_credits,
    parse_bytes,
    parse_credits,
    parse_duration,
    parse_milli,
)

T = TypeVar("T")
MAX_FILE_BYTES = 2**20
MAX_CPU_MILLI = 1_000_000
MAX_MEMORY = 64 * TIB
MAX_GPU_MILLI = 1024 * WHOLE
MAX_DURATION = timedelta(days=90)
MAX_PRICE = parse_credits("1000000")


class Quantity(StrEnum):
    """The fields an offer has."""

    CPU = "cpu"
    MEMORY = "memory"
    GPU = "gpu"
    DURATION = "duration"

    def parse(self, value: Any) -> int:
        """As written by people → base units (milli, bytes, milli, seconds). Raises BadValue."""
        match self:
            case Quantity.MEMORY:
                return parse_bytes(value)
            case Quantity.DURATION:
                return int(parse_duration(str(value)).total_seconds())
            case _:
                return parse_milli(value)

    def show(self, base: int) -> str:
        """Base units → as written by people; `parse` of it gives the same again."""
        match self:
            case Quantity.MEMORY:
                return next(
                    (f"{base // size}{unit}" for size, unit in _SIZES if base % size == 0),
                    f"{base}",
                )
            case Quantity.DURATION:
                days, rest = divmod(base, 86400)
                parts = [(days, "d"), (rest // 3600, "h"), (rest // 60 % 60, "m"), (rest % 60, "s")]
                return "".join(f"{count}{unit}" for count, unit in parts if count) or "0s"
            case _:
                return f"{base // WHOLE}.{base % WHOLE:03}".rstrip("0").rstrip(".")

    @property
    def bounds(self) -> tuple[int, int]:
        """The least and the most that is not absurd, in base units."""
        match self:
            case Quantity.CPU:
                return 10, MAX_CPU_MILLI
            case Quantity.MEMORY:
                return 64 * 2**20, MAX_MEMORY
            case Quantity.GPU:
                return 0, MAX_GPU_MILLI
            case Quantity.DURATION:
                return 60, int(MAX_DURATION.total_seconds())


_SIZES = ((TIB, "Ti"), (GIB, "Gi"), (2**20, "Mi"), (2**10, "Ki"))
_STRICT = ConfigDict(extra="forbid", frozen=True)


class FieldSpec(BaseModel):
    """One field of an offer, as the file has it: ``{fixed: 2}``, ``{hidden: 2}`` or
    ``{default: 2, min: 1, max: 8, step: 1}`` or ``{default: 2, choices: [1, 2, 4]}``."""

    model_config = _STRICT

    fixed: Any = None
    hidden: Any = None
    default: Any = None
    min: Any = None
    max: Any = None
    step: Any = None
    choices: list[Any] | None = Field(default=None, min_length=1, max_length=50)
    label: str = Field(default="", max_length=60)
    help: str = Field(default="", max_length=300)

    @model_validator(mode="after")
    def _one_mode(self) -> Self:
        given = [n for n in ("fixed", "hidden", "default") if getattr(self, n) is not None]
        if len(given) != 1:
            raise ValueError("needs exactly one of fixed, hidden or default")
        bounded = self.min is not None or self.max is not None or self.choices is not None
        if given == ["default"]:
            if self.choices is None and (self.min is None or self.max is None):
                raise ValueError("an adjustable field needs min and max, or choices")
        elif bounded or self.step is not None:
            raise ValueError(f"a {given[0]} field has no min, max, step or choices")
        return self

    @property
    def mode(self) -> Literal["fixed", "adjustable", "hidden"]:
        if self.default is not None:
            return "adjustable"
        return "fixed" if self.fixed is not None else "hidden"


@dataclass(frozen=True, slots=True)
class OfferField:
    """A field in base units. For fixed and hidden fields `least` = `most` = `default`."""

    quantity: Quantity
    mode: Literal["fixed", "adjustable", "hidden"]
    default: int
    least: int
    most: int
    step: int | None = None
    choices: tuple[int, ...] = ()
    label: str = ""
    help: str = ""

    @classmethod
    def build(cls, quantity: Quantity, spec: FieldSpec) -> "OfferField":
        """Parse and check one field. Raises BadValue without the place, which the caller adds."""
        given = next(v for v in (spec.fixed, spec.hidden, spec.default) if v is not None)
        default = quantity.parse(given)
        choices = tuple(quantity.parse(choice) for choice in spec.choices or ())
        low = min(choices) if choices else quantity.parse(_or(spec.min, given))
        high = max(choices) if choices else quantity.parse(_or(spec.max, given))
        step = None if spec.step is None else quantity.parse(spec.step)
        least, most = quantity.bounds
        for name, value in (("smallest", low), ("largest", high), ("default", default)):
            if not least <= value <= most:
                raise BadValue(
                    f"the {name} value {quantity.show(value)} is absurd",
                    next=f"use {quantity.show(least)} to {quantity.show(most)}",
                )
        if not low <= default <= high or (choices and default not in choices):
            raise BadValue(
                f"the default {quantity.show(default)} lies outside of what may be chosen",
                next=f"use {quantity.show(low)} to {quantity.show(high)}",
            )
        if step is not None and step <= 0:
            raise BadValue("a step must be more than zero", next="leave it out or make it positive")
        label = spec.label or {"gpu": "GPU", "cpu": "CPU"}.get(quantity, quantity.capitalize())
        return cls(quantity, spec.mode, default, low, high, step, choices, label, spec.help)

    def accept(self, value: Any) -> int:
        """An answer → base units. Raises BadValue naming the field and its bounds."""
        try:
            base = self.quantity.parse(value)
        except BadValue as error:
            raise BadValue(f"{self.quantity}: {error.message}", next=error.next) from error
        shown = self.quantity.show
        if self.mode != "adjustable":
            if base != self.default:
                raise BadValue(
                    f"{self.quantity} is fixed in this offer",
                    next="leave it out, or choose another offer",
                )
        elif self.choices and base not in self.choices:
            raise BadValue(
                f"{self.quantity}: {shown(base)} is not one of the choices",
                next="choose " + ", ".join(shown(choice) for choice in self.choices),
            )
        elif not self.least <= base <= self.most:
            raise BadValue(
                f"{self.quantity}: {shown(base)} is outside of this offer's bounds",
                next=f"choose {shown(self.least)} to {shown(self.most)}",
            )
        return base


def _text_of_number(value: Any) -> Any:
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


Amount = Annotated[str, BeforeValidator(_text_of_number)]


class ExtraPrice(BaseModel):
    """Price per hour of what is chosen above an offer's defaults (below them: credited back)."""

    model_config = _STRICT

    cpu: Amount = "0"
    memory_gib: Amount = "0"


class OfferSpec(BaseModel):
    """An offer as the file has it."""

    model_config = _STRICT

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")
    kind: Literal["notebook"]
    title: str = Field(min_length=1, max_length=80)
    summary: str = Field(default="", max_length=300)
    icon: Literal["cpu", "gpu"] = "cpu"
    price_per_hour: Amount
    price_of_extra: ExtraPrice = ExtraPrice()
    visible_to: Literal["everyone"] | list[str] = "everyone"
    priority: Priority = Priority.STANDARD
    models: list[str] = Field(default_factory=list, max_length=50)
    environment: str = Field(default="standard", max_length=60)
    fields: dict[Quantity, FieldSpec]

    @field_validator("fields")
    @classmethod
    def _all_fields(cls, value: dict[Quantity, FieldSpec]) -> dict[Quantity, FieldSpec]:
        missing = [str(q) for q in Quantity if q not in value and q is not Quantity.GPU]
        if missing:
            raise ValueError(f"needs the fields {', '.join(missing)}")
        return value


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
        gpu = values.get(Quantity.GPU, 0)
        if gpu > WHOLE and gpu % WHOLE:
            raise BadValue(
                f"gpu: {gpu / WHOLE:g} is more than one device and not whole",
                next="ask for a part of one device, or for whole ones",
            )
        ask = Ask(
            cpu_milli=values[Quantity.CPU],
            memory_bytes=values[Quantity.MEMORY],
            gpu_milli=gpu,
            duration=timedelta(seconds=values[Quantity.DURATION]),
            models=tuple(self.spec.models),
            priority=self.spec.priority,
        )
        changed = {
            quantity.value: quantity.show(value)
            for quantity, value in values.items()
            if value != self.fields[quantity].default
        }
        return Answer(self, ask, self._price(ask), changed)

    def _price(self, ask: Ask) -> int:
        more_cpu = ask.cpu_milli - self.fields[Quantity.CPU].default
        more_memory = ask.memory_bytes - self.fields[Quantity.MEMORY].default
        price = self.price_per_hour + (self.extra_cpu * more_cpu) // WHOLE
        price += (self.extra_gib * more_memory) // GIB
        gpu = self.fields.get(Quantity.GPU)
        if gpu is not None and gpu.default and ask.gpu_milli != gpu.default:
            price += self.price_per_hour * (ask.gpu_milli - gpu.default) // gpu.default
        return max(0, price)


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
    return Offer(
        spec,
        fields,
        _price(f"{place}, price_per_hour", spec.price_per_hour),
        _price(f"{place}, price_of_extra.cpu", extra.cpu),
        _price(f"{place}, price_of_extra.memory_gib", extra.memory_gib),
    )


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


def _or(value: Any, other: Any) -> Any:
    return other if value is None else value
