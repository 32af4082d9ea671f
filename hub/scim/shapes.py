"""What of SCIM this site serves. What it has no use for (addresses, telephone numbers, pictures,
passwords) is read over and never stored.

Docstrings of attributes are the descriptions in ``/Schemas``.
"""

import unicodedata
from typing import Annotated, Any, ClassVar

from pydantic import Field
from scim2_models import (
    URN,
    AnyExtension,
    AuthenticationScheme,
    Bulk,
    CaseExact,
    ChangePassword,
    ComplexAttribute,
    ETag,
    Filter,
    GroupMembership,
    Mutability,
    Name,
    Pagination,
    Patch,
    Reference,
    Required,
    Resource,
    ResourceType,
    ScimPolicy,
    ScimProvider,
    ServiceProviderConfig,
    Sort,
    Uniqueness,
)

MAX_RESULTS = 200


class Email(ComplexAttribute):
    """An address of a person."""

    value: str | None = None
    """The address. It is shown, and never decides who somebody is."""

    type: str | None = Field(None, examples=["work", "home", "other"])
    """What it is for."""

    primary: bool | None = None
    """Whether it is the one to use."""


class Label(ComplexAttribute):
    """A role or an entitlement at the provider."""

    value: str | None = None
    """The value, for rules to look at."""

    display: str | None = None
    """A name for people."""

    type: str | None = None
    """What kind of value it is."""

    primary: bool | None = None
    """Whether it is the main one."""


class User(Resource[AnyExtension]):
    """Somebody who may sign in."""

    __schema__ = URN("urn:ietf:params:scim:schemas:core:2.0:User")

    user_name: Annotated[str | None, Uniqueness.server, Required.true] = None
    """The name at the provider. Upper and lower case are the same."""

    name: Name | None = None
    """The parts of the name."""

    Name: ClassVar[type[ComplexAttribute]] = Name

    display_name: str | None = None
    """The name that others see."""

    title: str | None = None
    """What they are called at work."""

    user_type: str | None = None
    """What they are to the institution, for rules to look at."""

    preferred_language: str | None = None
    """The language that they prefer to read."""

    active: bool | None = None
    """Whether the account is open. When it is closed, tokens, sessions and servers end at once."""

    emails: list[Email] | None = None
    """Addresses."""

    Emails: ClassVar[type[ComplexAttribute]] = Email

    groups: Annotated[list[GroupMembership] | None, Mutability.read_only] = None
    """The groups that they are in."""

    Groups: ClassVar[type[ComplexAttribute]] = GroupMembership

    entitlements: list[Label] | None = None
    """What they are entitled to, for rules to look at."""

    Entitlements: ClassVar[type[ComplexAttribute]] = Label

    roles: list[Label] | None = None
    """Their roles at the provider, for rules to look at."""

    Roles: ClassVar[type[ComplexAttribute]] = Label


class GroupMember(ComplexAttribute):
    """Somebody in a group."""

    value: Annotated[str | None, Mutability.immutable, CaseExact.true] = None
    """The id of the user."""

    ref: Annotated[Reference["User"] | None, Mutability.immutable] = Field(
        None, serialization_alias="$ref", validation_alias="$ref"
    )
    """The address of the user."""

    type: Annotated[str | None, Mutability.immutable] = Field(None, examples=["User"])
    """Always User: groups of groups are not taken."""


class Group(Resource[Any]):
    """A group of users. Its name is what rules look at."""

    __schema__ = URN("urn:ietf:params:scim:schemas:core:2.0:Group")

    display_name: Annotated[str | None, Required.true] = None
    """The name."""

    members: list[GroupMember] | None = None
    """Who is in it."""

    Members: ClassVar[type[ComplexAttribute]] = GroupMember


CONFIG = ServiceProviderConfig(
    patch=Patch(supported=True),
    bulk=Bulk(supported=False, max_operations=0, max_payload_size=0),
    filter=Filter(supported=True, max_results=MAX_RESULTS),
    change_password=ChangePassword(supported=False),
    sort=Sort(supported=False),
    etag=ETag(supported=True),
    pagination=Pagination(
        cursor=False, index=True, default_page_size=100, max_page_size=MAX_RESULTS
    ),
    authentication_schemes=[
        AuthenticationScheme(
            type=AuthenticationScheme.Type.oauthbearertoken,
            name="Key of this site",
            description="A key that `perijove key add` prints, as Authorization: Bearer pj_…",
            primary=True,
        )
    ],
)
POLICY = ScimPolicy(
    unknown=ScimPolicy.Unknown.ignore,
    remove_value_as_filter=ScimPolicy.RemoveValue.apply,
    unmatched_path_filter=ScimPolicy.UnmatchedPathFilter.create,
)
"""What Microsoft Entra and others send beside the specification is understood."""

PROVIDER = ScimProvider(
    models=[User, Group],
    resource_types=[ResourceType.from_resource(User), ResourceType.from_resource(Group)],
    config=CONFIG,
    policy=POLICY,
)


def folded(name: str) -> str:
    """A name as it is compared: without upper and lower case."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
