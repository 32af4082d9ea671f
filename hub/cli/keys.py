"""Commands for keys of services."""

from typing import Annotated, Literal

import typer

from hub.cli.options import Cursor, Json
from hub.cli.output import Screen, note, show
from hub.client import Client
from hub.client.api import Page
from hub.client.errors import Json as Object

key = typer.Typer(
    help="Keys with which other systems, not people, use the API.", no_args_is_help=True
)

Id = Annotated[str, typer.Argument(metavar="ID", help="As `perijove key list` shows it.")]
Life = Annotated[
    str, typer.Option("--life", metavar="TIME", help="How long it works, at most 400d.")
]


@key.command("add")
def key_add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it is for.")],
    provider: Annotated[
        str,
        typer.Option(
            "--provider", metavar="NAME", help="With whom its people sign in (oidc.yaml)."
        ),
    ],
    scope: Annotated[Literal["scim"], typer.Option("--scope", help="What it may do.")] = "scim",
    tenant: Annotated[
        str, typer.Option("--tenant", metavar="ID", help="In this tenant and those below.")
    ] = "main",
    subject: Annotated[
        Literal["external-id", "user-name"],
        typer.Option("--subject", help="Which SCIM attribute is their subject when they sign in."),
    ] = "external-id",
    life: Life = "365d",
    json: Json = False,
) -> None:
    """Print a new key, alone on stdout. It is shown once."""
    with Client() as client:
        made = client.add_key(
            name, provider=provider, scope=scope, tenant=tenant, subject=subject, life=life
        )
    _shown(made, as_json=json)


@key.command("list")
def key_list(cursor: Cursor = "", json: Json = False) -> None:
    """List keys, dead ones too."""
    with Client() as client:
        page = client.keys(cursor)
    show(page, _table, as_json=json)
    if page["next"] and not json:
        note(f"there are more: add --cursor {page['next']}")


@key.command("renew")
def key_renew(id: Id, life: Life = "365d", json: Json = False) -> None:
    """Print a new secret for a key. The old one stops working at once."""
    with Client() as client:
        made = client.renew_key(id, life)
    _shown(made, as_json=json)


@key.command("revoke")
def key_revoke(id: Id, json: Json = False) -> None:
    """End a key. The people that it made stay."""
    with Client() as client:
        ended = client.revoke_key(id)
    show(ended, lambda to, one: to.line(f"{one['name']} works no more"), as_json=json)


def _shown(made: Object, *, as_json: bool) -> None:
    show(made, lambda _, one: print(one["key"]), as_json=as_json)
    if not as_json:
        note(f"it is for {made['url']} and works until {made['expires_at']}")


def _table(to: Screen, page: Page) -> None:
    to.table(
        ("ID", "NAME", "STATE", "TENANT", "PROVIDER", "EXPIRES", "FIRST USED"),
        [
            (
                one["id"], one["name"], one["state"], one["tenant"], one["issuer"],
                str(one["expires_at"])[:10], str(one["used_at"] or "never")[:16],
            )
            for one in page["items"]
        ],
    )  # fmt: skip
