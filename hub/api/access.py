"""Who is calling, and that each route says which Action it performs."""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Header, Request
from fastapi.routing import APIRoute

from catalog.errors import NotSignedIn
from hub import people, starting
from hub.control_context import Control
from hub.hub_api import HubApi
from hub.policy import Action, Actor

SERVICE_PREFIX = "pj_"
"""How keys begin that belong to no person: they are never shown to the Hub."""
PUBLIC = "public"
"""Declared by the few routes that anybody may call."""


def control_of(request: Request) -> Control:
    return request.app.state.control


def hub_of(request: Request) -> HubApi:
    return request.app.state.hub


async def actor_of(request: Request, authorization: Annotated[str, Header()] = "") -> Actor:
    """The person behind the Hub token; asked of the Hub each time, so that a revoked token is dead
    at once. Raises NotSignedIn, AccountClosed, or Unavailable while the Hub is down."""
    scheme, _, token = authorization.partition(" ")
    token = token.strip()
    if scheme.lower() not in {"token", "bearer"} or not 0 < len(token) <= 200:
        raise NotSignedIn(
            "this needs a token", next="send `Authorization: token …`, see `perijove token`"
        )
    if not token.isascii() or not token.isprintable():
        raise NotSignedIn("this token is not valid here", next="mint one with `perijove token`")
    if token.startswith(SERVICE_PREFIX):
        raise NotSignedIn("this address is for people", next="a service key works for its own use")
    control = control_of(request)
    try:
        hub_name = await hub_of(request).owner_of(token)
    except NotSignedIn:
        await _tell_closed(control, token)
        raise
    control.tokens.remember(token, hub_name)
    return await _thread(people.actor_of, control, hub_name)


async def _tell_closed(control: Control, token: str) -> None:
    """A token ends with its account: whoever sends it is told that, and not that it never was."""
    if hub_name := control.tokens.owner(token):
        await _thread(people.actor_of, control, hub_name)


async def inside_of(
    workload_id: str, request: Request, authorization: Annotated[str, Header()] = ""
) -> Actor:
    """As `actor_of`; the token of the workload's own server is good too, also while the Hub is
    away."""
    control, (_, _, token) = control_of(request), authorization.partition(" ")
    hub_name = await _thread(starting.person_inside, control, workload_id, token.strip())
    if hub_name:
        return await _thread(people.actor_of, control, hub_name)
    return await actor_of(request, authorization)


async def _thread(act: Callable[..., Any], *args: Any) -> Any:
    from starlette.concurrency import run_in_threadpool

    return await run_in_threadpool(act, *args)


ControlArg = Annotated[Control, Depends(control_of)]
HubArg = Annotated[HubApi, Depends(hub_of)]
ActorArg = Annotated[Actor, Depends(actor_of)]
InsideArg = Annotated[Actor, Depends(inside_of)]


def does(action: Action | str) -> dict[str, Any]:
    """Extra keywords for a route: the Action it performs, shown in OpenAPI too."""
    value = action.value if isinstance(action, Action) else action
    return {"openapi_extra": {"x-action": value}}


def undeclared(app: FastAPI) -> list[str]:
    """Routes that do not say what they do; must be empty for control to start."""
    from fastapi.routing import iter_route_contexts

    found: list[str] = []
    for context in iter_route_contexts(app.routes):
        route = getattr(context, "route", context)
        declared = isinstance(route, APIRoute) and (route.openapi_extra or {}).get("x-action")
        if not declared:
            found.append(getattr(route, "path", str(route)))
    return found
