"""A course's people as its learning systems have them: fetched, then applied in one transaction."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from sqlmodel import Session, col, select

from catalog.errors import Conflict, PerijoveError
from hub.closing import in_thread
from hub.control_context import Control
from hub.courses import enrolment
from hub.courses.people import place_of
from hub.lti import contexts, lists
from hub.lti.platforms import Platform
from hub.lti.rosters import Member, strongest_each
from hub.lti.systems import Systems
from hub.policy import Action, Actor
from hub.store import audit
from hub.store.access_tables import LtiContextRow, RoleGrantRow
from hub.store.course_tables import CourseRow
from hub.store.tables import IdentityRow, PersonRow

_AT_ONCE = 500
log = logging.getLogger("perijove.lti")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a look at one platform's rosters came to; `error` is empty when all went well."""

    platform: str
    members: int
    joined: int
    left: int
    error: str = ""
    kept_out: int = 0
    """How many the staff had taken off the course's list: they stay off, whatever the platform says."""


def demand_managed(control: Control, actor: Actor, course_id: str) -> list[LtiContextRow]:
    """The links of a course, to those who manage it. Raises NotFound, Forbidden; Conflict when
    there is none."""
    with control.store.read() as session:
        place_of(session, actor, course_id, Action.MANAGE_COURSE)
        rows = contexts.linked_to(session, course_id)
    if not rows:
        raise Conflict(
            "this course is linked to no course of a learning system",
            next="open a link to this site from there as its instructor",
        )
    return rows


def due(
    control: Control, context_id: str, every: timedelta
) -> tuple[str, list[LtiContextRow]] | None:
    """The course that a course of a learning system leads into, with all its links, if its roster
    can be looked at and was not within `every`; a look that failed counts as one."""
    with control.store.write() as session:
        row = session.exec(select(LtiContextRow).where(LtiContextRow.id == context_id)).first()
        if row is None or row.tenant_id is None or not row.roster_url:
            return None
        now = control.clock.now()
        if row.tried_at is not None and now - row.tried_at < every:
            return None
        row.tried_at = now
        session.add(row)
        course = row.tenant_id
        session.flush()
        return course, contexts.linked_to(session, course)


async def sync(
    control: Control, systems: Systems, course_id: str, rows: list[LtiContextRow], actor: str
) -> list[Outcome]:
    """Look at every roster of a course now. What goes wrong with one platform is kept in its rows
    and in the outcome, changes nobody's place, and stops no other platform. Safe to repeat."""
    outcomes: list[Outcome] = []
    for name in sorted({row.platform for row in rows}):
        theirs = [row for row in rows if row.platform == name]
        try:
            platform = systems.platform(name)
            found = await _members(systems, theirs)
            outcome = await in_thread(apply, control, platform, course_id, found, actor)
        except PerijoveError as error:
            log.warning("roster of %s by %s: %s", course_id, name, error.message)
            outcome = Outcome(name, 0, 0, 0, f"{error.message}; {error.next}")
        await in_thread(_note, control, theirs, outcome)
        outcomes.append(outcome)
    return outcomes


async def _members(systems: Systems, rows: list[LtiContextRow]) -> dict[str, Member]:
    """Of all its courses that lead into ours: who is in one of them is in."""
    found: list[Member] = []
    for row in rows:
        if not row.roster_url:
            raise Conflict(
                f"{systems.platform(row.platform).title} does not share the roster of"
                f" {row.title!r} with this site",
                next="let the tool use Names and Roles there, then open it once from the course",
            )
        found += (await systems.services(row.platform).members(row.roster_url)).values()
    return strongest_each(found)


def apply(
    control: Control, platform: Platform, course_id: str, members: Mapping[str, Member], actor: str
) -> Outcome:
    """Make the course's list what the platform says: newcomers are expected or, if they are known,
    in; who is gone leaves. Raises Conflict for an empty roster where there were people: that is
    more often a fault of the platform than the end of a course."""
    joined = left = kept_out = 0
    with control.store.write() as session:
        course = session.get(CourseRow, course_id)
        if course is None or course.cleaned_at is not None:
            return Outcome(platform.name, len(members), 0, 0)
        lines = lists.lines_of(session, platform, course_id)
        if not members and any(line.removed_at is None for line in lines.values()):
            raise Conflict(
                f"{platform.title} sent a roster with nobody in it; nothing was changed",
                next="look at the course there; to empty it here, end the link",
            )
        known = _known(session, platform, list(members))
        had = _given(session, platform, course_id)
        for subject, member in members.items():
            before, person = lines.get(subject), known.get(subject)
            removed_by = lists.removed_by(session, course_id, before, person)
            line = lists.write_line(
                control, session, platform, course_id, before, member, removed_by=removed_by
            )
            if removed_by:
                kept_out += 1
            elif person is not None and had.get(person.id) != member.role:
                line.person_id = person.id
                session.flush()
                joined += enrolment.enrol(
                    control, session, course_id, person, role=member.role,
                    source=platform.source, group_id=line.group_id, actor=actor,
                )  # fmt: skip
        lists.strike(control, session, platform.source, course_id, keep=frozenset(members))
        staying = {known[subject].id for subject in members if subject in known}
        for person_id in set(had) - staying:
            left += enrolment.leave(
                control, session, course_id, session.get_one(PersonRow, person_id),
                source=platform.source, actor=actor,
            )  # fmt: skip
        if joined or left:
            audit.record(
                session, control.clock.now(), actor, "lti-roster", platform.name, course_id,
                {"members": len(members), "joined": joined, "left": left, "kept_out": kept_out},
            )  # fmt: skip
    control.wake()
    return Outcome(platform.name, len(members), joined, left, kept_out=kept_out)


def _known(session: Session, platform: Platform, subjects: list[str]) -> dict[str, PersonRow]:
    """Those who have come here before, by the platform's name for each; closed accounts are out."""
    found: dict[str, PersonRow] = {}
    for start in range(0, len(subjects), _AT_ONCE):
        some = subjects[start : start + _AT_ONCE]
        rows = session.exec(
            select(IdentityRow.subject, PersonRow)
            .join(PersonRow, col(PersonRow.id) == IdentityRow.person_id)
            .where(
                IdentityRow.issuer == platform.identity_issuer,
                col(IdentityRow.subject).in_(some), col(PersonRow.active),
            )
        ).all()  # fmt: skip
        found |= dict(rows)
    return found


def _given(session: Session, platform: Platform, course_id: str) -> dict[str, str]:
    """Roles in the course by the platform's word, by person."""
    rows = session.exec(
        select(RoleGrantRow.person_id, RoleGrantRow.role).where(
            RoleGrantRow.tenant_id == course_id, RoleGrantRow.source == platform.source
        )
    ).all()
    return dict(rows)


def _note(control: Control, rows: list[LtiContextRow], outcome: Outcome) -> None:
    with control.store.write() as session:
        for seen in rows:
            row = session.get(LtiContextRow, (seen.platform, seen.deployment_id, seen.context_id))
            if row is None:
                continue
            row.sync_error = outcome.error[:500]
            row.synced_at = row.synced_at if outcome.error else control.clock.now()
            session.add(row)
