"""Commands for reservations: capacity held for lab hours or a date."""

import os
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from catalog.errors import BadValue
from hub.cli import words
from hub.cli.options import Answers, Cursor, Json, parse_answers
from hub.cli.output import FAILED, Screen, note, show
from hub.client import Client
from hub.client.api import Page
from hub.client.errors import Json as Document

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_ZONES = "zoneinfo/"

reservation = typer.Typer(
    help="Hold capacity for lab hours or a date: look, reserve, cancel, give up a window.",
    no_args_is_help=True,
)

Id = Annotated[str, typer.Argument(metavar="ID", help="The id of a reservation.")]


@reservation.command("list")
def reservation_list(
    state: Annotated[
        Literal["active", "ended", "all"], typer.Option("--state", help="Which ones.")
    ] = "active",
    cursor: Cursor = "",
    json: Json = False,
) -> None:
    """List reservations that you may use or administer, each with its next window."""
    with Client() as client:
        page = client.reservations(state, cursor)
    show(page, _listed, as_json=json)
    if page["next"] and not json:
        note(f"there are more: add --cursor {page['next']}")


@reservation.command("add")
def reservation_add(  # noqa: PLR0913 (an option for each part of a reservation)
    name: Annotated[str, typer.Argument(metavar="NAME", help="What people call it.")],
    *,
    day: Annotated[str, typer.Option("--day", help="The day, or the first, like 2026-02-28.")],
    at: Annotated[str, typer.Option("--at", help="When it begins, by the local clock: 09:00.")],
    length: Annotated[str, typer.Option("--for", help="How long a window is, like 2h.")],
    count: Annotated[int, typer.Option("--count", help="How many places are held.")] = 1,
    offer: Annotated[
        str, typer.Option("--offer", metavar="ID", help="Each place is like this line of the menu.")
    ] = "",
    set_: Answers = None,
    gpu: Annotated[str, typer.Option("--gpu", help="Instead of an offer, like 1/4 or 2.")] = "",
    cpu: Annotated[str, typer.Option("--cpu", help="Instead of an offer, like 2.")] = "",
    memory: Annotated[str, typer.Option("--memory", help="Instead of an offer, like 8Gi.")] = "",
    model: Annotated[
        list[str] | None, typer.Option("--model", help="A GPU model that will do. Repeat it.")
    ] = None,
    whole_node: Annotated[
        bool, typer.Option("--whole-node", help="Each place is a node that nobody shares.")
    ] = False,
    until: Annotated[str, typer.Option("--until", metavar="DAY", help="The last day.")] = "",
    on: Annotated[
        str, typer.Option("--on", metavar="DAYS", help="Every week on these, like mon,wed.")
    ] = "",
    zone: Annotated[
        str, typer.Option("--zone", help="Whose clocks count; else this machine's.")
    ] = "",
    tenant: Annotated[
        str, typer.Option("--tenant", help="Whose people may use it; else yours.")
    ] = "",
    no_show: Annotated[
        str, typer.Option("--no-show", help="A window to which nobody came is given up after this.")
    ] = "15m",
    lend_margin: Annotated[
        str,
        typer.Option("--lend-margin", help="Work on lent places is told to go so long before."),
    ] = "15m",
    check: Annotated[
        bool, typer.Option("--check", help="Show windows and conflicts only; nothing is held.")
    ] = False,
    json: Json = False,
) -> int | None:
    """Hold places for a tenant: on one day, or with --on every week until a last day.

    All windows are held, or none: a conflict names the window and the nearest free one. Until
    shortly before a window its places are lent to work that can be told to go.

    Like: reservation add Lab --count 20 --offer gpu-eighth --day 2026-02-02 --at 09:00 --for 2h
    """
    body = {
        "name": name, "tenant": tenant, "count": count, "offer": offer, "gpu": gpu, "cpu": cpu,
        "set": parse_answers(set_), "memory": memory, "models": model or [],
        "whole_node": whole_node, "first_day": day, "last_day": until,
        "weekdays": _weekdays(on), "starts": at, "length": length,
        "time_zone": zone or _zone_here(), "no_show": no_show, "lend_margin": lend_margin,
    }  # fmt: skip
    with Client() as client:
        if check:
            answer = client.check_reservation(body)
            show(answer, _checked, as_json=json)
            return None if answer["possible"] else FAILED
        show(client.reserve(body), _one, as_json=json)
    return None


