"""Options that several commands share, and how what people type becomes values."""

from typing import Annotated

import typer

from catalog.errors import BadValue
from catalog.units import parse_duration

Json = Annotated[bool, typer.Option("--json", help="Print JSON alone on stdout, errors too.")]
Ref = Annotated[str, typer.Argument(metavar="ID", help="Its id, the beginning of it, or its name.")]
Offer = Annotated[str, typer.Option("--offer", metavar="ID", help="A line of the menu.")]
Answers = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="K=V", help="An answer, like gpu=1/4 or duration=2h. Repeat it."),
]
Wait = Annotated[bool, typer.Option("--wait", help="Wait until it is done, showing progress.")]
Timeout = Annotated[
    str,
    typer.Option("--timeout", metavar="S", help="Stop waiting after this: seconds, or like 5m."),
]
Cursor = Annotated[str, typer.Option("--cursor", help="Go on where the last page said it ended.")]
Limit = Annotated[int, typer.Option("--limit", min=1, max=1000, help="How many at the most.")]


def parse_answers(pairs: list[str] | None) -> dict[str, str]:
    """``["gpu=1/4"]`` → ``{"gpu": "1/4"}``. Raises BadValue naming the pair."""
    answers: dict[str, str] = {}
    for pair in pairs or []:
        name, equals, value = pair.partition("=")
        if not (name.strip() and equals):
            raise BadValue(f"--set {pair}: this is not K=V", next="write it like --set gpu=1/4")
        if name.strip() in answers:
            raise BadValue(f"--set {name.strip()} is given twice", next="give it once")
        answers[name.strip()] = value.strip()
    return answers


def parse_seconds(text: str, option: str) -> float:
    """``"90"`` or ``"1m30s"`` → 90.0. Raises BadValue naming the option."""
    try:
        if text.isascii() and text.replace(".", "", 1).isdigit():
            return float(text)
        return parse_duration(text).total_seconds()
    except BadValue as error:
        raise BadValue(f"{option}: {error.message}", next="write it like 90 or 5m") from error


def parse_timeout(text: str, *, waits: bool) -> float | None:
    """The time to wait for, or None for as long as it takes. Raises BadValue."""
    if not text:
        return None
    if not waits:
        raise BadValue("--timeout without --wait waits for nothing", next="add --wait")
    return parse_seconds(text, "--timeout")
