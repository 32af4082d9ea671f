"""Every route declares its act, before it can serve anybody."""

import ast
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts

from hub.api import app as public
from hub.api.access import PUBLIC, undeclared
from hub.api.routers import menu
from hub.policy import Action

ROUTERS = Path(public.__file__).parent / "routers"


def routes() -> list[APIRoute]:
    found = [
        getattr(context, "route", context)
        for context in iter_route_contexts(public.routes().routes)
    ]
    assert all(isinstance(route, APIRoute) for route in found)
    return found  # type: ignore[return-value]


def test_every_act_of_the_policy_is_some_routes_and_no_other_is() -> None:
    acts = {(route.openapi_extra or {})["x-action"] for route in routes()}
    # Signing in is the Hub's page: control's inner door judges it, no public route.
    assert acts == {action.value for action in Action} - {"sign-in"} | {PUBLIC}


def test_a_route_that_declares_nothing_is_found() -> None:
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)

    @app.get("/quiet")
    def quiet() -> None: ...

    assert undeclared(app) == ["/quiet"]


def test_an_application_with_such_a_route_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    router = menu.router.__class__()
    router.add_api_route("/quiet", lambda: None)
    monkeypatch.setattr(menu, "router", router)
    with pytest.raises(RuntimeError, match="/quiet"):
        public.routes()


def test_only_health_and_the_description_are_public() -> None:
    open_to_all = [r.path for r in routes() if (r.openapi_extra or {})["x-action"] == PUBLIC]
    assert [path.rpartition("/")[2] for path in open_to_all] == ["healthz", "openapi.json"]


def test_every_route_of_the_routers_asks_who_calls() -> None:
    for file in ROUTERS.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            if not any("router." in ast.unparse(d) for d in node.decorator_list):
                continue
            annotations = {ast.unparse(a.annotation) for a in node.args.args if a.annotation}
            assert annotations & {"ActorArg", "InsideArg"}, f"{file.name}: {node.name}"
