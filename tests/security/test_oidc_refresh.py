"""Asking a provider again: what it answers is checked as at the sign-in, tokens are kept one at a
time, and silence changes nothing."""

import asyncio
import copy
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web

from catalog.clock import ManualClock, SystemClock
from catalog.errors import NotFound, NotSignedIn, PerijoveError, Unavailable
from hub.auth import kept, refreshing
from hub.auth.kept import Kept, Voucher
from hub.auth.oidc import GivenUp, NotAdmitted, OpenIdClient, Proof
from hub.auth.providers import Provider
from hub.auth.refreshing import AT_ONCE, Refresher
from tests.peers.lying_provider import LyingProvider, lying_provider, sign
from tests.security.test_oidc import ENTRY, LIES, SITE, Claims, sign_in, without

OFFLINE = ["openid", "offline_access"]
VOUCHER = Voucher("r0", "ada", "n0nce", 0.0)


@pytest.fixture
async def liar() -> AsyncIterator[LyingProvider]:
    async with lying_provider() as provider:
        provider.nonce = "n0nce"
        yield provider


def client_of(liar: LyingProvider, **changes: Any) -> OpenIdClient:
    entry = {**ENTRY, "issuer": liar.issuer, "scopes": OFFLINE, **changes}
    return OpenIdClient(Provider.model_validate(entry), SITE, SystemClock())


# ---- the answer ---------------------------------------------------------------------------------


async def test_a_sign_in_keeps_a_voucher_and_a_refresh_the_next_one(liar: LyingProvider) -> None:
    client = client_of(liar)
    liar.nonce, liar.token = "", {"refresh_token": "r1"}
    first = (await sign_in(liar, client)).voucher
    assert first is not None
    assert (first.refresh_token, first.subject, first.nonce) == ("r1", "ada", liar.nonce)
    liar.token = {"refresh_token": "r2"}
    liar.userinfo = {"sub": "ada", "groups": ["new"]}
    proof = await client.refresh(first)
    assert proof.claims["groups"] == ["new"]
    assert proof.voucher is not None
    assert proof.voucher.refresh_token == "r2"
    form, header = liar.asked[-1]
    assert form == {"grant_type": "refresh_token", "refresh_token": "r1"}
    assert header.startswith("Basic ")
    assert "r1" not in repr(first) + repr(proof)


async def test_without_a_refresh_token_or_with_refresh_off_there_is_no_voucher(
    liar: LyingProvider,
) -> None:
    liar.nonce = ""
    assert (await sign_in(liar)).voucher is None
    liar.nonce, liar.token = "", {"refresh_token": "r1"}
    assert (await sign_in(liar, client_of(liar, refresh="off"))).voucher is None


async def test_a_provider_that_does_not_rotate_keeps_the_same(liar: LyingProvider) -> None:
    voucher = (await client_of(liar).refresh(VOUCHER)).voucher
    assert voucher is not None
    assert voucher.refresh_token == "r0"


@pytest.mark.parametrize("token", [{"id_token": None}, {"id_token": 7}])
async def test_an_answer_without_an_id_token_goes_by_userinfo(
    liar: LyingProvider, token: Any
) -> None:
    liar.token, liar.userinfo = token, {"sub": "ada", "groups": ["gpu"]}
    assert (await client_of(liar).refresh(VOUCHER)).claims == {"sub": "ada", "groups": ["gpu"]}
    liar.userinfo = {"sub": "eve", "groups": ["gpu"]}
    with pytest.raises(NotSignedIn, match="somebody else"):
        await client_of(liar).refresh(VOUCHER)
    liar.token = {"id_token": None, "access_token": None}
    with pytest.raises(NotSignedIn, match="nothing of the person"):
        await client_of(liar).refresh(VOUCHER)


REFRESH_LIES: dict[str, Callable[[Claims], str]] = {
    **{name: lie for name, (lie, _) in LIES.items() if name != "no nonce"},
    "another subject": lambda c: sign({**c, "sub": "eve"}),
}


@pytest.mark.parametrize("lie", REFRESH_LIES)
async def test_a_lie_at_the_refresh_is_refused_too(liar: LyingProvider, lie: str) -> None:
    liar.id_token = REFRESH_LIES[lie]
    with pytest.raises(NotSignedIn):
        await client_of(liar).refresh(VOUCHER)


