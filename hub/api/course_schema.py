"""Shapes of courses. Days are ISO 8601, times of day ``"09:00"``, lengths ``"2h"``, credits strings,
limits as people write them (``"0.25"``, ``"8Gi"``)."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from hub.api.schema import Body

Text = Annotated[str, Field(max_length=200)]
Short = Annotated[str, Field(max_length=60)]
Amount = Annotated[str, Field(max_length=25)]
Day = Annotated[str, Field(max_length=10)]
Role = Literal["member", "assistant", "instructor"]
Limits = Annotated[dict[Short, Amount], Field(max_length=20)]
"""By dimension: ``{"gpu": "0.25", "cpu": "2", "gpu-hours": "20"}``."""
Weekday = (
    Annotated[int, Field(ge=0, le=6)] | Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
)
"""0 is Monday."""

MOST_HOURS, MOST_GROUPS, MOST_RULES, MOST_OFFERS = 40, 50, 50, 100
CSV_TEXT = 2 * 2**20
"""Characters of a roster, and bytes of its file."""
BASE64_TEXT = (CSV_TEXT // 3 + 1) * 4


class LabBody(Body):
    """What "Open lab" launches: an offer with answers to its form."""

    offer: Annotated[str, Field(max_length=100)]
    set: dict[str, str | int | float] = Field(default_factory=dict, max_length=20)


class MaterialBody(Body):
    """A git repository whose files each student gets, in `folder` of their home."""

    url: Annotated[str, Field(max_length=500)] = ""
    branch: Annotated[str, Field(max_length=200)] = ""
    folder: Text = ""


class StudentBody(Body):
    """What each student may hold and use in the course, and the credits that each is given."""

    limits: Limits = Field(default_factory=dict)
    credits: Amount = "0"


class HoursBody(Body):
    """Lab hours: capacity is held each week at these times, by the clocks of the course.
    `places` 0: as many as there are students."""

    weekdays: list[Weekday] = Field(min_length=1, max_length=7)
    starts: Annotated[str, Field(max_length=5)]
    length: Annotated[str, Field(max_length=20)]
    places: Annotated[int, Field(ge=0, le=500)] = 0
    name: Text = ""


class GroupBody(Body):
    """A part of a course with limits of its own. `id` empty is made of the course's and the name."""

    id: Short = ""
    name: Text
    student_limits: Limits = Field(default_factory=dict)


class RosterBody(Body):
    """A list of people as CSV: as text in `csv`, or the bytes of a file in `file` (base64).

    With the name of an OpenID `provider`, its word says who somebody is; without, each gets a link.
    """

    csv: Annotated[str, Field(max_length=CSV_TEXT)] = ""
    file: Annotated[str, Field(max_length=BASE64_TEXT)] = ""
    provider: Short = ""


class RuleBody(Body):
    """Everybody of whom the `provider` says that `claim` is or contains `value`."""

    provider: Short
    claim: Annotated[str, Field(min_length=1, max_length=200)]
    value: Annotated[str, Field(min_length=1, max_length=500)]
    role: Role = "member"


class CourseBody(Body):
    """A course to add: all of it is made, or nothing."""

    id: Short
    name: Text
    parent: Short = "main"
    term: Text = ""
    first_day: Day
    last_day: Day
    time_zone: Short = ""
    """Empty: the site's."""
    lab: LabBody
    offers: list[Annotated[str, Field(max_length=100)]] = Field(default=[], max_length=MOST_OFFERS)
    """What its people may launch; empty: the whole menu."""
    environment: Text = ""
    material: MaterialBody = Field(default_factory=MaterialBody)
    student: StudentBody = Field(default_factory=StudentBody)
    limits: Limits = Field(default_factory=dict)
    """Of the course as a whole."""
    credits: Amount = "0"
    """Moved from the parent's wallet into the course's."""
    hours: list[HoursBody] = Field(default=[], max_length=MOST_HOURS)
    groups: list[GroupBody] = Field(default=[], max_length=MOST_GROUPS)
    roster: RosterBody | None = None
    rules: list[RuleBody] = Field(default=[], max_length=MOST_RULES)
    clean_up_days: Annotated[int, Field(ge=0, le=365)] = 14


class CourseChange(Body):
    """What changes of a course; what is left out stays. `hours`, `groups` and `rules` replace what
    there was. `credits` is moved into the course in addition. With `version`, the change is refused
    when somebody else changed the course since."""

    name: Text | None = None
    term: Text | None = None
    first_day: Day | None = None
    last_day: Day | None = None
    time_zone: Short | None = None
    lab: LabBody | None = None
    offers: list[Annotated[str, Field(max_length=100)]] | None = Field(
        default=None, max_length=MOST_OFFERS
    )
    environment: Text | None = None
    material: MaterialBody | None = None
    student: StudentBody | None = None
    limits: Limits | None = None
    credits: Amount | None = None
    hours: list[HoursBody] | None = Field(default=None, max_length=MOST_HOURS)
    groups: list[GroupBody] | None = Field(default=None, max_length=MOST_GROUPS)
    rules: list[RuleBody] | None = Field(default=None, max_length=MOST_RULES)
    clean_up_days: Annotated[int, Field(ge=0, le=365)] | None = None
    version: int | None = None


class CloneBody(Body):
    """A course for the next term, with everything of this one but its people and what they used."""

    id: Short
    name: Text = ""
    term: Text = ""
    first_day: Day
    last_day: Day = ""
    """Empty: as long as the course that is cloned."""
    credits: Amount = "0"


