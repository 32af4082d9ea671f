"""Amounts of limits as people write them."""

from catalog.errors import BadValue
from catalog.units import parse_bytes, parse_credits, parse_milli
from quotas.limits import Dimension

MOST = 2**62
"""In base units; what is above is a mistake."""


def parse_amount(dimension: Dimension, text: str) -> int:
    """``"1/2"`` of gpu → 500, ``"8Gi"`` of memory → bytes, ``"20"`` of gpu-hours → milli-GPU ×
    seconds. Raises BadValue."""
    match dimension:
        case Dimension.MEMORY | Dimension.STORAGE:
            amount = parse_bytes(text)
        case Dimension.GPU_HOURS:
            amount = parse_milli(text) * 3600
        case Dimension.CREDITS:
            amount = parse_credits(text)
        case Dimension.WORKLOADS | Dimension.TOKENS:
            if not (text.isascii() and text.isdecimal()):
                raise BadValue(f"limit: {text!r} is not a whole number", next="write it like 5")
            amount = int(text)
        case Dimension.GPU | Dimension.CPU:
            amount = parse_milli(text)
    if not 0 <= amount < MOST:
        raise BadValue(f"limit: {text} is absurd", next="use a smaller number, or null for none")
    return amount


def write_amount(dimension: Dimension, amount: int) -> str:
    """What `parse_amount` reads as `amount`: 250 of gpu → ``"0.25"``. GPU-hours that are no whole
    thousandths, which nobody can write, lose what is below."""
    match dimension:
        case Dimension.MEMORY | Dimension.STORAGE:
            return _bytes(amount)
        case Dimension.GPU_HOURS:
            return _fixed(amount // 3600, 3)
        case Dimension.CREDITS:
            return _fixed(amount, 6)
        case Dimension.WORKLOADS | Dimension.TOKENS:
            return str(amount)
        case Dimension.GPU | Dimension.CPU:
            return _fixed(amount, 3)


def _fixed(amount: int, places: int) -> str:
    whole, part = divmod(amount, 10**places)
    return f"{whole}.{part:0{places}d}".rstrip("0").rstrip(".") if part else str(whole)


def _bytes(amount: int) -> str:
    for power, unit in ((4, "Ti"), (3, "Gi"), (2, "Mi"), (1, "Ki")):
        if amount and amount % 1024**power == 0:
            return f"{amount // 1024**power}{unit}"
    return str(amount)
