"""A course as it is asked for: what people wrote, not judged yet."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hub.policy import ROOT_TENANT

Written = Mapping[str, str]
"""Limits by dimension, as people write them."""


@dataclass(frozen=True, slots=True)
class Lab:
    """What "Open lab" launches."""

    offer: str
    set: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Material:
    """The repository with the course's files, and the folder of each home where they go."""

    url: str = ""
    branch: str = ""
    folder: str = ""


@dataclass(frozen=True, slots=True)
class Hours:
    """Lab hours every week: weekdays from 0 (Monday), local time; places 0: as many as students."""

    weekdays: tuple[int, ...]
    starts: str
    length: str
    places: int = 0
    name: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """A part of a course. Without an id it gets one of the course's and its name."""

    name: str
    id: str = ""
    limits: Written = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Rule:
    """Everybody of whom a provider says this."""

    provider: str
    claim: str
    value: str
    role: str = "member"


@dataclass(frozen=True, slots=True)
class People:
    """A list of people: CSV as text or bytes; the name of the provider whose word counts, or
    nothing, and each gets a link."""

    raw: bytes | str
    provider: str = ""


@dataclass(frozen=True, slots=True)
class NewCourse:
    """A course to add."""

    id: str
    name: str
    first_day: str
    last_day: str
    lab: Lab
    parent: str = ROOT_TENANT
    term: str = ""
    time_zone: str = ""
    offers: tuple[str, ...] = ()
    environment: str = ""
    material: Material = Material()
    student_limits: Written = field(default_factory=dict[str, str])
    student_credits: str = "0"
    limits: Written = field(default_factory=dict[str, str])
    credits: str = "0"
    hours: tuple[Hours, ...] = ()
    groups: tuple[Group, ...] = ()
    people: People | None = None
    rules: tuple[Rule, ...] = ()
    clean_up_days: int = 14


@dataclass(frozen=True, slots=True)
class Change:
    """What changes of a course; None stays."""

    name: str | None = None
    term: str | None = None
    first_day: str | None = None
    last_day: str | None = None
    time_zone: str | None = None
    lab: Lab | None = None
    offers: tuple[str, ...] | None = None
    environment: str | None = None
    material: Material | None = None
    student_limits: Written | None = None
    student_credits: str | None = None
    limits: Written | None = None
    credits: str | None = None
    hours: tuple[Hours, ...] | None = None
    groups: tuple[Group, ...] | None = None
    rules: tuple[Rule, ...] | None = None
    clean_up_days: int | None = None
    version: int | None = None
