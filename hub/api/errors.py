"""The one place that knows HTTP: errors of the product become status and body."""

import logging
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from catalog.errors import PerijoveError, TooLarge
from hub.api.views import verdict_view
from hub.launching import LaunchRefused
from hub.settings import SCIM_PREFIX

log = logging.getLogger("perijove.api")

STATUS = {
    "bad-value": 422, "bad-json": 400, "not-signed-in": 401, "forbidden": 403,
    "account-closed": 403, "denied": 403, "not-found": 404, "conflict": 409, "too-large": 413,
    "busy": 429, "unavailable": 503, "bad-setup": 409, "method-not-allowed": 405,
}  # fmt: skip
"""HTTP status by error code; a class without a row is an internal error."""


def answer(error: PerijoveError) -> JSONResponse:
    """The body ``{"error": {"code", "message", "next"}}``, with the Verdict of a refused launch."""
    body: dict[str, Any] = dict(error.as_dict())
    if isinstance(error, LaunchRefused):
        body["verdict"] = verdict_view(error.judged).model_dump(mode="json")
        body["code"] = "denied"
    headers = {"WWW-Authenticate": "token"} if error.code == "not-signed-in" else None
    return JSONResponse({"error": body}, STATUS.get(error.code, 500), headers)


def too_large() -> TooLarge:
    return TooLarge(
        "the body is larger than 1 MiB", next="send less; files go into a notebook's home"
    )


async def note_denial(request: Request, error: Exception) -> None:
    """What the policy refused goes into the audit; when that cannot be, into the log."""
    try:
        await run_in_threadpool(request.app.state.denials.note, request.app.state.control, error)
    except PerijoveError:
        log.exception("denial-not-noted")


def methods_at(app: FastAPI, path: str) -> list[str]:
    """Every method that some route takes at this address; a router names those of its first only."""
    from fastapi.routing import iter_route_contexts

    return sorted(
        {
            method
            for route in iter_route_contexts(app.routes)
            if route.path_regex.match(path)
            for method in route.methods or ()
        }
    )


def install(app: FastAPI) -> None:
    """Give `app` the one error shape for everything that can go wrong. Its state says which
    `control` it serves and which `denials` were noted."""

    @app.exception_handler(PerijoveError)
    async def ours(request: Request, error: PerijoveError) -> JSONResponse:
        await note_denial(request, error)
        return answer(error)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        return JSONResponse({"error": _invalid(error)}, _invalid_status(error))

    @app.exception_handler(HTTPException)
    async def plain(request: Request, error: HTTPException) -> Response:
        if request.url.path.startswith(SCIM_PREFIX):
            from hub.api import scim

            return scim.answer(error)
        known = {400: ("bad-json", "the body is not a JSON object that can be read"),
                 404: ("not-found", "there is nothing at this address"),
                 405: ("method-not-allowed", "this address does not take that method")}  # fmt: skip
        if error.status_code == 413:
            return answer(too_large())
        headers = dict(error.headers or {})
        if error.status_code == 405 and (methods := methods_at(request.app, request.url.path)):
            headers["Allow"] = ", ".join(methods)
        code, message = known.get(error.status_code, ("error", str(error.detail)))
        body = {"code": code, "message": message, "next": "see /services/control/openapi.json"}
        return JSONResponse({"error": body}, error.status_code, headers)

    @app.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> JSONResponse:
        log.error("request-failed path=%s", request.url.path, exc_info=error)
        body = {
            "code": "error", "message": "something went wrong on our side; it was logged",
            "next": "try again, and tell the administrator if it stays",
        }  # fmt: skip
        return JSONResponse({"error": body}, 500)


def _invalid_status(error: RequestValidationError) -> int:
    return 400 if error.errors()[0]["type"] == "json_invalid" else 422


def _invalid(error: RequestValidationError) -> dict[str, str]:
    """The first mistake, with its place."""
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"][1:]) or str(first["loc"][0])
    if first["type"] == "json_invalid":
        return {
            "code": "bad-json", "message": f"the body is not JSON (at character {place})",
            "next": "send a JSON object",
        }  # fmt: skip
    if first["type"] == "extra_forbidden":
        said = "there is no such field"
    elif first["type"] in {"model_attributes_type", "model_type", "dict_type"}:
        said = "must be a JSON object"
    else:
        said = first["msg"].removeprefix("Value error, ").lower()
    return {
        "code": "bad-value", "message": f"{place}: {said}",
        "next": "correct it and send it again; see /services/control/openapi.json",
    }  # fmt: skip
