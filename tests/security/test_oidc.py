"""A provider, or somebody who plays one, gets nobody in who did not sign in there for this site."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey, OctKey, RSAKey

from catalog.clock import SystemClock
from catalog.errors import BadSetup, Forbidden, NotSignedIn, Unavailable
from hub.auth.oidc import OpenIdClient, Proof
from hub.auth.providers import Provider, is_safe_address, load_providers
from hub.auth.tokens import LOGOUT_EVENT
from hub.auth.trips import HOME_PAGE, Once, Trip, own_path, seal, trip_key, unseal
from hub.settings import PACKAGE_ROOT
from tests.peers.lying_provider import (
    CLIENT,
    CURVE,
    EDWARDS,
    GOOD,
    SPARE,
    STRANGER,
    LyingProvider,
    lying_provider,
    sign,
)

SITE = "http://127.0.0.1:8000"
ENTRY = {
    "name": "uni", "title": "University", "issuer": "https://id.example.org",
    "client_id": CLIENT, "client_secret": "s&cret:%", "allowed": "everyone",
}  # fmt: skip
Claims = dict[str, Any]


@pytest.fixture
async def liar() -> AsyncIterator[LyingProvider]:
    async with lying_provider() as provider:
        yield provider


def client_of(liar: LyingProvider, **changes: Any) -> OpenIdClient:
    provider = Provider.model_validate({**ENTRY, "issuer": liar.issuer, **changes})
    return OpenIdClient(provider, SITE, SystemClock())


async def sign_in(
    liar: LyingProvider, client: OpenIdClient | None = None, **changes: str | None
) -> Proof:
    """The whole trip; `changes` are made to what the provider's redirect carries."""
    trip = Trip.begin("uni", "/")
    liar.nonce = liar.nonce or trip.nonce
    answer = {"state": trip.state, "code": "c0de", "iss": liar.issuer, **changes}
    given = {name: value for name, value in answer.items() if value is not None}
    return await (client or client_of(liar)).finish(trip, given)


# ---- honest sign-ins ----------------------------------------------------------------------------


async def test_an_honest_sign_in_says_who_it_is(liar: LyingProvider) -> None:
    proof = await sign_in(liar)
    assert (proof.issuer, proof.subject) == (liar.issuer, "ada")
    assert (proof.display_name, proof.email) == ("Ada", "ada@example.org")
    form, header = liar.asked[0]
    assert form["redirect_uri"] == f"{SITE}/hub/oidc/uni/callback"
    assert "client_secret" not in form
    # RFC 6749 2.3.1: both parts are form-encoded before they are joined.
    assert base64.b64decode(header.removeprefix("Basic ")) == b"perijove:s%26cret%3A%25"


async def test_the_way_out_asks_with_pkce_nonce_and_state(liar: LyingProvider) -> None:
    trip = Trip.begin("uni", "/")
    asked = {
        k: v[0] for k, v in parse_qs(urlsplit(await client_of(liar).begin(trip)).query).items()
    }
    digest = hashlib.sha256(trip.verifier.encode()).digest()
    assert asked["code_challenge"] == base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    assert asked["code_challenge_method"] == "S256"
    assert (asked["nonce"], asked["state"]) == (trip.nonce, trip.state)
    assert (asked["response_type"], asked["client_id"]) == ("code", CLIENT)
    assert asked["scope"].split()[0] == "openid"
    assert trip.verifier not in str(asked)
    assert len({trip.state, trip.nonce, trip.verifier}) == 3


@pytest.mark.parametrize(("key", "alg"), [(CURVE, "ES256"), (EDWARDS, "EdDSA"), (GOOD, "RS256")])
async def test_public_key_algorithms_are_believed(liar: LyingProvider, key: Any, alg: str) -> None:
    liar.id_token = lambda claims: sign(claims, key, alg)
    assert (await sign_in(liar)).subject == "ada"


