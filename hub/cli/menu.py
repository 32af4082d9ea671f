"""Commands on the menu: what there is, whether it would start, starting it."""

import typer

from hub.cli import views, waiting
from hub.cli.options import Answers, Json, Offer, Timeout, Wait, parse_answers, parse_timeout
from hub.cli.output import DENIED, show
from hub.client import Client


def offers(json: Json = False) -> None:
    """Show the menu with live availability."""
    with Client() as client:
        show(client.offers(), views.offers, as_json=json)


def check(offer: Offer, answers: Answers = None, json: Json = False) -> None:
    """Ask whether a launch would start now, wait or be denied. Nothing is held."""
    with Client() as client:
        verdict = client.check(offer, parse_answers(answers))
    show(verdict, views.verdict, as_json=json)
    if verdict.get("verdict") == "denied":
        raise typer.Exit(DENIED)


def run(
    offer: Offer,
    answers: Answers = None,
    name: str = typer.Option("", "--name", help="What to call it."),
    wait: Wait = False,
    timeout: Timeout = "",
    notify: bool = typer.Option(False, "--notify", help="Hold my turn and tell me."),
    json: Json = False,
) -> None:
    """Launch a line of the menu. Without --wait it returns as soon as it is queued."""
    limit_s = parse_timeout(timeout, waits=wait)
    with Client() as client:
        workload = client.launch(offer, set=parse_answers(answers), name=name, notify=notify)
        if wait:
            workload = waiting.until_running(client, workload, limit_s)
    show(workload, views.workload, as_json=json)
