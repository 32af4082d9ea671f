"""Commands for quotas beyond setting one: the tree, previews, the way back, requests for more."""

from typing import Annotated, Any

import typer

from hub.cli import words
from hub.cli.administration import Tenant, quota
from hub.cli.options import Cursor, Json, Limit
from hub.cli.output import Screen, note, show
from hub.client import Client
from hub.client.api import Page

__all__ = ["quota"]

Request = Annotated[str, typer.Argument(metavar="REQUEST", help="Its id: see `requests`.")]
Period = Annotated[str, typer.Option("--period", help="day, week or month, for what is used up.")]


@quota.command("tree")
def tree(
    parent: Annotated[str, typer.Option("--below", metavar="TENANT", help="Below this one.")] = "",
    search: Annotated[str, typer.Option("--search", help="Part of a name or an id.")] = "",
    dimension: Annotated[str, typer.Option("--dimension", help="Of what; JSON has all.")] = "gpu",
    sort: Annotated[
        str, typer.Option("--sort", help="name, used, guaranteed, limit, borrowed; -used: most first.")
    ] = "name",
    cursor: Cursor = "",
    limit: Limit = 50,
    json: Json = False,
) -> None:  # fmt: skip
    """Show what tenants are guaranteed, may hold, hold and have borrowed."""
    dimension = dimension.lower()
    with Client() as client:
        page = client.quota_tree(
            parent=parent, search=search, dimension=dimension, sort=sort, cursor=cursor,
            limit=min(limit, 200),
        )  # fmt: skip
    show(page, lambda to, found: _tree(to, found, dimension), as_json=json)
    _more(page, as_json=json)


@quota.command("preview")
def preview(
    dimension: Annotated[str, typer.Option("--dimension", help="What is limited.")],
    limit: Annotated[str, typer.Option("--limit", help="Like 4 or 16Gi; none removes it.")] = "",
    guaranteed: Annotated[
        str, typer.Option("--guaranteed", help="Of a tenant: what it is guaranteed.")
    ] = "",
    tenant: Tenant = "main",
    person: Annotated[
        str, typer.Option("--person", metavar="LOGIN", help="Whom; * for each person.")
    ] = "",
    period: Period = "",
    json: Json = False,
) -> None:
    """Say what a change of a limit would bring about. Nothing is changed."""
    wish: dict[str, Any] = {"tenant": tenant, "person": person, "dimension": dimension.lower()}
    if limit:
        wish |= {"limit": None if limit.lower() == "none" else limit, "period": period}
    if guaranteed:
        wish["guaranteed"] = guaranteed
    with Client() as client:
        show(client.quota_preview([wish]), _preview, as_json=json)


@quota.command("changes")
def changes(
    tenant: Annotated[str, typer.Option("--tenant", help="Of this tenant alone.")] = "",
    cursor: Cursor = "",
    json: Json = False,
) -> None:
    """List changes of limits, the newest first; `undo` takes them back."""
    with Client() as client:
        page = client.quota_changes(tenant=tenant, cursor=cursor)
    show(page, _changes, as_json=json)
    _more(page, as_json=json)


@quota.command("undo")
def undo(
    change: Annotated[list[int], typer.Argument(metavar="CHANGE...", help="Ids: see `changes`.")],
    json: Json = False,
) -> None:
    """Take changes of limits back, all of them or none. Refused when a limit was changed since."""
    with Client() as client:
        show(client.quota_undo(change), _changes, as_json=json)


@quota.command("requests")
def requests(
    state: Annotated[
        str, typer.Option("--state", help="open, approved, denied, withdrawn; empty for all.")
    ] = "open",
    mine: Annotated[bool, typer.Option("--mine", help="Only what you ask for.")] = False,
    cursor: Cursor = "",
    json: Json = False,
) -> None:
    """List requests for more: yours, and those that you may decide."""
    with Client() as client:
        page = client.quota_requests(state=state, mine=mine, cursor=cursor)
    show(page, _requests, as_json=json)
    _more(page, as_json=json)


