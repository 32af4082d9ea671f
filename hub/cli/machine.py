"""Commands for whoever runs Perijove on this machine."""

import contextlib
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from catalog.errors import BadSetup, BadValue
from hub.cli import views
from hub.cli.options import Json, parse_seconds
from hub.cli.output import FAILED, note, show
from hub.client.local_door import LocalDoor
from hub.settings import Settings

File = Annotated[Path, typer.Argument(metavar="FILE", help="The backup, a .tar.gz.")]


def up(
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave what runs when it ends; the next `up` adopts it.")
    ] = False,
    trust_everyone: Annotated[
        bool,
        typer.Option(
            "--trust-everyone",
            help="Without root: let several people run as one operating-system user.",
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Start everything in the foreground, watch it and restart what ends."""
    from hub.up.supervisor import run_up

    settings = Settings.load()
    if trust_everyone:
        settings = settings.model_copy(update={"trust_everyone": True})
    # What it tells while it runs is for people: with --json it must not be on stdout.
    elsewhere = contextlib.redirect_stdout(sys.stderr) if json else contextlib.nullcontext()
    with elsewhere:
        code = run_up(settings, keep=keep)
    if json:
        show({"exit": code}, lambda *_: None, as_json=True)
    raise typer.Exit(code)


def status(json: Json = False) -> None:
    """Show the processes of this machine; exit 0 only when all is well."""
    from hub.up.status import read_status

    found = read_status(Settings.load())
    show(found, views.processes, as_json=json)
    if not found["ok"]:
        raise typer.Exit(FAILED)


def doctor(json: Json = False) -> None:
    """Look for what is wrong with this machine or its set-up; exit 1 when something is bad."""
    from hub.up.doctor import run_checks

    findings = [asdict(finding) for finding in run_checks(Settings.load())]
    show({"items": findings, "next": None}, views.findings, as_json=json)
    if any(finding["level"] == "bad" for finding in findings):
        raise typer.Exit(FAILED)


def backup(file: File, json: Json = False) -> None:
    """Save databases, menu and secrets while everything runs. Homes of people are not in it."""
    from hub.up.backup import backup as save

    written = save(Settings.load(), _absolute(file))
    note("it holds secrets: keep it where only you can read it")
    show({"file": str(written)}, lambda to, done: to.line(done["file"]), as_json=json)


def restore(
    file: File,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask at a terminal.")] = False,
    json: Json = False,
) -> None:
    """Go back to a backup; what is replaced is kept beside it. Asks first at a terminal."""
    from hub.up.backup import restore as bring_back

    path = _absolute(file)
    if not path.is_file():
        raise BadValue(f"{path} is not a file", next="name a backup that `perijove backup` wrote")
    if sys.stdin.isatty() and not yes:
        typer.confirm(
            "Everything since that backup goes: launches, people, credits. What runs and is not in"
            " it is stopped. Go on?",
            abort=True,
            err=True,
        )
    answer = {"restored": str(path), "text": bring_back(Settings.load(), path)}
    show(answer, lambda to, done: to.line(done["text"]), as_json=json)


def admin_link(json: Json = False) -> None:
    """Print a fresh one-time sign-in link of the first administrator (the account `admin`)."""
    link = _door().admin_link()
    show(link, lambda to, made: to.line(made["url"]), as_json=json)


def token(
    user: Annotated[str, typer.Option("--user", metavar="LOGIN", help="Whose token it is.")],
    expires: Annotated[
        str, typer.Option("--expires", metavar="TIME", help="How long it works, like 8h or 30d.")
    ] = "7d",
    json: Json = False,
) -> None:
    """Print an API token for scripts, alone on stdout. Only on the machine that runs Perijove."""
    seconds = int(parse_seconds(expires, "--expires"))
    if seconds < 1:
        raise BadValue("--expires: it would expire at once", next="write it like 8h or 30d")
    minted = _door().mint(user, note="perijove token", expires_s=seconds)
    answer = {"token": minted, "login": user, "expires_s": seconds}
    show(answer, lambda _, made: print(made["token"]), as_json=json)


def version(json: Json = False) -> None:
    """Print the version."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        number = installed("perijove")
    except PackageNotFoundError:
        number = "not installed"  # run from a checkout
    show({"version": number}, lambda to, it: to.line(f"perijove {it['version']}"), as_json=json)


def _door() -> LocalDoor:
    """The local door. Raises BadSetup when there is none for this user."""
    settings = Settings.load()
    door = LocalDoor(settings.socket)
    if not door.is_open:
        raise BadSetup(
            f"no Perijove of yours runs from {settings.home}",
            next="run this as the owner of PERIJOVE_HOME, after `perijove up`",
        )
    return door


def _absolute(path: Path) -> Path:
    return path.expanduser().absolute()
