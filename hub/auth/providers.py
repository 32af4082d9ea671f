"""Which OpenID Connect providers people may sign in with: one YAML file, every mistake placed."""

import ipaddress
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, field_validator, model_validator

from catalog.errors import BadSetup, BadValue
from catalog.units import parse_duration
from hub.auth.rules import STRICT, Allowed, Claims, Rule, Standing, Text, believed, claim, judge
from hub.list_files import ListFile

LEAST_REFRESH = timedelta(seconds=1)

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
Ends = Literal["sessions", "account"]
_FIXED = frozenset(
    {
        "response_type", "response_mode", "client_id", "client_secret", "redirect_uri", "scope",
        "state", "nonce", "code_challenge", "code_challenge_method", "request", "request_uri",
    }
)  # fmt: skip
"""Parameters of a sign-in that are its safety: nobody sets them by hand."""
_PASSES_ON = frozenset(
    {
        "email", "mail", "upn", "unique_name", "preferred_username", "username", "name", "nickname",
        "phone_number", "groups", "sid", "tid",
    }
)  # fmt: skip
"""Claims that name no single person for good."""


class Provider(BaseModel):
    """One provider as the file has it. `allowed` has no default: who may sign in is stated.

    With claims in `allowed`, each of them must have one of its values; a claim that is a list
    needs one of them in it. `rules` give roles, and let in whom they name.
    """

    model_config = STRICT

    name: Name
    title: Annotated[str, Field(min_length=1, max_length=60)]
    issuer: Text
    client_id: Text
    client_secret: str = Field(default="", max_length=4096, repr=False)
    client_secret_file: Path | None = None
    scopes: list[Text] = Field(
        default_factory=lambda: ["openid", "profile", "email"], max_length=30
    )
    display_name_claim: Text = "name"
    subject_claim: Text = "sub"
    """The claim of the ID token that says who somebody is, for good: `sub`, unless people are known
    by another one to whatever provisions them."""
    allowed: Allowed
    rules: list[Rule] = Field(default_factory=list[Rule], max_length=1000)
    scopes_of_affiliation: list[Text] = Field(default_factory=list, max_length=100)
    roster_claim: Text = "email"
    """By which claim people are found in the lists of courses."""
    ask: dict[Text, Annotated[str, Field(max_length=200)]] = Field(
        default_factory=dict, max_length=10
    )
    """More parameters of the way to the provider; an empty value leaves one out."""
    refresh: str = "5m"
    """How often the provider is asked again about somebody, where it gave a refresh token."""
    refusal_ends: Ends | None = None
    """What ends when the provider takes a refresh token no more."""
    logout_ends: Ends = "sessions"
    """What a logout by the provider ends where it gave no refresh token to ask with."""

    @field_validator("issuer")
    @classmethod
    def _addresses_a_provider(cls, value: str) -> str:
        if not is_safe_address(value, loopback=True) or urlsplit(value).query:
            raise ValueError("must be an https address; http is for a provider on this machine")
        return value

    @field_validator("scopes")
    @classmethod
    def _asks_who_it_is(cls, value: list[str]) -> list[str]:
        return value if "openid" in value else ["openid", *value]

    @field_validator("subject_claim")
    @classmethod
    def _never_anothers(cls, value: str) -> str:
        if value in _PASSES_ON:
            raise ValueError(
                f"{value} can pass to somebody else, who would have their account then"
            )
        return value

    @field_validator("ask")
    @classmethod
    def _not_what_keeps_it_safe(cls, value: dict[str, str]) -> dict[str, str]:
        if fixed := sorted(_FIXED & set(value)):
            raise ValueError(f"{fixed[0]} is set by the sign-in itself")
        return value

    @field_validator("refresh")
    @classmethod
    def _a_time_or_off(cls, value: str) -> str:
        if value == "off":
            return value
        try:
            span = parse_duration(value)
        except BadValue as error:
            raise ValueError(error.message) from error
        if span < LEAST_REFRESH:
            raise ValueError("is too often; write it like 5m, or off")
        return value

    @model_validator(mode="after")
    def _rules_to_go_by(self) -> Self:
        if self.allowed == "rules" and not self.rules:
            raise ValueError("allowed: rules lets nobody in without rules")
        return self

    @model_validator(mode="after")
    def _one_secret(self) -> Self:
        if bool(self.client_secret) == (self.client_secret_file is not None):
            raise ValueError("needs exactly one of client_secret and client_secret_file")
        return self

    def standing(self, claims: Claims) -> Standing:
        """What these claims come to here."""
        return judge(self.allowed, self.rules, self.believed(claims))

    def admits(self, claims: Claims) -> bool:
        """Whether somebody with these claims may sign in."""
        return self.standing(claims).admitted

    def believed(self, claims: Claims) -> dict[str, Any]:
        """The claims that this provider may make."""
        return believed(claims, self.scopes_of_affiliation)

    def roster_key(self, claims: Claims) -> str:
        """By what the lists of courses know this person; empty when nothing says it surely."""
        found = claim(claims, self.roster_claim)
        if not isinstance(found, str):
            return ""
        if self.roster_claim != "email":
            return found
        return found.strip().casefold() if claims.get("email_verified") is True else ""

    @property
    def refresh_span(self) -> timedelta | None:
        """None: never asked again."""
        return None if self.refresh == "off" else parse_duration(self.refresh)

    @property
    def offline(self) -> bool:
        """Its refresh tokens outlive the session at the provider."""
        return "offline_access" in self.scopes or self.ask.get("access_type") == "offline"

    @property
    def ends_by_refusal(self) -> Ends:
        """A token of the session alone is refused whenever that session is over: it says nothing of
        the account."""
        return self.refusal_ends or ("account" if self.offline else "sessions")

    @property
    def asked(self) -> dict[str, str]:
        """The parameters beside those of every sign-in. Without the person's consent a provider
        gives nothing that works offline."""
        consent = {"prompt": "consent"} if "offline_access" in self.scopes else {}
        return {name: value for name, value in (consent | self.ask).items() if value}