@quota.command("ask")
def ask(
    dimension: Annotated[str, typer.Option("--dimension", help="Of what.")],
    amount: Annotated[str, typer.Option("--amount", help="How much you would have in all.")],
    reason: Annotated[str, typer.Option("--reason", help="What for.")],
    tenant: Annotated[str, typer.Option("--tenant", help="Where; else in your own tenant.")] = "",
    period: Period = "",
    json: Json = False,
) -> None:
    """Ask your administrators for more."""
    with Client() as client:
        answer = client.quota_ask(dimension.lower(), amount, reason, tenant=tenant, period=period)
    show(
        answer,
        lambda to, one: to.line(
            f"{one['id']}: you asked for {one['text']} in {one['tenant_name']}"
        ),
        as_json=json,
    )


@quota.command("approve")
def approve(
    request: Request,
    amount: Annotated[str, typer.Option("--amount", help="Another amount than asked for.")] = "",
    answer: Annotated[str, typer.Option("--answer", help="A word to the person.")] = "",
    json: Json = False,
) -> None:
    """Approve a request: it becomes the person's own limit."""
    with Client() as client:
        decided = client.quota_decide(request, approve=True, amount=amount, answer=answer)
    show(
        decided,
        lambda to, one: to.line(f"{one['person']} may now have {one['granted']}"),
        as_json=json,
    )


@quota.command("deny")
def deny(
    request: Request,
    answer: Annotated[str, typer.Option("--answer", help="Why: the person reads it.")],
    json: Json = False,
) -> None:
    """Deny a request, in words."""
    with Client() as client:
        decided = client.quota_decide(request, approve=False, answer=answer)
    show(
        decided,
        lambda to, one: to.line(f"{one['person']}'s request for {one['text']} is denied"),
        as_json=json,
    )


@quota.command("withdraw")
def withdraw(request: Request, json: Json = False) -> None:
    """Ask no more."""
    with Client() as client:
        answer = client.quota_withdraw(request)
    show(answer, lambda to, one: to.line(f"{one['id']} is withdrawn"), as_json=json)


def _more(page: Page, *, as_json: bool) -> None:
    if page["next"] and not as_json:
        note(f"there is more: add --cursor {page['next']}")


def _tree(to: Screen, page: Page, dimension: str) -> None:
    to.table(
        ("TENANT", "NAME", "BELOW", dimension.upper()),
        [
            (one["tenant"], " › ".join([*one["path"], one["name"]]), str(one["children"] or ""),  # noqa: RUF001 (an arrow)
             one["dimensions"][dimension]["text"])
            for one in page["items"]
        ],
    )  # fmt: skip


def _preview(to: Screen, found: dict[str, Any]) -> None:
    for line in found["lines"]:
        to.line(f"{line['name']}: {line['before']} → {line['after']}")
    for problem in found["problems"]:
        to.line(f"refused: {problem['message']}; {problem['next']}")
    for one in found["consequences"]:
        to.line(f"- {one['text']}")
    if not found["problems"] and not found["consequences"]:
        to.line("nobody is over it, nothing has to wait longer, and nothing is stopped")


def _changes(to: Screen, page: Page) -> None:
    to.table(
        ("ID", "AT", "BY", "LIMIT", "BEFORE", "AFTER", "TAKEN BACK"),
        [
            (str(one["id"]), words.moment(one["at"], to.now), one["by"], one["name"], one["before"],
             one["after"], f"by {one['undone_by']}" if one["undone_by"] else "")
            for one in page["items"]
        ],
    )  # fmt: skip


def _requests(to: Screen, page: Page) -> None:
    to.table(
        ("ID", "WHO", "TENANT", "ASKS FOR", "HAS", "STATE", "WHAT FOR"),
        [
            (one["id"], one["person"], one["tenant"], one["text"], one["now"], one["state"],
             one["reason"])
            for one in page["items"]
        ],
    )  # fmt: skip
