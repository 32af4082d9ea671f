"""Shapes of the API of people, their roles, and invitations."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from hub.api.schema import Body, MembershipView, Page


class RoleView(MembershipView):
    """A role, and why the person has it: ``manual``, ``roster``, ``rule:ISSUER``, ``scim:KEY``…"""

    reasons: list[str]


class PersonLine(BaseModel):
    """A person in an administrator's list. `home` says whether they belong to a tenant of yours: of
    others only their roles in your tenants are shown."""

    login: str
    display_name: str
    email: str
    active: bool
    hub_name: str
    memberships: list[RoleView]
    balance: str
    tenant: str
    """Where they belong; empty unless that is yours to see."""
    home: bool
    closed_by: str
    created_at: datetime


class PeoplePage(Page[PersonLine]):
    """A page of people; `total` is how many the filters leave."""

    total: int


class RoleBody(Body):
    """A role to have in a tenant; null takes back what was given by hand."""

    tenant: str = Field(max_length=60)
    role: Literal["member", "assistant", "instructor", "admin", "platform-admin"] | None


class InvitationView(BaseModel):
    """An invitation, without its link."""

    id: str
    tenant: str
    tenant_name: str
    role: str
    email: str
    state: Literal["open", "used", "expired"]
    created_at: datetime
    expires_at: datetime


class PasswordLink(BaseModel):
    """A one-time link at which a person sets a new password; shown once."""

    url: str
    expires_at: datetime
