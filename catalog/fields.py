"""The fields of an offer: quantities as people write them, fixed, adjustable or hidden."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from catalog.errors import BadValue
from catalog.units import GIB, TIB, WHOLE, parse_bytes, parse_duration, parse_milli

MAX_CPU_MILLI = 1_000_000
MAX_MEMORY = 64 * TIB
MAX_GPU_MILLI = 1024 * WHOLE
MAX_DURATION = timedelta(days=90)
MAX_GPU_COUNT = 1024
MAX_GPU_MEMORY = TIB


class Quantity(StrEnum):
    """The fields an offer has."""

    CPU = "cpu"
    MEMORY = "memory"
    GPU = "gpu"
    GPU_MEMORY = "gpu_memory"
    GPU_COUNT = "gpu_count"
    DURATION = "duration"

    def parse(self, value: Any) -> int:
        """As written by people → base units (milli, bytes, milli, seconds). Raises BadValue."""
        match self:
            case Quantity.MEMORY | Quantity.GPU_MEMORY:
                return parse_bytes(value)
            case Quantity.GPU_COUNT:
                return _parse_count(value)
            case Quantity.DURATION:
                return int(parse_duration(str(value)).total_seconds())
            case _:
                return parse_milli(value)

    def show(self, base: int) -> str:
        """Base units → as written by people; `parse` of it gives the same again."""
        match self:
            case Quantity.GPU_COUNT:
                return str(base)
            case Quantity.MEMORY | Quantity.GPU_MEMORY:
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
            case Quantity.GPU_MEMORY:
                return 64 * 2**20, MAX_GPU_MEMORY
            case Quantity.GPU_COUNT:
                return 1, MAX_GPU_COUNT
            case Quantity.DURATION:
                return 60, int(MAX_DURATION.total_seconds())


_LABELS = {"gpu": "GPU", "cpu": "CPU", "gpu_memory": "GPU memory", "gpu_count": "How many GPUs"}
_SIZES = ((TIB, "Ti"), (GIB, "Gi"), (2**20, "Mi"), (2**10, "Ki"))
STRICT = ConfigDict(extra="forbid", frozen=True)
"""A field that nobody knows is a mistake."""


class FieldSpec(BaseModel):
    """One field of an offer, as the file has it: ``{fixed: 2}``, ``{hidden: 2}`` or
    ``{default: 2, min: 1, max: 8, step: 1}`` or ``{default: 2, choices: [1, 2, 4]}``."""

    model_config = STRICT

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
        label = spec.label or _LABELS.get(quantity, quantity.capitalize())
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


def _parse_count(value: Any) -> int:
    text = str(value).strip()
    if isinstance(value, bool) or not (text.isascii() and text.isdigit()) or len(text) > 6:
        raise BadValue(f"{text[:20]!r} is not a number of devices", next="write it like 2")
    return int(text)


def _or(value: Any, other: Any) -> Any:
    return other if value is None else value
