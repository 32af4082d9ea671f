"""Whatever is sent, the answer is one error shape that names the place, and never a 500."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from hub.settings import CONTROL_PREFIX
from tests.site import V1, Site

LAUNCH = f"{V1}/workloads"


async def post(site: Site, content: Any, path: str = LAUNCH, **headers: str) -> tuple[int, Any]:
    given = {
        "Authorization": f"token {site.token_of('mia')}",
        "Content-Type": "application/json", **headers,
    }  # fmt: skip
    answer = await site.raw("POST", path, headers=given, content=content)
    return answer.status_code, answer.json()


async def refused(site: Site, content: Any, path: str = LAUNCH, **headers: str) -> dict[str, str]:
    status, body = await post(site, content, path, **headers)
    assert 400 <= status < 500, body
    error = body["error"]
    assert set(error) == {"code", "message", "next"}
    assert error["message"]
    assert error["next"]
    assert "Traceback" not in error["message"]
    return error | {"status": status}  # type: ignore[dict-item]


@pytest.mark.parametrize("content", [b"[]", b'"cpu"', b"5", b"null", b"true"])
async def test_json_that_is_no_object(site: Site, content: bytes) -> None:
    error = await refused(site, content)
    assert error["code"] == "bad-value"
    assert "body" in error["message"]


@pytest.mark.parametrize(
    "content",
    [b"{", b"{'offer': 1}", b"\xff\xfe", b"", b'{"offer": "cpu"} x', b"\x00", b"[" * 100_000,
     b'{"offer": ' + b"9" * 5000 + b"}"],
)  # fmt: skip
async def test_what_is_not_json(site: Site, content: bytes) -> None:
    error = await refused(site, content)
    assert error["code"] in {"bad-json", "bad-value"}
    assert error["status"] in {400, 422}


async def test_an_unknown_field_is_named(site: Site) -> None:
    error = await refused(site, json.dumps({"offer": "cpu", "gpus": 1}))
    assert (error["code"], error["message"]) == ("bad-value", "gpus: there is no such field")


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({}, "offer"),
        ({"offer": 5}, "offer"),
        ({"offer": None}, "offer"),
        ({"offer": "cpu", "set": []}, "set"),
        ({"offer": "cpu", "set": {"cpu": [1]}}, "set.cpu"),
        ({"offer": "cpu", "set": {"cpu": True}}, "set.cpu"),
        ({"offer": "cpu", "name": {"a": 1}}, "name"),
        ({"offer": "cpu", "name": "x" * 61}, "name"),
        ({"offer": "cpu", "notify": "yes"}, "notify"),
        ({"offer": "cpu", "set": {str(i): 1 for i in range(30)}}, "set"),
    ],
)
async def test_wrong_types_are_named(site: Site, body: Any, place: str) -> None:
    error = await refused(site, json.dumps(body))
    assert error["code"] == "bad-value"
    assert error["message"].startswith(place)


ABSURD = [
    "1e999999999", "1e999", "NaN", "-1", "Infinity", "1/0", "", " ", "0x10", "9" * 400, "²", "1e-9",
    "-0.5", "1.0000001", "1_0", "٣e5", "100000", 10**400, -(10**400), 10**18, 1.5e308, 0, -1, 1e-300,
]  # fmt: skip


@pytest.mark.parametrize("field", ["cpu", "memory", "duration"])
async def test_absurd_quantities_are_refused(site: Site, field: str) -> None:
    for value in ABSURD:
        error = await refused(site, json.dumps({"offer": "cpu", "set": {field: value}}))
        assert error["code"] == "bad-value"
        assert field in error["message"]
        assert len(error["message"]) < 300


@pytest.mark.parametrize("field", ["cpu", "memory", "duration"])
async def test_numbers_that_are_none(site: Site, field: str) -> None:
    for literal in ("NaN", "Infinity", "-Infinity", "1e999"):
        content = f'{{"offer": "cpu", "set": {{"{field}": {literal}}}}}'
        await refused(site, content)
        await refused(site, content, f"{V1}/check")


async def test_absurd_amounts_are_refused(site: Site) -> None:
    for amount in ("1e999999999", "NaN", "-5", "0", "0.0000001", "9" * 19, "", "a"):
        answer = await site.call("admin", "POST", "/people/mia/grant", {"credits": amount})
        assert (answer.status, answer.code) == (422, "bad-value"), amount
    assert site.leaks() == []


@pytest.mark.parametrize("dimension", ["gpu", "cpu", "memory", "workloads"])
async def test_absurd_limits_are_refused(site: Site, dimension: str) -> None:
    for limit in ("-1", "NaN", "1e9", "9" * 19, "", "x", "-0.5"):
        body = {"tenant": "main", "dimension": dimension, "limit": limit}
        answer = await site.call("admin", "PUT", "/quotas", body)
        assert (answer.status, answer.code) == (422, "bad-value"), limit


NULS: list[tuple[str, str, Any]] = [
    ("POST", "/workloads", {"offer": "cpu", "name": "a\x00b"}),
    ("POST", "/workloads", {"offer": "c\x00pu"}),
    ("POST", "/workloads", {"offer": "cpu", "set": {"c\x00pu": 1}}),
    ("POST", "/workloads", {"offer": "cpu", "set": {"cpu": "1\x00"}}),
    ("GET", "/workloads/%00", None),
    ("GET", "/people?search=%00", None),
    ("GET", "/workloads?cursor=%00", None),
    ("POST", "/people/%00/deactivate", None),
    ("POST", "/notices/%00/read", None),
    ("POST", "/invitations", {"email": "\x00"}),
    ("PUT", "/quotas", {"tenant": "\x00", "dimension": "gpu", "limit": "1"}),
]


async def test_nul_characters_are_refused(site: Site) -> None:
    """PostgreSQL cannot hold them, so that nothing may take them."""
    for method, path, body in NULS:
        answer = await site.call("admin", method, path, body)
        assert (answer.status, answer.code) == (422, "bad-value"), (path, body)
        assert "nul character" in answer.body["error"]["message"].lower()


async def test_half_a_character_is_refused(site: Site) -> None:
    await refused(site, '{"offer": "cpu", "name": "\\ud800"}')
    await refused(site, '{"offer": "cpu", "set": {"\\ud800": 1}}')


FIFTY_MB = 50 * 2**20


async def test_a_body_of_50_mb_is_refused_by_its_length(site: Site) -> None:
    error = await refused(site, b"{", **{"Content-Length": str(FIFTY_MB)})
    assert (error["status"], error["code"]) == (413, "too-large")


async def test_a_body_of_50_mb_without_a_length_is_refused(site: Site) -> None:
    """It is let pass unread, so that the client gets its answer."""

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(FIFTY_MB // 2**20):
            yield b" " * 2**20

    error = await refused(site, chunks())
    assert (error["status"], error["code"]) == (413, "too-large")


@pytest.mark.parametrize("length", ["-1", "abc", "1e3", "9" * 50])
async def test_a_length_that_is_none(site: Site, length: str) -> None:
    error = await refused(site, b"{}", **{"Content-Length": length})
    assert error["status"] == 413


async def test_unknown_things_and_addresses(site: Site) -> None:
    for method, path in (
        ("GET", "/workloads/w-0000000000"), ("POST", "/workloads/x/stop"), ("GET", "/nothing"),
        ("POST", "/people/nobody/activate"), ("POST", "/notices/n-1/read"),
        ("GET", f"{CONTROL_PREFIX}/v2/offers"),
    ):  # fmt: skip
        answer = await site.call("admin", method, path)
        assert (answer.status, answer.code) == (404, "not-found"), path
    for body in ({"offer": "none"}, {"offer": "../../etc"}):
        answer = await site.call("mia", "POST", "/workloads", body)
        assert (answer.status, answer.code) == (404, "not-found")


async def test_a_wrong_method(site: Site) -> None:
    for method, path in (("DELETE", "/offers"), ("GET", "/check"), ("PATCH", "/workloads")):
        answer = await site.call("mia", method, path)
        assert (answer.status, answer.code) == (405, "method-not-allowed")


async def test_absurd_extensions_are_refused(site: Site) -> None:
    workload = await site.run("mia")
    for by in ("0s", "-1h", "91d", "x", "", "59s", "1h1h", "9999d"):
        answer = await site.call("mia", "POST", f"/workloads/{workload}/extend", {"by": by})
        assert (answer.status, answer.code) == (422, "bad-value"), by


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=201", "limit=x", "state=dead", "cursor=w-none", f"cursor={'x' * 99}"],
)
async def test_absurd_pages_are_refused(site: Site, query: str) -> None:
    answer = await site.call("mia", "GET", f"/workloads?{query}")
    assert (answer.status, answer.code) == (422, "bad-value")


@pytest.mark.parametrize(
    "header",
    ["", "token", "token ", "Basic eDp5", "token " + "x" * 300, "bearer unknown", "token ü"],
)
async def test_tokens_that_are_none(site: Site, header: str) -> None:
    answer = await site.raw("GET", f"{V1}/me", headers={"Authorization": header.encode()})  # type: ignore[dict-item]
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "not-signed-in")
    assert answer.headers["WWW-Authenticate"] == "token"


async def test_more_than_any_node_has_is_denied_with_the_reason(site: Site, tmp_path) -> None:  # noqa: ANN001
    menu = tmp_path / "menu.yaml"
    menu.write_text("""
