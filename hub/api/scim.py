"""SCIM 2.0 over HTTP: routes, and everything that can go wrong in SCIM's own shape."""

import json
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.routing import APIRoute
from pydantic import ValidationError
from scim2_models import (
    Context,
    Error,
    InvalidFilterException,
    InvalidSyntaxException,
    InvalidValueException,
    ListResponse,
    PatchOp,
    Resource,
    ResponseParameters,
    SCIMException,
    SearchRequest,
)
from starlette.exceptions import HTTPException

from catalog.errors import NotSignedIn, PerijoveError
from hub import closing
from hub.api import errors
from hub.api.access import ControlArg, HubArg, does
from hub.api.schema import Body
from hub.api.service_access import ServiceArg
from hub.control_context import Control
from hub.hub_api import HubApi
from hub.policy import Action, Actor
from hub.scim import filters, groups, users
from hub.scim.keyed import Window
from hub.scim.shapes import CONFIG, POLICY, PROVIDER, Group, User
from hub.settings import SCIM_PREFIX

MEDIA_TYPE = "application/scim+json"
_USER_PATCH, _GROUP_PATCH = PatchOp[User], PatchOp[Group]
_PARAMETERS = ResponseParameters[User | Group]
_LIST = ListResponse[User | Group]
_SEARCH = SearchRequest[User | Group]


class _Clean(Body):
    """JSON without NUL characters."""

    content: Any


class ScimRoute(APIRoute):
    """A route whose errors have SCIM's shape."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            try:
                with POLICY:
                    return await handler(request)
            except (PerijoveError, SCIMException, ValidationError, HTTPException) as error:
                await errors.note_denial(request, error)
                return answer(error)

        return handle


def answer(error: Exception) -> Response:
    """An error in SCIM's shape, whatever it was."""
    headers: dict[str, str] = {}
    match error:
        case SCIMException():
            said = error.to_error()
        case ValidationError():
            said = Error.from_validation_errors(error)[0]
        case PerijoveError():
            status = errors.STATUS.get(error.code, 500)
            said = Error(status=status, detail=f"{error.message}; {error.next}".removesuffix("; "))
            if isinstance(error, NotSignedIn):
                headers["WWW-Authenticate"] = "Bearer"
        case HTTPException():
            said = Error(status=error.status_code, detail=str(error.detail))
        case _:
            said = Error(status=500, detail="something went wrong on our side; it was logged")
    content = said.model_dump_json()
    return Response(content, said.status or 500, headers, media_type=MEDIA_TYPE)


router = APIRouter(prefix=SCIM_PREFIX, route_class=ScimRoute, include_in_schema=False)
_MAY = does(Action.PROVISION)


def install(app: FastAPI) -> None:
    """Serve SCIM in `app`."""
    app.include_router(router)


@router.get("/ServiceProviderConfig", **_MAY)
async def config(_: ServiceArg) -> Response:
    """What this site can do."""
    return _shown(CONFIG)


@router.get("/ResourceTypes", **_MAY)
async def resource_types(_: ServiceArg) -> Response:
    """What kinds of resources there are."""
    return _all_of(PROVIDER.resource_types)


@router.get("/ResourceTypes/{name}", **_MAY)
async def resource_type(name: str, _: ServiceArg) -> Response:
    """One of them."""
    return _one_of(PROVIDER.resource_types, name)


@router.get("/Schemas", **_MAY)
async def schemas(_: ServiceArg) -> Response:
    """Which attributes they have."""
    return _all_of(PROVIDER.schemas)


@router.get("/Schemas/{name}", **_MAY)
async def schema(name: str, _: ServiceArg) -> Response:
    """Those of one."""
    return _one_of(PROVIDER.schemas, name)


@router.get("/Users", **_MAY)
async def list_users(request: Request, control: ControlArg, service: ServiceArg) -> Response:
    """Users that this key made: `filter`, `startIndex`, `count`, `attributes`."""
    return await _users_page(control, service, _asked(request.query_params))


