"""The program `perijove`: its commands, and one place where every error becomes words."""

import os
import sys
import traceback
from collections.abc import Sequence

import typer
from typer.main import get_command

from catalog.errors import BadSetup, PerijoveError
from hub.cli import (
    account,
    administration,
    announcements,
    audit,
    courses,
    environments,
    keys,
    lti,
    machine,
    menu,
    money,
    nodes,
    quotas,
    reservations,
    tenants,
    workloads,
)
from hub.cli.output import DONE, FAILED, INTERRUPTED, BadUsage, close_stdout, report

UsageError: type[Exception] = typer.BadParameter.__mro__[1]
"""What the parser of the command line raises; typer exports its subclass only."""
TRACE = "PERIJOVE_TRACE"

app = typer.Typer(
    name="perijove",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help=(
        "Shared GPUs for notebooks and jobs.\n\n"
        "Who you are: PERIJOVE_TOKEN at PERIJOVE_URL; else the sign-in saved by `perijove login`; "
        "else, on the machine that runs Perijove and as the owner of PERIJOVE_HOME, the local "
        "account `admin`, through control's Unix socket (its token is kept in "
        "$PERIJOVE_HOME/run/cli-token).\n\n"
        "Exit codes: 0 done, 1 failed, 2 bad usage, 3 denied, 4 waiting timed out, "
        "5 unreachable or not signed in."
    ),
)

PANELS = {
    "Start something": (menu.offers, menu.check, menu.run),
    "What you run": (
        workloads.ps, workloads.attach, workloads.stop, workloads.extend, workloads.relaunch,
        workloads.accept, workloads.logs, workloads.events,
    ),
    "You": (account.login, account.logout, account.whoami, account.usage, account.notices),
    "Administration": (administration.inventory, administration.invite),
    "This machine": (
        machine.up, machine.status, machine.doctor, machine.backup, machine.restore,
        machine.admin_link, machine.token, machine.version,
    ),
}  # fmt: skip

for panel, commands in PANELS.items():
    for command in commands:
        app.command(rich_help_panel=panel)(command)
app.add_typer(quotas.quota, name="quota", rich_help_panel="Administration")
app.add_typer(administration.people, name="people", rich_help_panel="Administration")
app.add_typer(keys.key, name="key", rich_help_panel="Administration")
app.add_typer(audit.audit, name="audit", rich_help_panel="Administration")
app.add_typer(administration.menu, name="menu", rich_help_panel="Administration")
app.add_typer(money.credits_app, name="credits", rich_help_panel="Administration")
app.add_typer(money.price, name="price", rich_help_panel="Administration")
app.add_typer(tenants.tenant, name="tenant", rich_help_panel="Administration")
app.add_typer(lti.lti, name="lti", rich_help_panel="This machine")
app.add_typer(nodes.node, name="node", rich_help_panel="Administration")
app.add_typer(environments.environment, name="env", rich_help_panel="Administration")
app.add_typer(courses.course, name="course", rich_help_panel="Administration")
app.add_typer(reservations.reservation, name="reservation", rich_help_panel="Administration")
app.command(rich_help_panel="Administration")(announcements.announce)
app.add_typer(announcements.announcement, name="announcement", rich_help_panel="Administration")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code. Never raises, never prints a stack trace."""
    args = list(sys.argv[1:] if argv is None else argv)
    as_json = "--json" in args
    try:
        code = get_command(app).main(args, prog_name="perijove", standalone_mode=False)
        sys.stdout.flush()
    except PerijoveError as error:
        return report(error, as_json=as_json)
    except UsageError as error:
        return report(_usage(error), as_json=as_json)
    except (typer.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except BrokenPipeError:
        close_stdout()
        return FAILED
    except OSError as error:
        return report(_file_trouble(error), as_json=as_json)
    except Exception as error:  # noqa: BLE001 (a bug must end in a sentence, too)
        return report(_bug(error), as_json=as_json)
    return code if isinstance(code, int) else DONE


def _usage(error: Exception) -> BadUsage:
    """A mistake in the command line, with the command whose help shows the right way."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "perijove"
    message = error.format_message() if hasattr(error, "format_message") else str(error)  # type: ignore[attr-defined]
    return BadUsage(message.strip() or "a command is missing", next=f"see `{path} --help`")


def _file_trouble(error: OSError) -> BadSetup:
    place = f"{error.filename}: " if error.filename else ""
    return BadSetup(
        f"{place}{error.strerror or error}", next="check the path, its owner and the space left"
    )


def _bug(error: Exception) -> PerijoveError:
    if os.environ.get(TRACE):
        traceback.print_exception(error)
    return PerijoveError(
        f"this is a mistake of the program: {type(error).__name__}: {error}",
        next=f"run it again with {TRACE}=1 and report what it prints",
    )


if __name__ == "__main__":
    sys.exit(main())