async def test_a_provider_may_change_its_keys(liar: LyingProvider) -> None:
    client = client_of(liar)
    client._discovery._clock = Later()
    await sign_in(liar, client)
    liar.keys, liar.nonce = [SPARE.as_dict(private=False)], ""
    liar.id_token = lambda claims: sign(claims, SPARE)
    client._discovery._clock.by += timedelta(minutes=1)
    assert (await sign_in(liar, client)).subject == "ada"


class Later(SystemClock):
    """The machine's clock, set forward."""

    by = timedelta()

    def now(self) -> Any:
        return super().now() + self.by


# ---- forged, replayed, meant for others ---------------------------------------------------------


def b64(part: bytes | dict[str, Any]) -> str:
    raw = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unsigned(claims: Claims) -> str:
    return f"{b64({'alg': 'none'})}.{b64(claims)}."


def with_the_public_key_as_secret(claims: Claims) -> str:
    """By hand: the library that signs refuses to."""
    signed = f"{b64({'alg': 'HS256', 'kid': 'good'})}.{b64(claims)}"
    return f"{signed}.{b64(hmac.digest(GOOD.as_pem(private=False), signed.encode(), 'sha256'))}"


def with_the_clients_secret(claims: Claims) -> str:
    return sign(claims, OctKey.import_key(b"s&cret:%" + b"0" * 32), "HS256", kid=None)


def changed_after_signing(claims: Claims) -> str:
    head, _, signature = sign(claims).split(".")
    return f"{head}.{b64({**claims, 'sub': 'root'})}.{signature}"


def carrying_its_own_key(claims: Claims) -> str:
    stranger = ECKey.generate_key("P-256", {"kid": "curve"})
    return sign(claims, stranger, "ES256", jwk=stranger.as_dict(private=False))


UNBOUND = RSAKey.import_key({k: v for k, v in GOOD.as_dict(private=True).items() if k != "alg"})
"""The provider's key, used with an algorithm that it does not sign with."""
NOW = int(time.time())
"""When these tests were collected: long before one of them runs, beside many others."""


def since_now(seconds: int) -> int:
    return int(time.time()) + seconds


LIES: dict[str, tuple[Callable[[Claims], str], str]] = {
    "alg none": (unsigned, "signed with 'none'"),
    "HS256 with the public key": (with_the_public_key_as_secret, "signed with 'HS256'"),
    "HS256 with the client's secret": (with_the_clients_secret, "signed with 'HS256'"),
    "another's key": (lambda c: sign(c, STRANGER), "signature is not the provider's"),
    "another's key, unnamed": (lambda c: sign(c, STRANGER, kid=None), "signature is not"),
    "its own key inside": (carrying_its_own_key, "signature is not the provider's"),
    "changed after signing": (changed_after_signing, "signature is not the provider's"),
    "an algorithm that is not the key's": (lambda c: sign(c, UNBOUND, "RS512"), "signature is not"),
    "no token": (lambda _: "nothing", "no signed token"),
    "a huge token": (lambda c: sign({**c, "x": "y" * 70_000}), "too large"),
    "wrong audience": (lambda c: sign({**c, "aud": "other"}), "made for another site"),
    "no audience": (lambda c: sign(without(c, "aud")), "has no aud"),
    "two audiences, no azp": (lambda c: sign({**c, "aud": [CLIENT, "other"]}), "has no azp"),
    "another azp": (lambda c: sign({**c, "azp": "other"}), "made for another site"),
    "wrong issuer": (lambda c: sign({**c, "iss": "https://evil.example"}), "another issuer"),
    "issuer with a slash more": (lambda c: sign({**c, "iss": c["iss"] + "/"}), "another issuer"),
    "no issuer": (lambda c: sign(without(c, "iss")), "has no iss"),
    "expired": (lambda c: sign({**c, "iat": since_now(-900), "exp": since_now(-600)}), "expired"),
    "never expires": (lambda c: sign(without(c, "exp")), "has no exp"),
    "expiry is a word": (lambda c: sign({**c, "exp": "never"}), "expired"),
    "made in the future": (lambda c: sign({**c, "iat": since_now(900), "exp": since_now(990)}), "future"),
    "not dated": (lambda c: sign(without(c, "iat")), "has no iat"),
    "another nonce": (lambda c: sign({**c, "nonce": "x"}), "another sign-in (nonce)"),
    "no nonce": (lambda c: sign(without(c, "nonce")), "has no nonce"),
    "another access token": (lambda c: sign({**c, "at_hash": "x"}), "another access token"),
    "no subject": (lambda c: sign(without(c, "sub")), "has no sub"),
    "an empty subject": (lambda c: sign({**c, "sub": ""}), "subject is empty"),
    "a subject that is a number": (lambda c: sign({**c, "sub": 7}), "its sub is wrong"),
    "a subject too long": (lambda c: sign({**c, "sub": "a" * 256}), "too long"),
}  # fmt: skip


