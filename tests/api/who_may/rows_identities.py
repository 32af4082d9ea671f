"""Who may see and give up ways to sign in."""

from hub.policy import Actor
from hub.store.ids import new_id
from hub.store.tables import IdentityRow
from tests.api.who_may.callers import EVERYBODY, Rows, nothing
from tests.site import Site


def linked_twice(site: Site, owner: Actor) -> str:
    """The id of one of the owner's two identities."""
    rows = [
        IdentityRow(
            id=new_id("i"), person_id=owner.person_id, issuer=f"https://{new_id('x')}.example",
            subject="mia", created_at=site.clock.now(),
        )
        for _ in "ab"
    ]  # fmt: skip
    with site.control.store.write() as session:
        found = rows[0].id
        session.add_all(rows)
    return found


ROWS: Rows = {
    ("GET", "/identities"): (nothing, None, EVERYBODY),
    ("DELETE", "/identities/{id}"): (
        linked_twice, None, "401 200 404 404 404 404 404 200 403 401 503",
    ),
}  # fmt: skip
