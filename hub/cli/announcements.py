"""Commands for announcements: tell everybody of a tenant something, see what is told, take it back."""

from typing import Annotated, Literal

import typer

from hub.cli import words
from hub.cli.options import Cursor, Json
from hub.cli.output import Screen, note, show
from hub.client import Client
from hub.client.api import Page

announcement = typer.Typer(
    help="What people are told in the portal and in their notebooks.", no_args_is_help=True
)


def announce(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="Plain text, as people read it.")],
    tenant: Annotated[
        str, typer.Option("--tenant", metavar="ID", help="Whose people: a course, or main for all.")
    ] = "main",
    level: Annotated[
        Literal["info", "warning"], typer.Option("--level", help="How urgent it looks.")
    ] = "info",
    begins: Annotated[
        str, typer.Option("--from", metavar="TIME", help="Not before, like 2026-12-01T09:00.")
    ] = "",
    ends: Annotated[
        str, typer.Option("--until", metavar="TIME", help="Not after; else a day long.")
    ] = "",
    json: Json = False,
) -> None:
    """Tell everybody of a tenant and below, in the portal and in their notebooks."""
    body = {
        "tenant": tenant, "text": text, "level": level, "starts_at": begins, "ends_at": ends,
    }  # fmt: skip
    with Client() as client:
        answer = client.announce(body)
    said = f"{answer['id']} to {answer['tenant_name']}, {answer['state']}"
    show(answer, lambda to, _: to.line(said), as_json=json)


@announcement.command("list")
def announcement_list(
    tenant: Annotated[
        str, typer.Option("--tenant", metavar="ID", help="To people of this one and below.")
    ] = "",
    state: Annotated[
        Literal["", "on", "scheduled", "over", "all"],
        typer.Option("--state", help="on, scheduled, over or all: to people that you may tell."),
    ] = "",
    cursor: Cursor = "",
    json: Json = False,
) -> None:
    """List what is announced to you; with --state or --tenant, what you may announce."""
    with Client() as client:
        page = client.announcements(tenant=tenant, state=state, cursor=cursor or None)
    show(page, _listed, as_json=json)
    if page["next"] and not json:
        note(f"there are more: add --cursor {page['next']}")


@announcement.command("withdraw")
def announcement_withdraw(
    id: Annotated[str, typer.Argument(metavar="ID", help="The id of an announcement.")],
    json: Json = False,
) -> None:
    """Let nobody see it any more."""
    with Client() as client:
        answer = client.withdraw_announcement(id)
    show(answer, lambda to, one: to.line(f"{one['id']} is withdrawn"), as_json=json)


def _listed(screen: Screen, page: Page) -> None:
    screen.table(
        ("ID", "TO", "STATE", "LEVEL", "FROM", "UNTIL", "TEXT"),
        [
            (
                one["id"], one["tenant_name"], one.get("state", "on"), one["level"],
                words.moment(one["starts_at"], screen.now),
                words.moment(one["ends_at"], screen.now), words.plain(one["text"]),
            )
            for one in page["items"]
        ],
    )  # fmt: skip
