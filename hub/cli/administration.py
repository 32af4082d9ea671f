"""Commands for administrators: inventory, quotas, people, audit, the menu file."""

from typing import Annotated, Literal

import typer

from hub.cli import views
from hub.cli.options import Cursor, Json
from hub.cli.output import note, show
from hub.client import Client
from quotas.labels import label_of

Login = Annotated[str, typer.Argument(metavar="LOGIN", help="A person's login.")]
Tenant = Annotated[str, typer.Option("--tenant", help="A tenant.")]

quota = typer.Typer(
    invoke_without_command=True,
    help="Show the limits that are set, or set one.",
    no_args_is_help=False,
)
people = typer.Typer(
    invoke_without_command=True, help="List people, let them in or out, give roles and credits."
)
menu = typer.Typer(help="The menu file.", no_args_is_help=True)


def inventory(json: Json = False) -> None:
    """Show nodes and devices, and what is held of them."""
    with Client() as client:
        show(client.inventory(), views.inventory, as_json=json)


def invite(
    tenant: Tenant = "main",
    role: Annotated[
        Literal["member", "assistant", "instructor", "admin"],
        typer.Option("--role", help="What they may do in the tenant."),
    ] = "member",
    email: Annotated[str, typer.Option("--email", help="Whom it is for.")] = "",
    json: Json = False,
) -> None:
    """Print a one-time link with which a person makes an account. It is shown once."""
    with Client() as client:
        invitation = client.invite(tenant=tenant, role=role, email=email)
    show(invitation, lambda to, made: to.line(made["url"]), as_json=json)


@menu.command("reload")
def menu_reload(json: Json = False) -> None:
    """Read the menu file again. With a mistake in it the old menu stays."""
    with Client() as client:
        answer = client.reload_menu()
    show(answer, lambda to, _: to.line("the menu was read again"), as_json=json)


@quota.callback()
def quota_list(context: typer.Context, json: Json = False) -> None:
    """Show the limits that are set, or set one."""
    if context.invoked_subcommand:
        return
    with Client() as client:
        show(client.quotas(), views.quotas, as_json=json)


@quota.command("set")
def quota_set(
    dimension: Annotated[
        Literal["gpu", "cpu", "memory", "workloads", "credits", "gpu-hours", "tokens", "storage"],
        typer.Option("--dimension", case_sensitive=False, help="What is limited."),
    ],
    limit: Annotated[
        str, typer.Option("--limit", help="Like 1/2, 4 or 16Gi; `none` removes the limit.")
    ],
    period: Annotated[
        Literal["", "day", "week", "month"],
        typer.Option("--period", help="For GPU-hours, tokens, credits: when it begins anew."),
    ] = "",
    tenant: Tenant = "main",
    person: Annotated[
        str, typer.Option("--person", metavar="LOGIN", help="Whom it limits; else the tenant.")
    ] = "",
    json: Json = False,
) -> None:
    """Set or remove a limit of a tenant, or of one person in it."""
    value = None if limit.strip().lower() == "none" else limit
    with Client() as client:
        answer = client.set_quota(dimension, value, tenant=tenant, person=person, period=period)
    whom, each = person or tenant, f" a {period}" if period else ""
    show(
        answer,
        lambda to, _: to.line(f"{label_of(dimension)} of {whom}: {value or 'no limit'}{each}"),
        as_json=json,
    )


@quota.command("guarantee")
def quota_guarantee(
    tenant: Annotated[str, typer.Option("--tenant", metavar="ID", help="Who is guaranteed it.")],
    dimension: Annotated[
        Literal["gpu", "cpu", "memory"],
        typer.Option("--dimension", case_sensitive=False, help="What is guaranteed."),
    ],
    amount: Annotated[str, typer.Option("--amount", help="Like 1/2, 4 or 16Gi; 0 for nothing.")],
    json: Json = False,
) -> None:
    """Guarantee a tenant a part of the site. Others borrow it while it is not used."""
    with Client() as client:
        answer = client.guarantee(tenant, dimension, amount)
    show(
        answer,
        lambda to, _: to.line(f"{label_of(dimension)} of {tenant}: {amount} guaranteed"),
        as_json=json,
    )