async def test_the_nonce_of_the_sign_in_may_be_repeated_or_left_out(liar: LyingProvider) -> None:
    assert (await client_of(liar).refresh(VOUCHER)).subject == "ada"
    liar.id_token = lambda claims: sign(without(claims, "nonce"))
    assert (await client_of(liar).refresh(VOUCHER)).subject == "ada"


async def test_a_refusal_is_told_from_trouble(liar: LyingProvider) -> None:
    client = client_of(liar)
    liar.token = {"error": "invalid_grant"}
    with pytest.raises(GivenUp):
        await client.refresh(VOUCHER)
    said = "There is no 'user' for this token."
    liar.token = {"error": "invalid_request", "error_description": said}
    with pytest.raises(GivenUp):
        await client.refresh(VOUCHER)
    for error in ("invalid_client", "invalid_request", "temporarily_unavailable"):
        liar.token = {"error": error}
        with pytest.raises(Unavailable):
            await client.refresh(VOUCHER)
    liar.raw["token"] = web.Response(status=500)
    with pytest.raises(Unavailable):
        await client.refresh(VOUCHER)


async def test_whom_the_rules_admit_no_more_is_not_admitted(liar: LyingProvider) -> None:
    with pytest.raises(NotAdmitted) as refused:
        await client_of(liar, allowed={"groups": ["gpu"]}).refresh(VOUCHER)
    assert refused.value.subject == "ada"


# ---- when, how often, and what is kept ----------------------------------------------------------


class FakeUser:
    """A person in the Hub, with what it keeps of them."""

    def __init__(self, name: str = "u-1", **vouchers: Voucher) -> None:
        self.name = name
        self.state: Kept | None = None
        for provider, voucher in vouchers.items():
            self.state = kept.with_voucher(self.state, provider, voucher)

    async def get_auth_state(self) -> Kept | None:
        return copy.deepcopy(self.state)

    async def save_auth_state(self, auth_state: Kept | None) -> None:
        self.state = copy.deepcopy(auth_state)

    @property
    def vouchers(self) -> dict[str, str]:
        return {n: v.refresh_token for n, v in kept.vouchers(self.state).items()}


class FakeClient:
    """A provider that answers as it is told; counts who asks at the same time."""

    def __init__(self, **changes: Any) -> None:
        self.provider = Provider.model_validate({**ENTRY, "scopes": OFFLINE, **changes})
        self.fails: Exception | None = None
        self.asked: list[str] = []
        self.at_once = self.most_at_once = 0
        self.go = asyncio.Event()
        self.go.set()
        self.clock: ManualClock | None = None

    async def refresh(self, before: Voucher) -> Proof:
        self.asked.append(before.refresh_token)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await self.go.wait()
        await asyncio.sleep(0)
        self.at_once -= 1
        if self.fails is not None:
            raise self.fails
        assert self.clock is not None
        at = self.clock.now().timestamp()
        after = Voucher(f"{before.refresh_token}+", before.subject, before.nonce, at)
        return Proof(self.provider.issuer, before.subject, "Ada", "", "", "", {"sub": "ada"}, after)


