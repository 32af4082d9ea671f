"""Commands for the audit: who did what, and whether anybody changed it."""

import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from catalog.errors import BadSetup
from hub.cli import views
from hub.cli.options import Cursor, Json, Limit
from hub.cli.output import FAILED, Screen, note, show
from hub.client import Client
from hub.settings import Settings

audit = typer.Typer(
    invoke_without_command=True, no_args_is_help=False,
    help="Show who did what, or check that nobody changed it.",
)  # fmt: skip


@audit.callback()
def audit_lines(
    context: typer.Context, limit: Limit = 100, cursor: Cursor = "", json: Json = False
) -> None:
    """Show who did what, the newest first; or check that nobody changed it."""
    if context.invoked_subcommand is None:
        _list({}, limit, cursor, as_json=json)


@audit.command("list")
def audit_list(  # noqa: PLR0913, PLR0917 (one option for each filter)
    actor: Annotated[str, typer.Option("--actor", help="Who did it: a login or an id.")] = "",
    action: Annotated[str, typer.Option("--action", help="What was done, like set-quota.")] = "",
    object: Annotated[  # noqa: A002 (the line's own word)
        str, typer.Option("--object", help="To what: a login or an id.")
    ] = "",
    tenant: Annotated[str, typer.Option("--tenant", help="In this tenant and those below.")] = "",
    since: Annotated[str, typer.Option("--from", help="From this time on (RFC 3339).")] = "",
    until: Annotated[str, typer.Option("--to", help="Before this time (RFC 3339).")] = "",
    limit: Limit = 100,
    cursor: Cursor = "",
    json: Json = False,
) -> None:
    """Show some lines, the newest first."""
    filters = {
        "actor": actor, "action": action, "object": object, "tenant": tenant, "from": since,
        "to": until,
    }  # fmt: skip
    _list({k: v for k, v in filters.items() if v}, limit, cursor, as_json=json)


@audit.command("verify")
def audit_verify(
    noted: Annotated[
        str, typer.Option("--noted", metavar="HASH", help="An end that you wrote down before.")
    ] = "",
    json: Json = False,
) -> None:
    """Check that no line was changed, taken out or cut off; exit 1 and the first broken line if so.

    Reads the database of this machine, also while nothing runs; with PERIJOVE_URL asks that server.
    """
    found = _asked(noted) if os.environ.get("PERIJOVE_URL") else _read_here(noted)
    show(found, _soundness, as_json=json)
    if not found["sound"]:
        raise typer.Exit(FAILED)


def _list(filters: dict[str, str], limit: int, cursor: str, *, as_json: bool) -> None:
    with Client() as client:
        page = client.audit(cursor, limit, filters)
    show(page, views.audit, as_json=as_json)
    if page["next"] and not as_json:
        note(f"there is more: add --cursor {page['next']}")


def _asked(noted: str) -> dict[str, Any]:
    with Client() as client:
        return client.verify_audit(noted)


def _read_here(noted: str) -> dict[str, Any]:
    from hub.store import audit as chain
    from hub.store import schema
    from hub.store.store import Store

    settings = Settings.load()
    store = Store(settings.database)
    if store.is_sqlite and not Path(store.url.database or "").exists():
        raise BadSetup(
            f"there is no database at {store.url.database}",
            next="run this where Perijove runs, or set PERIJOVE_URL",
        )
    store.check()
    if schema.revision(store) != schema.HEAD:
        raise BadSetup(
            "the database was written by another version",
            next="start `perijove up` once, which brings it up to date",
        )
    try:
        with store.read() as session:
            found = chain.verify(session, noted)
    finally:
        store.close()
    return {"sound": found.sound, **asdict(found)}


def _soundness(to: Screen, found: dict[str, Any]) -> None:
    if found["sound"]:
        to.line(f"{found['lines']} lines, and nobody changed one; it ends with {found['end']}")
    elif found["broken"] is not None:
        to.line(f"line {found['broken']} does not follow from the one before it")
    elif found["missing"] is not None:
        to.line(f"lines are missing after the first {found['lines']}: {found['missing']} or more")
    else:
        to.line("the line whose end was noted is not there any more")
