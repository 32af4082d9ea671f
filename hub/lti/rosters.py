"""A page of a roster as the Names and Roles service sends it, read into members."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from hub.auth.tokens import MAX_SUBJECT
from hub.lti.messages import MAX_ROLES, full_name, plain_text
from hub.lti.roles import role_of


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody in a course of a learning system, with the role that is theirs here."""

    subject: str
    name: str
    email: str
    role: str


def read_members(document: Any, *, mentors: str = "nothing") -> list[Member]:
    """Those of a page who are active and have a role here. Raises ValueError for what is no roster:
    an answer that was not understood must not empty a course."""
    listed = document.get("members") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        raise ValueError("it is no list of members")  # noqa: TRY004 (a value from outside)
    found = (_member(entry, mentors) for entry in listed)
    return [member for member in found if member is not None]


def strongest_each(members: Iterable[Member]) -> dict[str, Member]:
    """By subject; whoever is there twice (in two sections) has the stronger role."""
    found: dict[str, Member] = {}
    for member in members:
        before = found.get(member.subject)
        if before is None or _STRENGTH.index(member.role) > _STRENGTH.index(before.role):
            found[member.subject] = member
    return found


_STRENGTH = ("member", "assistant", "instructor")


def _member(entry: Any, mentors: str) -> Member | None:
    if not isinstance(entry, dict) or entry.get("status", "Active") != "Active":
        return None
    subject, roles = entry.get("user_id"), entry.get("roles")
    if not isinstance(subject, str) or not 0 < len(subject) <= MAX_SUBJECT:
        return None
    if not subject.isprintable() or not isinstance(roles, list):
        return None
    role = role_of([str(role) for role in roles[:MAX_ROLES]], mentors=mentors)
    if not role:
        return None
    return Member(subject, full_name(entry), plain_text(entry.get("email"), 200), role)
