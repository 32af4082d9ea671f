"""Tables of who comes in and why: reasons for roles, keys of services, SCIM, LTI."""
# SQLModel types `__tablename__` as something that only its metaclass can satisfy.
# pyright: reportAssignmentType=false

from datetime import datetime
from typing import Any

from sqlalchemy import UniqueConstraint
from sqlmodel import Field, SQLModel

from hub.store.tables import json_column, time_column


class RoleGrantRow(SQLModel, table=True):
    """One reason why a person has a role in a tenant. The reasons come and go by themselves; what
    counts is the strongest that is left.

    `source` is ``manual``, ``invitation``, ``roster``, ``rule:ISSUER``, ``lti:PLATFORM`` or
    ``scim:KEY``.
    """

    __tablename__ = "role_grant"
    person_id: str = Field(primary_key=True, foreign_key="person.id")
    tenant_id: str = Field(primary_key=True, foreign_key="tenant.id")
    source: str = Field(primary_key=True)
    role: str
    created_at: datetime = time_column()


class ServiceKeyRow(SQLModel, table=True):
    """A secret with which another system, not a person, uses a part of the API.

    A key of scope ``scim`` provisions people of the identity provider `issuer` below `tenant_id`.
    `subject` says which attribute of theirs the provider signs in with: ``external-id`` or
    ``user-name``.
    """

    __tablename__ = "service_key"
    id: str = Field(primary_key=True)
    name: str
    scope: str
    tenant_id: str = Field(foreign_key="tenant.id")
    issuer: str = ""
    subject: str = "external-id"
    secret_hash: str = Field(unique=True)
    created_by: str
    created_at: datetime = time_column()
    expires_at: datetime = time_column()
    used_at: datetime | None = time_column(null=True)
    """When it was first used since it was made or renewed."""
    revoked_at: datetime | None = time_column(null=True)


class ScimUserRow(SQLModel, table=True):
    """A person as their provider describes them; `id` is the SCIM id, which is the person's.

    `user_name` is as it is compared, without upper and lower case; as it was written it is in
    `attributes`.
    """

    __tablename__ = "scim_user"
    __table_args__ = (UniqueConstraint("key_id", "user_name"),)
    id: str = Field(primary_key=True, foreign_key="person.id")
    key_id: str = Field(foreign_key="service_key.id", index=True)
    user_name: str
    external_id: str = Field(default="", index=True)
    attributes: dict[str, Any] = json_column()
    created_at: datetime = time_column()
    changed_at: datetime = time_column()


class ScimGroupRow(SQLModel, table=True):
    """A group as a provider describes it."""

    __tablename__ = "scim_group"
    id: str = Field(primary_key=True)
    key_id: str = Field(foreign_key="service_key.id", index=True)
    display_name: str
    external_id: str = ""
    created_at: datetime = time_column()
    changed_at: datetime = time_column()


class ScimMemberRow(SQLModel, table=True):
    """Who is in a group of a provider."""

    __tablename__ = "scim_member"
    group_id: str = Field(primary_key=True, foreign_key="scim_group.id")
    person_id: str = Field(primary_key=True, foreign_key="person.id", index=True)


class LtiContextRow(SQLModel, table=True):
    """A course in a learning system, and the course here that it is linked to.

    `platform` is the name of the platform in ``lti.yaml``: one pair of issuer and client.
    """

    __tablename__ = "lti_context"
    platform: str = Field(primary_key=True)
    deployment_id: str = Field(primary_key=True)
    context_id: str = Field(primary_key=True)
    id: str = Field(unique=True)
    """What it is called in addresses of ours."""
    title: str = ""
    tenant_id: str | None = Field(default=None, foreign_key="tenant.id", index=True)
    roster_url: str = ""
    line_items_url: str = ""
    line_item_url: str = ""
    """The line of the gradebook that the platform keeps for its link, where there is one."""
    scopes: str = ""
    linked_by: str = ""
    synced_at: datetime | None = time_column(null=True)
    """When its roster was last applied; `tried_at` is the last look by itself, `sync_error` why the
    last look failed."""
    tried_at: datetime | None = time_column(null=True)
    sync_error: str = ""
    created_at: datetime = time_column()


class LtiTeacherRow(SQLModel, table=True):
    """Who came from a course of a learning system as its instructor: they may link it."""

    __tablename__ = "lti_teacher"
    lti_context_id: str = Field(primary_key=True, foreign_key="lti_context.id")
    person_id: str = Field(primary_key=True, foreign_key="person.id", index=True)
    at: datetime = time_column()
