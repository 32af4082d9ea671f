"""Rules of a provider: from what it says of a person to roles here. Values in, values out.

A claim *has* a value when it is that value, or a list with it inside. Types count: the text
``"true"`` is not the truth value ``true``, and ``1`` is neither.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from catalog.errors import BadValue
from catalog.units import parse_credits
from hub.policy import PLATFORM_ADMIN_ROLE, ROOT_TENANT, strongest

STRICT = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)
SCOPED_CLAIMS = frozenset(
    {
        "eduperson_scoped_affiliation",
        "eduPersonScopedAffiliation",
        "urn:oid:1.3.6.1.4.1.5923.1.1.1.9",
    }
)
"""Claims of the form ``role@scope``, by which an institution could speak for another one."""

Text = Annotated[str, Field(min_length=1, max_length=500)]
ClaimValue = Annotated[str | bool | int | float, Field(union_mode="smart")]
Wanted = dict[Text, Annotated[list[ClaimValue], Field(min_length=1, max_length=1000)]]
Allowed = Literal["everyone", "rules"] | Annotated[Wanted, Field(min_length=1, max_length=20)]
Claims = Mapping[str, Any]


class Rule(BaseModel):
    """Whoever has one of the values of every claim in `when` has `role` in `tenant`.

    `home` makes it the tenant that a newcomer belongs to; `credits` are given once to each person.
    """

    model_config = STRICT

    when: Annotated[Wanted, Field(min_length=1, max_length=20)]
    tenant: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,39}$")]
    role: Literal["member", "assistant", "instructor", "admin", "platform-admin"] = "member"
    home: bool = False
    credits: Annotated[str | int | float, Field(union_mode="smart")] = "0"

    @field_validator("when", mode="before")
    @classmethod
    def _one_is_a_list_of_one(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {k: v if isinstance(v, list) else [v] for k, v in value.items()}

    @field_validator("credits", mode="after")
    @classmethod
    def _an_amount(cls, value: str | float) -> str:
        try:
            amount = parse_credits(str(value))
        except BadValue as error:
            raise ValueError(error.message) from error
        if amount < 0:
            raise ValueError("credits are not negative")
        return str(value)

    @model_validator(mode="after")
    def _the_platform_is_the_root(self) -> "Rule":
        if self.role == PLATFORM_ADMIN_ROLE and self.tenant != ROOT_TENANT:
            raise ValueError(f"{PLATFORM_ADMIN_ROLE} is a role in the tenant {ROOT_TENANT} alone")
        return self

    @property
    def amount(self) -> int:
        """Micro-credits."""
        return parse_credits(str(self.credits))


@dataclass(frozen=True, slots=True)
class Standing:
    """What a provider's word comes to. `roles` and `credits` (micro-credits) are by tenant."""

    admitted: bool
    roles: Mapping[str, str] = field(default_factory=dict[str, str])
    home: str = ""
    """The tenant a newcomer belongs to; empty where there is none."""
    credits: Mapping[str, int] = field(default_factory=dict[str, int])


def judge(allowed: Allowed, rules: Sequence[Rule], claims: Claims) -> Standing:
    """Nobody comes in unless `allowed` or a rule says so. Whom `allowed` admits is a member of the
    root; the strongest of several roles in a tenant counts, and the first home."""
    welcome = allowed == "everyone" or (
        not isinstance(allowed, str) and all(has(claims, c, allowed[c]) for c in allowed)
    )
    kept = [rule for rule in rules if all(has(claims, c, rule.when[c]) for c in rule.when)]
    if not welcome and not kept:
        return Standing(admitted=False)
    found = [(rule.tenant, rule.role) for rule in kept]
    found += [(ROOT_TENANT, "member")] if welcome else []
    given: dict[str, int] = {}
    for rule in kept:
        given[rule.tenant] = max(given.get(rule.tenant, 0), rule.amount)
    return Standing(
        admitted=True,
        roles=merged(found),
        home=next((rule.tenant for rule in kept if rule.home), ROOT_TENANT if welcome else ""),
        credits={tenant: amount for tenant, amount in given.items() if amount},
    )


def merged(found: Sequence[tuple[str, str]]) -> dict[str, str]:
    """The strongest role for each tenant, in the order of the tenants' first mention."""
    roles: dict[str, str] = {}
    for tenant, role in found:
        roles[tenant] = strongest([role, roles.get(tenant, role)])
    return roles


def believed(claims: Claims, scopes: Sequence[str]) -> dict[str, Any]:
    """The claims without affiliations of scopes that this provider may not speak for. Without
    `scopes` every one is believed."""
    if not scopes:
        return dict(claims)
    own = {scope.casefold() for scope in scopes}
    return {
        name: [v for v in values(value) if _scope_of(v) in own] if name in SCOPED_CLAIMS else value
        for name, value in claims.items()
    }


def has(claims: Claims, name: str, wanted: Sequence[ClaimValue]) -> bool:
    """Whether a claim has one of some values."""
    found = values(claim(claims, name))
    # 1 == True in Python, not in a claim.
    return any(type(one) is type(want) and one == want for one in found for want in wanted)


def says(claims: Claims, name: str, value: str) -> bool:
    """As `has`, for a value that is written as text: ``true``, ``7``, ``staff``."""
    return any(_as_text(one) == value for one in values(claim(claims, name)))


def claim(claims: Claims, name: str) -> Any:
    """A claim by its name; where there is none of that name, dots lead inside:
    ``realm_access.roles``."""
    if name in claims:
        return claims[name]
    inside: Any = claims
    for part in name.split("."):
        if not isinstance(inside, Mapping) or part not in inside:
            return None
        inside = inside[part]
    return inside


def values(value: Any) -> list[Any]:
    """A claim's values: those of a list, or the one that it is."""
    return list(value) if isinstance(value, list) else [value]


def _scope_of(value: Any) -> str:
    return value.rpartition("@")[2].casefold() if isinstance(value, str) and "@" in value else ""


def _as_text(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    return None
