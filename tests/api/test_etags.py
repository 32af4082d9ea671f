"""What did not change is not sent again; streams are not held back."""

import httpx
from starlette.applications import Starlette
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route

from hub.api.etags import ETags


def app_with(state: dict[str, int]) -> ETags:
    async def stream(_: object) -> StreamingResponse:
        return StreamingResponse(iter([b"data: 1\n\n"]), media_type="text/event-stream")

    async def missing(_: object) -> JSONResponse:
        return JSONResponse({"error": {}}, 404)

    routes = [
        Route("/state", lambda _: JSONResponse(state), methods=["GET", "POST"]),
        Route("/stream", stream),
        Route("/missing", missing),
    ]
    return ETags(Starlette(routes=routes))


async def test_an_answer_that_did_not_change_is_a_304_without_a_body() -> None:
    state = {"n": 1}
    async with client(state) as http:
        first = await http.get("/state")
        again = await http.get("/state", headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        state["n"] = 2
        changed = await http.get("/state", headers={"If-None-Match": first.headers["etag"]})
        assert (changed.status_code, changed.json()) == (200, {"n": 2})


async def test_only_good_json_answers_to_a_get_carry_a_tag() -> None:
    async with client({"n": 1}) as http:
        for answer in (
            await http.post("/state"),
            await http.get("/stream"),
            await http.get("/missing"),
        ):
            assert "etag" not in answer.headers
        assert (await http.get("/stream")).text == "data: 1\n\n"


def client(state: dict[str, int]) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app_with(state))
    return httpx.AsyncClient(transport=transport, base_url="http://control")