class Problem(BaseModel):
    """Something that is wrong with what was sent: where, what, and what to do."""

    field: str
    message: str
    next: str


class RosterProblem(BaseModel):
    """Something about a roster. `line` counts from 1, the header included; 0 is the whole file.
    With `fatal` nothing of it is taken; else the line is taken as `message` says."""

    line: int
    column: str
    message: str
    fatal: bool


class RosterCheck(BaseModel):
    """What a roster would do. `new` people would be expected, of `known` something would change,
    `same` are in it already, `joined` would be in at once."""

    rows: int
    new: int
    known: int
    same: int
    joined: int
    encoding: str
    delimiter: str
    columns: list[str]
    problems: list[RosterProblem]
    people: list["RosterPerson"]
    """The first lines as they were understood."""


class RosterPerson(BaseModel):
    """One line of a roster as it was understood."""

    key: str
    name: str
    email: str
    role: str
    group: str


class HoursVerdict(BaseModel):
    """Whether lab hours can be held: the number of windows, and what is in the way of some."""

    name: str
    possible: bool
    windows: int
    text: str
    first: datetime | None
    last: datetime | None


class CourseCheck(BaseModel):
    """What making the course would say. Nothing is made; without problems it would be."""

    problems: list[Problem]
    roster: RosterCheck | None
    hours: list[HoursVerdict]
    summary: list[str]


class LabView(BaseModel):
    """What "Open lab" launches, and my lab of this course as it is now."""

    offer: str
    offer_title: str
    set: dict[str, Any]
    workload: str | None
    status: str
    url: str


class MaterialView(BaseModel):
    """The course's material, and how the last look at its repository went."""

    url: str
    branch: str
    folder: str
    commit: str
    at: datetime | None
    error: str


class StudentView(BaseModel):
    """What each student may hold and use in the course, and was given."""

    limits: dict[str, str]
    credits: str


class HoursView(BaseModel):
    """Lab hours as they are held, by the reservation that holds them. `places` 0 follows the number
    of students."""

    weekdays: list[int]
    starts: str
    length: str
    places: int
    held: int
    name: str
    reservation: str


class GroupView(BaseModel):
    """A part of a course."""

    id: str
    name: str
    student_limits: dict[str, str]
    members: int


class RuleView(BaseModel):
    """Everybody of whom a provider says this belongs to the course."""

    provider: str
    claim: str
    value: str
    role: str


class NextHours(BaseModel):
    """The lab hours that are on, or come next."""

    starts_at: datetime
    ends_at: datetime


class May(BaseModel):
    """What I may do in the course."""

    manage: bool
    run: bool


class CourseView(BaseModel):
    """A course as I see it. Limits, hours, groups' limits, rules and credits of the course are
    shown to its staff; to others they are empty."""

    id: str
    name: str
    parent: str
    tenant_name: str
    """Of the tenant that it belongs to."""
    term: str
    first_day: str
    last_day: str
    time_zone: str
    state: Literal["upcoming", "active", "ended", "cleaned"]
    role: str
    """Mine in it; empty for those who see it from above."""
    place: str
    """The tenant in which my lab launches: my group, where I am in exactly one."""
    lab: LabView
    offers: list[str]
    environment: str
    material: MaterialView
    student: StudentView
    limits: dict[str, str]
    hours: list[HoursView]
    groups: list[GroupView]
    rules: list[RuleView]
    members: int
    staff: int
    waiting_to_join: int
    my_credits: str
    course_credits: str
    next_hours: NextHours | None
    may: May
    clean_up_days: int
    cleans_up_on: str
    cloned_from: str
    version: int


class RosterEntry(BaseModel):
    """Somebody who is, should be, or was in a course."""

    id: str
    key: str
    name: str
    email: str
    role: str
    group: str
    state: Literal["joined", "expected", "removed"]
    login: str
    source: str
    joined_at: datetime | None


class RosterPage(BaseModel):
    """A part of a roster, and how many there are in all that match."""

    items: list[RosterEntry]
    next: str | None
    total: int


class RosterChange(Body):
    """What changes of somebody in the course; what is left out stays. `group` empty: none."""

    group: Short | None = None
    role: Role | None = None


class RosterDone(BaseModel):
    """What an import did: people who are new, were changed, were there already, are in."""

    rows: int
    new: int
    known: int
    same: int
    joined: int
    problems: list[RosterProblem]


class LinkBody(Body):
    """A link by which many may join. `most` people; `expires` after so long."""

    most: Annotated[int, Field(ge=1, le=5000)] = 200
    expires: Annotated[str, Field(max_length=20)] = "14d"
    group: Short = ""


class LinkView(BaseModel):
    """A join link. Its address is shown once, when it is made."""

    id: str
    url: str = ""
    group: str
    most: int
    used: int
    created_by: str
    created_at: datetime
    expires_at: datetime
    withdrawn_at: datetime | None


class JoinBody(Body):
    """The secret of a join link."""

    token: Annotated[str, Field(min_length=1, max_length=200)]


class ExportView(BaseModel):
    """What is kept of a student's work. Without a `file` they had no folder of the course; what is
    `left_out` is no plain file of theirs, or was too much."""

    login: str
    name: str
    file: str
    files: int
    bytes: int
    left_out: int
    sha256: str
