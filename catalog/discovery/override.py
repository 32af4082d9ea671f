"""The operator's word on the inventory: one YAML file, checked field by field.

A wrong file never counts: at first it is an error that names file, line and field, later the last
good one stays in force and a warning says the same.
"""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails

from catalog.discovery.emulated import EmulatedSet
from catalog.discovery.yamltext import Mistake, parse
from catalog.errors import BadSetup, BadValue
from catalog.inventory import Health, Vendor
from catalog.mig import demand_profiles
from catalog.units import MIB, TIB, WHOLE, format_bytes, parse_bytes, parse_milli

MAX_FILE_BYTES = MIB
MAX_DEVICES = 4096
MAX_MEMORY = 1024 * TIB
MAX_CORES = 65536
_NEXT = "mend the file, or remove it to go by what is found; docs/concepts/inventory.md has it all"
_LONGEST = 200
_QUANTITY = re.compile(r"[\d./]{1,24}m?")


def _memory(value: object) -> int:
    """Bytes, from 1 MiB to 1 PiB."""
    if not isinstance(value, int | str) or isinstance(value, bool):
        raise ValueError(  # noqa: TRY004 (pydantic wants a ValueError)
            f"{value!r} is not a size; write it like 24Gi or 512Mi"
        )
    size = _plain(lambda: parse_bytes(value))
    if not MIB <= size <= MAX_MEMORY:
        raise ValueError(
            f"{value!r} is {format_bytes(size)}; it must be between 1 MiB and 1 PiB, like 24Gi"
        )
    return size


def _cores(value: object) -> int:
    """Milli-cores, from one to 65536 cores."""
    if isinstance(value, bool) or not _QUANTITY.fullmatch(str(value)):
        raise ValueError(f"{value!r} is not a number of cores; write it like 16 or 0.5")
    milli = _plain(lambda: parse_milli(str(value)))
    if not 0 < milli <= MAX_CORES * WHOLE:
        raise ValueError(f"{value!r} cores is out of bounds: more than 0, at most {MAX_CORES}")
    return milli


def _plain(parse_it: Callable[[], int]) -> int:
    """What pydantic expects of a validator: a ValueError, with the same words."""
    try:
        return parse_it()
    except BadValue as error:
        raise ValueError(f"{error.message}; {error.next}") from error


Memory = Annotated[int, BeforeValidator(_memory)]
Cores = Annotated[int, BeforeValidator(_cores)]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$")]
Model = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{1,100}$")]


class _Fields(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)