@people.callback()
def people_list(context: typer.Context, cursor: Cursor = "", json: Json = False) -> None:
    """List people, let them in or out, give roles and credits."""
    if context.invoked_subcommand is None:
        _people({"cursor": cursor}, as_json=json)


@people.command("list")
def people_find(
    search: Annotated[str, typer.Option("--search", help="In logins, names, addresses.")] = "",
    tenant: Annotated[str, typer.Option("--tenant", help="In this tenant and those below.")] = "",
    role: Annotated[str, typer.Option("--role", help="Who has this role somewhere.")] = "",
    state: Annotated[
        Literal["", "active", "closed"], typer.Option("--state", help="active or closed.")
    ] = "",
    sort: Annotated[
        Literal["login", "name", "balance", "since", "-login", "-name", "-balance", "-since"],
        typer.Option("--sort", help="By what; with a minus the other way round."),
    ] = "login",
    cursor: Cursor = "",
    json: Json = False,
) -> None:
    """Find people."""
    filters = {
        "search": search, "tenant": tenant, "role": role, "state": state, "sort": sort,
        "cursor": cursor,
    }  # fmt: skip
    _people(filters, as_json=json)


@people.command("role")
def people_role(
    login: Login,
    role: Annotated[
        Literal["member", "assistant", "instructor", "admin", "platform-admin", "none"],
        typer.Argument(metavar="ROLE", help="member, assistant, instructor, admin, or none."),
    ],
    tenant: Tenant = "main",
    json: Json = False,
) -> None:
    """Give a person a role in a tenant, or take back what was given by hand."""
    with Client() as client:
        answer = client.set_role(login, tenant, None if role == "none" else role)
    left = next((one["role"] for one in answer["memberships"] if one["tenant"] == tenant), "none")
    show(answer, lambda to, _: to.line(f"{login} in {tenant}: {left}"), as_json=json)


@people.command("password-link")
def password_link(login: Login, json: Json = False) -> None:
    """Print a one-time link at which a person with a local account sets a new password."""
    with Client() as client:
        made = client.password_link(login)
    show(made, lambda to, one: to.line(one["url"]), as_json=json)


@people.command("invitations")
def invitation_list(
    state: Annotated[
        Literal["open", "used", "expired"], typer.Option("--state", help="open, used or expired.")
    ] = "open",
    cursor: Cursor = "",
    json: Json = False,
) -> None:
    """List invitations, without their links."""
    with Client() as client:
        page = client.invitations(state, cursor)
    show(page, views.invitations, as_json=json)
    if page["next"] and not json:
        note(f"there are more: add --cursor {page['next']}")


@people.command("uninvite")
def uninvite(
    invitation: Annotated[str, typer.Argument(metavar="ID", help="Of the invitation.")],
    json: Json = False,
) -> None:
    """Make an invitation void."""
    with Client() as client:
        client.void_invitation(invitation)
    show({"voided": invitation}, lambda to, _: to.line("its link works no more"), as_json=json)


@people.command("deactivate")
def deactivate(login: Login, json: Json = False) -> None:
    """Sign a person out everywhere, delete their tokens, stop what they run."""
    _set_active(login, active=False, as_json=json)


@people.command("activate")
def activate(login: Login, json: Json = False) -> None:
    """Let a person in again."""
    _set_active(login, active=True, as_json=json)


@people.command("grant")
def grant(
    login: Login,
    credits: Annotated[str, typer.Argument(metavar="CREDITS", help="How many.")],  # noqa: A002 (the API's word)
    json: Json = False,
) -> None:
    """Give credits to a person."""
    with Client() as client:
        answer = client.grant(login, credits)
    show(answer, lambda to, _: to.line(f"{login} was given {credits} credits"), as_json=json)


def _set_active(login: str, *, active: bool, as_json: bool) -> None:
    with Client() as client:
        answer = client.set_active(login, active=active)
    text = f"{login} may sign in again" if active else f"{login} is signed out and stopped"
    show(answer, lambda to, _: to.line(text), as_json=as_json)


def _people(filters: dict[str, str], *, as_json: bool) -> None:
    with Client() as client:
        page = client.find_people(**filters)
    show(page, views.people, as_json=as_json)
    if page["next"] and not as_json:
        note(f"there are more: add --cursor {page['next']}")
