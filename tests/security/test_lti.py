"""A learning system, or somebody who plays one, gets nobody in who was not sent for this browser."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import OctKey

from catalog.clock import ManualClock, SystemClock
from catalog.errors import Conflict, Forbidden, NotSignedIn, Unavailable
from hub.lti.fetching import ask, is_public
from hub.lti.messages import CLAIM, LINKS, Launch, is_ours
from hub.lti.tool import LtiTool
from hub.lti.trips import Seals, Trip, Waiting, WaitingRoom
from tests.peers.lying_platform import (
    CLIENT,
    DEPLOYMENT,
    GOOD,
    SITE,
    SPARE,
    STRANGER,
    LyingPlatform,
    lying_platform,
    signed,
)

Claims = dict[str, Any]
NOW = int(time.time())
SEALS = Seals(b"s" * 32, SystemClock())


@pytest.fixture
async def liar() -> AsyncIterator[LyingPlatform]:
    async with lying_platform() as platform:
        yield platform


def tool_of(liar: LyingPlatform, **more: Any) -> LtiTool:
    return LtiTool(liar.platform(**more), SITE, SystemClock())


def trip() -> Trip:
    return SEALS.begin("lms", "browser")


async def launch(
    liar: LyingPlatform, make: Callable[[Claims], str] = signed, **more: Any
) -> Launch:
    """A launch with some claims changed, signed by `make`."""
    begun = trip()
    token = make(liar.claims(begun.nonce, **more))
    return await tool_of(liar).finish(begun, {"state": begun.state, "id_token": token})


async def test_an_honest_launch_says_who_and_where(liar: LyingPlatform) -> None:
    found = await launch(liar)
    assert (found.subject, found.name, found.role) == ("ada", "Ada Lovelace", "member")
    assert found.deployment == DEPLOYMENT
    assert found.context is not None
    assert (found.context.id, found.context.title) == ("c-1", "Physics 101")
    assert found.services.roster == f"{liar.issuer}/roster"


# ---- what is not signed by the platform, for this tool, now -------------------------------------


def with_key_of_hs256(claims: Claims) -> str:
    """The oldest trick: the public key, used as a shared secret."""
    header = json.dumps({"alg": "HS256", "kid": "lms"}).encode()
    head, body = (
        base64.urlsafe_b64encode(part).rstrip(b"=")
        for part in (header, json.dumps(claims).encode())
    )
    proof = hmac.new(GOOD.as_pem(private=False), head + b"." + body, hashlib.sha256).digest()
    return b".".join((head, body, base64.urlsafe_b64encode(proof).rstrip(b"="))).decode()


def unsigned(claims: Claims) -> str:
    parts = (json.dumps({"alg": "none"}).encode(), json.dumps(claims).encode(), b"")
    return b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts).decode()


def tampered(claims: Claims) -> str:
    head, _, proof = signed(claims).split(".")
    body = json.dumps({**claims, "sub": "admin"}).encode()
    return f"{head}.{base64.urlsafe_b64encode(body).rstrip(b'=').decode()}.{proof}"


def by_secret(claims: Claims) -> str:
    from tests.peers.lying_provider import sign

    return sign(claims, OctKey.import_key("x" * 32), "HS256", kid="lms")


FORGERIES: dict[str, Callable[[Claims], str]] = {
    "alg none": unsigned,
    "HS256 with the public key": with_key_of_hs256,
    "HS256 with a secret": by_secret,
    "another's key of the same name": lambda claims: signed(claims, STRANGER),
    "a key that nobody has": lambda claims: signed(claims, SPARE),
    "changed after it was signed": tampered,
    "no token": lambda _: "",
    "not a token": lambda _: "a.b.c",
    "too long": lambda claims: signed({**claims, "x": "x" * 70_000}),
}


@pytest.mark.parametrize("forgery", FORGERIES)
async def test_a_forged_launch_is_refused(liar: LyingPlatform, forgery: str) -> None:
    with pytest.raises(NotSignedIn):
        await launch(liar, FORGERIES[forgery])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"iss": "https://evil.example"}, "another issuer"),
        ({"aud": "other-tool"}, "another site"),
        ({"aud": [CLIENT, "other"], "azp": "other"}, "another site"),
        ({"aud": ["other"]}, "another site"),
        ({"azp": "other"}, "another site"),
        ({"aud": None}, "has no aud"),
        ({"exp": NOW - 120}, "expired"),
        ({"exp": None}, "has no exp"),
        ({"iat": NOW + 7200}, "future"),
        ({"iat": None}, "has no iat"),
        ({"nonce": "another"}, "nonce"),
        ({"nonce": None}, "nonce"),
        ({CLAIM + "version": "1.1"}, "not LTI 1.3.0"),
        ({CLAIM + "version": None}, "not LTI 1.3.0"),
        ({CLAIM + "message_type": "LtiStartProctoring"}, "LtiStartProctoring"),
        ({CLAIM + "message_type": None}, "nobody here understands"),
        ({CLAIM + "deployment_id": "d-2"}, "deployment"),
        ({CLAIM + "deployment_id": None}, "deployment_id"),
        ({CLAIM + "deployment_id": 1}, "deployment_id"),
        ({CLAIM + "roles": None}, "no roles"),
        ({CLAIM + "roles": "Instructor"}, "no roles"),
        ({CLAIM + "resource_link": None}, "no id"),
        ({CLAIM + "resource_link": {}}, "no id"),
        ({CLAIM + "target_link_uri": "https://evil.example/x"}, "another site"),
        ({CLAIM + "target_link_uri": None}, "another site"),
        ({"sub": 7}, "sub"),
        ({"sub": ""}, "subject is empty"),
        ({"sub": "x" * 256}, "subject"),
        ({"sub": "a\nb"}, "subject"),
    ],
)
async def test_a_launch_that_does_not_hold_is_refused(
    liar: LyingPlatform, change: Claims, words: str
) -> None:
    with pytest.raises(NotSignedIn, match=words):
        await launch(liar, **change)


async def test_who_is_not_named_is_refused_in_plain_words(liar: LyingPlatform) -> None:
    with pytest.raises(Forbidden, match="did not say who you are"):
        await launch(liar, sub=None)


async def test_a_launch_works_once(liar: LyingPlatform) -> None:
    begun, tool = trip(), tool_of(liar)
    answer = {"state": begun.state, "id_token": signed(liar.claims(begun.nonce))}
    await tool.finish(begun, answer)
    with pytest.raises(NotSignedIn, match="did not begin in this browser"):
        await tool.finish(begun, answer)


async def test_a_refusal_of_the_platform_is_told_in_words(liar: LyingPlatform) -> None:
    begun = trip()
    with pytest.raises(NotSignedIn, match="login_required"):
        await tool_of(liar).finish(begun, {"state": begun.state, "error": "login_required\n"})


async def test_a_new_key_is_looked_for_once(liar: LyingPlatform) -> None:
    clock = ManualClock(SystemClock().now())
    tool = LtiTool(liar.platform(), SITE, clock)

    async def come(make: Callable[[Claims], str]) -> Launch:
        begun = trip()
        token = make(liar.claims(begun.nonce))
        return await tool.finish(begun, {"state": begun.state, "id_token": token})

    await come(signed)
    liar.keys = [SPARE.as_dict(private=False)]
    clock.advance(timedelta(seconds=31))
    await come(lambda claims: signed(claims, SPARE))
    for _ in range(5):  # a forger does not make us ask again and again
        with pytest.raises(NotSignedIn, match="signature"):
            await come(lambda claims: signed(claims, STRANGER))
    assert liar.asked.count("GET /keys") == 2


@pytest.mark.parametrize(
    "answer",
    [
        lambda _: web.Response(status=500),
        lambda _: web.Response(text="x" * (2**20 + 1)),
        lambda _: web.Response(status=302, headers={"Location": "http://127.0.0.1:1/"}),
        lambda _: web.Response(text="[]"),
    ],
)
async def test_keys_that_cannot_be_had_let_nobody_in(
    liar: LyingPlatform, answer: Callable[[web.Request], web.Response]
) -> None:
    liar.raw["keys"] = answer
    with pytest.raises(Unavailable, match="Campus"):
        await launch(liar)


# ---- the way to the platform --------------------------------------------------------------------


def asked(liar: LyingPlatform, **changes: str) -> dict[str, str]:
    given = {
        "iss": liar.issuer, "login_hint": "7", "target_link_uri": f"{SITE}/hub/lti/lms/launch",
        "lti_message_hint": "m", "client_id": CLIENT, "lti_deployment_id": DEPLOYMENT, **changes,
    }  # fmt: skip
    return {key: value for key, value in given.items() if value != "absent"}


async def test_the_way_to_the_platform_carries_what_lti_asks_for(liar: LyingPlatform) -> None:
    tool, begun = tool_of(liar), trip()
    tool.check_login(asked(liar))
    address = urlsplit(tool.address(begun, asked(liar)))
    sent = {name: values[0] for name, values in parse_qs(address.query).items()}
    assert f"{address.scheme}://{address.netloc}{address.path}" == f"{liar.issuer}/login"
    assert sent == {
        "scope": "openid", "response_type": "id_token", "response_mode": "form_post",
        "prompt": "none", "client_id": CLIENT, "redirect_uri": f"{SITE}/hub/lti/lms/launch",
        "state": begun.state, "nonce": begun.nonce, "login_hint": "7", "lti_message_hint": "m",
    }  # fmt: skip


@pytest.mark.parametrize("optional", ["lti_message_hint", "client_id", "lti_deployment_id"])
async def test_what_is_optional_may_be_left_out(liar: LyingPlatform, optional: str) -> None:
    tool_of(liar).check_login(asked(liar, **{optional: "absent"}))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"iss": "https://evil.example"}, "another issuer"),
        ({"iss": "absent"}, "another issuer"),
        ({"client_id": "other"}, "another tool"),
        ({"lti_deployment_id": "d-2"}, "deployment"),
        ({"login_hint": "absent"}, "hint"),
        ({"login_hint": "x" * 4001}, "too long"),
        ({"target_link_uri": "absent"}, "another site"),
        ({"target_link_uri": "https://evil.example/"}, "another site"),
        ({"target_link_uri": f"{SITE}.evil.example/"}, "another site"),
    ],
)
async def test_a_beginning_that_is_wrong_leads_nowhere(
    liar: LyingPlatform, change: dict[str, str], words: str
) -> None:
    with pytest.raises(NotSignedIn, match=words):
        tool_of(liar).check_login(asked(liar, **change))


@given(st.text(max_size=60))
def test_nothing_but_this_site_is_ours(text: str) -> None:
    evil = "https://evil.example"
    for address in (evil + text, f"{SITE}@evil.example/{text}", f"{SITE}.evil.example/{text}"):
        assert not is_ours(address, SITE)
    assert not is_ours(f"javascript:{text}", SITE)
    assert not is_ours(f"//perijove.example/{text}", SITE)


def test_the_site_is_ours_whatever_the_case_of_its_name() -> None:
    assert is_ours(f"{SITE}/services/portal/courses/physics/open?x=1#y", SITE)
    assert is_ours("https://PERIJOVE.example/", SITE)
    assert not is_ours("http://perijove.example/", SITE)
    assert not is_ours(None, SITE)
    assert not is_ours(f"{SITE}/\\evil", SITE)


# ---- the browser --------------------------------------------------------------------------------


def test_a_trip_comes_back_in_the_browser_that_began_it() -> None:
    clock = ManualClock()
    seals = Seals(b"s" * 32, clock)
    begun = seals.begin("lms", "mine")
    assert seals.back("lms", begun.state, "mine") == begun
    assert seals.back("lms", begun.state, "another") is None
    assert seals.back("lms", begun.state, "") is None
    assert seals.back("other", begun.state, "mine") is None
    assert Seals(b"t" * 32, clock).back("lms", begun.state, "mine") is None
    clock.advance(timedelta(minutes=10, seconds=1))
    assert seals.back("lms", begun.state, "mine") is None


@given(st.text(max_size=300) | st.binary(max_size=300).map(lambda b: b.decode("latin-1")))
def test_no_state_breaks_it(state: str) -> None:
    assert SEALS.back("lms", state, "browser") is None


def test_one_browser_may_have_several_trips() -> None:
    first, second = SEALS.begin("lms", "b"), SEALS.begin("lms", "b")
    assert first.nonce != second.nonce
    assert SEALS.back("lms", first.state, "b") == first
    assert SEALS.back("lms", second.state, "b") == second


def waiting(platform: str = "lms") -> Waiting:
    from hub.lti.messages import Services

    return Waiting(Launch(platform, "d", "s", "", "", "", None, Services()), "u-1")


def test_a_ticket_is_for_its_platform_once_and_not_for_long() -> None:
    clock = ManualClock()
    room = WaitingRoom(clock, most=2)
    ticket = room.enter(waiting())
    assert room.look("lms", ticket) == waiting()
    assert room.look("other", ticket) is None
    assert room.look("lms", "") is None
    room.leave(ticket)
    assert room.look("lms", ticket) is None
    late = room.enter(waiting())
    clock.advance(timedelta(minutes=15, seconds=1))
    assert room.look("lms", late) is None
    tickets = [room.enter(waiting()) for _ in range(3)]
    assert [room.look("lms", one) is not None for one in tickets] == [False, True, True]


# ---- requests for links -------------------------------------------------------------------------


async def linking(liar: LyingPlatform, **more: Any) -> Launch:
    begun = trip()
    token = signed(liar.linking(begun.nonce, **more))
    return await tool_of(liar).finish(begun, {"state": begun.state, "id_token": token})


async def test_a_request_for_links_says_where_the_answer_goes(liar: LyingPlatform) -> None:
    found = await linking(liar)
    assert found.role == "instructor"
    assert found.linking is not None
    assert found.linking.return_url == f"{liar.issuer}/picked"
    assert found.linking.data == "opaque"


@pytest.mark.parametrize(
    "settings",
    [
        None,
        {},
        {"accept_types": ["file"], "deep_link_return_url": "https://lms.example/"},
        {"accept_types": ["ltiResourceLink"]},
        {"accept_types": ["ltiResourceLink"], "deep_link_return_url": 7},
        {
            "accept_types": ["ltiResourceLink"],
            "deep_link_return_url": "https://lms.example/",
            "data": "x" * 9000,
        },
    ],
)
async def test_a_request_for_links_that_is_none_is_refused(
    liar: LyingPlatform, settings: Any
) -> None:
    with pytest.raises(NotSignedIn):
        await linking(liar, **{LINKS + "deep_linking_settings": settings})


# ---- addresses that a platform states -----------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
        "0.0.0.1", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fc00::1", "ff02::1",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "2001:db8::1",
        "2001::1",
    ],
)  # fmt: skip
def test_no_private_address_is_public(address: str) -> None:
    import ipaddress

    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_a_public_address_is(address: str) -> None:
    import ipaddress

    assert is_public(ipaddress.ip_address(address))


REMOTE = {
    "issuer": "https://lms.example", "auth_login_url": "https://lms.example/a",
    "auth_token_url": "https://lms.example/t", "jwks_url": "https://lms.example/k",
}  # fmt: skip


@pytest.mark.parametrize(
    "url",
    [
        "http://lms.example/roster", "http://127.0.0.1:1/", "https://127.0.0.1:1/",
        "https://[::1]:1/", "https://169.254.169.254/latest/meta-data", "https://localhost:1/",
        "https://10.0.0.1/", "https://2130706433/", "https://0x7f.1/", "file:///etc/passwd",
        "https://user:pw@lms.example/", "gopher://lms.example/", "https://lms.example/#x", "",
        "https://",
    ],
)  # fmt: skip
async def test_a_platform_elsewhere_leads_nowhere_inside(liar: LyingPlatform, url: str) -> None:
    with pytest.raises((Conflict, Unavailable)):
        await ask(liar.platform(**REMOTE), "GET", url, headers={})
    assert liar.asked == []


async def test_no_redirect_is_followed(liar: LyingPlatform) -> None:
    liar.raw["roster"] = lambda _: web.Response(status=302, headers={"Location": "/keys"})
    reply = await ask(liar.platform(), "GET", f"{liar.issuer}/roster", headers={})
    assert (reply.status, liar.asked) == (302, ["GET /roster"])


async def test_an_answer_without_end_is_none(liar: LyingPlatform) -> None:
    liar.raw["roster"] = lambda _: web.Response(text="x" * (2 * 2**20 + 1))
    with pytest.raises(Unavailable):
        await ask(liar.platform(), "GET", f"{liar.issuer}/roster", headers={})
