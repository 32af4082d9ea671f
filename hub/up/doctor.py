"""`perijove doctor`: everything that commonly goes wrong, and what to do about each finding."""

from collections.abc import Callable, Iterator

from hub.settings import Settings
from hub.up.checks.data import check_data
from hub.up.checks.finding import Finding, bad
from hub.up.checks.machine import check_machine
from hub.up.checks.software import check_software

__all__ = ["Finding", "run_checks"]


def run_checks(settings: Settings) -> list[Finding]:
    """Look at everything; changes nothing, and works whether or not Perijove runs."""
    checks = (check_software, check_machine, check_data)
    return [finding for check in checks for finding in _all(check, settings)]


def _all(check: Callable[[Settings], Iterator[Finding]], settings: Settings) -> Iterator[Finding]:
    """One check that breaks must not hide what the others found."""
    try:
        yield from check(settings)
    except Exception as error:  # noqa: BLE001 (see above)
        yield bad(
            check.__name__.removeprefix("check_"),
            f"could not be checked to the end: {type(error).__name__}: {error}",
            "report this as a bug",
        )
