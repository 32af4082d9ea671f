"""Quantities that know their unit: parsed at the edge, whole numbers of base units inside.

========== ============================== =======================
quantity   base unit inside               written by people
========== ============================== =======================
memory     bytes                          ``"2Gi"``, ``"512Mi"``
cpu        thousandths of a core          ``2``, ``0.5``, ``"500m"``
GPU        thousandths of a device        ``"1/4"``, ``0.25``, ``"250m"``
money      millionths of a credit         ``"0.25"``
duration   ``datetime.timedelta``         ``"2h30m"``, ``"90s"``
========== ============================== =======================
"""

import re
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from fractions import Fraction

from catalog.errors import BadValue

KIB, MIB, GIB, TIB = 2**10, 2**20, 2**30, 2**40
WHOLE = 1000
"""Milli-GPU in a device, and milli-cpu in a core."""
MICRO = 1_000_000
"""Micro-credits in a credit."""

_BYTE_UNITS = {
    "": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12,
    "Ki": KIB, "Mi": MIB, "Gi": GIB, "Ti": TIB,
}  # fmt: skip
_BYTES = re.compile(r"(\d{1,17}(?:\.\d{1,6})?)\s*([KMGT]i?)?B?")
_DURATION = re.compile(r"(?:(\d{1,4})d)?(?:(\d{1,6})h)?(?:(\d{1,7})m)?(?:(\d{1,9})s)?")


def parse_bytes(text: str | float) -> int:
    """``"80Gi"`` → bytes; a bare number is bytes already. Raises `BadValue`."""
    if isinstance(text, bool):
        raise BadValue(f"{text!r} is not a size", next="write it like 2Gi or 512Mi")
    if isinstance(text, int):
        if abs(text) >= 10**18:
            raise BadValue("that is not a size: it has too many digits", next="write it like 2Gi")
        return _not_negative(text, text)
    match = _BYTES.fullmatch(str(text).strip())
    if match is None:
        raise BadValue(f"{str(text)[:40]!r} is not a size", next="write it like 2Gi or 512Mi")
    number, unit = match.groups()
    return int(Decimal(number) * _BYTE_UNITS[unit or ""])


def parse_milli(text: str | float) -> int:
    """``"1/4"``, ``0.25`` or ``"250m"`` → 250, exactly: what does not come out even is refused."""
    if isinstance(text, bool):
        raise BadValue(f"{text!r} is not a quantity", next="write it like 0.25, 1/4 or 250m")
    raw = str(text).strip()
    if len(raw) > 20 or "e" in raw.lower():  # no exponents: Fraction would build the power of ten
        raise BadValue(f"{raw[:20]!r} is not a quantity", next="write it like 0.25, 1/4 or 250m")
    try:
        value = Fraction(raw[:-1]) if raw.endswith("m") else Fraction(raw) * WHOLE
    except (ValueError, ZeroDivisionError) as error:
        raise BadValue(
            f"{text!r} is not a quantity", next="write it like 0.25, 1/4 or 250m"
        ) from error
    if value.denominator != 1:
        raise BadValue(f"{text!r} is finer than a thousandth", next="use a multiple of 0.001")
    return _not_negative(int(value), text)


def parse_credits(text: str | float) -> int:
    """``"0.25"`` → 250000 micro-credits, exactly. Raises `BadValue`."""
    raw = str(text).strip()
    if len(raw) > 25 or "e" in raw.lower():  # so short that Decimal computes it exactly
        raise BadValue(f"{raw[:25]!r} is not an amount", next="write it like 0.25")
    try:
        value = Decimal(raw) * MICRO
    except InvalidOperation as error:
        raise BadValue(f"{text!r} is not an amount", next="write it like 0.25") from error
    if not value.is_finite() or abs(value) >= 10**18 or value != value.to_integral_value():
        raise BadValue(f"{text!r} is not an amount", next="use at most six decimals")
    return int(value)


def format_credits(micro: int) -> str:
    """250000 → ``"0.25"``: exact, at least two decimals, no exponent."""
    sign = "-" if micro < 0 else ""
    whole, rest = divmod(abs(micro), MICRO)
    return f"{sign}{whole}.{f'{rest:06d}'.rstrip('0'):0<2}"


def parse_duration(text: str) -> timedelta:
    """``"2h30m"`` → timedelta. Raises `BadValue`."""
    raw = str(text).strip()
    match = _DURATION.fullmatch(raw)
    if not raw or match is None:
        raise BadValue(f"{raw[:25]!r} is not a duration", next="write it like 2h30m, 45m or 1d")
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)


def format_duration(span: timedelta) -> str:
    """5400 s → ``"1h30m"``, with the two leading units at the most; never negative."""
    seconds = max(0, round(span.total_seconds()))
    parts = [
        (seconds // 86400, "d"),
        (seconds // 3600 % 24, "h"),
        (seconds // 60 % 60, "m"),
        (seconds % 60, "s"),
    ]
    shown = [f"{count}{unit}" for count, unit in parts if count][:2]
    return "".join(shown) or "0s"


def format_bytes(count: int) -> str:
    """Rounded for people: 1610612736 → ``"1.5 GiB"``."""
    for unit, name in ((TIB, "TiB"), (GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")):
        if count >= unit:
            return f"{count / unit:.1f}".removesuffix(".0") + f" {name}"
    return f"{count} B"


def format_gpu(milli: int) -> str:
    """250 → ``"1/4 GPU"``; 2000 → ``"2 GPUs"``; 300 → ``"0.3 GPU"``."""
    part = Fraction(milli, WHOLE)
    if part.denominator == 1:
        return f"{part} GPU" + ("" if part == 1 else "s")
    if part < 1 and part.numerator == 1:
        return f"{part} GPU"
    return f"{milli / WHOLE:g} GPU"


def format_cpu(milli: int) -> str:
    """500 → ``"0.5 CPU"``."""
    return f"{milli / WHOLE:g} CPU"


def _not_negative(value: int, text: object) -> int:
    if value < 0:
        raise BadValue(f"{text!r} is negative", next="use a number of zero or more")
    return value
