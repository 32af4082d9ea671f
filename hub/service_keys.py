"""Keys of services: secrets with which another system, not a person, uses a part of the API.

A key is written ``pj_ID_SECRET``. Of the secret only an HMAC under the site's pepper is stored; it
is shown once, compared in constant time, and dies at its end, by revocation or by renewal.
"""

import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sqlmodel import Session, col, select

from catalog.errors import BadValue, Conflict, NotSignedIn
from hub.control_context import Control
from hub.policy import ANYBODY_OF_SITE, ROOT_TENANT, Action, Actor, absent, require
from hub.rare import Rarely
from hub.store import audit
from hub.store.access_tables import ServiceKeyRow
from hub.store.ids import hash_secret, new_id, new_secret
from hub.store.tables import TenantRow

PREFIX = "pj_"
MAX_LIFE = timedelta(days=400)
SCIM = "scim"
ACTION_OF = {SCIM: Action.PROVISION}
"""The one act that a key of each scope may do."""
Subject = Literal["external-id", "user-name"]
State = Literal["active", "expired", "revoked"]

_LONGEST = 200
_NOBODY = "0" * 64
_PATIENCE = timedelta(minutes=1)
_REFUSED = "this key is not valid here"
_NEXT = "ask the administrator of the site for a key that is"


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key as it is asked for. `issuer` is that of the provider whose people it provisions."""

    name: str
    tenant_id: str
    issuer: str
    life: timedelta
    scope: str = SCIM
    subject: Subject = "external-id"


@dataclass(frozen=True, slots=True)
class Issued:
    """A key and its secret, which nobody can see again."""

    row: ServiceKeyRow
    secret: str


def issue(control: Control, actor: Actor, wanted: NewKey) -> Issued:
    """Make a key. Raises BadValue, or NotFound for a tenant that is not there."""
    require(actor, Action.MANAGE_KEYS, ANYBODY_OF_SITE)
    _demand_form(wanted)
    now = control.clock.now()
    id_ = new_id("k")
    secret = f"{PREFIX}{id_}_{new_secret()}"
    row = ServiceKeyRow(
        id=id_, name=wanted.name.strip(), scope=wanted.scope, tenant_id=wanted.tenant_id,
        issuer=wanted.issuer, subject=wanted.subject,
        secret_hash=hash_secret(secret, control.pepper), created_by=actor.person_id,
        created_at=now, expires_at=now + wanted.life,
    )  # fmt: skip
    with control.store.write() as session:
        if session.get(TenantRow, wanted.tenant_id) is None:
            raise absent(f"tenant {wanted.tenant_id[:40]!r}")
        session.add(row)
        session.flush()
        _record(control, session, actor.person_id, "key-issued", row)
    return Issued(row, secret)


def renew(control: Control, actor: Actor, key_id: str, life: timedelta) -> Issued:
    """A new secret for the same key, and what it made stays its own. The old secret dies at once.
    Raises Conflict for a key that was revoked."""
    require(actor, Action.MANAGE_KEYS, ANYBODY_OF_SITE)
    _demand_life(life)
    now = control.clock.now()
    with control.store.write() as session:
        row = _of_id(session, key_id)
        if row.revoked_at is not None:
            raise Conflict(f"the key {row.name!r} was revoked", next="make another one")
        secret = f"{PREFIX}{row.id}_{new_secret()}"
        row.secret_hash = hash_secret(secret, control.pepper)
        row.expires_at, row.used_at = now + life, None
        session.add(row)
        _record(control, session, actor.person_id, "key-renewed", row)
    return Issued(row, secret)


def revoke(control: Control, actor: Actor, key_id: str) -> ServiceKeyRow:
    """The key is dead from now on; what it made stays as it is. Safe to repeat."""
    require(actor, Action.MANAGE_KEYS, ANYBODY_OF_SITE)
    with control.store.write() as session:
        row = _of_id(session, key_id)
        if row.revoked_at is None:
            row.revoked_at = control.clock.now()
            session.add(row)
            _record(control, session, actor.person_id, "key-revoked", row)
    return row


def every(control: Control, actor: Actor, after: str, limit: int) -> list[ServiceKeyRow]:
    """Keys in the order of their ids, those after `after`; dead ones too."""
    require(actor, Action.MANAGE_KEYS, ANYBODY_OF_SITE)
    with control.store.read() as session:
        query = select(ServiceKeyRow).where(col(ServiceKeyRow.id) > after)
        return list(session.exec(query.order_by(ServiceKeyRow.id).limit(limit)))


def state_of(row: ServiceKeyRow, now: datetime) -> State:
    if row.revoked_at is not None:
        return "revoked"
    return "expired" if row.expires_at <= now else "active"


def service_of(control: Control, key: str, refusals: Rarely) -> Actor:
    """The service behind a key. Raises NotSignedIn in the same words whatever is wrong with it.

    The first use of a secret is in the audit, and so are refusals of keys that exist; of each key
    one in a minute, so that nobody can fill the audit from outside.
    """
    key_id = _id_in(key)
    given = hash_secret(key, control.pepper)
    now = control.clock.now()
    with control.store.read() as session:
        row = session.get(ServiceKeyRow, key_id) if key_id else None
    right = hmac.compare_digest(row.secret_hash if row else _NOBODY, given)
    if row is None:
        raise NotSignedIn(_REFUSED, next=_NEXT)
    why = "wrong secret" if not right else state_of(row, now)
    if why != "active":
        if refusals.first(row.id, now, _PATIENCE):
            with control.store.write() as session:
                _record(control, session, f"key:{row.id}", "key-refused", row, why=why)
        raise NotSignedIn(_REFUSED, next=_NEXT)
    if row.used_at is None:
        _note_first_use(control, row.id)
    return Actor(row.id, row.name, "", row.tenant_id, {}, ACTION_OF[row.scope])


def _note_first_use(control: Control, key_id: str) -> None:
    with control.store.write() as session:
        row = session.get_one(ServiceKeyRow, key_id)
        if row.used_at is None:
            row.used_at = control.clock.now()
            session.add(row)
            _record(control, session, f"key:{row.id}", "key-first-used", row)


def _id_in(key: str) -> str:
    """``"pj_k-7k2m9q4t1x_…"`` → ``"k-7k2m9q4t1x"``; empty for what is no key."""
    if len(key) > _LONGEST or not key.startswith(PREFIX) or not key.isascii():
        return ""
    id_, _, secret = key.removeprefix(PREFIX).partition("_")
    return id_ if secret else ""


def _of_id(session: Session, key_id: str) -> ServiceKeyRow:
    row = session.get(ServiceKeyRow, key_id)
    if row is None:
        raise absent(f"key {key_id[:40]!r}")
    return row


def _demand_form(wanted: NewKey) -> None:
    name = wanted.name.strip()
    if not name or len(name) > 60 or not name.isprintable():
        raise BadValue("name: a key has a name of 1 to 60 characters", next="say what it is for")
    if wanted.scope not in ACTION_OF:
        raise BadValue(
            f"scope: {wanted.scope[:40]!r} is not a scope of keys",
            next=f"use {', '.join(ACTION_OF)}",
        )
    _demand_life(wanted.life)


def _demand_life(life: timedelta) -> None:
    if not timedelta(minutes=1) <= life <= MAX_LIFE:
        raise BadValue(
            f"a key lives between a minute and {MAX_LIFE.days} days", next="write it like 365d"
        )


def _record(
    control: Control, session: Session, actor: str, action: str, row: ServiceKeyRow, **more: str
) -> None:
    detail = {
        "name": row.name,
        "scope": row.scope,
        "expires_at": row.expires_at.isoformat(),
        **more,
    }
    audit.record(
        session, control.clock.now(), actor, action, row.id, row.tenant_id or ROOT_TENANT, detail
    )
