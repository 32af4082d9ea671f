"""How the command line answers: tables for people, JSON for programs, errors for both."""

import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from catalog.errors import (
    BadValue,
    NotSignedIn,
    PerijoveError,
    Refused,
    Unavailable,
)
from hub.cli.words import alternatives, plain

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

DONE, FAILED, BAD_USAGE, DENIED, TIMED_OUT, UNREACHABLE, INTERRUPTED = 0, 1, 2, 3, 4, 5, 130
_PIPED_WIDTH = 4096
"""Wide enough that a line which a program reads is never wrapped."""


class BadUsage(BadValue):
    """The command line cannot be understood."""

    code = "bad-usage"


@dataclass(frozen=True, slots=True)
class Screen:
    """Where a view draws: the console, and the local time to speak of."""

    console: "Console"
    now: datetime

    def line(self, text: str, style: str = "") -> None:
        """One line, shown as it is: no markup, no control characters."""
        self.console.print(
            plain(text), style=style or None, markup=False, highlight=False, soft_wrap=True
        )

    def table(self, headers: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """A table; where nobody looks it has no lines, no colours and no limit of width."""
        self.console.print(_table(headers, rows, drawn=self.console.is_terminal))

    def facts(self, pairs: Sequence[tuple[str, object]]) -> None:
        """Names with their values, the empty ones left out."""
        shown = [(name, value) for name, value in pairs if value not in {"", None}]
        width = max((len(name) for name, _ in shown), default=0)
        for name, value in shown:
            self.line(f"{name:<{width}}  {value}")


def show(data: Any, draw: Callable[[Screen, Any], None], *, as_json: bool) -> None:
    """Print `data` as JSON, or let `draw` show it. Raises Unavailable when a field is missing."""
    if as_json:
        print(json.dumps(data, indent=2, default=str))
        return
    try:
        draw(screen(), data)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise Unavailable(
            f"the server's answer is not what this version expects: {error!r}",
            next="compare `perijove version` here and on the server",
            code="not-the-api",
        ) from error


def print_line(data: Any) -> None:
    """One line of JSON, at once: for answers that go on."""
    print(json.dumps(data, default=str), flush=True)


def screen() -> Screen:
    """The terminal, or the pipe."""
    from rich.console import Console

    console = Console() if sys.stdout.isatty() else Console(width=_PIPED_WIDTH, no_color=True)
    return Screen(console, datetime.now().astimezone())


def note(text: str) -> None:
    """A line beside the answer, for a person only."""
    print(plain(text), file=sys.stderr, flush=True)


def report(error: PerijoveError, *, as_json: bool) -> int:
    """Say what went wrong and what helps; returns the exit code."""
    if as_json:
        print(json.dumps({"error": error.as_dict() | _details(error)}, indent=2, default=str))
    else:
        note(f"perijove: {error.message}")
        for line in _verdict_lines(error):
            note(f"  would start now: {line}")
        if error.next:
            note(f"  → {error.next}")
    return exit_code(error)


def exit_code(error: PerijoveError) -> int:
    """The exit code that stands for an error."""
    if error.detail_code == "timeout":
        return TIMED_OUT
    match error:
        case Refused():
            return DENIED
        case BadValue():
            return BAD_USAGE
        case NotSignedIn() | Unavailable():
            return UNREACHABLE
        case _:
            return FAILED


def close_stdout() -> None:
    """After the reader of a pipe went away: let the interpreter flush into nothing."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _details(error: PerijoveError) -> dict[str, Any]:
    """What a program can use of an error beside its words."""
    return {name: getattr(error, name) for name in ("verdict", "workload") if hasattr(error, name)}


def _verdict_lines(error: PerijoveError) -> list[str]:
    try:
        return list(alternatives(getattr(error, "verdict", {})))
    except (AttributeError, KeyError, TypeError):
        return []  # the reason is said already; a half Verdict adds nothing


def _table(headers: Sequence[str], rows: Sequence[Sequence[object]], *, drawn: bool) -> "Table":
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(
        box=box.SIMPLE_HEAD if drawn else None, header_style="bold" if drawn else "", pad_edge=drawn
    )
    for header in headers:
        table.add_column(Text(header), overflow="fold", no_wrap=not drawn)
    for row in rows:
        table.add_row(*(Text(" ".join(plain(cell).split())) for cell in row))
    return table
