"""The ways in which you sign in."""

from fastapi import APIRouter

from hub import identities
from hub.api import schema
from hub.api.access import ActorArg, ControlArg, HubArg, does
from hub.api.identity_schema import Identity
from hub.closing import in_thread
from hub.control_context import Control
from hub.policy import Action, Actor, Object, require
from hub.store.tables import IdentityRow

router = APIRouter()


@router.get("/identities", **does(Action.LINK_IDENTITY))
def mine(control: ControlArg, actor: ActorArg) -> schema.Page[Identity]:
    """What you sign in with. You add another one in a browser, at ``/hub/oidc/PROVIDER/link``."""
    _own(actor)
    with control.store.read() as session:
        rows = identities.of_person(session, actor.person_id)
        found = [_view(control, row, identities.removable(session, row)) for row in rows]
    return schema.Page(items=found, next=None)


@router.delete("/identities/{identity}", **does(Action.LINK_IDENTITY))
async def unlink(
    control: ControlArg, hub: HubArg, actor: ActorArg, identity: str
) -> schema.Page[Identity]:
    """Give up a way to sign in, and the roles that its provider gave; the last one stays. What is
    left."""
    person, arrival = await in_thread(identities.unlink, control, actor, identity)
    if arrival.lost:
        await hub.end_tokens(person.hub_name)
    return await in_thread(mine, control, actor)


def _own(actor: Actor) -> None:
    target = Object(actor.person_id, (actor.tenant_id,), "identities")
    require(actor, Action.LINK_IDENTITY, target)


def _view(control: Control, row: IdentityRow, removable: bool) -> Identity:  # noqa: FBT001 (private)
    provider = control.providers.get(row.issuer)
    return Identity(
        id=row.id, provider=provider.name if provider else "",
        title=provider.title if provider else row.issuer, issuer=row.issuer, subject=row.subject,
        created_at=row.created_at, removable=removable,
    )  # fmt: skip
