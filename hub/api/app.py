"""The public application under ``/services/control``."""

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.datastructures import State

from hub.api import errors, schema, scim
from hub.api.access import PUBLIC, does, undeclared
from hub.api.etags import ETags
from hub.api.intake import Intake
from hub.api.routers import (
    account,
    administration,
    announcements,
    audit,
    courses,
    desk,
    holdings,
    identities,
    inside,
    keys,
    lti,
    materials,
    menu,
    money,
    nodes,
    people,
    providers,
    reservations,
    room,
    rosters,
    tenants,
    workloads,
)
from hub.api.untraced import UNTRACED
from hub.control_context import Control
from hub.denials import Denials
from hub.hub_api import HubApi
from hub.rare import Rarely
from hub.settings import CONTROL_PREFIX


def build(control: Control, hub: HubApi, ready: Callable[[], Awaitable[str]]) -> FastAPI:
    """The application for this control and this Hub; `ready` answers an empty string, or what is
    not ready yet. Raises RuntimeError when a route does not declare its Action."""
    return serve(routes(), control, hub, ready)


def serve(
    app: FastAPI, control: Control, hub: HubApi, ready: Callable[[], Awaitable[str]]
) -> FastAPI:
    """`app`, as :func:`routes` made it, for this control and this Hub."""
    app.state = State(
        {
            "control": control,
            "hub": hub,
            "ready": ready,
            "denials": Denials(),
            "key_refusals": Rarely(),
        }
    )
    return app


def routes() -> FastAPI:
    """Every route of the API, for nobody yet. Raises RuntimeError when one does not declare its
    Action."""
    app = FastAPI(
        title="Perijove",
        version="1",
        summary="Shared GPUs, in a notebook or by script: the portal and the CLI use this API too.",
        openapi_url=None,  # served below, as a route that declares its Action like any other
        docs_url=None,
        redoc_url=None,
        separate_input_output_schemas=False,
        telemetry=UNTRACED,
    )
    errors.install(app)
    app.add_middleware(Intake)
    app.add_middleware(ETags)
    v1 = APIRouter(prefix=f"{CONTROL_PREFIX}/v1", responses=_ERRORS)
    for module in (
        menu,
        workloads,
        desk,
        holdings,
        identities,
        inside,
        lti,
        materials,
        account,
        administration,
        announcements,
        audit,
        courses,
        rosters,
        people,
        providers,
        keys,
        money,
        nodes,
        reservations,
        room,
        tenants,
    ):
        v1.include_router(module.router)
    app.include_router(v1)
    scim.install(app)

    @app.get(f"{CONTROL_PREFIX}/healthz", response_model=None, **does(PUBLIC))
    async def healthz(request: Request) -> dict[str, str] | JSONResponse:
        """200 when everything is ready, else 503 with what is not."""
        missing = await request.app.state.ready()
        if missing:
            return JSONResponse({"status": "starting", "waiting_for": missing}, 503)
        return {"status": "ok"}

    @app.get(f"{CONTROL_PREFIX}/openapi.json", **does(PUBLIC))
    def openapi() -> dict[str, Any]:
        """This API, described."""
        return app.openapi()

    if found := undeclared(app):
        raise RuntimeError(f"routes without an Action: {', '.join(found)}")
    return app


_ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": schema.ErrorBody} for status in (400, 401, 403, 404, 409, 422, 503)
}