@router.post("/Users", **_MAY)
async def add_user(
    request: Request, control: ControlArg, service: ServiceArg, hub: HubArg
) -> Response:
    """A person, with the identity that they will sign in with."""
    wanted = _validated(User, await _json(request), Context.RESOURCE_CREATION_REQUEST)
    kept = await closing.in_thread(users.create, control, service, wanted)
    await _end_what_ended(control, hub, kept)
    return _made(kept.user, request)


@router.get("/Users/{id_}", **_MAY)
async def get_user(
    id_: str, request: Request, control: ControlArg, service: ServiceArg
) -> Response:  # fmt: skip
    """One user."""
    found = await closing.in_thread(users.one, control, service, id_)
    return _unless_known(found, request)


@router.put("/Users/{id_}", **_MAY)
async def put_user(
    id_: str, request: Request, control: ControlArg, service: ServiceArg, hub: HubArg
) -> Response:  # fmt: skip
    """Replace a user."""
    wanted = _validated(User, await _json(request), Context.RESOURCE_REPLACEMENT_REQUEST)
    return await _change_user(id_, request, control, service, hub, _replacing(wanted))


@router.patch("/Users/{id_}", **_MAY)
async def patch_user(
    id_: str, request: Request, control: ControlArg, service: ServiceArg, hub: HubArg
) -> Response:  # fmt: skip
    """Change parts of a user."""
    patch = _validated(_USER_PATCH, await _json(request), Context.RESOURCE_PATCH_REQUEST)
    return await _change_user(id_, request, control, service, hub, _patching(patch))


@router.delete("/Users/{id_}", **_MAY)
async def delete_user(
    id_: str, request: Request, control: ControlArg, service: ServiceArg, hub: HubArg
) -> Response:  # fmt: skip
    """The account is closed at once: tokens, sessions, servers. Then the user is gone."""
    known = request.headers.get("if-match", "")
    kept = await closing.in_thread(users.closing_of, control, service, id_, known)
    await closing.close(control, hub, kept.person, by=kept.closed_by, actor=kept.closed_by)
    await closing.in_thread(users.remove, control, service, id_)
    return Response(status_code=204)


@router.get("/Groups", **_MAY)
async def list_groups(request: Request, control: ControlArg, service: ServiceArg) -> Response:
    """Groups that this key made."""
    return await _groups_page(control, service, _asked(request.query_params))


@router.post("/Groups", **_MAY)
async def add_group(request: Request, control: ControlArg, service: ServiceArg) -> Response:
    """A group, and the roles that follow from it."""
    wanted = _validated(Group, await _json(request), Context.RESOURCE_CREATION_REQUEST)
    kept = await closing.in_thread(groups.create, control, service, wanted)
    return _made(kept.group, request)


@router.get("/Groups/{id_}", **_MAY)
async def get_group(
    id_: str, request: Request, control: ControlArg, service: ServiceArg
) -> Response:  # fmt: skip
    """One group."""
    found = await closing.in_thread(groups.one, control, service, id_)
    return _unless_known(found, request)


@router.put("/Groups/{id_}", **_MAY)
async def put_group(
    id_: str, request: Request, control: ControlArg, service: ServiceArg, hub: HubArg
) -> Response:  # fmt: skip
    """Replace a group."""
    wanted = _validated(Group, await _json(request), Context.RESOURCE_REPLACEMENT_REQUEST)
    return await _change_group(id_, request, control, service, hub, _replacing(wanted))


@router.patch("/Groups/{id_}", **_MAY)
async def patch_group(
    id_: str, request: Request, control: ControlArg, service: ServiceArg, hub: HubArg
) -> Response:  # fmt: skip
    """Change parts of a group."""
    patch = _validated(_GROUP_PATCH, await _json(request), Context.RESOURCE_PATCH_REQUEST)
    return await _change_group(id_, request, control, service, hub, _patching(patch))


@router.delete("/Groups/{id_}", **_MAY)
async def delete_group(
    id_: str, request: Request, control: ControlArg, service: ServiceArg, hub: HubArg
) -> Response:  # fmt: skip
    """The group is gone, and the roles that followed from it."""
    known = request.headers.get("if-match", "")
    left = await closing.in_thread(groups.remove, control, service, id_, known)
    await _end_tokens(hub, left)
    return Response(status_code=204)