def is_safe_address(url: str, *, loopback: bool) -> bool:
    """Whether a provider may be spoken to there: https, or with `loopback` plain http to this very
    machine. Never with a user name, nor with a fragment."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return False
    if not host or parts.username is not None or parts.fragment or set(url) & set(" \\\r\n\t"):
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and loopback and _is_loopback(host))


def load_providers(path: Path | None) -> list[Provider]:
    """The providers of a file, their secrets read; none without a file.

    Raises BadSetup that names the file, the field and what to do.
    """
    if path is None:
        return []
    found = _FILE.read(path)
    for field in ("name", "issuer"):
        # One issuer twice would make one person of two clients' subjects.
        _FILE.demand_single(path, field, [getattr(provider, field) for provider in found])
    return [_with_secret(path, index, provider) for index, provider in enumerate(found)]


def _advice(field: str) -> str:
    if field.startswith("allowed"):
        return (
            "say who may sign in: `allowed: everyone`, a claim and its values, or `allowed: rules`"
        )
    return ""


_FILE = ListFile(
    "providers", Provider, "providers", "see the page about signing in for an example", _advice
)


def _with_secret(path: Path, index: int, provider: Provider) -> Provider:
    if provider.client_secret_file is None:
        return provider
    file = path.parent / provider.client_secret_file.expanduser()
    place = f"{_FILE.place(path, index, provider.name)}: client_secret_file"
    try:
        secret = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BadSetup(f"{place}: {error}", next="put the client's secret there") from error
    if not secret or len(secret) > 4096:
        raise BadSetup(
            f"{place}: {file} holds no secret", next="write the client's secret into it, alone"
        )
    return provider.model_copy(update={"client_secret": secret})


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