class ListedDevice(_Fields):
    """A device that the operator names; 0 bytes and an empty model: as the driver says."""

    id: Name
    vendor: Vendor = Vendor.EMULATED
    model: Model | Literal[""] = ""
    memory: Memory = 0
    health: Health = Health.OK
    sharing: Literal["whole", "mig"] | None = None

    @model_validator(mode="after")
    def _emulated_is_complete(self) -> Self:
        if self.vendor is Vendor.EMULATED and not (self.model and self.memory):
            raise ValueError("an emulated device needs a model and a memory")
        return self

    @model_validator(mode="after")
    def _mig_is_possible(self) -> Self:
        if self.sharing != "mig":
            return self
        if self.vendor is not Vendor.EMULATED:
            raise ValueError(
                "sharing: the engine of this machine makes no MIG instances;"
                " try them out with an emulated device"
            )
        _plain(lambda: len(demand_profiles(self.model, self.memory // MIB)))
        return self


class EmulatedFields(_Fields):
    """The emulated devices that stand in when no accelerator is found."""

    count: Annotated[int, Field(ge=0, le=MAX_DEVICES)] = EmulatedSet().count
    model: Model = EmulatedSet().model
    memory: Memory = EmulatedSet().memory_mib * MIB


def _form(value: object) -> str:
    return "list" if isinstance(value, list) else "word"


Devices = Annotated[
    Annotated[list[ListedDevice], Field(max_length=MAX_DEVICES), Tag("list")]
    | Annotated[Literal["auto", "none"], Tag("word")],
    Discriminator(_form),
]


class Override(_Fields):
    """All that the file may say. `cpu` in milli-cores and `memory` in bytes are handed out as they
    are written: no reserve, no overcommit."""

    node: Name | None = None
    cpu: Cores | None = None
    memory: Memory | None = None
    devices: Devices = "auto"
    emulated: EmulatedFields | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.emulated is not None and self.devices != "auto":
            raise ValueError("emulated has a meaning with devices: auto only")
        if isinstance(self.devices, list):
            twice = [id_ for id_, count in Counter(d.id for d in self.devices).items() if count > 1]
            if twice:
                raise ValueError(f"devices: the id {twice[0]!r} is there twice")
        return self

    @property
    def emulated_set(self) -> EmulatedSet:
        fields = self.emulated or EmulatedFields()
        return EmulatedSet(fields.count, fields.model, fields.memory // MIB)


def load_override(path: Path) -> Override:
    """The file as it is now; a missing one says nothing. BadSetup names file, line and field."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        return Override()
    except OSError as error:
        raise BadSetup(f"{path} cannot be read: {error.strerror}", next=_NEXT) from error
    if len(raw) > MAX_FILE_BYTES:
        raise BadSetup(f"{path} is larger than {format_bytes(MAX_FILE_BYTES)}", next=_NEXT)
    try:
        return parse_override(raw.decode("utf-8-sig"), str(path))
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise BadSetup(f"{path}, line {line}: it is not UTF-8 text", next=_NEXT) from error


def parse_override(text: str, place: str) -> Override:
    """As `load_override`, of a text; `place` stands for the file in errors."""
    try:
        document = parse(text)
    except Mistake as mistake:
        where = f"{place}, line {mistake.line}" if mistake.line else place
        raise BadSetup(f"{where}: {mistake.message}", next=_NEXT) from mistake
    value: object = {} if document.value is None else document.value
    if not isinstance(value, dict):
        raise BadSetup(f"{place}: it is not a mapping of fields to values", next=_NEXT)
    try:
        return Override.model_validate(value)
    except ValidationError as error:
        first, *others = error.errors(include_url=False, include_input=False)
        path = [part for part in first["loc"] if part not in ("list", "word")]
        where = f"{place}, line {document.line_of(path)}"
        more = f" (mistakes in all: {len(others) + 1})" if others else ""
        field = f"{_short(_dotted(path))}: " if path else ""
        raise BadSetup(f"{where}: {field}{_short(_words(first))}{more}", next=_NEXT) from error


def _short(text: str) -> str:
    """What the file says may be long; an error is not."""
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 20]}…{text[-19:]}"


def _dotted(path: list[str | int]) -> str:
    """``["devices", 0, "memory"]`` → ``devices[0].memory``."""
    return "".join(
        f"[{part}]" if isinstance(part, int) else f".{part}" for part in path
    ).removeprefix(".")


def _words(error: ErrorDetails) -> str:
    match error["type"]:
        case "extra_forbidden":
            return "there is no such field"
        case "missing":
            return "it is missing"
        case "string_pattern_mismatch":
            return "use letters, digits and . _ : -, and no more than 100 characters"
        case "model_type" | "model_attributes_type":
            return "it is not a mapping of fields to values"
        case _:
            return error["msg"].removeprefix("Value error, ")


@dataclass(frozen=True, slots=True)
class _Stamp:
    """What changes when a file does."""

    modified_ns: int
    size: int
    inode: int


class OverrideFile:
    """The override, read again when its file changes."""

    def __init__(self, path: Path | None) -> None:
        """None: there is no file. Raises BadSetup if there is one and it is wrong."""
        self._path = path
        self._stamp = self._stat()
        self._good = load_override(path) if path else Override()
        self.warning = ""

    def current(self) -> Override:
        """The last good one. Sets `warning` while the file's present text is not that."""
        stamp = self._stat()
        if self._path is not None and stamp != self._stamp:
            self._stamp = stamp
            try:
                self._good = load_override(self._path)
                self.warning = ""
            except BadSetup as error:
                self.warning = f"{error.message}. The inventory stays as it was; {error.next}."
        return self._good

    def _stat(self) -> _Stamp | None:
        try:
            found = self._path.stat() if self._path else None
        except OSError:
            return None
        return found and _Stamp(found.st_mtime_ns, found.st_size, found.st_ino)
