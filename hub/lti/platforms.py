"""Which learning systems may launch into this site: one YAML file, every mistake placed."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from catalog.errors import BadSetup
from hub.auth.providers import Name, Provider, Text, is_safe_address

MAX_FILE_BYTES = 2**18
ANY = "any"
_ADDRESSES = ("auth_login_url", "auth_token_url", "jwks_url")


class Platform(BaseModel):
    """One learning system as the file has it: one pair of issuer and client.

    `deployments` has no default: which installations of the tool are trusted is stated. People who
    are new here become members of the tenant `home`; without it they only come into courses.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    name: Name
    title: Annotated[str, Field(min_length=1, max_length=60)]
    issuer: Text
    client_id: Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[!-~]+$")]
    deployments: (
        Literal["any"]
        | Annotated[
            list[Annotated[str, Field(min_length=1, max_length=255)]],
            Field(min_length=1, max_length=1000),
        ]
    )
    auth_login_url: Text
    auth_token_url: Text
    jwks_url: Text
    token_audience: Annotated[str, Field(max_length=500)] = ""
    """What a request for a token is made out to; empty: `auth_token_url`."""
    home: Annotated[str, Field(max_length=60)] = ""
    teachers: Literal["member", "instructor"] = "member"
    """The role of its instructors in `home`."""
    mentors: Literal["nothing", "assistant"] = "nothing"
    """What LTI's Mentor is: some systems call parents so, who must not see a room."""
    link_first: bool = False
    """Who is new is asked to sign in with the account that they have here, once, to join the two."""

    @field_validator("issuer")
    @classmethod
    def _names_a_system(cls, value: str) -> str:
        if not is_safe_address(value, loopback=True):
            raise ValueError("must be an https address; http is for a system on this machine")
        return value

    @model_validator(mode="after")
    def _addresses_are_safe(self) -> Self:
        for field in _ADDRESSES:
            if not is_safe_address(getattr(self, field), loopback=self.local):
                raise ValueError(
                    f"{field} must be an https address; http is for a system on this machine"
                )
        if self.teachers != "member" and not self.home:
            raise ValueError("teachers needs home: the tenant in which they are instructors")
        return self

    @property
    def local(self) -> bool:
        """It is on this very machine: a test, or a development set-up."""
        return self.issuer.startswith("http:")

    @property
    def hosts(self) -> frozenset[str]:
        """Hosts that the file names, and that are trusted with whatever address they have."""
        named = (self.issuer, *(getattr(self, field) for field in _ADDRESSES))
        return frozenset(urlsplit(address).hostname or "" for address in named)

    @property
    def origins(self) -> tuple[str, ...]:
        """Where its pages may come from, to be shown around one of ours."""
        found = (urlsplit(address) for address in (self.issuer, self.auth_login_url))
        return tuple(sorted({f"{parts.scheme}://{parts.netloc}" for parts in found}))

    @property
    def identity_issuer(self) -> str:
        """The issuer of its people's identities here. No address has a ``#``, so two platforms
        never have the same."""
        return f"lti:{self.issuer}#{self.client_id}"

    @property
    def source(self) -> str:
        """Why somebody has a role that it gave."""
        return f"lti:{self.name}"

    @property
    def audience(self) -> str:
        return self.token_audience or self.auth_token_url

    @property
    def party(self) -> Provider:
        """As the checks of signed tokens and the fetching of documents know a provider."""
        return Provider.model_construct(
            name=self.name, title=self.title, issuer=self.issuer, client_id=self.client_id
        )

    def knows(self, deployment: str) -> bool:
        """Whether this deployment of the tool is trusted."""
        return self.deployments == ANY or deployment in self.deployments


def load_platforms(path: Path | None) -> list[Platform]:
    """The platforms of a file; none without a file.

    Raises BadSetup that names the file, the field and what to do.
    """
    if path is None:
        return []
    found = [_parse(path, index, entry) for index, entry in enumerate(_entries(path))]
    _demand_single(path, "name", [platform.name for platform in found])
    pairs = [f"{platform.issuer} with {platform.client_id}" for platform in found]
    _demand_single(path, "issuer and client_id", pairs)
    return found


def _demand_single(path: Path, what: str, values: list[str]) -> None:
    twice = next((value for value in values if values.count(value) > 1), None)
    if twice is not None:
        raise BadSetup(
            f"{path}: platforms: the {what} {twice!r} is there twice",
            next=f"give each platform a {what} of its own",
        )


def _entries(path: Path) -> list[Any]:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise BadSetup(
                f"{path} is larger than {MAX_FILE_BYTES // 1024} KiB",
                next="keep to the learning systems of this site",
            )
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise BadSetup(f"{path} cannot be read: {error}", next="mend or remove it") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{path}:{mark.line + 1}" if mark else str(path)
        said = getattr(error, "problem", None) or "it cannot be read"
        raise BadSetup(f"{place}: not YAML: {said}", next="correct that line") from error
    if not isinstance(content, dict) or set(content) != {"platforms"}:
        raise BadSetup(
            f"{path}: must hold `platforms:` and nothing else beside it",
            next="`perijove lti template` prints an example",
        )
    if not isinstance(content["platforms"], list):
        raise BadSetup(f"{path}: platforms: must be a list", next="begin each with `- name: …`")
    return content["platforms"]


def _parse(path: Path, index: int, entry: Any) -> Platform:
    try:
        return Platform.model_validate(entry)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        named = entry.get("name") if isinstance(entry, dict) else None
        place = f"{path}: platforms[{index}]" + (f" ({named})" if isinstance(named, str) else "")
        field = ".".join(str(part) for part in first["loc"])
        raise BadSetup(
            f"{place}: {field + ': ' if field else ''}{first['msg'].removeprefix('Value error, ')}",
            next=_next_step(field, first["type"]),
        ) from error


def _next_step(field: str, kind: str) -> str:
    if field.startswith("deployments"):
        return 'say which deployments are trusted, like `deployments: ["1"]`, or `deployments: any`'
    if kind == "extra_forbidden":
        return f"remove {field}, or correct its spelling"
    return "correct it and start again"
