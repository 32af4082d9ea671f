"""The menu and the Verdict."""

from typing import Annotated

from fastapi import APIRouter, Query

from hub import launching
from hub.api import schema
from hub.api.access import ActorArg, ControlArg, does
from hub.api.views import inventory_view, offer_view, verdict_view
from hub.picture import look
from hub.policy import ANYBODY, Action, require

router = APIRouter()


@router.get("/offers", **does(Action.READ_MENU))
def offers(
    control: ControlArg, actor: ActorArg, tenant: Annotated[str, Query(max_length=60)] = ""
) -> schema.Page[schema.OfferView]:
    """The menu as you see it now, with live availability and your Verdict on each offer; with
    `tenant`, as it is for your work in that course."""
    require(actor, Action.READ_MENU, ANYBODY)
    picture = look(control, actor)
    with control.store.read() as session:
        actor = launching.acting_in(session, actor, tenant)
        standing = launching.standing_of(control, session, actor, picture)
        items = [offer_view(control, standing, offer) for offer in standing.menu]
    return schema.Page(items=items, next=None)


@router.post("/check", **does(Action.CHECK))
def check(body: schema.CheckBody, control: ControlArg, actor: ActorArg) -> schema.VerdictView:
    """Fits, waits or denied: what would happen if you launched this now."""
    require(actor, Action.CHECK, ANYBODY)
    with control.store.read() as session:
        actor = launching.acting_in(session, actor, body.tenant)
        answer = launching.offer_for(control, session, actor, body.offer).answer(body.set)
        standing = launching.standing_of(control, session, actor)
        judged = launching.judge_with_alternatives(control, standing, answer)
    return verdict_view(judged)


@router.post("/menu/reload", **does(Action.RELOAD_MENU))
def reload(control: ControlArg, actor: ActorArg) -> dict[str, int]:
    """Read the menu file now; a mistake is answered with its place and changes nothing."""
    require(actor, Action.RELOAD_MENU, ANYBODY)
    return {"offers": len(control.menu.reload().offers)}


@router.get("/inventory", **does(Action.READ_INVENTORY))
def inventory(control: ControlArg, actor: ActorArg) -> schema.InventoryView:
    """Nodes and devices, what is held of them, and how hard shares are isolated here."""
    require(actor, Action.READ_INVENTORY, ANYBODY)
    picture = look(control, actor)
    with control.store.read() as session:
        standing = launching.standing_of(control, session, actor, picture)
        standing.outlook.read()
    limits = control.limits
    isolation = {
        name: str(how)
        for name, how in (("cpu", limits.cpu), ("memory", limits.memory), ("gpu", limits.gpu))
    }
    notes = [*limits.reasons, *control.inventory_warnings()]
    return inventory_view(control.nodes, standing, isolation, notes)
