"""Shapes of the API of service keys."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from hub.api.schema import Body


class KeyBody(Body):
    """A key to make. `provider` is the name of the OpenID provider with which the people that it
    provisions sign in; `subject` is the attribute that is their subject there."""

    name: str = Field(max_length=60)
    scope: Literal["scim"] = "scim"
    tenant: str = Field(default="main", max_length=60)
    provider: str = Field(max_length=40)
    subject: Literal["external-id", "user-name"] = "external-id"
    life: str = Field(default="365d", max_length=20)


class RenewBody(Body):
    """How long the new secret lives, at most 400 days."""

    life: str = Field(default="365d", max_length=20)


class KeyView(BaseModel):
    """A key, without its secret."""

    id: str
    name: str
    scope: str
    tenant: str
    issuer: str
    subject: str
    state: Literal["active", "expired", "revoked"]
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None
    """When it was first used since it was made or renewed."""
    revoked_at: datetime | None


class NewKeyView(KeyView):
    """A key that was just made: `key` is shown this once. `url` is the address for the service."""

    key: str
    url: str