class FakeDoor:
    """Control, as the Hub calls it."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.fails: PerijoveError | None = None
        self.then: Callable[[], None] = lambda: None

    async def call(self, _method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        self.then()
        if self.fails is not None:
            raise self.fails
        self.calls.append((path, body))
        return {"open": True}


class Bench:
    """A refresher with one provider named *uni*, and a person whose voucher is due."""

    def __init__(self, **changes: Any) -> None:
        self.clock = ManualClock()
        self.client = FakeClient(**changes)
        self.client.clock = self.clock
        self.door = FakeDoor()
        clients: Any = {"uni": self.client}
        door: Any = self.door
        self.refresher = Refresher(clients, door, self.clock)
        self.user = self.person("u-1")

    def person(self, name: str) -> FakeUser:
        at = self.clock.now().timestamp() - 301
        return FakeUser(name, uni=Voucher("r0", name, "n", at))

    def later(self, seconds: float) -> None:
        self.clock.advance(timedelta(seconds=seconds))


async def test_it_asks_when_it_is_time_and_not_before() -> None:
    bench = Bench()
    await bench.refresher.look(bench.user)
    await bench.refresher.look(bench.user)
    assert bench.client.asked == ["r0"]
    bench.later(299)
    await bench.refresher.look(bench.user)
    assert bench.client.asked == ["r0"]
    bench.later(2)
    await bench.refresher.look(bench.user)
    assert bench.client.asked == ["r0", "r0+"]
    assert [path for path, _ in bench.door.calls] == ["/identities/refresh"] * 2
    assert bench.door.calls[0][1]["claims"] == {"sub": "ada"}
    assert "r0" not in str(bench.door.calls)


async def test_a_token_is_sent_once_however_many_ask() -> None:
    bench = Bench()
    await asyncio.gather(*(bench.refresher.look(bench.user) for _ in range(20)))
    assert bench.client.asked == ["r0"]
    assert bench.user.vouchers == {"uni": "r0+"}


async def test_the_next_token_is_kept_before_control_is_told() -> None:
    bench = Bench()
    seen: list[dict[str, str]] = []
    bench.door.then = lambda: seen.append(bench.user.vouchers)
    bench.door.fails = Unavailable("control is away")
    await bench.refresher.look(bench.user)
    assert seen == [{"uni": "r0+"}]
    assert bench.user.vouchers == {"uni": "r0+"}


async def test_a_provider_that_is_down_changes_nothing_and_is_left_alone_for_a_while() -> None:
    bench = Bench()
    bench.client.fails = Unavailable("down")
    other = bench.person("u-2")
    for user in (bench.user, other, bench.user):
        await bench.refresher.look(user)
    assert bench.client.asked == ["r0"]
    assert (bench.door.calls, bench.user.vouchers) == ([], {"uni": "r0"})
    bench.later(31)
    bench.client.fails = None
    await bench.refresher.look(bench.user)
    assert [path for path, _ in bench.door.calls] == ["/identities/refresh"]


async def test_a_lie_changes_nothing_and_rests_for_that_person_alone() -> None:
    bench = Bench()
    bench.client.fails = NotSignedIn("it was made for another site")
    await bench.refresher.look(bench.user)
    await bench.refresher.look(bench.user)
    assert (bench.door.calls, bench.user.vouchers) == ([], {"uni": "r0"})
    await bench.refresher.look(bench.person("u-2"))
    assert bench.client.asked == ["r0", "r0"]


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({}, "/identities/refused"),
        ({"refusal_ends": "sessions"}, "/identities/sign-out"),
        ({"scopes": ["openid"]}, "/identities/sign-out"),
        ({"scopes": ["openid"], "refusal_ends": "account"}, "/identities/refused"),
    ],
)
async def test_a_refusal_ends_what_the_provider_says(changes: Any, path: str) -> None:
    bench = Bench(**changes)
    bench.client.fails = GivenUp()
    await bench.refresher.look(bench.user)
    issuer = bench.client.provider.issuer
    assert bench.door.calls == [(path, {"issuer": issuer, "subject": "u-1"})]
    assert bench.user.vouchers == {}


async def test_a_refusal_that_control_did_not_hear_is_told_again() -> None:
    bench = Bench()
    bench.client.fails = GivenUp()
    bench.door.fails = Unavailable("control is away")
    await bench.refresher.look(bench.user)
    assert bench.user.vouchers == {"uni": "r0"}
    bench.door.fails = None
    await bench.refresher.look(bench.user)
    assert [path for path, _ in bench.door.calls] == ["/identities/refused"]


async def test_whom_no_rule_admits_is_refused() -> None:
    bench = Bench()
    bench.client.fails = NotAdmitted(bench.client.provider, "u-1")
    await bench.refresher.look(bench.user)
    assert [path for path, _ in bench.door.calls] == ["/identities/refused"]


async def test_an_identity_that_was_unlinked_is_asked_about_no_more() -> None:
    bench = Bench()
    bench.door.fails = NotFound("nobody here has this identity")
    await bench.refresher.look(bench.user)
    assert bench.user.vouchers == {}


async def test_a_person_does_not_wait_long_for_a_slow_provider(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(refreshing, "PATIENCE_S", 0.01)
    bench = Bench()
    bench.client.go.clear()
    await bench.refresher.look(bench.user)
    assert bench.door.calls == []
    bench.client.go.set()
    await asyncio.gather(*bench.refresher._tasks)
    assert [path for path, _ in bench.door.calls] == ["/identities/refresh"]


async def test_people_at_work_are_asked_about_a_few_at_a_time() -> None:
    bench = Bench()
    people = {f"u-{n}": bench.person(f"u-{n}") for n in range(20)}
    names = [*people, "u-unknown"]
    await bench.refresher.look_after(names, people.get)  # type: ignore[arg-type]
    assert len(bench.client.asked) == 20
    assert bench.client.most_at_once <= AT_ONCE


async def test_after_a_logout_the_provider_is_asked_at_once_if_it_can_be() -> None:
    bench = Bench()
    await bench.refresher.look(bench.user)
    assert await bench.refresher.ask(bench.user, now="uni")
    assert len(bench.client.asked) == 2
    assert not await bench.refresher.ask(FakeUser("u-2"), now="uni")


# ---- what the Hub keeps -------------------------------------------------------------------------


def test_a_sign_in_adds_to_what_others_gave_and_one_by_password_takes_nothing() -> None:
    other = Voucher("r9", "eve", "n", 1.0)
    before = kept.of_sign_in("lab", "id-1", other)
    model = {"name": "u-1", "auth_state": kept.of_sign_in("uni", "id-2", VOUCHER)}
    both = kept.reconcile(None, model, before)
    assert kept.vouchers(both) == {"lab": other, "uni": VOUCHER}
    assert both is not None
    assert (both["provider"], both["id_token"]) == ("uni", "id-2")
    assert kept.reconcile(None, {"name": "u-1"}, before) == before
    assert kept.reconcile(None, "u-1", None) is None


def test_signing_out_forgets_the_session_and_keeps_what_asks_again() -> None:
    state = kept.of_sign_in("uni", "id-2", VOUCHER)
    after = kept.without_session(state)
    assert after is not None
    assert kept.vouchers(after) == {"uni": VOUCHER}
    assert "id-2" not in str(after)
    assert kept.without_session(kept.of_sign_in("uni", "id-2", None)) is None
    assert kept.without_session(None) is None


# ---- another claim than `sub` ------------------------------------------------------------------


async def test_somebody_may_be_known_by_another_claim_than_sub(liar: LyingProvider) -> None:
    client = client_of(liar, subject_claim="oid")
    liar.nonce, liar.token = "", {"refresh_token": "r1"}
    liar.id_token = lambda claims: sign({**claims, "oid": "o-1"})
    first = await sign_in(liar, client)
    assert (first.subject, first.sub) == ("o-1", "ada")
    assert first.voucher is not None
    assert (first.voucher.subject, first.voucher.known_as) == ("ada", "o-1")
    again = await client.refresh(first.voucher)
    assert (again.subject, again.sub) == ("o-1", "ada")
    liar.id_token = lambda claims: sign({**claims, "oid": "o-2"})
    with pytest.raises(NotSignedIn, match="somebody else"):
        await client.refresh(first.voucher)


@pytest.mark.parametrize("said", [{}, {"oid": ""}, {"oid": 7}, {"oid": ["o"]}, {"oid": "o" * 256}])
async def test_who_lacks_that_claim_does_not_come_in_by_sub(
    liar: LyingProvider, said: dict[str, Any]
) -> None:
    client = client_of(liar, subject_claim="oid")
    liar.nonce = ""
    liar.userinfo = {"sub": "ada", "oid": "o-1"}  # the signed token alone counts
    liar.id_token = lambda claims: sign({**claims, **said})
    with pytest.raises(NotSignedIn, match="its oid names nobody"):
        await sign_in(liar, client)


@pytest.mark.parametrize("claim", ["email", "upn", "preferred_username"])
def test_what_can_pass_to_somebody_else_is_no_subject(claim: str) -> None:
    entry = {**ENTRY, "issuer": "https://id.example.org", "subject_claim": claim}
    with pytest.raises(ValueError, match="somebody else"):
        Provider.model_validate(entry)