def without(claims: Claims, name: str) -> Claims:
    return {key: value for key, value in claims.items() if key != name}


@pytest.mark.parametrize("lie", LIES)
async def test_a_lie_is_refused_and_told_plainly(liar: LyingProvider, lie: str) -> None:
    liar.id_token, words = LIES[lie]
    with pytest.raises(NotSignedIn) as refused:
        await sign_in(liar)
    assert refused.value.message.startswith("the answer of University does not hold: ")
    assert words in refused.value.message
    assert refused.value.next


async def test_a_key_set_with_the_secret_in_it_does_not_make_hs256_work(
    liar: LyingProvider,
) -> None:
    shared = OctKey.import_key(b"0" * 32, {"kid": "shared"})
    liar.keys.append(shared.as_dict(private=True))
    liar.id_token = lambda claims: sign(claims, shared, "HS256")
    with pytest.raises(NotSignedIn, match="signed with 'HS256'"):
        await sign_in(liar)


async def test_a_key_for_encryption_signs_nothing(liar: LyingProvider) -> None:
    liar.keys = [{**SPARE.as_dict(private=False), "use": "enc"}]
    liar.id_token = lambda claims: sign(claims, SPARE)
    with pytest.raises(NotSignedIn, match="signature is not the provider's"):
        await sign_in(liar)


async def test_forged_tokens_do_not_make_us_fetch_keys_each_time(liar: LyingProvider) -> None:
    client = client_of(liar)
    liar.id_token = lambda claims: sign(claims, STRANGER)
    for _ in range(5):
        with pytest.raises(NotSignedIn):
            await sign_in(liar, client)
    assert liar.fetched.count("keys") == 1


async def test_an_id_token_of_an_earlier_sign_in_is_refused(liar: LyingProvider) -> None:
    client = client_of(liar)
    old = (await sign_in(liar, client)).id_token
    liar.id_token, liar.nonce = lambda _: old, ""
    with pytest.raises(NotSignedIn, match="nonce"):
        await sign_in(liar, client)


async def test_a_trip_ends_once(liar: LyingProvider) -> None:
    client, trip = client_of(liar), Trip.begin("uni", "/")
    liar.nonce = trip.nonce
    answer = {"state": trip.state, "code": "c0de", "iss": liar.issuer}
    await client.finish(trip, answer)
    with pytest.raises(NotSignedIn, match="did not begin in this browser"):
        await client.finish(trip, answer)
    assert len(liar.asked) == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"state": "x"}, "did not begin in this browser"),
        ({"state": None}, "did not begin in this browser"),
        ({"state": ""}, "did not begin in this browser"),
        ({"iss": "https://evil.example"}, "another issuer"),
        ({"iss": None}, "another issuer"),
        ({"code": None}, "no code"),
        ({"error": "access_denied"}, "it was cancelled"),
        ({"error": "server_error", "error_description": "Out of\r\n beans"}, "Out of beans"),
    ],
)
async def test_a_wrong_answer_never_reaches_the_token_end_point(
    liar: LyingProvider, change: dict[str, str | None], words: str
) -> None:
    with pytest.raises(NotSignedIn, match=words):
        await sign_in(liar, None, **change)
    assert liar.asked == []


