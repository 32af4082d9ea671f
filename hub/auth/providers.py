"""Which OpenID Connect providers people may sign in with: one YAML file, every mistake placed."""

import ipaddress
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from catalog.errors import BadSetup

MAX_FILE_BYTES = 2**18
_STRICT = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
Text = Annotated[str, Field(min_length=1, max_length=500)]
ClaimValue = Annotated[str | bool | int, Field(union_mode="smart")]


class Provider(BaseModel):
    """One provider as the file has it. `allowed` has no default: who may sign in is stated.

    With claims in `allowed`, each of them must have one of its values; a claim that is a list
    needs one of them in it.
    """

    model_config = _STRICT

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
    allowed: (
        Literal["everyone"]
        | Annotated[
            dict[Text, Annotated[list[ClaimValue], Field(min_length=1, max_length=1000)]],
            Field(min_length=1, max_length=20),
        ]
    )

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

    @model_validator(mode="after")
    def _one_secret(self) -> Self:
        if bool(self.client_secret) == (self.client_secret_file is not None):
            raise ValueError("needs exactly one of client_secret and client_secret_file")
        return self

    def admits(self, claims: dict[str, Any]) -> bool:
        """Whether somebody with these claims may sign in."""
        if self.allowed == "everyone":
            return True
        return all(_has_one(claims.get(claim), wanted) for claim, wanted in self.allowed.items())


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
    found = [_parse(path, index, entry) for index, entry in enumerate(_entries(path))]
    for field in ("name", "issuer"):
        values = [getattr(provider, field) for provider in found]
        twice = next((value for value in values if values.count(value) > 1), None)
        if twice is not None:
            # One issuer twice would make one person of two clients' subjects.
            raise BadSetup(
                f"{path}: providers: the {field} {twice!r} is there twice",
                next=f"give each provider a {field} of its own",
            )
    return [_with_secret(path, index, provider) for index, provider in enumerate(found)]


def _entries(path: Path) -> list[Any]:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise BadSetup(
                f"{path} is larger than {MAX_FILE_BYTES // 1024} KiB",
                next="keep to the providers of this site",
            )
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise BadSetup(f"{path} cannot be read: {error}", next="mend or remove it") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{path}:{mark.line + 1}" if mark else str(path)
        said = getattr(error, "problem", None) or "it cannot be read"
        raise BadSetup(f"{place}: not YAML: {said}", next="correct that line") from error
    if not isinstance(content, dict) or set(content) != {"providers"}:
        raise BadSetup(
            f"{path}: must hold `providers:` and nothing else beside it",
            next="see the page about signing in for an example",
        )
    if not isinstance(content["providers"], list):
        raise BadSetup(f"{path}: providers: must be a list", next="begin each with `- name: …`")
    return content["providers"]


def _parse(path: Path, index: int, entry: Any) -> Provider:
    try:
        return Provider.model_validate(entry)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        named = entry.get("name") if isinstance(entry, dict) else None
        place = f"{path}: providers[{index}]" + (f" ({named})" if isinstance(named, str) else "")
        field = ".".join(str(part) for part in first["loc"])
        raise BadSetup(
            f"{place}: {field + ': ' if field else ''}{first['msg'].removeprefix('Value error, ')}",
            next=_next_step(field, first["type"]),
        ) from error


def _next_step(field: str, kind: str) -> str:
    if field.startswith("allowed"):
        return "say who may sign in: `allowed: everyone`, or a claim and its values"
    if kind == "extra_forbidden":
        return f"remove {field}, or correct its spelling"
    return "correct it and start again"


def _with_secret(path: Path, index: int, provider: Provider) -> Provider:
    if provider.client_secret_file is None:
        return provider
    file = path.parent / provider.client_secret_file.expanduser()
    place = f"{path}: providers[{index}] ({provider.name}): client_secret_file"
    try:
        secret = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BadSetup(f"{place}: {error}", next="put the client's secret there") from error
    if not secret or len(secret) > 4096:
        raise BadSetup(
            f"{place}: {file} holds no secret", next="write the client's secret into it, alone"
        )
    return provider.model_copy(update={"client_secret": secret})


def _has_one(value: Any, wanted: list[ClaimValue]) -> bool:
    has: list[Any] = value if isinstance(value, list) else [value]
    # 1 == True in Python, not in a claim.
    return any(type(one) is type(want) and one == want for one in has for want in wanted)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
