"""What running work says of itself, with the token that its server was started with."""

from fastapi import APIRouter

from hub import workloads
from hub.api import schema
from hub.api.access import ControlArg, InsideArg, does
from hub.api.routers.workloads import show_one
from hub.policy import Action

router = APIRouter()


@router.post("/workloads/{workload_id}/saved", **does(Action.REPORT_SAVED))
def saved(workload_id: str, control: ControlArg, actor: InsideArg) -> schema.WorkloadView:
    """Its work is saved as of now: what comes before is not lost if it must go."""
    return show_one(control, actor, workloads.saved(control, actor, workload_id))
