"""Bodies of the courses API as what the use cases ask for."""

import base64
import binascii

from catalog.errors import BadValue, TooLarge
from hub.api import course_schema as schema
from hub.courses.wishes import Change, Group, Hours, Lab, Material, NewCourse, People, Rule
from quotas.windows import WEEKDAYS


def new_course(body: schema.CourseBody) -> NewCourse:
    """A course to add. Raises BadValue."""
    return NewCourse(
        id=body.id, name=body.name, parent=body.parent, term=body.term, first_day=body.first_day,
        last_day=body.last_day, time_zone=body.time_zone, lab=_lab(body.lab),
        offers=tuple(body.offers), environment=body.environment, material=_material(body.material),
        student_limits=body.student.limits, student_credits=body.student.credits,
        limits=body.limits, credits=body.credits, hours=tuple(map(_hours, body.hours)),
        groups=tuple(map(group, body.groups)),
        people=people(body.roster) if body.roster is not None else None,
        rules=tuple(map(rule, body.rules)), clean_up_days=body.clean_up_days,
    )  # fmt: skip


def change(body: schema.CourseChange) -> Change:
    """What changes of a course."""
    return Change(
        name=body.name, term=body.term, first_day=body.first_day, last_day=body.last_day,
        time_zone=body.time_zone, lab=_lab(body.lab) if body.lab is not None else None,
        offers=None if body.offers is None else tuple(body.offers), environment=body.environment,
        material=None if body.material is None else _material(body.material),
        student_limits=None if body.student is None else body.student.limits,
        student_credits=None if body.student is None else body.student.credits,
        limits=body.limits, credits=body.credits,
        hours=None if body.hours is None else tuple(map(_hours, body.hours)),
        groups=None if body.groups is None else tuple(map(group, body.groups)),
        rules=None if body.rules is None else tuple(map(rule, body.rules)),
        clean_up_days=body.clean_up_days, version=body.version,
    )  # fmt: skip


def clone(body: schema.CloneBody) -> NewCourse:
    """What is new of a course that is cloned."""
    return NewCourse(
        id=body.id, name=body.name, term=body.term, first_day=body.first_day,
        last_day=body.last_day, lab=Lab(""), credits=body.credits,
    )  # fmt: skip


def group(body: schema.GroupBody) -> Group:
    return Group(body.name, body.id, body.student_limits)


def rule(body: schema.RuleBody) -> Rule:
    return Rule(body.provider, body.claim, body.value, body.role)


def people(body: schema.RosterBody) -> People:
    """The list as text or as the bytes of its file. Raises BadValue."""
    if bool(body.csv) and bool(body.file):
        raise BadValue("roster: it has both csv and file", next="send one of the two")
    if not body.file:
        return People(body.csv, body.provider)
    try:
        raw = base64.b64decode(body.file, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadValue("roster.file: it is not base64", next="send the text in csv") from error
    if len(raw) > schema.CSV_TEXT:
        raise TooLarge("the list is larger than 2 MiB", next="leave columns out that nobody needs")
    return People(raw, body.provider)


def _lab(body: schema.LabBody) -> Lab:
    return Lab(body.offer, body.set)


def _material(body: schema.MaterialBody) -> Material:
    return Material(body.url, body.branch, body.folder)


def _hours(body: schema.HoursBody) -> Hours:
    days = sorted({day if isinstance(day, int) else WEEKDAYS.index(day) for day in body.weekdays})
    return Hours(tuple(days), body.starts, body.length, body.places, body.name)
