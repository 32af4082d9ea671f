"""Commands for notebook environments: what labs of courses run in."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from hub.cli import words
from hub.cli.options import Json
from hub.cli.output import Screen, show
from hub.client import Client
from hub.client.api import Page
from hub.settings import Settings

environment = typer.Typer(help="Notebook environments that courses choose.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="Lower-case letters, digits and -.")]


@environment.command("list")
def environment_list(json: Json = False) -> None:
    """List the environments of the site; the first is the site's own."""
    with Client() as client:
        show(client.environments(), _table, as_json=json)


@environment.command("add")
def environment_add(
    name: Name,
    requirements: Annotated[
        Path, typer.Option("--requirements", metavar="FILE", help="Packages, as pip reads them.")
    ],
    fork: Annotated[
        bool, typer.Option("--fork/--no-fork", help="Fork its notebooks: they start at once.")
    ] = False,
    preload: Annotated[
        list[str] | None,
        typer.Option("--preload", metavar="MODULE", help="Have kernels import it when they begin."),
    ] = None,
    json: Json = False,
) -> None:
    """Make an environment on this machine, or make it anew; needs no restart.

    It has JupyterLab as the site has it, and the packages of the file: as wheels, with their hashes
    checked if the file has hashes. It is built beside the one in use. Servers that run keep theirs.

    With --fork, JupyterLab of it is imported once, by the user that runs Perijove, root perhaps: say
    so only where you trust what the file installs. --preload can be given several times.
    """
    from hub.up.environments import make

    made = make(Settings.load(), name, requirements, fork=fork, preload=preload or ())
    said = f"{name} is ready, with {made.packages} packages for Python {made.python}"
    facts: dict[str, Any] = asdict(made) | {"made_at": made.made_at.isoformat()}
    show(facts, lambda to, _: to.line(said), as_json=json)


@environment.command("remove")
def environment_remove(name: Name, json: Json = False) -> None:
    """Take an environment away: courses that chose it cannot launch until they choose another one.

    Servers that run keep it; what it holds goes when the next environment is added.
    """
    from hub.up.environments import take_away

    take_away(Settings.load(), name)
    show({"name": name}, lambda to, _: to.line(f"{name} is taken away"), as_json=json)


def _table(to: Screen, page: Page) -> None:
    to.table(
        ("NAME", "PYTHON", "PACKAGES", "MADE"),
        [
            (one["name"], one["python"], one["packages"], words.moment(one["made_at"], to.now))
            for one in page["items"]
        ],
    )