async def test_a_provider_that_does_not_promise_iss_may_leave_it_out(liar: LyingProvider) -> None:
    del liar.document["authorization_response_iss_parameter_supported"]
    assert (await sign_in(liar, iss=None)).subject == "ada"
    liar.nonce = ""
    with pytest.raises(NotSignedIn, match="another issuer"):
        await sign_in(liar, iss="https://evil.example")


async def test_userinfo_about_somebody_else_is_refused(liar: LyingProvider) -> None:
    liar.userinfo = {"sub": "eve", "name": "Eve"}
    with pytest.raises(NotSignedIn, match="somebody else"):
        await sign_in(liar)


async def test_userinfo_adds_and_never_overrides(liar: LyingProvider) -> None:
    liar.userinfo = {"sub": "ada", "iss": "x", "email": "eve@example.org", "nickname": "Countess"}
    proof = await sign_in(liar, client_of(liar, display_name_claim="nickname"))
    assert (proof.display_name, proof.email) == ("Countess", "ada@example.org")


@pytest.mark.parametrize("token", [{"error": "invalid_grant"}, {"id_token": None}, {"id_token": 7}])
async def test_no_id_token_no_sign_in(liar: LyingProvider, token: dict[str, Any]) -> None:
    liar.token = token
    with pytest.raises(NotSignedIn, match="University does not hold"):
        await sign_in(liar)


# ---- who may sign in ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("allowed", "claims", "admitted"),
    [
        ({"groups": ["gpu", "staff"]}, {"groups": ["x", "gpu"]}, True),
        ({"groups": ["gpu"]}, {"groups": "gpu"}, True),
        ({"groups": ["gpu"]}, {"groups": ["gpux"]}, False),
        ({"groups": ["gpu"]}, {}, False),
        ({"groups": ["gpu"]}, {"groups": {"gpu": 1}}, False),
        ({"groups": ["gpu"], "email_verified": [True]}, {"groups": ["gpu"]}, False),
        ({"email_verified": [True]}, {"email_verified": True}, True),
        ({"email_verified": [True]}, {"email_verified": 1}, False),
        ({"email_verified": [True]}, {"email_verified": "true"}, False),
        ("everyone", {}, True),
    ],
)
async def test_only_who_is_allowed_gets_in(
    liar: LyingProvider, allowed: Any, claims: Claims, admitted: bool
) -> None:
    liar.id_token = lambda honest: sign({**honest, **claims})
    if admitted:
        assert (await sign_in(liar, client_of(liar, allowed=allowed))).subject == "ada"
    else:
        with pytest.raises(Forbidden, match="does not admit your account"):
            await sign_in(liar, client_of(liar, allowed=allowed))


# ---- what a provider says of itself -------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"issuer": "https://evil.example"}, "calls itself"),
        ({"issuer": None}, "calls itself"),
        ({"token_endpoint": None}, "names no token_endpoint"),
        ({"token_endpoint": "http://10.0.0.1/token"}, "token_endpoint is not an https address"),
        ({"jwks_uri": "file:///etc/passwd"}, "jwks_uri is not an https address"),
        ({"userinfo_endpoint": "gopher://127.0.0.1/"}, "userinfo_endpoint is not"),
        ({"end_session_endpoint": "javascript:alert(1)"}, "end_session_endpoint is not"),
        ({"authorization_endpoint": ["https://a.example"]}, "authorization_endpoint is not"),
    ],
)
async def test_a_strange_provider_is_not_used(
    liar: LyingProvider, change: dict[str, Any], words: str
) -> None:
    liar.document |= change
    with pytest.raises(Unavailable, match=words):
        await client_of(liar).begin(Trip.begin("uni", "/"))