@reservation.command("show")
def reservation_show(id: Id, json: Json = False) -> None:
    """Show one reservation with all its windows."""
    with Client() as client:
        show(client.reservation(id), _one, as_json=json)


@reservation.command("cancel")
def reservation_cancel(id: Id, json: Json = False) -> None:
    """Hold nothing of it any more. What runs goes on."""
    with Client() as client:
        answer = client.cancel_reservation(id)
    show(answer, lambda to, one: to.line(f"{one['name']} is cancelled"), as_json=json)


@reservation.command("release")
def reservation_release(
    id: Id,
    start: Annotated[
        str, typer.Argument(metavar="WINDOW", help="Its id, or its beginning with a time zone.")
    ],
    json: Json = False,
) -> None:
    """Give up one window, ahead or begun. What runs goes on."""
    with Client() as client:
        show(client.release_window(id, start), _one, as_json=json)


def _weekdays(text: str) -> list[str]:
    days = [day.strip().lower() for day in text.split(",") if day.strip()]
    if wrong := [day for day in days if day[:3] not in _DAYS]:
        raise BadValue(f"--on: {wrong[0]!r} is not a day", next=f"name of {', '.join(_DAYS)}")
    return list(dict.fromkeys(day[:3] for day in days))


def _zone_here() -> str:
    """The time zone of this machine by its name; UTC where it has none."""
    named = os.environ.get("TZ", "").lstrip(":")
    if named:
        return named
    link = str(Path("/etc/localtime").resolve())
    return link.partition(_ZONES)[2] or "UTC"


def _listed(screen: Screen, page: Page) -> None:
    screen.table(
        ("ID", "NAME", "FOR", "PLACES", "NEXT WINDOW", "STATE", "WINDOWS LEFT"),
        [
            (
                one["id"], one["name"], one["tenant_name"], f"{one['count']} × {one['unit']}",
                *_next(one), one["ahead"],
            )
            for one in page["items"]
        ],
    )  # fmt: skip


def _next(one: Document) -> tuple[str, str]:
    if not one["windows"]:
        return "", "over"
    window = one["windows"][0]
    return window["text"], "cancelled" if one["cancelled_at"] else window["state"]


def _one(screen: Screen, one: Document) -> None:
    screen.facts(
        [
            ("id", one["id"]),
            ("name", one["name"]),
            ("for", one["tenant_name"]),
            ("places", f"{one['count']} × {one['unit']}"),
            ("when", _when(one)),
            ("given up", f"{one['no_show']} after the beginning, if nobody came"),
            ("lent", f"until {one['lend_margin']} before the beginning"),
            ("by", one["created_by"]),
            ("cancelled", words.moment(one["cancelled_at"], screen.now)),
        ]
    )
    screen.table(
        ("WINDOW", "WHEN", "STATE", "HELD", "USED", "MISSING", "WHY"),
        [
            (w["id"], w["text"], w["state"], w["held"], w["used"], w["short"] or "", w["reason"])
            for w in one["windows"]
        ],
    )


def _when(one: Document) -> str:
    days = ", ".join(one["weekdays"])
    on = f"{days}, {one['first_day']} to {one['last_day']}" if days else one["first_day"]
    return f"{on} at {one['starts']} for {one['length']} ({one['time_zone']})"


def _checked(screen: Screen, answer: Document) -> None:
    held = {conflict["window"]["id"]: conflict for conflict in answer["conflicts"]}
    screen.line(
        f"{answer['count']} × {answer['unit']} can be held"
        if answer["possible"]
        else f"{len(held)} of {len(answer['windows'])} windows cannot be held",
        "green" if answer["possible"] else "red",
    )
    screen.table(
        ("WHEN", "", "NEAREST FREE", "WHY NOT"),
        [_window_row(window, held.get(window["id"])) for window in answer["windows"]],
    )


def _window_row(window: Document, conflict: dict[str, Any] | None) -> tuple[str, str, str, str]:
    if conflict is None:
        return window["text"], "free", "", ""
    nearest = conflict["nearest"]["text"] if conflict["nearest"] else "none near"
    return window["text"], "taken", nearest, conflict["text"].partition(": ")[2]
