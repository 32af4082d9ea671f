"""Who calls each route of the API, and the answers that many routes share."""

from collections.abc import Callable
from typing import Any

from hub import people
from hub.policy import Actor
from hub.store.course_tables import CourseRow
from tests.site import V1, Site, add_course

CALLERS = (
    "anonymous", "owner", "member", "assistant", "instructor", "admin", "other-admin", "platform",
    "closed", "scopeless", "hub-down", "service", "expired-key",
)  # fmt: skip
"""The object is a workload of the owner, or the owner: a member of the course *blue*, as are member,
assistant, instructor and admin. The other admin administers *red*. Then come tokens of a closed
account, without the API's scope, and of the platform's administrator while the Hub is down; the key
of a service that provisions people, and one that has expired."""

Make = Callable[[Site, Actor], str]
"""Makes what a route needs, and gives the ids for its address, separated by spaces."""
Row = tuple[Make, Any, str]
"""How to make it, the body, and a status for each caller. The two of services may be left out where
people alone are let in."""
Rows = dict[tuple[str, str], Row]
"""By method and path below ``/services/control/v1`` (or the whole path, from ``/services`` on), each
parameter written ``{id}``."""


def nothing(site: Site, owner: Actor) -> str:
    return ""


def a_course(site: Site, owner: Actor) -> str:
    """*blue* is a course, with a term that goes on."""
    with site.control.store.read() as session:
        is_there = session.get(CourseRow, "blue") is not None
    if not is_there:
        add_course(site.control, "blue")
    return "blue"


def platform(site: Site) -> Actor:
    return people.actor_of(site.control, "admin")


EVERYBODY = "401 200 200 200 200 200 200 200 403 401 503"
STAFF = "401 200 404 200 200 200 404 200 403 401 503"
OWNER_CREATES = "401 201 404 403 403 403 404 201 403 401 503"
OWNER_ONLY = "401 200 404 403 403 403 404 200 403 401 503"
PLATFORM_ONLY = "401 403 403 403 403 403 403 200 403 401 503"
TENANT_ADMINS = "401 403 403 403 403 200 200 200 403 401 503"
TEACHERS = "401 403 403 403 200 200 200 200 403 401 503"
MANAGED = "401 403 404 403 403 200 404 200 403 401 503"


def whole(path: str) -> str:
    """A row's path as it is called."""
    return path if path.startswith("/services/") else V1 + path


def statuses(expected: str) -> dict[str, int]:
    """By caller."""
    found = [int(status) for status in expected.split()]
    found += [401] * (len(CALLERS) - len(found))
    return dict(zip(CALLERS, found, strict=True))
