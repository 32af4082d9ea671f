"""Shapes of identities: the ways in which a person signs in."""

from datetime import datetime

from hub.api.schema import Body


class Identity(Body):
    """A way to sign in to your account. `provider` is its name, empty for one that this site no
    longer has; `removable`: another way is left without it."""

    id: str
    provider: str
    title: str
    issuer: str
    subject: str
    created_at: datetime
    removable: bool
