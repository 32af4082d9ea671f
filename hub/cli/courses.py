"""Commands for courses."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer
import yaml

from catalog.errors import BadValue
from hub.cli.options import Cursor, Json
from hub.cli.output import FAILED, Screen, note, show
from hub.client import Client
from hub.client.errors import Json as Document

MOST_BYTES = 2 * 2**20

course = typer.Typer(
    help="Courses: make one, take in a roster, open the lab, end it.", no_args_is_help=True
)

Id = Annotated[str, typer.Argument(metavar="ID", help="The id of a course.")]
File = Annotated[Path, typer.Argument(metavar="FILE", help="A file of this machine.")]
Check = Annotated[
    bool, typer.Option("--check", help="Show what is wrong and what it would do; nothing is done.")
]


@course.command("list")
def course_list(
    state: Annotated[
        Literal["current", "over", "all"], typer.Option("--state", help="Which ones.")
    ] = "current",
    cursor: Cursor = "",
    json: Json = False,
) -> None:
    """List the courses that you are in or administer."""
    with Client() as client:
        page = client.courses(state, cursor or None)
    show(page, _listed, as_json=json)
    if page["next"] and not json:
        note(f"there are more: add --cursor {page['next']}")


@course.command("show")
def course_show(id: Id, json: Json = False) -> None:
    """Show a course."""
    with Client() as client:
        show(client.course(id), _one, as_json=json)


@course.command("create")
def course_create(file: File, check: Check = False, json: Json = False) -> int | None:
    """Make a course from a YAML file: all of it, or nothing.

    The file has the fields of `POST /courses`; `roster: people.csv` names a file beside it.
    """
    body = _body(file)
    with Client() as client:
        if check:
            answer = client.check_course(body)
            show(answer, _checked, as_json=json)
            return FAILED if answer["problems"] else None
        show(client.create_course(body), _one, as_json=json)
    return None


@course.command("clone")
def course_clone(
    id: Id,
    new: Annotated[str, typer.Argument(metavar="NEW", help="The id of the new course.")],
    *,
    first_day: Annotated[str, typer.Option("--first-day", help="Like 2027-01-11.")],
    last_day: Annotated[str, typer.Option("--last-day", help="Else as long as this one.")] = "",
    name: Annotated[str, typer.Option("--name", help="What people read; else as this one.")] = "",
    term: Annotated[str, typer.Option("--term", help="Like “Spring 2027”.")] = "",
    credits_: Annotated[
        str, typer.Option("--credits", help="Moved into it from the tenant above.")
    ] = "0",
    json: Json = False,
) -> None:
    """Make the course for the next term: everything of this one but its people."""
    body = {
        "id": new, "name": name, "term": term, "first_day": first_day, "last_day": last_day,
        "credits": credits_,
    }  # fmt: skip
    with Client() as client:
        show(client.clone_course(id, body), _one, as_json=json)


@course.command("end")
def course_end(id: Id, json: Json = False) -> None:
    """End a course now. What runs ends soon; its work is packed some days later."""
    with Client() as client:
        answer = client.end_course(id)
    show(
        answer, lambda to, one: to.line(f"{one['name']} has ended; clean-up on {one['cleans_up_on']}"),
        as_json=json,
    )  # fmt: skip


@course.command("reopen")
def course_reopen(id: Id, json: Json = False) -> None:
    """Let a course that was ended go on until its last day."""
    with Client() as client:
        show(client.reopen_course(id), _one, as_json=json)


@course.command("roster")
def course_roster(
    id: Id,
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="A CSV list to take in.")
    ] = None,
    provider: Annotated[
        str, typer.Option("--provider", help="Whose word says who they are; else links.")
    ] = "",
    search: Annotated[str, typer.Option("--search", help="In name, e-mail, id, login.")] = "",
    check: Check = False,
    json: Json = False,
) -> int | None:
    """Show the roster of a course, or take in a list: everybody of it, or nobody."""
    with Client() as client:
        if file is None:
            show(client.roster(id, search=search), _roster, as_json=json)
            return None
        raw = _bytes(file)
        if check:
            answer = client.check_roster(id, raw, provider)
            show(answer, _taken, as_json=json)
            return FAILED if any(one["fatal"] for one in answer["problems"]) else None
        show(client.import_roster(id, raw, provider), _taken, as_json=json)
    return None


@course.command("groups")
def course_groups(
    id: Id,
    add: Annotated[str, typer.Option("--add", metavar="NAME", help="Add this group.")] = "",
    limit: Annotated[
        list[str] | None,
        typer.Option("--limit", metavar="K=V", help="For each in it, like gpu=0. Repeat it."),
    ] = None,
    json: Json = False,
) -> None:
    """Show the groups of a course, or add one with limits of its own."""
    limits = dict(_pair(pair) for pair in limit or [])
    if limits and not add:
        raise BadValue("--limit: it goes with --add NAME", next="name the group to add")
    with Client() as client:
        if add:
            client.add_course_group(id, add, limits)
        show(client.course_groups(id), _groups, as_json=json)


@course.command("link")
def course_link(
    id: Id,
    most: Annotated[int, typer.Option("--most", help="How many may join by it.")] = 200,
    expires: Annotated[str, typer.Option("--expires", help="After this, like 14d.")] = "14d",
    group: Annotated[str, typer.Option("--group", metavar="ID", help="Into this group.")] = "",
    json: Json = False,
) -> None:
    """Make a link by which many may join. It is shown once."""
    with Client() as client:
        made = client.add_course_link(id, most=most, expires=expires, group=group)
    show(made, lambda to, one: to.line(one["url"]), as_json=json)


@course.command("open")
def course_open(id: Id, json: Json = False) -> None:
    """Open your lab of a course: the one that is there, or a new one."""
    with Client() as client:
        lab = client.open_lab(id)
    show(
        lab, lambda to, one: to.facts([(k, one[k]) for k in ("id", "name", "status", "reason", "url")]),
        as_json=json,
    )  # fmt: skip


# ---- files -------------------------------------------------------------------------------------


def _body(file: Path) -> Document:
    try:
        body = yaml.safe_load(_bytes(file).decode("utf-8"))
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise BadValue(f"{file}: it is not YAML: {error}", next="correct it") from error
    if not isinstance(body, dict):
        raise BadValue(f"{file}: it has no fields", next="begin with a line like  id: physics-101")
    body = _plain(body)
    if isinstance(body.get("roster"), str):
        import base64

        people = _bytes(file.parent / body["roster"])
        body["roster"] = {"file": base64.b64encode(people).decode()}
    return body


def _plain(value: Any) -> Any:
    """YAML reads days and bare numbers as such; the API has them as text."""
    match value:
        case dict():
            return {str(name): _amount(name, _plain(item)) for name, item in value.items()}
        case list():
            return [_plain(item) for item in value]
        case bool() | int() | float() | str() | None:
            return value
        case _:
            return str(value)


def _amount(name: Any, value: Any) -> Any:
    counted = {"places", "clean_up_days"}
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return str(value) if is_number and name not in counted else value


def _bytes(file: Path) -> bytes:
    try:
        if file.stat().st_size > MOST_BYTES:
            raise BadValue(f"{file} is larger than 2 MiB", next="leave out what nobody needs")
        return file.read_bytes()
    except OSError as error:
        raise BadValue(f"{file}: {error.strerror}", next="check the name of the file") from error


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name.strip() and equals):
        raise BadValue(f"--limit {text}: this is not K=V", next="write it like --limit gpu=0.25")
    return name.strip(), value.strip()


# ---- views -------------------------------------------------------------------------------------


def _listed(screen: Screen, page: Any) -> None:
    screen.table(
        ("ID", "NAME", "TERM", "STATE", "I AM", "PEOPLE", "LAST DAY", "MY CREDITS"),
        [
            (
                one["id"], one["name"], one["term"], one["state"], one["role"],
                one["members"] + one["staff"], one["last_day"], one["my_credits"],
            )
            for one in page["items"]
        ],
    )  # fmt: skip


def _one(screen: Screen, one: Document) -> None:
    hours = [
        f"{_days(held['weekdays'])} {held['starts']} for {held['length']} ({held['held']} places)"
        for held in one["hours"]
    ]
    screen.facts(
        [
            ("id", one["id"]), ("name", one["name"]), ("term", one["term"]),
            ("in", one["tenant_name"]), ("state", one["state"]),
            ("days", f"{one['first_day']} to {one['last_day']} ({one['time_zone']})"),
            ("lab", one["lab"]["offer_title"]), ("my lab", one["lab"]["status"]),
            ("students", f"{one['members']} in, {one['waiting_to_join']} expected"),
            ("staff", one["staff"]),
            ("each", ", ".join(f"{k} {v}" for k, v in one["student"]["limits"].items())),
            ("my credits", one["my_credits"]), ("its credits", one["course_credits"]),
            ("lab hours", "; ".join(hours)), ("clean-up", one["cleans_up_on"]),
        ]
    )  # fmt: skip


def _days(days: list[int]) -> str:
    names = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
    return ", ".join(names[day] for day in days)


def _checked(screen: Screen, answer: Document) -> None:
    for problem in answer["problems"]:
        screen.line(f"{problem['field']}: {problem['message']}; {problem['next']}", "red")
    if answer["roster"]:
        _taken(screen, answer["roster"])
    for line in answer["summary"]:
        screen.line(line)
    if not answer["problems"]:
        screen.line("it can be made", "green")


def _taken(screen: Screen, answer: Document) -> None:
    screen.line(
        f"{answer['rows']} people: {answer['new']} new, {answer['known']} changed,"
        f" {answer['same']} as before"
    )
    if answer["problems"]:
        screen.table(
            ("LINE", "COLUMN", "", "WHAT"),
            [
                (
                    one["line"] or "", one["column"], "stops it" if one["fatal"] else "note",
                    one["message"],
                )
                for one in answer["problems"]
            ],
        )  # fmt: skip


def _roster(screen: Screen, page: Document) -> None:
    screen.table(
        ("NAME", "ID", "E-MAIL", "ROLE", "GROUP", "STATE", "LOGIN"),
        [
            (
                one["name"], one["key"], one["email"], one["role"], one["group"], one["state"],
                one["login"],
            )
            for one in page["items"]
        ],
    )  # fmt: skip


def _groups(screen: Screen, page: Any) -> None:
    screen.table(
        ("ID", "NAME", "PEOPLE", "EACH"),
        [
            (
                one["id"], one["name"], one["members"],
                ", ".join(f"{k} {v}" for k, v in one["student_limits"].items()),
            )
            for one in page["items"]
        ],
    )  # fmt: skip
