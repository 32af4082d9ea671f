"""Commands for the tree of tenants."""

from typing import Annotated

import typer

from hub.cli.options import Json
from hub.cli.output import Screen, show
from hub.client import Client
from hub.client.api import Page

tenant = typer.Typer(
    help="The tree of tenants: whose quotas, reservations and credits apply.", no_args_is_help=True
)

Id = Annotated[str, typer.Argument(metavar="ID", help="Like physics or ml-2026.")]


@tenant.command("list")
def tenant_list(json: Json = False) -> None:
    """List the tenants that you administer, each below its parent."""
    with Client() as client:
        show(client.tenants(), _tree, as_json=json)


@tenant.command("add")
def tenant_add(
    id: Id,
    name: Annotated[str, typer.Option("--name", help="What people read; else the id.")] = "",
    parent: Annotated[
        str, typer.Option("--parent", metavar="ID", help="The tenant above it.")
    ] = "main",
    kind: Annotated[
        str, typer.Option("--kind", help="organisation, department, group or course.")
    ] = "group",
    json: Json = False,
) -> None:
    """Add a tenant. People join it by `perijove invite --tenant ID`."""
    with Client() as client:
        answer = client.add_tenant(id, name, parent, kind)
    show(answer, lambda to, made: to.line(f"{made['id']} is below {made['parent']}"), as_json=json)


@tenant.command("change")
def tenant_change(
    id: Id,
    name: Annotated[str | None, typer.Option("--name", help="A new name.")] = None,
    parent: Annotated[
        str | None, typer.Option("--parent", metavar="ID", help="Move it below this one.")
    ] = None,
    json: Json = False,
) -> None:
    """Rename a tenant, or move it with all below it. What runs goes on."""
    with Client() as client:
        answer = client.change_tenant(id, name, parent)
    show(answer, lambda to, made: to.line(f"{made['id']} is {made['name']!r}"), as_json=json)


def _tree(to: Screen, page: Page) -> None:
    items = page["items"]
    known = {one["id"] for one in items}
    rows: list[tuple[str, str, str]] = []

    def add(parent: str | None, depth: int) -> None:
        for one in items:
            above = one["parent"] if one["parent"] in known else None
            if above == parent:
                rows.append(("  " * depth + one["id"], one["name"], one["kind"]))
                add(one["id"], depth + 1)

    add(None, 0)
    to.table(("TENANT", "NAME", "KIND"), rows)
