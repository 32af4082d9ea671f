"""Announcements: what staff tell everybody of a tenant and below, from a time until another.

Of the root they are the site's; of a course they are what its staff tell the room.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func
from sqlmodel import Session, col, select

from catalog.errors import BadValue, Conflict
from hub import idempotency
from hub.bus import Hint
from hub.control_context import Control
from hub.policy import (
    ANYBODY,
    Action,
    Actor,
    Relation,
    absent,
    allowed,
    relations,
    require,
    tenant_object,
)
from hub.store import audit
from hub.store.desk_tables import AnnouncementRow, AnnouncementSeenRow
from hub.store.ids import new_id
from hub.store.tables import PersonRow, TenantRow
from hub.tenant_paths import TenantPaths

LEVELS = ("info", "warning")
MOST_LETTERS = 1000
USUAL_SPAN = timedelta(days=1)
LONGEST_SPAN = timedelta(days=366)
FARTHEST_START = timedelta(days=366)
MOST_OF_A_TENANT = 50
"""Announcements at once that are not over: more than that nobody reads."""
HINT = Hint("announcements")
"""Those of everybody may have changed: a course has many people, and the bus counts each hint."""


@dataclass(frozen=True, slots=True)
class Wish:
    """An announcement as it is asked for; without times it begins now and stays a day."""

    tenant_id: str
    text: str
    level: str = "info"
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    key: str = ""

    @property
    def fingerprint(self) -> str:
        facts = [self.tenant_id, self.text, self.level, str(self.starts_at), str(self.ends_at)]
        return hashlib.sha256(json.dumps(["announcement", *facts]).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Shown:
    """An announcement with the names that people know."""

    row: AnnouncementRow
    tenant_name: str
    by: str
    seen: bool
    seen_by: int = 0
    """How many people have put it away; known to staff."""


@dataclass(frozen=True, slots=True)
class Page:
    """Announcements, and where the next page begins; None at the end."""

    items: list[Shown]
    next: str | None


def announce(control: Control, actor: Actor, wish: Wish) -> Shown:
    """Say it from its start to its end; the same idempotency key says it once. Raises NotFound and
    Forbidden, BadValue for what makes no sense, Conflict when the tenant has too many already."""
    now = control.clock.now()
    with control.store.write() as session:
        _demand_may(session, actor, wish.tenant_id)
        row = _earlier(session, actor, wish)
        if row is None:
            row = _new_row(session, actor, wish, now)
        shown = _shown(session, [row], set())[0]
    control.bus.tell(HINT)
    return shown


def withdraw(control: Control, actor: Actor, announcement_id: str) -> Shown:
    """Nobody sees it any more. Safe to repeat. Raises NotFound or Forbidden."""
    with control.store.write() as session:
        row = session.get(AnnouncementRow, announcement_id)
        if row is None:
            raise _absent(announcement_id)
        _demand_may(session, actor, row.tenant_id, _absent(announcement_id))
        if row.withdrawn_at is None:
            row.withdrawn_at = control.clock.now()
            session.add(row)
            audit.record(
                session, row.withdrawn_at, actor.person_id, "withdraw-announcement", row.id,
                row.tenant_id,
            )  # fmt: skip
        shown = _shown(session, [row], set())[0]
    control.bus.tell(HINT)
    return shown


def put_away(control: Control, actor: Actor, announcement_id: str) -> Shown:
    """The actor has read it and sees it no more. Safe to repeat. Raises NotFound for what is not
    for them."""
    require(actor, Action.READ_ANNOUNCEMENTS, ANYBODY)
    now = control.clock.now()
    with control.store.write() as session:
        row = session.get(AnnouncementRow, announcement_id)
        if row is None or row.tenant_id not in audience_of(session, actor) or row.starts_at > now:
            raise _absent(announcement_id)
        key = (row.id, actor.person_id)
        if session.get(AnnouncementSeenRow, key) is None:
            session.add(
                AnnouncementSeenRow(announcement_id=row.id, person_id=actor.person_id, at=now)
            )
        shown = _shown(session, [row], {row.id})[0]
    control.bus.tell(Hint(HINT.kind, actor.person_id))
    return shown


def mine(
    control: Control, actor: Actor, *, seen: bool = False, cursor: str = "", limit: int = 50
) -> Page:
    """What the actor should see now, the newest first; with `seen`, what they put away too."""
    require(actor, Action.READ_ANNOUNCEMENTS, ANYBODY)
    with control.store.read() as session:
        query = _on_now(session, actor, control.clock.now(), seen=seen)
        rows, after = _page(session, query, cursor, limit)
        return Page(_shown(session, rows, _seen_of(session, actor, rows)), after)


def on_now(session: Session, actor: Actor, now: datetime, most: int) -> list[Shown]:
    """The newest of what the actor should see now and has not put away."""
    rows = session.exec(_on_now(session, actor, now, seen=False).limit(most)).all()
    return _shown(session, rows, set())


def of_staff(
    control: Control, actor: Actor, *, tenant_id: str = "", state: str = "all", cursor: str = "",
    limit: int = 50,
) -> Page:  # fmt: skip
    """Those of a tenant and below, or of all tenants whose people the actor may tell something; the
    latest start first. `state` is on, scheduled, over (withdrawn too) or all. Raises NotFound or
    Forbidden."""
    now = control.clock.now()
    with control.store.read() as session:
        paths = TenantPaths(session)
        if tenant_id:
            _demand_may(session, actor, tenant_id)
        query = _newest_first()
        below = _told_by(session, paths, actor, tenant_id)
        if below is not None:
            if not below:
                require(actor, Action.ANNOUNCE, tenant_object(paths.of(actor.tenant_id)))
            query = query.where(col(AnnouncementRow.tenant_id).in_(below))
        rows, after = _page(session, _in_state(query, state, now), cursor, limit)
        return Page(_shown(session, rows, _seen_of(session, actor, rows), count=True), after)


def state_of(row: AnnouncementRow, now: datetime) -> str:
    """``withdrawn``, ``over``, ``scheduled`` or ``on``."""
    if row.withdrawn_at is not None:
        return "withdrawn"
    if row.ends_at <= now:
        return "over"
    return "scheduled" if row.starts_at > now else "on"


def audience_of(session: Session, actor: Actor) -> frozenset[str]:
    """The tenants whose announcements are for the actor: where they have a role, and all above."""
    paths = TenantPaths(session)
    return frozenset(above for tenant in actor.roles for above in paths.of(tenant))


def sound_text(text: str) -> str:
    """Plain text without control characters; line breaks stay. Raises BadValue when nothing is left
    or when it is too long."""
    plain = text.replace("\r\n", "\n").replace("\t", " ")
    kept = "".join(letter for letter in plain if letter == "\n" or letter.isprintable()).strip()
    if not kept:
        raise BadValue("text: an announcement says something", next="write a sentence")
    if len(kept) > MOST_LETTERS:
        raise BadValue(f"text: longer than {MOST_LETTERS} letters", next="say it shorter")
    return kept


def sound_times(wish: Wish, now: datetime) -> tuple[datetime, datetime]:
    """From when until when. Raises BadValue for what was over before it began, or stays too long."""
    starts_at = max(wish.starts_at or now, now)
    ends_at = wish.ends_at or starts_at + USUAL_SPAN
    if ends_at <= starts_at:
        raise BadValue("ends_at: it would end before it begins", next="choose a later end")
    if ends_at - starts_at > LONGEST_SPAN or starts_at - now > FARTHEST_START:
        raise BadValue("ends_at: that is more than a year", next="choose an earlier one")
    return starts_at, ends_at


def _new_row(session: Session, actor: Actor, wish: Wish, now: datetime) -> AnnouncementRow:
    text, (starts_at, ends_at) = sound_text(wish.text), sound_times(wish, now)
    if wish.level not in LEVELS:
        raise BadValue(f"level: {wish.level[:20]!r} is none", next="one of info, warning")
    ahead = session.exec(
        select(func.count())
        .select_from(AnnouncementRow)
        .where(AnnouncementRow.tenant_id == wish.tenant_id, AnnouncementRow.ends_at > now)
        .where(col(AnnouncementRow.withdrawn_at).is_(None))
    ).one()
    if ahead >= MOST_OF_A_TENANT:
        raise Conflict(f"it has {ahead} announcements already", next="withdraw some of them")
    row = AnnouncementRow(
        id=new_id("m"), tenant_id=wish.tenant_id, text=text, level=wish.level,
        created_by=actor.person_id, created_at=now, starts_at=starts_at, ends_at=ends_at,
    )  # fmt: skip
    session.add(row)
    idempotency.remember(session, actor.person_id, wish.key, wish.fingerprint, row.id, now)
    session.flush()
    audit.record(
        session, now, actor.person_id, "announce", row.id, row.tenant_id,
        {"level": row.level, "starts_at": starts_at.isoformat(), "ends_at": ends_at.isoformat()},
    )  # fmt: skip
    return row


def _earlier(session: Session, actor: Actor, wish: Wish) -> AnnouncementRow | None:
    made = idempotency.answered(session, actor.person_id, wish.key, wish.fingerprint)
    return session.get(AnnouncementRow, made) if made else None


def _demand_may(
    session: Session, actor: Actor, tenant_id: str, unknown: Exception | None = None
) -> None:
    """Raises the same NotFound for a tenant that there is not and for one that is none of the
    actor's, Forbidden for members."""
    unknown = unknown or absent(f"tenant {tenant_id[:40]!r}")
    if session.get(TenantRow, tenant_id) is None:
        raise unknown
    target = tenant_object(TenantPaths(session).of(tenant_id))
    if relations(actor, target) == {Relation.SELF}:
        raise unknown
    require(actor, Action.ANNOUNCE, target)


