"""The ways to sign in, for forms that name one: lists of people, rules of courses."""

from fastapi import APIRouter
from pydantic import BaseModel

from hub.api import schema
from hub.api.access import ActorArg, ControlArg, does
from hub.policy import ANYBODY, Action, require

router = APIRouter()


class ProviderView(BaseModel):
    """An identity provider, as the page to sign in calls it. `roster_claim` is the claim by which
    it is known who of a list somebody is."""

    name: str
    title: str
    roster_claim: str


@router.get("/providers", **does(Action.READ_MENU))
def providers(control: ControlArg, actor: ActorArg) -> schema.Page[ProviderView]:
    """The identity providers of this site, in the order of its settings; none where everybody has
    an account of this site."""
    require(actor, Action.READ_MENU, ANYBODY)
    items = [
        ProviderView(name=one.name, title=one.title, roster_claim=one.roster_claim)
        for one in control.providers.values()
    ]
    return schema.Page(items=items, next=None)
