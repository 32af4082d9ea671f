"""Service keys: those who administer the platform, and nobody else."""

from hub.policy import Actor
from tests.api.who_may import keys
from tests.api.who_may.callers import PLATFORM_ONLY, Rows, nothing
from tests.site import Site

CREATES = "401 403 403 403 403 403 403 201 403 401 503"


def a_key(site: Site, owner: Actor) -> str:
    return keys.add_key(site).row.id


ROWS: Rows = {
    ("GET", "/keys"): (nothing, None, PLATFORM_ONLY),
    ("POST", "/keys"): (nothing, {"name": "entra", "provider": "uni"}, CREATES),
    ("POST", "/keys/{id}/renew"): (a_key, {}, PLATFORM_ONLY),
    ("POST", "/keys/{id}/revoke"): (a_key, None, PLATFORM_ONLY),
}
