"""For administrators: the tree of tenants."""

from fastapi import APIRouter

from hub import tenants
from hub.api import schema
from hub.api.access import ActorArg, ControlArg, does
from hub.policy import Action
from hub.store.tables import TenantRow

router = APIRouter()


@router.post("/tenants", status_code=201, **does(Action.MANAGE_TENANTS))
def add(body: schema.TenantBody, control: ControlArg, actor: ActorArg) -> schema.TenantView:
    """A tenant below one that you administer. Repeat it as you like."""
    wanted = tenants.NewTenant(body.id, body.name or body.id, body.parent, body.kind)
    return _view(tenants.add(control, actor, wanted))


@router.put("/tenants/{tenant}", **does(Action.MANAGE_TENANTS))
def change(
    tenant: str, body: schema.TenantChange, control: ControlArg, actor: ActorArg
) -> schema.TenantView:
    """Rename a tenant, or move it with all below it."""
    return _view(tenants.change(control, actor, tenant, name=body.name, parent=body.parent))


def _view(row: TenantRow) -> schema.TenantView:
    return schema.TenantView(id=row.id, name=row.name, parent=row.parent_id, kind=row.kind)
