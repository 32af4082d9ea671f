"""What a platform says with a launch: from the claims of a token whose signature holds to a value.

Every text is bounded and printable; whatever is not as LTI 1.3 wants it is refused in words.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from hub.auth.tokens import MAX_SUBJECT, untrue
from hub.lti.platforms import Platform
from hub.lti.roles import role_of

CLAIM = "https://purl.imsglobal.org/spec/lti/claim/"
LINKS = "https://purl.imsglobal.org/spec/lti-dl/claim/"
ROSTER = "https://purl.imsglobal.org/spec/lti-nrps/claim/namesroleservice"
GRADES = "https://purl.imsglobal.org/spec/lti-ags/claim/endpoint"
VERSION = "1.3.0"
RESOURCE, LINKING = "LtiResourceLinkRequest", "LtiDeepLinkingRequest"
COURSE_PARAMETER = "perijove_course"
"""Which of our courses a link was made for; it gives no right to it."""
MAX_ID, MAX_TITLE, MAX_ADDRESS, MAX_DATA, MAX_ROLES = 255, 200, 2000, 8192, 100


@dataclass(frozen=True, slots=True)
class Context:
    """A course of the learning system."""

    id: str
    title: str


@dataclass(frozen=True, slots=True)
class Linking:
    """Where the answer to a request for links goes, and what has to come back with it."""

    return_url: str
    data: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Services:
    """Addresses that the platform states; they are checked where they are used."""

    roster: str = ""
    line_items: str = ""
    line_item: str = ""
    scopes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Launch:
    """Somebody comes from a course of a learning system. `role` is ours, empty for none; `course` is
    what our own link says."""

    platform: str
    deployment: str
    subject: str
    name: str
    email: str
    role: str
    context: Context | None
    services: Services
    course: str = ""
    linking: Linking | None = None


def read_launch(platform: Platform, claims: Mapping[str, Any], site: str) -> Launch:
    """The launch in verified claims, for the site with the address `site`.

    Raises NotSignedIn when it is not as LTI 1.3 wants it.
    """
    if claims.get(CLAIM + "version") != VERSION:
        raise untrue(platform.party, f"it is not LTI {VERSION}")
    kind = claims.get(CLAIM + "message_type")
    if kind not in {RESOURCE, LINKING}:
        raise untrue(
            platform.party, f"nobody here understands a {plain_text(kind, 60) or 'message'!r}"
        )
    deployment = _needed(platform, claims, CLAIM + "deployment_id")
    if not platform.knows(deployment):
        raise untrue(platform.party, "its deployment is not one that this site trusts")
    _demand_our_host(platform, claims.get(CLAIM + "target_link_uri"), site)
    if kind == RESOURCE:
        link = _object(claims.get(CLAIM + "resource_link"))
        _needed(platform, link, "id")
    roles = claims.get(CLAIM + "roles")
    if not isinstance(roles, list):
        raise untrue(platform.party, "it names no roles")
    custom = _object(claims.get(CLAIM + "custom"))
    return Launch(
        platform=platform.name,
        deployment=deployment,
        subject=_subject(platform, claims.get("sub")),
        name=full_name(claims),
        email=plain_text(claims.get("email"), 200),
        role=role_of([str(role) for role in roles[:MAX_ROLES]], mentors=platform.mentors),
        context=_context(_object(claims.get(CLAIM + "context"))),
        services=_services(claims),
        course=plain_text(custom.get(COURSE_PARAMETER), 60),
        linking=_linking(platform, claims) if kind == LINKING else None,
    )


def is_ours(address: Any, site: str) -> bool:
    """Whether an address is on this very site."""
    if (
        not isinstance(address, str)
        or len(address) > MAX_ADDRESS
        or set(address) & set(" \\\r\n\t")
    ):
        return False
    try:
        given, ours = urlsplit(address), urlsplit(site)
        return (given.scheme, given.netloc.lower()) == (ours.scheme, ours.netloc.lower())
    except ValueError:
        return False


def _demand_our_host(platform: Platform, target: Any, site: str) -> None:
    if not is_ours(target, site):
        raise untrue(platform.party, "it leads to another site than this one")


def _subject(platform: Platform, value: Any) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= MAX_SUBJECT or not value.isprintable():
        raise untrue(platform.party, "its subject is no name")
    return value


def _context(given: Mapping[str, Any]) -> Context | None:
    id_ = given.get("id")
    if not isinstance(id_, str) or not 0 < len(id_) <= MAX_ID or not id_.isprintable():
        return None
    title = plain_text(given.get("title"), MAX_TITLE) or plain_text(given.get("label"), MAX_TITLE)
    return Context(id_, title or id_[:MAX_TITLE])


def _services(claims: Mapping[str, Any]) -> Services:
    roster, grades = _object(claims.get(ROSTER)), _object(claims.get(GRADES))
    scopes = grades.get("scope")
    listed = scopes if isinstance(scopes, list) else []
    return Services(
        roster=_address(roster.get("context_memberships_url")),
        line_items=_address(grades.get("lineitems")),
        line_item=_address(grades.get("lineitem")),
        scopes=tuple(text for scope in listed[:20] if (text := plain_text(scope, 200))),
    )


def _linking(platform: Platform, claims: Mapping[str, Any]) -> Linking:
    settings = _object(claims.get(LINKS + "deep_linking_settings"))
    accepted = settings.get("accept_types")
    if not isinstance(accepted, list) or "ltiResourceLink" not in accepted:
        raise untrue(platform.party, "it does not take links to tools")
    data = settings.get("data", "")
    if not isinstance(data, str) or len(data) > MAX_DATA:
        raise untrue(platform.party, "what has to come back with it is too long")
    back = _address(settings.get("deep_link_return_url"))
    if not back:
        raise untrue(platform.party, "it does not say where the link goes")
    return Linking(back, data)


def _needed(platform: Platform, given: Mapping[str, Any], name: str) -> str:
    value = given.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= MAX_ID or not value.isprintable():
        raise untrue(platform.party, f"it has no {name.rpartition('/')[2]}")
    return value


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _address(value: Any) -> str:
    fits = isinstance(value, str) and len(value) <= MAX_ADDRESS and value.isprintable()
    return value if fits else ""


def plain_text(value: Any, most: int) -> str:
    """What can be shown of a text from outside: printable, and not longer than `most`."""
    if not isinstance(value, str):
        return ""
    return "".join(c for c in value if c.isprintable()).strip()[:most]


def full_name(claims: Mapping[str, Any]) -> str:
    """A name in one piece, or put together from its parts; empty when there is none."""
    if whole := plain_text(claims.get("name"), 80):
        return whole
    parts = (plain_text(claims.get(part), 40) for part in ("given_name", "family_name"))
    return " ".join(part for part in parts if part)
