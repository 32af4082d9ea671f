"""What `up` says to the person at the terminal."""

import contextlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TextIO

from catalog.errors import PerijoveError


@dataclass(frozen=True, slots=True)
class Terminal:
    """News and errors go to `err`, the banner to `out`. Never raises: the terminal may be gone."""

    out: TextIO = field(default_factory=lambda: sys.stdout)
    err: TextIO = field(default_factory=lambda: sys.stderr)

    def say(self, text: str) -> None:
        _write(self.err, f"perijove: {text}\n")

    def show(self, text: str) -> None:
        _write(self.out, text)

    def tell(self, error: PerijoveError) -> None:
        """An error and the step that helps."""
        step = f"  next: {error.next}\n" if error.next else ""
        _write(self.err, f"perijove: {error.message}\n{step}")


@dataclass(frozen=True, slots=True)
class SignInLink:
    """For the first administrator; `expires_at` in RFC 3339."""

    url: str
    expires_at: str

    @property
    def until(self) -> str:
        """The end of its life, to the minute."""
        try:
            return f"{datetime.fromisoformat(self.expires_at).astimezone(UTC):%d %b %Y, %H:%M} UTC"
        except ValueError:
            return self.expires_at


def banner(
    *,
    url: str,
    home: str,
    link: SignInLink | None,
    emulated: bool,
    warnings: Sequence[str],
    adopted: Sequence[str],
    keep: bool,
) -> str:
    """The block that is shown when everything is ready."""
    lines = ["", f"  Perijove is ready at  {url}", ""]
    if link:
        lines += ["  First administrator: sign in once with", f"    {link.url}"]
        lines += [f"    (valid until {link.until}; `perijove admin-link` renews it)", ""]
    if emulated:
        lines.append("  Devices    emulated: no accelerator is used")
    lines += [f"  Warning    {warning}" for warning in warnings]
    if adopted:
        lines.append(f"  Adopted    {', '.join(adopted)} (they ran already)")
    lines.append(f"  Data       {home}")
    ends = "stops Perijove; notebooks keep running" if keep else "stops everything"
    lines += [f"  Ctrl-C     {ends}", "", ""]
    return "\n".join(lines)


def _write(stream: TextIO, text: str) -> None:
    with contextlib.suppress(OSError, ValueError):
        stream.write(text)
        stream.flush()
