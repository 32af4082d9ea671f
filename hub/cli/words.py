"""What the command line says of a Verdict, a workload, a share or a time; pure functions."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta

from catalog.units import MIB, format_bytes, format_duration, format_gpu
from hub.client.errors import Json

_SEQUENCES = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|.)")
_STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def plain(text: object) -> str:
    """Text that cannot move the cursor, colour the terminal or reverse what follows."""
    return _CONTROLS.sub("", _SEQUENCES.sub("", str(text)))


def share(held: Json) -> str:
    """``1/4 GPU · 6 GiB, emulated``; nothing for none."""
    if not held["milli"]:
        return "no GPU"
    memory = f" · {format_bytes(held['memory_mib'] * MIB)}" if held["memory_mib"] else ""
    return format_gpu(held["milli"]) + memory + (", emulated" if held["emulated"] else "")


def of(held: int, total: int) -> str:
    """Bytes of bytes: ``1.5 GiB of 8 GiB``."""
    return f"{format_bytes(held)} of {format_bytes(total)}"


def moment(stamp: str | None, now: datetime) -> str:
    """RFC 3339 → the local time, with the date unless it is today."""
    if not stamp:
        return ""
    at = datetime.fromisoformat(stamp).astimezone(now.tzinfo)
    return at.strftime("%H:%M" if at.date() == now.date() else "%Y-%m-%d %H:%M")


def time_left(stamp: str | None, now: datetime) -> str:
    """How long until `stamp`, as ``1h12m``."""
    if not stamp:
        return ""
    left = datetime.fromisoformat(stamp) - now
    return format_duration(left) if left > timedelta(0) else "ending"


def verdict(answer: Json, now: datetime) -> str:
    """``waits: position 2 · starts by 14:05 · every device is held``."""
    parts = [*_place_in_queue(answer, now), answer["reason"]]
    return f"{answer['verdict']}: " + " · ".join(part for part in parts if part)


def progress(workload: Json, now: datetime) -> str:
    """Where a workload is, in the words of its Verdict while it waits, of its steps later."""
    parts = [] if workload["status"] != "queued" else list(_place_in_queue(workload, now))
    step = workload.get("progress")
    if step:
        parts.append(f"{step['text']} ({step['done']} of {step['of']})")
    if workload["status"] == "offered":
        until = moment(workload.get("offered_until"), now)
        parts.append(f"your turn until {until}: perijove accept {workload['id']}")
    if workload.get("again"):
        parts.append(f"waits again: {workload['again']}")
    said = " · ".join(part for part in (*parts, going(workload, now), workload["reason"]) if part)
    return f"{workload['status']}: {said}" if said else workload["status"]


def going(workload: Json, now: datetime) -> str:
    """``goes at 14:05: its place goes to …`` of what was told to go; empty for all else."""
    if not workload.get("goes_at"):
        return ""
    return f"goes at {moment(workload['goes_at'], now)}: {workload['goes_why']}"


def idle(workload: Json, now: datetime) -> str:
    """``idle since 12:10, stops at 14:05`` of what nothing happens in; empty for all else."""
    if not workload.get("idle_stop_at"):
        return ""
    since, stops = (moment(workload[name], now) for name in ("active_at", "idle_stop_at"))
    return f"idle since {since}, stops at {stops}"


def alternatives(answer: Json) -> Iterator[str]:
    """Each thing that would start now, with the command that starts it."""
    for other in answer.get("alternatives") or []:
        answers = "".join(f" --set {name}={value}" for name, value in other["set"].items())
        text = other.get("text") or other["offer"]
        price = other["price"]["per_hour"]
        yield f"{text} ({price}/h): perijove run --offer {other['offer']}{answers}"


def where_or_why(workload: Json, now: datetime) -> str:
    """The address of what runs, and when it must go; the reason of what does not run."""
    if workload["status"] != "running":
        return workload["reason"]
    parts = (going(workload, now), idle(workload, now), workload["url"])
    return " · ".join(part for part in parts if part)


def answers(given: Json) -> str:
    """``gpu=1/4 duration=2h``."""
    return " ".join(f"{name}={value}" for name, value in given.items())


def facts(told: Json, now: datetime) -> str:
    """``amount: 5.00 credits · from: 14:05``: times as this machine's clock shows them."""
    return " · ".join(f"{name}: {_moment_or_text(text, now)}" for name, text in told.items())


def _moment_or_text(text: str, now: datetime) -> str:
    """Somebody may have written what only looks like a time."""
    if not _STAMP.fullmatch(text):
        return text
    try:
        return moment(text, now)
    except (ValueError, OverflowError):
        return text


def _place_in_queue(answer: Json, now: datetime) -> Iterator[str]:
    if answer.get("position") is not None:
        yield f"position {answer['position']}"
    if answer.get("starts_at"):
        yield f"starts by {moment(answer['starts_at'], now)}"
