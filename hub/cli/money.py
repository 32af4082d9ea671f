"""Commands on credits and prices: wallets of tenants, transfers, the price list, statements."""

import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated

import typer

from catalog.errors import BadValue
from hub.cli import words
from hub.cli.options import Json
from hub.cli.output import Screen, note, show
from hub.client import Client
from hub.client.api import Page
from hub.client.errors import Json as Document

Amount = Annotated[str, typer.Argument(metavar="CREDITS", help="How many.")]

credits_app = typer.Typer(
    invoke_without_command=True, help="Show what tenants have, give them credits, move credits."
)
price = typer.Typer(help="What the offers cost.", no_args_is_help=True)


@credits_app.callback()
def credits_list(context: typer.Context, json: Json = False) -> None:
    """Show what tenants have, give them credits, move credits."""
    if context.invoked_subcommand:
        return
    with Client() as client:
        show(client.accounts(), accounts_table, as_json=json)


@credits_app.command("grant")
def credits_grant(
    tenant: Annotated[str, typer.Argument(metavar="TENANT", help="A tenant's id.")],
    credits: Amount,  # noqa: A002 (the API's word)
    json: Json = False,
) -> None:
    """Give new credits to a tenant, to be moved to tenants below and to people."""
    with Client() as client:
        answer = client.grant_tenant(tenant, credits)
    show(answer, lambda to, _: to.line(f"{tenant} was given {credits} credits"), as_json=json)


@credits_app.command("transfer")
def credits_transfer(
    credits: Amount,  # noqa: A002 (the API's word)
    from_tenant: Annotated[str, typer.Option("--from-tenant", metavar="TENANT")] = "",
    from_person: Annotated[str, typer.Option("--from-person", metavar="LOGIN")] = "",
    to_tenant: Annotated[str, typer.Option("--to-tenant", metavar="TENANT")] = "",
    to_person: Annotated[str, typer.Option("--to-person", metavar="LOGIN")] = "",
    json: Json = False,
) -> None:
    """Move credits from a tenant to one below it or to a person of it, or back."""
    source = _side("from", from_tenant, from_person)
    target = _side("to", to_tenant, to_person)
    with Client() as client:
        answer = client.transfer(source, target, credits)
    names = [next(iter(side.values())) for side in (source, target)]
    said = f"{credits} credits went from {names[0]} to {names[1]}"
    show(answer, lambda to, _: to.line(said), as_json=json)


@price.command("list")
def price_list(json: Json = False) -> None:
    """Show what the offers cost, have cost and will cost an hour."""
    with Client() as client:
        show(client.prices(), prices_table, as_json=json)


@price.command("set")
def price_set(
    offer: Annotated[str, typer.Argument(metavar="OFFER", help="A line of the menu.")],
    per_hour: Annotated[str, typer.Argument(metavar="PER_HOUR", help="Credits, like 0.35.")],
    begins: Annotated[
        str, typer.Option("--from", metavar="TIME", help="From then on; else from now.")
    ] = "",
    json: Json = False,
) -> None:
    """Change a price. What was asked for before keeps the price that was shown."""
    with Client() as client:
        answer = client.set_price(offer, per_hour, begins)
    when = f"from {begins}" if begins else "from now"
    show(
        answer,
        lambda to, _: to.line(f"{offer} costs {per_hour} credits an hour {when}"),
        as_json=json,
    )


def statement(
    client: Client,
    about: Mapping[str, str],
    *,
    csv: str,
    parquet: str,
    cursor: str,
    as_json: bool,
) -> None:
    """A statement on the screen, or as a file; `about` says of whom and when, in the words of
    `Client.statement`. Raises BadValue for two files at once."""
    if csv and parquet:
        raise BadValue("--csv and --parquet are two files", next="ask for one at a time")
    if not (csv or parquet):
        found = client.statement(**about, cursor=cursor)
        show(found, statement_table, as_json=as_json)
        if found.get("next") and not as_json:
            note(f"there is more: add --cursor {found['next']}")
        return
    kind, path = ("csv", Path(csv)) if csv else ("parquet", Path(parquet))
    size = _save(path, client.statement_file(kind, **about))
    answer = {"file": str(path), "bytes": size}
    show(answer, lambda to, done: to.line(f"written to {done['file']}"), as_json=as_json)


def accounts_table(screen: Screen, page: Page) -> None:
    """What tenants have."""
    screen.table(
        ("TENANT", "NAME", "IN ITS WALLET", "WITH ITS PEOPLE", "HELD", "SPENT"),
        [
            tuple(line[key] for key in ("tenant", "name", "balance", "people", "held", "spent"))
            for line in page["items"]
        ],
    )


def prices_table(screen: Screen, page: Page) -> None:
    """The price list."""
    screen.table(
        ("OFFER", "TITLE", "PRICE/H", "FROM", ""),
        [
            (
                line["offer"],
                line["title"],
                line["per_hour"],
                words.moment(line["starts_at"], screen.now) or "the menu",
                "now" if line["in_effect"] else "",
            )
            for line in page["items"]
        ],
    )


def statement_table(screen: Screen, found: Document) -> None:
    """A statement between two times."""
    begins, ends = (words.moment(found[key], screen.now) for key in ("starts_at", "ends_at"))
    screen.facts(
        [
            ("statement of", found["of"]),
            ("time", f"{begins} to {ends}"),
            ("opening", f"{found['opening']} credits"),
            ("closing", f"{found['closing']} credits"),
            ("used", f"{found['used']} credits"),
            *(("offer", f"{one['id'] or '-'}: {one['used']}") for one in found["by_offer"]),
            *(("person", f"{one['id'] or '-'}: {one['used']}") for one in found["by_person"]),
        ]
    )
    screen.table(
        ("AT", "KIND", "WHO", "AMOUNT", "USED", "BALANCE", "WORKLOAD", "WHAT"),
        [
            (
                words.moment(item["at"], screen.now),
                item["kind"],
                item["person"] or item["tenant"],
                item["amount"],
                item["used"],
                item["balance"],
                item["workload_name"],
                item["text"],
            )
            for item in found["items"]
        ],
    )


def _side(name: str, tenant: str, person: str) -> dict[str, str]:
    if bool(tenant) == bool(person):
        raise BadValue(
            f"--{name}-tenant, --{name}-person: one of the two is needed", next="give one of them"
        )
    return {"tenant": tenant} if tenant else {"person": person}


def _save(path: Path, parts: Iterable[bytes]) -> int:
    """Write a file as a whole or not at all; its size."""
    size = 0
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            for part in parts:
                size += file.write(part)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return size
