"""What a check says."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warn", "bad"]


@dataclass(frozen=True, slots=True)
class Finding:
    """`name` is stable, for scripts and the handbook; `next` says what to do and is empty for ok."""

    name: str
    level: Level
    text: str
    next: str = ""


def ok(name: str, text: str) -> Finding:
    """All is well with it."""
    return Finding(name, "ok", text)


def warn(name: str, text: str, next: str) -> Finding:
    """It works, and somebody should know."""
    return Finding(name, "warn", text, next)


def bad(name: str, text: str, next: str) -> Finding:
    """It does not work until this is mended."""
    return Finding(name, "bad", text, next)
