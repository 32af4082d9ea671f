"""Commands on who I am: signing in, what I spent, what I should know."""

import sys
from typing import Annotated

import typer

from catalog.errors import BadValue
from hub.cli import money, views
from hub.cli.options import Cursor, Json
from hub.cli.output import note, show
from hub.client import Client
from hub.client.access import checked_url, default_url, is_in_the_clear
from hub.client.credentials import Credentials, forget_credentials, save_credentials


def login(
    url: Annotated[str, typer.Option("--url", help="The address of the portal.")] = "",
    token: Annotated[
        str, typer.Option("--token", help="An API token; better typed at the prompt or piped in.")
    ] = "",
    json: Json = False,
) -> None:
    """Save an address and a token for later commands, readable by you only.

    The token comes from the page /hub/token of the portal, or, on the machine that runs it, from
    `perijove token --user LOGIN`.
    """
    address = checked_url(url) if url else default_url()
    if is_in_the_clear(address):
        note(f"beware: {address} is not encrypted, others on the way can read your token")
    given = token.strip() or _asked_for_token(address)
    with Client(address, given) as client:
        visitor = client.me()
    path = save_credentials(Credentials(address, given))
    answer = {"login": visitor["person"]["login"], "url": address, "file": str(path)}
    show(
        answer,
        lambda to, saved: to.line(f"signed in at {saved['url']} as {saved['login']}"),
        as_json=json,
    )


def logout(json: Json = False) -> None:
    """Forget the saved address and token. The token itself lives on until it expires."""
    answer = {"forgotten": forget_credentials()}
    show(
        answer,
        lambda to, done: to.line("signed out" if done["forgotten"] else "nobody was signed in"),
        as_json=json,
    )


def whoami(json: Json = False) -> None:
    """Show who you are, your roles, and what is left of your quota."""
    with Client() as client:
        show(client.me(), views.me, as_json=json)


def usage(
    begins: Annotated[
        str, typer.Option("--from", metavar="TIME", help="A statement from then on.")
    ] = "",
    ends: Annotated[str, typer.Option("--to", metavar="TIME", help="Until before then.")] = "",
    tenant: Annotated[str, typer.Option("--tenant", help="Of a tenant and all below it.")] = "",
    person: Annotated[str, typer.Option("--person", metavar="LOGIN", help="Of a person.")] = "",
    csv: Annotated[str, typer.Option("--csv", metavar="FILE", help="Write it there.")] = "",
    parquet: Annotated[str, typer.Option("--parquet", metavar="FILE", help="Or there.")] = "",
    cursor: Cursor = "",
    json: Json = False,
) -> None:
    """Show what you spent, what is held and what is left.

    With any of --from, --to, --tenant, --person, --csv or --parquet: a statement between two times,
    from the first of this month until now unless said otherwise.
    """
    about = {"begins": begins, "ends": ends, "tenant": tenant, "person": person}
    with Client() as client:
        if csv or parquet or any(about.values()):
            money.statement(client, about, csv=csv, parquet=parquet, cursor=cursor, as_json=json)
            return
        statement = client.usage(cursor)
    show(statement, views.usage, as_json=json)
    if statement.get("next") and not json:
        note(f"there is more: add --cursor {statement['next']}")


def notices(
    mark_read: Annotated[bool, typer.Option("--mark-read", help="Mark those shown as read.")] = (
        False
    ),
    json: Json = False,
) -> None:
    """Show what you should know: your turn, leases that end, refunds."""
    with Client() as client:
        page = client.notices()
        show(page, views.notices, as_json=json)
        for notice in page["items"] if mark_read else []:
            if not notice["read"]:
                client.read_notice(notice["id"])


def _asked_for_token(url: str) -> str:
    """The token from the prompt, or the first line of a pipe. Raises BadValue when empty."""
    if sys.stdin.isatty():
        from getpass import getpass

        note(f"Mint a token at {url}/hub/token, or on the server with `perijove token`.")
        given = getpass("Token: ").strip()
    else:
        given = sys.stdin.readline().strip()
    if not given:
        raise BadValue(
            "no token was given", next=f"mint one at {url}/hub/token and paste it, or pipe it in"
        )
    return given
