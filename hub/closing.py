"""Closing an account completely: no token, no session, no server is left."""

import asyncio
from collections.abc import Callable
from typing import Any

from sqlmodel import col, select

from hub import attempts, people
from hub.control_context import Control
from hub.hub_api import HubApi
from hub.lifecycle import EndReason
from hub.policy import Actor
from hub.store.tables import PersonRow, WorkloadRow
from hub.workloads import LIVE


async def deactivate(control: Control, hub: HubApi, actor: Actor, person: PersonRow) -> None:
    """By an administrator. Safe to repeat. From the first step on, control answers none of their
    tokens; raises Unavailable when the Hub is away for the second one: repeat it then."""
    await in_thread(lambda: people.set_active(control, actor, person, active=False))
    await _end_all(control, hub, person)


async def close(control: Control, hub: HubApi, person: PersonRow, *, by: str, actor: str) -> None:
    """As `deactivate`, by a provider (``provider:ISSUER``) or a service (``scim:KEY``), which may
    open it again."""
    await in_thread(_shut, control, person.id, by, actor)
    await _end_all(control, hub, person)


def _shut(control: Control, person_id: str, by: str, actor: str) -> None:
    with control.store.write() as session:
        people.shut(control, session, session.get_one(PersonRow, person_id), by, actor)


async def _end_all(control: Control, hub: HubApi, person: PersonRow) -> None:
    await in_thread(_stop_all, control, person)
    await hub.end_sessions(person.hub_name)


def _stop_all(control: Control, person: PersonRow) -> None:
    with control.store.read() as session:
        live = session.exec(
            select(WorkloadRow.id).where(
                WorkloadRow.person_id == person.id, col(WorkloadRow.status).in_(LIVE)
            )
        ).all()
    for workload_id in live:
        attempts.begin_stopping(
            control, workload_id, EndReason.DEACTIVATED, "the account was closed"
        )


async def in_thread(act: Callable[..., Any], *args: Any) -> Any:
    """Run what blocks on the database outside of the event loop."""
    return await asyncio.to_thread(act, *args)
