"""From what a provider says to roles: default deny, by rules, with types."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from hub.auth.providers import Provider
from hub.auth.rules import Rule, believed, claim, has, judge, says
from hub.policy import STRENGTH

ENTRY = {
    "name": "uni", "title": "University", "issuer": "https://id.example.org", "client_id": "c",
    "client_secret": "s", "allowed": "everyone",
}  # fmt: skip
GROUPS = st.sampled_from(["physics", "chemistry", "staff", "gpu", "x"])
SCALARS = st.one_of(
    GROUPS, st.booleans(), st.integers(-2, 2), st.floats(-2, 2), st.text(max_size=5)
)
CLAIM_NAMES = st.sampled_from(["groups", "aff", "level"])
CLAIMS = st.dictionaries(CLAIM_NAMES, st.one_of(SCALARS, st.lists(SCALARS, max_size=4), st.none()))
TENANTS = st.sampled_from(["main", "physics", "chemistry"])


@st.composite
def rules(draw: Any) -> Rule:
    tenant = draw(TENANTS)
    roles = STRENGTH if tenant == "main" else STRENGTH[:-1]
    return Rule.model_validate(
        {
            "when": draw(
                st.dictionaries(
                    CLAIM_NAMES, st.lists(SCALARS, min_size=1, max_size=3), min_size=1, max_size=2
                )
            ),
            "tenant": tenant,
            "role": draw(st.sampled_from(roles)),
            "home": draw(st.booleans()),
            "credits": draw(st.integers(0, 9)),
        }
    )


RULES = st.lists(rules(), max_size=5)
ALLOWED = st.one_of(
    st.sampled_from(["everyone", "rules"]),
    st.dictionaries(CLAIM_NAMES, st.lists(SCALARS, min_size=1, max_size=3), min_size=1, max_size=2),
)


@given(ALLOWED, RULES, CLAIMS)
def test_who_comes_in_is_allowed_or_named_by_a_rule(allowed: Any, given_: Any, claims: Any) -> None:
    found = judge(allowed, given_, claims)
    matching = [r for r in given_ if all(has(claims, c, v) for c, v in r.when.items())]
    welcome = allowed == "everyone" or (
        isinstance(allowed, dict) and all(has(claims, c, v) for c, v in allowed.items())
    )
    assert found.admitted == (welcome or bool(matching))
    assert set(found.roles) == {r.tenant for r in matching} | ({"main"} if welcome else set())
    if not found.admitted:
        assert (found.roles, found.home, found.credits) == ({}, "", {})


@given(ALLOWED, RULES, CLAIMS)
def test_the_strongest_role_counts_and_credits_do_not_add_up(
    allowed: Any, given_: Any, claims: Any
) -> None:
    found = judge(allowed, given_, claims)
    for rule in given_:
        if all(has(claims, c, v) for c, v in rule.when.items()):
            assert STRENGTH.index(found.roles[rule.tenant]) >= STRENGTH.index(rule.role)
            assert found.credits.get(rule.tenant, 0) >= rule.amount
    assert all(amount in {r.amount for r in given_} for amount in found.credits.values())
    assert found.home == "" or found.home in found.roles


@given(RULES, CLAIMS, st.randoms())
def test_roles_do_not_depend_on_the_order_of_rules(given_: Any, claims: Any, random: Any) -> None:
    other = list(given_)
    random.shuffle(other)
    assert judge("rules", given_, claims).roles == judge("rules", other, claims).roles


@given(RULES, CLAIMS, CLAIM_NAMES)
def test_a_claim_that_goes_gives_nothing_more(given_: Any, claims: Any, name: str) -> None:
    fewer = {key: value for key, value in claims.items() if key != name}
    before, after = judge("rules", given_, claims), judge("rules", given_, fewer)
    assert set(after.roles) <= set(before.roles)
    assert after.admitted <= before.admitted


@given(SCALARS, SCALARS)
def test_types_count(one: Any, other: Any) -> None:
    same = type(one) is type(other) and one == other
    assert has({"x": one}, "x", [other]) == same
    assert has({"x": ["-", one]}, "x", [other]) == (same or other == "-")


@pytest.mark.parametrize("value", [None, {}, {"staff": 1}, [["staff"]], [{"staff": 1}], "xstaff"])
def test_odd_claims_match_nothing(value: Any) -> None:
    assert not has({"groups": value}, "groups", ["staff"])
    assert not says({"groups": value}, "groups", "staff")


@pytest.mark.parametrize(
    ("value", "text"),
    [("staff", "staff"), (True, "true"), (False, "false"), (7, "7"), (["a"], "a")],
)
def test_rules_of_courses_are_written_as_text(value: Any, text: str) -> None:
    assert says({"groups": value}, "groups", text)
    assert not says({"groups": value}, "groups", text.upper() + "x")


def test_a_dot_leads_inside_but_a_name_with_dots_comes_first() -> None:
    claims = {"realm_access": {"roles": ["a"]}, "https://x.example/roles": ["b"], "a.b": 1}
    assert claim(claims, "realm_access.roles") == ["a"]
    assert claim(claims, "https://x.example/roles") == ["b"]
    assert claim({"a": {"b": 2}, **claims}, "a.b") == 1
    assert claim(claims, "realm_access.roles.x") is None


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("staff@example.edu", ["staff@example.edu"]),
        ("staff@EXAMPLE.edu", ["staff@EXAMPLE.edu"]),
        (["staff@other.edu", "member@example.edu"], ["member@example.edu"]),
        ("staff@evil.example.edu", []),
        ("staff@example.edu@evil.org", []),
        ("staff", []),
        (7, []),
    ],
)
def test_a_provider_speaks_for_its_own_scopes_alone(said: Any, left: list[str]) -> None:
    claims = {"eduperson_scoped_affiliation": said, "groups": ["x@other.edu"]}
    found = believed(claims, ["example.edu"])
    assert found["eduperson_scoped_affiliation"] == left
    assert found["groups"] == ["x@other.edu"]
    assert believed(claims, []) == claims


def test_a_foreign_affiliation_gives_no_role() -> None:
    rule = {"when": {"eduperson_scoped_affiliation": "staff@other.edu"}, "tenant": "physics"}
    provider = Provider.model_validate(
        ENTRY | {"allowed": "rules", "rules": [rule], "scopes_of_affiliation": ["example.edu"]}
    )
    assert not provider.admits({"eduperson_scoped_affiliation": ["staff@other.edu"]})


@pytest.mark.parametrize(
    ("claims", "key"),
    [
        ({"email": "Ada@Example.org ", "email_verified": True}, "ada@example.org"),
        ({"email": "ada@example.org"}, ""),
        ({"email": "ada@example.org", "email_verified": "true"}, ""),
        ({"email": "ada@example.org", "email_verified": 1}, ""),
        ({"email": ["ada@example.org"], "email_verified": True}, ""),
        ({}, ""),
    ],
)
def test_an_address_finds_a_line_only_when_it_is_verified(claims: Any, key: str) -> None:
    assert Provider.model_validate(ENTRY).roster_key(claims) == key


def test_any_other_claim_is_taken_exactly() -> None:
    provider = Provider.model_validate(ENTRY | {"roster_claim": "student_id"})
    assert provider.roster_key({"student_id": "S-001 a"}) == "S-001 a"
    assert provider.roster_key({"student_id": 7}) == ""


@pytest.mark.parametrize(
    "wrong",
    [
        {"when": {}, "tenant": "physics"},
        {"when": {"groups": []}, "tenant": "physics"},
        {"when": {"groups": "a"}, "tenant": "No Tenant"},
        {"when": {"groups": "a"}, "tenant": "physics", "role": "king"},
        {"when": {"groups": "a"}, "tenant": "physics", "role": "platform-admin"},
        {"when": {"groups": "a"}, "tenant": "physics", "credits": "-1"},
        {"when": {"groups": "a"}, "tenant": "physics", "credits": "many"},
        {"when": {"groups": "a"}, "tenant": "physics", "extra": 1},
        {"when": {"groups": {"a": 1}}, "tenant": "physics"},
        {"tenant": "physics"},
        {"when": {"groups": "a"}},
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(wrong: Any) -> None:
    with pytest.raises(ValidationError):
        Rule.model_validate(wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"allowed": "rules"},
        {"refresh": "soon"},
        {"refresh": "0s"},
        {"ask": {"nonce": "x"}},
        {"ask": {"redirect_uri": "https://evil.example"}},
        {"ask": {"prompt": 7}},
        {"logout_ends": "all"},
        {"refusal_ends": "x"},
    ],
)
def test_a_setting_of_a_provider_that_makes_no_sense_is_refused(wrong: Any) -> None:
    with pytest.raises(ValidationError):
        Provider.model_validate(ENTRY | wrong)


def test_what_works_offline_needs_consent_unless_said_otherwise() -> None:
    offline = ENTRY | {"scopes": ["openid", "offline_access"]}
    assert Provider.model_validate(ENTRY).asked == {}
    assert Provider.model_validate(offline).asked == {"prompt": "consent"}
    assert Provider.model_validate(offline | {"ask": {"prompt": ""}}).asked == {}
    google = Provider.model_validate(ENTRY | {"ask": {"access_type": "offline"}})
    assert (google.asked, google.offline) == ({"access_type": "offline"}, True)
    assert google.ends_by_refusal == "account"
    assert Provider.model_validate(ENTRY).ends_by_refusal == "sessions"
