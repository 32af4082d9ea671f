"""Every error of the product has a code, an HTTP status and an exit code, and survives the wire."""

import json

import httpx
import pytest

import hub.client.errors
import hub.launching  # noqa: F401 (its errors are subclasses too)
from catalog import errors
from catalog.errors import PerijoveError
from hub.api.errors import STATUS, answer
from hub.cli import output
from hub.client.errors import parsed

OURS = [
    kind for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, PerijoveError) and kind is not PerijoveError
]  # fmt: skip
EXITS = {
    "bad-value": 2, "not-signed-in": 5, "forbidden": 1, "account-closed": 1,
    "not-found": 1, "conflict": 1, "denied": 3, "too-large": 1, "busy": 1, "unavailable": 5, "bad-setup": 1,
}  # fmt: skip


def test_the_tree_is_drawn_as_it_is() -> None:
    assert errors.__doc__
    for kind in OURS:
        assert f"{kind.__name__} " in errors.__doc__
        assert f" {kind.code} " in errors.__doc__


def test_codes_are_each_classs_own() -> None:
    codes = [kind.code for kind in OURS]
    assert len(set(codes)) == len(codes) == len(EXITS)


@pytest.mark.parametrize("kind", OURS)
def test_it_has_a_status_and_an_exit_code(kind: type[PerijoveError]) -> None:
    error = kind("it is so", next="do this")
    response = answer(error)
    assert response.status_code == STATUS[kind.code]
    assert 400 <= response.status_code < 600
    assert json.loads(bytes(response.body)) == {
        "error": {"code": kind.code, "message": "it is so", "next": "do this"}
    }
    assert output.exit_code(error) == EXITS[kind.code]


@pytest.mark.parametrize("kind", OURS)
def test_it_arrives_as_what_it_was(kind: type[PerijoveError]) -> None:
    sent = answer(kind("it is so", next="do this"))
    request = httpx.Request("GET", "http://here/")
    with pytest.raises(kind) as caught:
        parsed(httpx.Response(sent.status_code, content=bytes(sent.body), request=request))
    assert (caught.value.message, caught.value.next) == ("it is so", "do this")
    assert output.exit_code(caught.value) == EXITS[kind.code]


def test_a_subclass_keeps_the_status_of_its_class() -> None:
    error = errors.Refused("no", next="x", code="credits")
    response = answer(error)
    assert response.status_code == 403
    assert json.loads(bytes(response.body))["error"]["code"] == "credits"
