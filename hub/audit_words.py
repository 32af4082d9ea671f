"""What the facts of an audit's line say in words of the product; pure. The line itself, which is
sealed, keeps base units."""

import contextlib
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from catalog.units import WHOLE, format_bytes, format_credits, format_duration
from hub.quota_desk import State
from hub.settings import API_SCOPE
from quotas.limits import Dimension
from quotas.periods import Period

PEOPLE = ("for", "person", "student", "visitor")
"""Facts that are ids of people."""
_NAMES = {
    "micro": "amount", "most_out": "out at once", "span_s": "each within", "seconds": "by",
    "bytes": "size", "dimension": "of what", "limit": "after",
}  # fmt: skip
"""What a fact is called, where its own name is not for people."""
_UNITS = {
    "micro": lambda amount: f"{format_credits(amount)} credits",
    "per_hour": lambda amount: f"{format_credits(amount)} credits",
    "most_out": lambda amount: f"{amount * 100 / WHOLE:g} %",
    "span_s": lambda amount: format_duration(timedelta(seconds=amount)),
    "seconds": lambda amount: format_duration(timedelta(seconds=amount)),
    "bytes": format_bytes,
}  # fmt: skip
_STATE = ("limit", "guaranteed", "period")


def told(detail: Mapping[str, Any], logins: Mapping[str, str]) -> dict[str, str]:
    """Each fact by the name and in the unit that people know; what says nothing is left out. Times
    stay RFC 3339: only who shows them knows the reader's clock. Never fails: a fact that is not as
    this version writes it is shown as it is."""
    detail = {**detail, **_limits(detail)}
    found = {_NAMES.get(k, k.replace("_", " ")): _word(k, v, logins) for k, v in detail.items()}
    return {name: text for name, text in found.items() if text}


def _limits(detail: Mapping[str, Any]) -> dict[str, Any]:
    """What is of a dimension, in words: a limit that was changed, or more that was asked for."""
    try:
        dimension = Dimension(detail["dimension"])
        found: dict[str, Any] = {"dimension": dimension.label}
        if "before" in detail:
            after = {name: detail[name] for name in _STATE if name in detail}
            return found | dict.fromkeys(_STATE, "") | {
                "before": State(**detail["before"]).text(dimension),
                "limit": State(**after).text(dimension),
            }  # fmt: skip
        each = Period(detail.get("period") or "").each
        for name in ("amount", "granted"):
            if detail.get(name) is not None:
                found[name] = dimension.show(detail[name]) + each
    except (AttributeError, KeyError, TypeError, ValueError):
        return {}
    return found | {"period": ""}


def _word(name: str, value: Any, logins: Mapping[str, str]) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) and name in _UNITS:
        with contextlib.suppress(OverflowError):
            return _UNITS[name](value)
    match value:
        case None:
            return ""
        case Mapping():
            return ", ".join(f"{k} {_word(k, v, logins)}" for k, v in value.items())
        case list():
            return ", ".join(_word("", one, logins) for one in value)
        case str() if name == "may" and value == API_SCOPE:
            return "use Perijove's API"
        case _:
            return logins.get(str(value), str(value)) if name in PEOPLE else str(value)
