"""What may be chosen in a field of an offer: bounds become a list of values people can write."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from catalog.errors import BadValue
from catalog.units import (
    KIB,
    MIB,
    format_bytes,
    format_duration,
    format_gpu,
    parse_bytes,
    parse_duration,
    parse_milli,
)

MOST = 120
"""The most values in one list."""


def choices(field: Mapping[str, Any]) -> dict[str, str]:
    """What people read → what is written into `set`; the default is always among them."""
    name = str(field["name"])
    written = list(field.get("choices") or []) or _range(field)
    if field["value"] not in written:
        written.append(str(field["value"]))
    read = _READERS[name]
    try:
        written = sorted(dict.fromkeys(written), key=read)
        return {_SHOWN[name](read(value)): value for value in written}
    except BadValue:
        return {value: value for value in dict.fromkeys(written)}


def _range(field: Mapping[str, Any]) -> list[str]:
    """From min to max by step, both ends included, each written as people write it."""
    if not (field.get("min") and field.get("max")):
        return []
    name = str(field["name"])
    read, write = _READERS[name], _WRITERS[name]
    try:
        low, high = read(field["min"]), read(field["max"])
        step = read(field["step"]) if field.get("step") else max(1, (high - low) // 8)
    except BadValue:
        return []
    step = max(step, (high - low) // MOST, 1)
    values = dict.fromkeys([*range(low, high + 1, step), high])
    return [write(value) for value in values]


def _seconds(text: str) -> int:
    return int(parse_duration(text).total_seconds())


def _write_memory(count: int) -> str:
    for unit, name in ((MIB * KIB, "Gi"), (MIB, "Mi")):
        if count % unit == 0:
            return f"{count // unit}{name}"
    return str(count)


_READERS: dict[str, Callable[[str], int]] = {
    "cpu": parse_milli, "gpu": parse_milli, "gpu_memory": parse_bytes, "gpu_count": int,
    "memory": parse_bytes, "duration": _seconds,
}  # fmt: skip
_WRITERS: dict[str, Callable[[int], str]] = {
    "cpu": lambda milli: f"{milli / 1000:g}",
    "gpu": lambda milli: f"{milli / 1000:g}",
    "gpu_memory": _write_memory,
    "gpu_count": str,
    "memory": _write_memory,
    "duration": lambda seconds: format_duration(timedelta(seconds=seconds)),
}
_SHOWN: dict[str, Callable[[int], str]] = {
    "cpu": lambda milli: f"{milli / 1000:g} " + ("core" if milli == 1000 else "cores"),
    "gpu": format_gpu,
    "gpu_memory": format_bytes,
    "gpu_count": str,
    "memory": format_bytes,
    "duration": lambda seconds: format_duration(timedelta(seconds=seconds)),
}