@pytest.mark.parametrize("path", [".well-known/openid-configuration", "keys", "token", "userinfo"])
@pytest.mark.parametrize(
    "answer",
    [
        {"status": 302, "headers": {"Location": "http://127.0.0.1:1/"}},
        {"body": b"{" + b" " * 2**20 + b"}"},
        {"body": b"[]"},
        {"body": b"<html>"},
        {"status": 500, "body": b"{}"},
    ],
)
async def test_what_is_no_answer_is_not_believed(
    liar: LyingProvider, path: str, answer: dict[str, Any]
) -> None:
    liar.raw[path] = web.Response(**answer)
    with pytest.raises(Unavailable, match="University"):
        await sign_in(liar)


async def test_a_provider_that_is_down_is_asked_once_for_all_who_wait(liar: LyingProvider) -> None:
    liar.raw[".well-known/openid-configuration"] = web.Response(status=503)
    client = client_of(liar)
    for _ in range(5):
        with pytest.raises(Unavailable):
            await client.begin(Trip.begin("uni", "/"))
    assert len(liar.fetched) == 1


@pytest.mark.parametrize(
    ("address", "loopback", "safe"),
    [
        ("https://id.example.org/realm", False, True),
        ("http://id.example.org", True, False),
        ("http://127.0.0.1:9/x", True, True),
        ("http://[::1]/", True, True),
        ("http://localhost:9", True, True),
        ("http://127.0.0.1:9/x", False, False),
        ("http://127.0.0.1.evil.example", True, False),
        ("http://127.0.0.1@evil.example", True, False),
        ("https://user@id.example.org", True, False),
        ("https://id.example.org/#x", True, False),
        ("https://id.example.org:port", True, False),
        ("https://", True, False),
        ("ftp://id.example.org", True, False),
        ("https://id.example.org\\@evil.example", True, False),
    ],
)
def test_addresses(address: str, loopback: bool, safe: bool) -> None:
    assert is_safe_address(address, loopback=loopback) is safe


# ---- the trip -----------------------------------------------------------------------------------

KEY = trip_key(b"s" * 32)


def test_a_sealed_trip_comes_back_whole() -> None:
    trip, now = Trip.begin("uni", "/hub/home"), SystemClock().now()
    assert unseal(seal(trip, KEY, now), KEY, "uni", now) == trip


def test_a_trip_of_another_key_provider_or_hour_is_none() -> None:
    trip, now = Trip.begin("uni", "/"), SystemClock().now()
    sealed = seal(trip, KEY, now)
    assert unseal(sealed, trip_key(b"t" * 32), "uni", now) is None
    assert unseal(sealed, KEY, "other", now) is None
    assert unseal(sealed, KEY, "uni", now + timedelta(minutes=10, seconds=1)) is None
    assert unseal(sealed, KEY, "uni", now - timedelta(seconds=2)) is None


@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda b: b.decode("latin-1")))
def test_no_cookie_breaks_it(cookie: str) -> None:
    assert unseal(cookie, KEY, "uni", SystemClock().now()) is None


def test_a_changed_trip_is_none() -> None:
    now = SystemClock().now()
    content, signature = seal(Trip.begin("uni", "/"), KEY, now).split(".")
    raw = base64.urlsafe_b64decode(content + "==").replace(b'"next": "/', b'"next": "//evil')
    forged = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
    assert unseal(f"{forged}.{signature}", KEY, "uni", now) is None


@pytest.mark.parametrize(
    "elsewhere",
    ["https://evil.example", "//evil.example", "/\\evil.example", "\\\\evil", "evil", "",
     "javascript:alert(1)", "/a\r\nSet-Cookie: x=y", "/\t/evil", "///evil", "/ /evil", "/" * 1501,
     "/é"],
)  # fmt: skip
def test_the_way_back_never_leads_elsewhere(elsewhere: str) -> None:
    assert own_path(elsewhere) == HOME_PAGE


def test_the_way_back_is_kept() -> None:
    there = "/hub/api/oauth2/authorize?client_id=service-portal&state=a%2Fb"
    assert own_path(there) == there


def test_once_forgets_the_oldest_first() -> None:
    once = Once(most=3)
    assert [once.first(word) for word in "aabcda"] == [True, False, True, True, True, True]
    assert not once.first("d")


# ---- the provider's word of a logout ------------------------------------------------------------


