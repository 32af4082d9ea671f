"""What is wrong with something that is asked for: all of it, not only the first."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from catalog.errors import PerijoveError


@dataclass(frozen=True, slots=True)
class Finding:
    """One problem, and the field of the form that it belongs to."""

    field: str
    error: PerijoveError


@dataclass(slots=True)
class Findings:
    """Collected while steps go on as far as they can; nothing is kept of what they did."""

    found: list[Finding] = field(default_factory=list[Finding])

    @contextmanager
    def at(self, place: str) -> Iterator[None]:
        """What goes wrong in the block is noted, and what comes after it goes on."""
        try:
            yield
        except PerijoveError as error:
            self.found.append(Finding(place, error))

    def demand_none(self) -> None:
        """Raise the first that was found, with how many there are besides."""
        if not self.found:
            return
        first, more = self.found[0], len(self.found) - 1
        error = first.error
        if first.field and not error.message.startswith(first.field):
            error.message = f"{first.field}: {error.message}"
        if more:
            error.message += f" (and {more} more problem{'s' if more > 1 else ''})"
        raise error