def _told_by(
    session: Session, paths: TenantPaths, actor: Actor, tenant_id: str
) -> frozenset[str] | None:
    """The tenants at or below `tenant_id` whose people the actor may tell something; None: all."""
    if actor.platform_admin and not tenant_id:
        return None
    return frozenset(
        one
        for one in session.exec(select(TenantRow.id))
        if (not tenant_id or tenant_id in paths.of(one))
        and allowed(actor, Action.ANNOUNCE, tenant_object(paths.of(one)))
    )


def _newest_first() -> Any:
    return select(AnnouncementRow).order_by(
        col(AnnouncementRow.starts_at).desc(), col(AnnouncementRow.id).desc()
    )


def _on_now(session: Session, actor: Actor, now: datetime, *, seen: bool) -> Any:
    query = (
        _newest_first()
        .where(col(AnnouncementRow.tenant_id).in_(audience_of(session, actor)))
        .where(AnnouncementRow.starts_at <= now, AnnouncementRow.ends_at > now)
        .where(col(AnnouncementRow.withdrawn_at).is_(None))
    )
    if seen:
        return query
    put_away = select(AnnouncementSeenRow.announcement_id).where(
        AnnouncementSeenRow.person_id == actor.person_id
    )
    return query.where(col(AnnouncementRow.id).not_in(put_away))