def logout(liar: LyingProvider, **changes: Any) -> Claims:
    claims = {
        "iss": liar.issuer, "aud": CLIENT, "iat": since_now(0), "exp": since_now(120), "jti": "j1",
        "sub": "ada", "sid": "s1", "events": {LOGOUT_EVENT: {}}, **changes,
    }  # fmt: skip
    return {key: value for key, value in claims.items() if value is not None}


async def test_a_logout_is_read_once(liar: LyingProvider) -> None:
    client, token = client_of(liar), sign(logout(liar), typ="logout+jwt")
    found = await client.read_logout(token)
    assert (found.subject, found.session_id) == ("ada", "s1")
    with pytest.raises(NotSignedIn, match="came before"):
        await client.read_logout(token)


@pytest.mark.parametrize("names", [{"sub": None}, {"sid": None}])
async def test_a_logout_names_a_person_or_a_session(
    liar: LyingProvider, names: dict[str, None]
) -> None:
    token = sign(logout(liar, **names), typ="logout+jwt")
    found = await client_of(liar).read_logout(token)
    assert bool(found.subject) != bool(found.session_id)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"iss": "https://evil.example"}, "another issuer"),
        ({"aud": "other"}, "another site"),
        ({"aud": None}, "has no aud"),
        ({"iat": None}, "has no iat"),
        ({"iat": NOW - 7200}, "too old"),
        ({"iat": NOW + 7200}, "future"),
        ({"exp": NOW - 120}, "expired"),
        ({"exp": None}, "has no exp"),
        ({"jti": None}, "has no jti"),
        ({"jti": 7}, "jti is wrong"),
        ({"events": None}, "has no events"),
        ({"events": {}}, "events"),
        ({"events": {"http://schemas.openid.net/event/other": {}}}, "do not name a logout"),
        ({"events": {LOGOUT_EVENT: None}}, "do not name a logout"),
        ({"events": [LOGOUT_EVENT]}, "do not name a logout"),
        ({"nonce": "n"}, "it is an ID token"),
        ({"sub": None, "sid": None}, "neither a person nor a session"),
        ({"sub": 7}, "sub is wrong"),
        ({"sid": 7}, "neither a person nor a session"),
    ],
)
async def test_a_logout_that_does_not_hold_ends_nothing(
    liar: LyingProvider, change: Claims, words: str
) -> None:
    with pytest.raises(NotSignedIn, match=words):
        await client_of(liar).read_logout(sign(logout(liar, **change), typ="logout+jwt"))


@pytest.mark.parametrize("typ", ["JWT", "at+jwt", None, "logout"])
async def test_a_token_of_another_type_is_no_logout(liar: LyingProvider, typ: str | None) -> None:
    with pytest.raises(NotSignedIn, match="no logout token"):
        await client_of(liar).read_logout(sign(logout(liar), typ=typ))


@pytest.mark.parametrize("lie", ["alg none", "HS256 with the public key", "another's key"])
async def test_a_forged_logout_ends_nothing(liar: LyingProvider, lie: str) -> None:
    with pytest.raises(NotSignedIn):
        await client_of(liar).read_logout(LIES[lie][0](logout(liar)))


async def test_an_id_token_is_no_logout(liar: LyingProvider) -> None:
    proof = await sign_in(liar)
    with pytest.raises(NotSignedIn, match="no logout token"):
        await client_of(liar).read_logout(proof.id_token)


async def test_the_browser_is_led_to_the_providers_logout(liar: LyingProvider) -> None:
    found = urlsplit(await client_of(liar).logout_url("t0ken") or "")
    asked = parse_qs(found.query)
    assert asked["tenant"] == ["1"]
    assert asked["id_token_hint"] == ["t0ken"]
    assert asked["client_id"] == [CLIENT]
    assert asked["post_logout_redirect_uri"] == [f"{SITE}/hub/login"]
    assert "id_token_hint" not in (await client_of(liar).logout_url("x" * 7000) or "")


