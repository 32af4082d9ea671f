"""Commands for nodes and devices: look, take out of service, put back."""

from datetime import datetime, time, timedelta
from typing import Annotated

import typer

from catalog.errors import BadValue
from catalog.units import parse_duration
from hub.cli import words
from hub.cli.options import Json
from hub.cli.output import Screen, screen, show
from hub.client import Client
from hub.client.api import Page

node = typer.Typer(
    help="Nodes and devices: look, take out of service, put back.", no_args_is_help=True
)

Every = Annotated[bool, typer.Option("--all", help="Every node.")]
Name = Annotated[str, typer.Argument(metavar="[NODE]", help="Its name.")]


@node.command("list")
def node_list(json: Json = False) -> None:
    """List nodes: in service, drained, silent; and devices that fail or are in quarantine."""
    with Client() as client:
        show(client.nodes(), _nodes, as_json=json)


@node.command("drain")
def node_drain(
    name: Name = "",
    by: Annotated[
        str,
        typer.Option("--by", metavar="TIME", help="Empty by then: 18:00, 2h, 2026-11-21T18:00."),
    ] = "",
    every: Every = False,
    at_most: Annotated[
        float, typer.Option("--at-most", help="With --all: this part of the site is out at most.")
    ] = 0.25,
    each: Annotated[
        str, typer.Option("--each", help="With --all: how long each node has to become empty.")
    ] = "4h",
    reason: Annotated[str, typer.Option("--reason", help="What people are told.")] = "",
    json: Json = False,
) -> None:
    """Take a node out of service by a time; or, with --all, one after another.

    Nothing new is placed on it. What may be preempted goes as soon as there is room elsewhere; the
    rest is stopped shortly before the time and waits again. Resume it when your work on it is done:
    with --all, the next node then begins.
    """
    _one_or_all(name, every=every)
    with Client() as client:
        if every:
            show(client.drain_all(at_most, each, reason), _nodes, as_json=json)
            return
        if not by:
            raise BadValue("--by is missing", next="say when it must be empty, like --by 2h")
        answer = client.drain(name, _moment(by, screen().now), reason)
    show(
        answer,
        lambda to, one: to.line(f"{name} is empty by {words.moment(one['by'], to.now)}"),
        as_json=json,
    )


@node.command("resume")
def node_resume(name: Name = "", every: Every = False, json: Json = False) -> None:
    """Put a node back in service, or with --all every node. Work that was told to go may stay."""
    _one_or_all(name, every=every)
    with Client() as client:
        if every:
            show(client.resume_all(), _nodes, as_json=json)
        else:
            said = f"{name} is in service"
            show(client.resume(name), lambda to, _: to.line(said), as_json=json)


@node.command("release")
def node_release(
    device: Annotated[str, typer.Argument(metavar="DEVICE", help="Its id.")], json: Json = False
) -> None:
    """End the quarantine of a device on which starts failed again and again."""
    with Client() as client:
        answer = client.release_device(device)
    show(answer, lambda to, _: to.line(f"{device} is offered again"), as_json=json)


def _one_or_all(name: str, *, every: bool) -> None:
    if bool(name) == every:
        raise BadValue("say which node, or --all", next="see `perijove node list`")


def _moment(text: str, now: datetime) -> str:
    """What people type → what the API takes: ``18:00`` is the next one here."""
    try:
        clock = time.fromisoformat(text)
    except ValueError:
        return _instant(text, now)
    at = datetime.combine(now.date(), clock, now.tzinfo)
    return (at if at > now else at + timedelta(days=1)).isoformat()


def _instant(text: str, now: datetime) -> str:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        try:
            parse_duration(text)
        except BadValue as error:
            raise BadValue(
                f"--by {text}: this is neither a time nor a duration",
                next="write it like 18:00, 2h or 2026-11-21T18:00",
            ) from error
        return text
    return (at if at.tzinfo else at.replace(tzinfo=now.tzinfo)).isoformat()


def _nodes(to: Screen, page: Page) -> None:
    to.table(
        ("NODE", "STATE", "BY", "RUNNING", "WHY"),
        [
            (one["name"], one["state"], words.moment(one["by"], to.now), one["running"],
             one["closed"] or one["reason"])
            for one in page["items"]
        ],
    )  # fmt: skip
    for one in page["items"]:
        for device in one["devices"]:
            if device["health"] != "ok":
                release = f": perijove node release {device['id']}" if device["quarantined"] else ""
                said = f"{device['id']} on {one['name']} fails: {device['health_reason']}{release}"
                to.line(said, "yellow")
