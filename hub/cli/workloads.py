"""Commands on my workloads."""

import time
from collections.abc import Iterator

import typer

from hub.cli import views, waiting
from hub.cli.options import (
    Answers,
    Cursor,
    Json,
    Limit,
    Ref,
    Timeout,
    Wait,
    parse_answers,
    parse_timeout,
)
from hub.cli.output import note, print_line, screen, show
from hub.cli.words import plain
from hub.client import Client, has_ended

FOLLOW_EVERY_S = 1.0
_FOLLOW_LINES = 1000


def ps(
    every: bool = typer.Option(False, "--all", help="Also what has ended."),
    limit: Limit = 100,
    cursor: Cursor = "",
    json: Json = False,
) -> None:
    """List my workloads."""
    with Client() as client:
        page = client.workloads("all" if every else "active", cursor=cursor, limit=limit)
    show(page, views.workloads, as_json=json)
    if page["next"] and not json:
        note(f"there are more: add --cursor {page['next']}")


def attach(
    ref: Ref,
    browser: bool = typer.Option(False, "--open", help="Open it in a browser."),
    timeout: Timeout = "",
    json: Json = False,
) -> None:
    """Wait until it runs, then print its address."""
    limit_s = parse_timeout(timeout, waits=True)
    with Client() as client:
        workload = waiting.until_running(client, client.find(ref), limit_s)
    show(workload, lambda to, one: to.line(one["url"]), as_json=json)
    if browser and workload["url"].startswith(("http://", "https://")):
        import webbrowser

        webbrowser.open(workload["url"])


def stop(ref: Ref, wait: Wait = False, timeout: Timeout = "", json: Json = False) -> None:
    """End it; what was held and not used comes back."""
    limit_s = parse_timeout(timeout, waits=wait)
    with Client() as client:
        workload = client.stop(client.find(ref)["id"])
        if wait:
            workload = waiting.until_ended(client, workload, limit_s)
    show(workload, views.workload, as_json=json)


def extend(
    ref: Ref,
    by: str = typer.Option("1h", "--by", metavar="TIME", help="How much longer, like 30m."),
    json: Json = False,
) -> None:
    """Make its lease longer, where nobody waits for its place."""
    with Client() as client:
        show(client.extend(client.find(ref)["id"], by), views.workload, as_json=json)


def relaunch(
    ref: Ref,
    answers: Answers = None,
    wait: Wait = False,
    timeout: Timeout = "",
    json: Json = False,
) -> None:
    """Launch the same again, with other answers if you like."""
    limit_s = parse_timeout(timeout, waits=wait)
    changed = parse_answers(answers)
    with Client() as client:
        workload = client.relaunch(client.find(ref)["id"], set=changed)
        if wait:
            workload = waiting.until_running(client, workload, limit_s)
    show(workload, views.workload, as_json=json)


def accept(ref: Ref, json: Json = False) -> None:
    """Take the turn that is held for it."""
    with Client() as client:
        show(client.accept(client.find(ref)["id"]), views.workload, as_json=json)


def logs(
    ref: Ref,
    follow: bool = typer.Option(False, "--follow", "-f", help="Go on until it ends."),
    tail: int = typer.Option(200, "--tail", min=1, max=10_000, help="How many lines."),
    json: Json = False,
) -> None:
    """Show what it printed. With --follow and --json: one JSON object a line."""
    with Client() as client:
        id_ = client.find(ref)["id"]
        if not follow:
            show({"text": client.logs(id_, tail=tail)}, _print_text, as_json=json)
            return
        for text in _new_text(client, id_, tail):
            if json:
                print_line({"text": text})
            else:
                print(plain(text), end="", flush=True)


def events(ref: Ref, json: Json = False) -> None:
    """Show what happened to it, and what happens until it ends. With --json: one event a line."""
    with Client() as client:
        view = screen()
        for event in client.events(client.find(ref)["id"]):
            if json:
                print_line(event)
            else:
                show(event, lambda _, line: views.event(view, line), as_json=False)


def _print_text(_: object, answer: dict[str, str]) -> None:
    text = plain(answer["text"])
    print(text, end="" if text.endswith("\n") or not text else "\n")


def _new_text(client: Client, id_: str, tail: int) -> Iterator[str]:
    """The last `tail` lines that it printed, then what it prints, until it ended."""
    # Always the same number of lines: only then do two answers overlap in one way.
    lines = max(tail, _FOLLOW_LINES)
    seen = client.logs(id_, tail=lines)
    yield "".join(seen.splitlines(keepends=True)[-tail:])
    ended = False
    while not ended:
        time.sleep(FOLLOW_EVERY_S)
        # Asked before the text: what is printed between the two is still read.
        ended = has_ended(client.workload(id_))
        text = client.logs(id_, tail=lines)
        if fresh := added(seen, text):
            yield fresh
        seen = text


def added(before: str, after: str) -> str:
    """What `after` has beyond `before`: the last lines of one growing text, asked for twice."""
    start = 0
    while start < len(before):
        if after.startswith(before[start:]):
            return after[len(before) - start :]
        # The first line has scrolled away.
        start = before.find("\n", start) + 1 or len(before)
    return after