async def test_a_provider_that_is_gone_keeps_nobody_signed_in(liar: LyingProvider) -> None:
    liar.raw[".well-known/openid-configuration"] = web.Response(status=503)
    assert await client_of(liar).logout_url("t") is None


# ---- the file -----------------------------------------------------------------------------------


def written(folder: Path, content: Any) -> Path:
    path = folder / "oidc.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return path


def test_a_good_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("from a file\n")
    entry = {k: v for k, v in ENTRY.items() if k != "client_secret"}
    other = {**entry, "name": "two", "issuer": "https://two.example", "scopes": ["email"],
             "client_secret_file": "secret"}  # fmt: skip
    first, second = load_providers(written(tmp_path, {"providers": [ENTRY, other]}))
    assert first.scopes == ["openid", "profile", "email"]
    assert second.scopes == ["openid", "email"]
    assert second.client_secret == "from a file"
    assert "from a file" not in repr(second)
    assert load_providers(None) == []


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"alowed": "everyone"}, "alowed"),
        ({"allowed": None}, "allowed"),
        ({"allowed": "nobody"}, "allowed"),
        ({"allowed": {}}, "allowed"),
        ({"allowed": {"groups": []}}, "allowed"),
        ({"name": "Uni!"}, "name"),
        ({"name": "../x"}, "name"),
        ({"issuer": "http://id.example.org"}, "issuer"),
        ({"issuer": "https://id.example.org?x=1"}, "issuer"),
        ({"issuer": ""}, "issuer"),
        ({"client_id": 7}, "client_id"),
        ({"client_secret": ""}, "exactly one of client_secret and client_secret_file"),
        ({"client_secret_file": "there"}, "exactly one of client_secret and client_secret_file"),
        ({"client_secret": "", "client_secret_file": "not-there"}, "client_secret_file"),
        ({"title": "x" * 61}, "title"),
    ],
)
def test_a_mistake_names_file_provider_and_field(
    tmp_path: Path, change: dict[str, Any], place: str
) -> None:
    entry = {k: v for k, v in {**ENTRY, **change}.items() if v is not None}
    path = written(tmp_path, {"providers": [entry]})
    with pytest.raises(BadSetup) as wrong:
        load_providers(path)
    assert wrong.value.message.startswith(f"{path}: providers[0]")
    assert place in wrong.value.message
    assert "s&cret" not in wrong.value.message
    assert wrong.value.next


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("providers: [", "oidc.yaml:"),
        ("", "must hold `providers:`"),
        ("[]", "must hold `providers:`"),
        ("providers: {}", "must be a list"),
        ("providers: [7]", "providers[0]"),
        ({"providers": [ENTRY, {**ENTRY, "issuer": "https://b.example"}]}, "the name 'uni'"),
        ({"providers": [ENTRY, {**ENTRY, "name": "b"}]}, "the issuer 'https://id.example.org'"),
        ("x: " + "y" * 2**18, "larger than 256 KiB"),
        (b"\xff\xfe\x00".decode("latin-1") + "\x00", "oidc.yaml"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_clear_error(
    tmp_path: Path, content: Any, words: str
) -> None:
    with pytest.raises(BadSetup) as wrong:
        load_providers(written(tmp_path, content))
    assert words in wrong.value.message
    assert wrong.value.next


def test_the_handbooks_example_is_valid(tmp_path: Path) -> None:
    page = (PACKAGE_ROOT / "docs" / "sign-in.md").read_text()
    example = page.partition("```yaml\n")[2].partition("```")[0]
    uni, lab = load_providers(written(tmp_path, example))
    assert uni.admits({"groups": ["staff"], "email_verified": True})
    assert not uni.admits({"groups": ["staff"]})
    assert not lab.admits({})
    assert lab.admits({"groups": "guests"})
    both = {"groups": ["physics-staff"], "eduperson_scoped_affiliation": ["staff@example.edu"]}
    assert lab.standing(both).roles == {"physics": "admin"}
    assert not lab.admits(both | {"eduperson_scoped_affiliation": ["staff@example.org"]})