offers:
  - id: huge
    kind: notebook
    title: Huge
    price_per_hour: 1
    fields:
      gpu: {default: 1, min: 0.25, max: 64}
      cpu: {default: 1, min: 0.5, max: 900}
      memory: {default: 1Gi, min: 1Gi, max: 60Ti}
      duration: {default: 1h, min: 15m, max: 8h}
""")
    site.control.menu._path = menu
    for field, value in (("gpu", 64), ("cpu", 900), ("memory", "60Ti")):
        answer = await site.call(
            "mia", "POST", "/workloads", {"offer": "huge", "set": {field: value}}
        )
        assert (answer.status, answer.code) == (403, "denied"), answer.body
        verdict = answer.body["error"]["verdict"]
        assert verdict["verdict"] == "denied"
        assert verdict["reason"]
        assert verdict["next"]
    assert site.leaks() == []


async def test_a_refused_method_names_every_method_of_the_address(site: Site) -> None:
    for path, allowed in (
        ("/announcements", "GET, POST"),
        ("/courses/x", "GET, PUT"),
        ("/courses/x/rules", "DELETE, GET, POST"),
    ):
        answer = await site.raw("OPTIONS", f"/services/control/v1{path}")
        assert (answer.status_code, answer.headers["allow"]) == (405, allowed), path
