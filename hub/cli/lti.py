"""Commands for learning systems (LTI 1.3): addresses to register, templates, keys. They work on the
machine that runs Perijove, on its files."""

import json as jsons
from typing import Annotated, Literal
from urllib.parse import urlsplit

import typer
import yaml

from catalog.errors import BadSetup, BadValue
from hub.cli.options import Json
from hub.cli.output import Screen, note, show
from hub.settings import Settings

lti = typer.Typer(
    help="Learning systems: Moodle, Canvas and others that speak LTI 1.3.", no_args_is_help=True
)

Name = Annotated[
    str, typer.Argument(metavar="NAME", help="What lti.yaml calls it: a-z, 0-9, dashes.")
]


@lti.command("show")
def lti_show(
    name: Annotated[
        str,
        typer.Argument(metavar="[NAME]", help="One that is, or will be, in lti.yaml; else all."),
    ] = "",
    json: Json = False,
) -> None:
    """Print the addresses to register this site with in a learning system."""
    from hub.lti.guide import addresses
    from hub.lti.platforms import load_platforms

    settings = Settings.load()
    names = [name] if name else [found.name for found in load_platforms(settings.lti_file)]
    if not names:
        raise BadValue(
            "there is no learning system yet",
            next="name the one to come: `perijove lti show moodle`",
        )
    items = [{"name": one, **addresses(settings.url, one)} for one in names]
    show({"items": items, "next": None}, _addresses, as_json=json)


@lti.command("template")
def lti_template(
    kind: Annotated[Literal["moodle", "canvas"], typer.Argument(help="Which system it is.")],
    address: Annotated[
        str, typer.Argument(metavar="ADDRESS", help="Where people open it, https://….")
    ],
    name: Annotated[str, typer.Option("--name", help="What lti.yaml calls it.")] = "",
    json: Json = False,
) -> None:
    """Print an entry for lti.yaml to fill in."""
    from hub.auth.providers import is_safe_address
    from hub.lti.guide import entry

    parts = urlsplit(address)
    if not is_safe_address(address, loopback=True) or parts.query:
        raise BadValue(
            f"{address[:80]!r} is not the address of a learning system",
            next="write it like https://moodle.example.edu",
        )
    found = entry(kind, address.rstrip("/"), name or kind)
    show(
        {"platforms": [found]},
        lambda to, it: to.line(yaml.safe_dump(it, sort_keys=False).rstrip()),
        as_json=json,
    )


@lti.command("developer-key")
def lti_developer_key(name: Name, json: Json = False) -> None:
    """Print the JSON for a developer key of Canvas."""
    from hub.lti.guide import developer_key

    made = developer_key(Settings.load().url, name)
    show(made, lambda to, it: to.line(jsons.dumps(it, indent=2)), as_json=json)


@lti.command("rotate-key")
def lti_rotate_key(json: Json = False) -> None:
    """Make a new key to sign with; the one of before stays published until the next time."""
    from hub.lti.keys import ToolKeys

    home = Settings.load().home
    if not home.is_dir():
        raise BadSetup(f"there is no {home}", next="start `perijove up` once")
    current, before = ToolKeys(home / "secrets").rotate()
    note("learning systems fetch the new key by themselves; wait a day before the next time")
    show(
        {"current": current, "previous": before},
        lambda to, it: to.line(it["current"]),
        as_json=json,
    )


def _addresses(to: Screen, found: dict[str, list[dict[str, str]]]) -> None:
    for one in found["items"]:
        to.line(one["name"])
        for title, value in one.items():
            if title != "name":
                to.line(f"  {title.replace('_', ' '):<18} {value}")
