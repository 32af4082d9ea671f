"""Which other system is calling: services show a key, never a person's token."""

from typing import Annotated

from fastapi import Depends, Header, Request
from starlette.concurrency import run_in_threadpool

from catalog.errors import NotSignedIn
from hub import service_keys
from hub.api.access import control_of
from hub.policy import Actor
from hub.rare import Rarely


async def service_of(request: Request, authorization: Annotated[str, Header()] = "") -> Actor:
    """The service behind ``Authorization: Bearer pj_…``. Raises NotSignedIn."""
    scheme, _, key = authorization.partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise NotSignedIn(
            "this needs the key of a service", next="send `Authorization: Bearer pj_…`"
        )
    refusals: Rarely = request.app.state.key_refusals
    return await run_in_threadpool(
        service_keys.service_of, control_of(request), key.strip(), refusals
    )


ServiceArg = Annotated[Actor, Depends(service_of)]