def _in_state(query: Any, state: str, now: datetime) -> Any:
    withdrawn, ended = col(AnnouncementRow.withdrawn_at), col(AnnouncementRow.ends_at) <= now
    begun = col(AnnouncementRow.starts_at) <= now
    match state:
        case "on":
            return query.where(withdrawn.is_(None), ~ended, begun)
        case "scheduled":
            return query.where(withdrawn.is_(None), ~begun)
        case "over":
            return query.where(withdrawn.is_not(None) | ended)
        case _:
            return query


def _page(
    session: Session, query: Any, cursor: str, limit: int
) -> tuple[list[AnnouncementRow], str | None]:
    if cursor:
        last = session.get(AnnouncementRow, cursor)
        if last is None:
            raise BadValue(
                "cursor: there is no such place in the list", next="start without a cursor"
            )
        starts_at = col(AnnouncementRow.starts_at)
        query = query.where(
            (starts_at < last.starts_at)
            | ((starts_at == last.starts_at) & (col(AnnouncementRow.id) < last.id))
        )
    rows = list(session.exec(query.limit(limit + 1)))
    return rows[:limit], rows[limit - 1].id if len(rows) > limit else None


def _shown(
    session: Session, rows: Iterable[AnnouncementRow], seen: set[str], *, count: bool = False
) -> list[Shown]:
    rows = list(rows)
    tenants, people = {row.tenant_id for row in rows}, {row.created_by for row in rows}
    names = dict(
        session.exec(
            select(TenantRow.id, TenantRow.name).where(col(TenantRow.id).in_(tenants))
        ).all()
    )
    by = dict(
        session.exec(
            select(PersonRow.id, PersonRow.display_name).where(col(PersonRow.id).in_(people))
        ).all()
    )
    counts = _put_away_by(session, [row.id for row in rows]) if count else {}
    return [
        Shown(
            row, names.get(row.tenant_id, row.tenant_id), by.get(row.created_by, ""),
            row.id in seen, counts.get(row.id, 0),
        )
        for row in rows
    ]  # fmt: skip


def _put_away_by(session: Session, ids: list[str]) -> dict[str, int]:
    return dict(
        session.exec(
            select(AnnouncementSeenRow.announcement_id, func.count())
            .where(col(AnnouncementSeenRow.announcement_id).in_(ids))
            .group_by(col(AnnouncementSeenRow.announcement_id))
        ).all()
    )


def _seen_of(session: Session, actor: Actor, rows: Iterable[AnnouncementRow]) -> set[str]:
    return set(
        session.exec(
            select(AnnouncementSeenRow.announcement_id).where(
                AnnouncementSeenRow.person_id == actor.person_id,
                col(AnnouncementSeenRow.announcement_id).in_([row.id for row in rows]),
            )
        )
    )


def _absent(announcement_id: str) -> Exception:
    return absent(f"announcement {announcement_id[:40]!r}")
