"""Which learning systems may launch into this site: one YAML file, every mistake placed."""

from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from hub.auth.providers import Name, Provider, Text, is_safe_address
from hub.list_files import ListFile

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
    found = _FILE.read(path)
    _FILE.demand_single(path, "name", [platform.name for platform in found])
    pairs = [f"{platform.issuer} with {platform.client_id}" for platform in found]
    _FILE.demand_single(path, "issuer and client_id", pairs)
    return found


def _advice(field: str) -> str:
    if field.startswith("deployments"):
        return 'say which deployments are trusted, like `deployments: ["1"]`, or `deployments: any`'
    return ""


_FILE = ListFile(
    "platforms", Platform, "learning systems", "`perijove lti template` prints an example", _advice
)