@router.post("/.search", **_MAY)
async def search(request: Request, control: ControlArg, service: ServiceArg) -> Response:
    """Users, then groups, by the same filter."""
    asked = _validated(_SEARCH, await _json(request), Context.SEARCH_REQUEST)
    window = Window.of(asked.start_index, asked.count)
    found, total = await closing.in_thread(_search, control, service, asked, window)
    return _page(found, total, window, asked)


@router.post("/Users/.search", **_MAY)
async def search_users(request: Request, control: ControlArg, service: ServiceArg) -> Response:
    """As GET /Users, with everything in the body."""
    asked = _validated(_SEARCH, await _json(request), Context.SEARCH_REQUEST)
    return await _users_page(control, service, asked)


@router.post("/Groups/.search", **_MAY)
async def search_groups(request: Request, control: ControlArg, service: ServiceArg) -> Response:
    """As GET /Groups, with everything in the body."""
    asked = _validated(_SEARCH, await _json(request), Context.SEARCH_REQUEST)
    return await _groups_page(control, service, asked)


async def _users_page(control: Control, service: Actor, asked: SearchRequest[Any]) -> Response:
    condition = filters.users(asked.filter) if asked.filter else None
    window = Window.of(asked.start_index, asked.count)
    found, total = await closing.in_thread(users.listed, control, service, condition, window)
    return _page(found, total, window, asked)


async def _groups_page(control: Control, service: Actor, asked: SearchRequest[Any]) -> Response:
    condition = filters.groups(asked.filter) if asked.filter else None
    window = Window.of(asked.start_index, asked.count)
    found, total = await closing.in_thread(_groups_in, control, service, condition, window, asked)
    return _page(found, total, window, asked)


async def _change_user(
    id_: str, request: Request, control: Control, service: Actor, hub: HubApi, edit: Any
) -> Response:
    known = request.headers.get("if-match", "")
    kept = await closing.in_thread(users.change, control, service, id_, edit, known)
    await _end_what_ended(control, hub, kept)
    return _shown(kept.user, request)


async def _change_group(
    id_: str, request: Request, control: Control, service: Actor, hub: HubApi, edit: Any
) -> Response:
    known = request.headers.get("if-match", "")
    kept = await closing.in_thread(groups.change, control, service, id_, edit, known)
    await _end_tokens(hub, kept.left)
    return _shown(kept.group, request)


async def _end_what_ended(control: Control, hub: HubApi, kept: users.Kept) -> None:
    if kept.closed_by:
        await closing.close(control, hub, kept.person, by=kept.closed_by, actor=kept.closed_by)
    else:
        await _end_tokens(hub, kept.left)


async def _end_tokens(hub: HubApi, names: Any) -> None:
    for name in names:
        await hub.end_tokens(name)


def _search(
    control: Control, service: Actor, asked: SearchRequest[Any], window: Window
) -> tuple[list[Resource[Any]], int]:
    """A filter on an attribute that only one of the kinds has holds for none of the other."""
    by = [_condition(kind, asked.filter) for kind in (filters.users, filters.groups)]
    if all(isinstance(one, InvalidFilterException) for one in by):
        raise by[0]
    some, total = list[Resource[Any]](), 0
    if not isinstance(by[0], InvalidFilterException):
        found, total = users.listed(control, service, by[0], window)
        some += found
    if not isinstance(by[1], InvalidFilterException):
        rest = Window(max(window.skip - total, 0), window.most - len(some))
        more, count = groups.listed(control, service, by[1], rest)
        some, total = [*some, *more], total + count
    return some, total


def _condition(kind: Callable[[str], filters.Condition], text: str | None) -> Any:
    try:
        return kind(text) if text else None
    except InvalidFilterException as error:
        return error


def _groups_in(
    control: Control, service: Actor, condition: Any, window: Window, asked: Any
) -> tuple[list[Group], int]:
    """Nobody is counted up whom the client left out: groups are large."""
    out = {str(path).casefold() for path in asked.excluded_attributes or ()}
    wanted = {str(path).casefold().split(".")[0] for path in asked.attributes or ()}
    members = "members" not in out and (not wanted or "members" in wanted)
    return groups.listed(control, service, condition, window, members=members)


