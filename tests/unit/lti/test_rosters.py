"""Roles and rosters of learning systems, from their words to ours."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.lti.roles import role_of
from hub.lti.rosters import Member, read_members, strongest_each

M = "http://purl.imsglobal.org/vocab/lis/v2/membership"
INSTITUTION = "http://purl.imsglobal.org/vocab/lis/v2/institution/person"
SYSTEM = "http://purl.imsglobal.org/vocab/lis/v2/system/person"


@pytest.mark.parametrize(
    ("roles", "expected"),
    [
        ([f"{M}#Instructor"], "instructor"),
        ([f"{M}#Administrator"], "instructor"),
        ([f"{M}#Learner"], "member"),
        ([f"{M}/Learner#GuestLearner"], "member"),
        ([f"{M}#Learner", f"{M}#Instructor"], "instructor"),
        ([f"{M}/Instructor#TeachingAssistant"], "assistant"),
        ([f"{M}#Instructor", f"{M}/Instructor#TeachingAssistant"], "assistant"),
        ([f"{M}/Instructor#TeachingAssistantSection", f"{M}#Learner"], "assistant"),
        (["Instructor"], "instructor"),
        (["TeachingAssistant"], "assistant"),
        (["Learner"], "member"),
        ([f"{M}#Mentor"], ""),
        ([f"{M}#ContentDeveloper"], ""),
        ([f"{M}#Member"], ""),
        ([f"{INSTITUTION}#Instructor"], ""),
        ([f"{INSTITUTION}#Administrator", f"{SYSTEM}#Administrator"], ""),
        ([f"{SYSTEM}#Administrator", f"{M}#Learner"], "member"),
        (["http://evil.example/membership#Instructor"], ""),
        (["urn:lti:sysrole:ims/lis/Administrator"], ""),
        ([], ""),
    ],
)
def test_a_role_is_what_somebody_is_in_the_course(roles: list[str], expected: str) -> None:
    assert role_of(roles) == expected


def test_a_mentor_is_an_assistant_only_where_the_site_says_so() -> None:
    assert role_of([f"{M}#Mentor"], mentors="assistant") == "assistant"
    assert role_of([f"{M}#Mentor", f"{M}#Learner"], mentors="nothing") == "member"


@given(st.lists(st.text(max_size=120), max_size=8))
def test_no_words_of_a_platform_give_a_role_outside_of_the_three(roles: list[str]) -> None:
    assert role_of(roles) in {"", "member", "assistant", "instructor"}


@given(st.lists(st.sampled_from(["Learner", "Mentor", "Member", "Observer"]), max_size=5))
def test_nobody_teaches_whom_nobody_calls_a_teacher(roles: list[str]) -> None:
    assert role_of([f"{M}#{role}" for role in roles]) in {"", "member"}


def test_a_page_is_read_and_what_is_no_member_left_out() -> None:
    entries: list[Any] = [
        {"user_id": "1", "roles": [f"{M}#Learner"], "name": "Ada\x00 L", "email": "a@x"},
        {"user_id": "2", "roles": ["Learner"], "given_name": "Bob", "family_name": "B"},
        {"user_id": "3", "roles": ["Learner"], "status": "Inactive"},
        {"user_id": "4", "roles": ["Learner"], "status": "Deleted"},
        {"user_id": "5", "roles": [f"{M}#Mentor"]},
        {"user_id": 6, "roles": ["Learner"]}, {"user_id": "", "roles": ["Learner"]},
        {"user_id": "x" * 256, "roles": ["Learner"]}, {"user_id": "a\nb", "roles": ["Learner"]},
        {"user_id": "7", "roles": "Learner"}, {"user_id": "8"}, "9", None,
    ]  # fmt: skip
    assert read_members({"members": entries}) == [
        Member("1", "Ada L", "a@x", "member"),
        Member("2", "Bob B", "", "member"),
    ]


@pytest.mark.parametrize("document", [None, [], "x", {}, {"members": None}, {"members": {}}])
def test_what_is_no_roster_is_no_empty_one(document: Any) -> None:
    with pytest.raises(ValueError, match="no list"):
        read_members(document)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(st.lists(json_values, max_size=5))
def test_no_page_breaks_it(entries: list[Any]) -> None:
    assert all(member.role for member in read_members({"members": entries}))


def test_whoever_is_in_two_sections_has_the_stronger_role() -> None:
    found = strongest_each(
        [
            Member("1", "", "", "assistant"),
            Member("1", "", "", "member"),
            Member("2", "", "", "member"),
        ]
    )
    assert {subject: member.role for subject, member in found.items()} == {
        "1": "assistant", "2": "member",
    }  # fmt: skip
