"""What tenants hold of what they are guaranteed and may hold at most."""

from fastapi import APIRouter

from hub.api import schema
from hub.api.access import ActorArg, ControlArg, does
from hub.policy import Action, allowed, require, tenant_object
from hub.tenant_paths import TenantPaths
from hub.world import Limits, read_world
from quotas.holdings import Holding, holdings

router = APIRouter()


@router.get("/quotas/use", **does(Action.READ_QUOTA))
def use(control: ControlArg, actor: ActorArg) -> schema.Page[schema.TenantUse]:
    """What the people of each tenant that you administer hold now, those of tenants below it
    included, and what of it is borrowed."""
    with control.store.read() as session:
        world, paths = read_world(control, session, Limits(session)), TenantPaths(session)
        found = [
            (holding, _id(holding))
            for holding in holdings(world)
            if allowed(actor, Action.READ_QUOTA, tenant_object(paths.of(_id(holding))))
        ]
        if not found:
            require(actor, Action.READ_QUOTA, tenant_object(paths.of(actor.tenant_id)))
    return schema.Page(items=[_line(holding, tenant) for holding, tenant in found], next=None)


def _id(holding: Holding) -> str:
    return holding.tenant.id.removeprefix("tenant:")


def _line(holding: Holding, tenant_id: str) -> schema.TenantUse:
    parent, show = holding.tenant.parent, holding.dimension.show
    said = [f"{show(holding.used)} held"]
    if holding.guaranteed:
        said.append(f"{show(holding.guaranteed)} guaranteed")
    said.append("no limit" if holding.ceiling is None else f"at most {show(holding.ceiling)}")
    if holding.borrowed:
        said.append(f"{show(holding.borrowed)} borrowed")
    return schema.TenantUse(
        tenant=tenant_id, name=holding.tenant.label,
        parent=parent.removeprefix("tenant:") if parent else None,
        dimension=holding.dimension.value,  # type: ignore[arg-type]
        used=holding.used, guaranteed=holding.guaranteed, limit=holding.ceiling,
        borrowed=holding.borrowed, text=", ".join(said),
    )  # fmt: skip