def _replacing(wanted: Any) -> Callable[[Any], Any]:
    def edit(before: Any) -> Any:
        if isinstance(wanted, User) and wanted.active is None:
            wanted.active = before.active
        wanted.replace(before)
        return wanted

    return edit


def _patching(patch: Any) -> Callable[[Any], Any]:
    def edit(before: Any) -> Any:
        with POLICY:  # this runs in a thread of its own
            patch.patch(before)
        return before

    return edit


async def _json(request: Request) -> dict[str, Any]:
    try:
        content = json.loads(await request.body())
    except (ValueError, RecursionError) as error:
        raise InvalidSyntaxException(detail="the body is not JSON") from error
    if not isinstance(content, dict):
        raise InvalidSyntaxException(detail="the body is not a JSON object")
    try:
        _Clean(content=content)
    except (ValidationError, RecursionError) as error:
        raise InvalidValueException(detail="there is a NUL character in it") from error
    return content


def _validated(kind: Any, content: dict[str, Any], context: Context) -> Any:
    return kind.model_validate(content, scim_ctx=context, scim_policy=POLICY)


def _asked(query: Any) -> SearchRequest[Any]:
    """The parameters of a list; those that no list has are read over."""
    names = ("filter", "startIndex", "count", "attributes", "excludedAttributes")
    given = {name: query[name] for name in names if query.get(name)}
    for name in ("startIndex", "count"):
        if name in given:
            given[name] = _whole(name, given[name])
    return SearchRequest.model_validate(given)


def _whole(name: str, text: str) -> int:
    try:
        return int(text[:20])
    except ValueError as error:
        raise InvalidValueException(detail=f"{name}: {text[:20]!r} is not a number") from error


def _parameters(request: Request | None) -> ResponseParameters[Any] | None:
    if request is None:
        return None
    given = {
        name: request.query_params[name]
        for name in ("attributes", "excludedAttributes")
        if request.query_params.get(name)
    }
    return _PARAMETERS.model_validate(given) if given else None


def _shown(resource: Resource[Any], request: Request | None = None, status: int = 200) -> Response:
    content = resource.model_dump_json(
        scim_ctx=Context.RESOURCE_QUERY_RESPONSE, response_parameters=_parameters(request)
    )
    headers: dict[str, str] = {}
    if resource.meta and resource.meta.version:
        headers["ETag"] = resource.meta.version
    return Response(content, status, headers, media_type=MEDIA_TYPE)


def _made(resource: Resource[Any], request: Request) -> Response:
    shown = _shown(resource, request, 201)
    shown.headers["Location"] = str(resource.meta.location) if resource.meta else ""
    return shown


def _unless_known(resource: Resource[Any], request: Request) -> Response:
    known = {part.strip() for part in request.headers.get("if-none-match", "").split(",")}
    shown = _shown(resource, request)
    if shown.headers.get("etag") in known:
        return Response(status_code=304, headers={"ETag": shown.headers["etag"]})
    return shown


def _page(found: Any, total: int, window: Window, asked: Any) -> Response:
    page = _LIST(
        total_results=total, start_index=window.skip + 1, items_per_page=len(found),
        resources=list(found),
    )  # fmt: skip
    content = page.model_dump_json(
        scim_ctx=Context.RESOURCE_QUERY_RESPONSE, response_parameters=asked
    )
    return Response(content, media_type=MEDIA_TYPE)


def _all_of(resources: Any) -> Response:
    kind = ListResponse[type(resources[0])]
    page = kind(
        total_results=len(resources), start_index=1, items_per_page=len(resources),
        resources=list(resources),
    )  # fmt: skip
    content = page.model_dump_json(scim_ctx=Context.RESOURCE_QUERY_RESPONSE)
    return Response(content, media_type=MEDIA_TYPE)


def _one_of(resources: Any, name: str) -> Response:
    found = next((one for one in resources if name in {one.id, getattr(one, "name", "")}), None)
    if found is None:
        raise HTTPException(404, f"there is no {name[:80]!r}")
    return _shown(found)
