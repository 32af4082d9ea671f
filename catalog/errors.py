"""One tree of errors. The class fixes the code; the message says what; `next` says what to do.

::

    PerijoveError
    ├── BadValue        bad-value        an input is wrong; it names the place
    ├── NotSignedIn     not-signed-in    no or an expired sign-in
    ├── Forbidden       forbidden        known person, act not allowed
    │   └── AccountClosed  account-closed  whose it was is out
    ├── NotFound        not-found        does not exist, or not for this person
    ├── Conflict        conflict         true state forbids it now
    ├── Refused         denied           the Verdict is Denied
    ├── TooLarge        too-large        a body over the limit
    ├── Busy            busy             too many tries; wait
    ├── Unavailable     unavailable      something this needs is down; try again
    └── BadSetup        bad-setup        a file, port, disk or database the operator must mend

Only `hub.api.errors` knows which HTTP status each becomes, only the CLI which exit code.
"""

from typing import ClassVar


class PerijoveError(Exception):
    """An error for a person: `message` in plain words, `next` the step that helps."""

    code: ClassVar[str] = "error"

    def __init__(self, message: str, *, next: str = "", code: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.next = next
        self.detail_code = code or self.code

    def as_dict(self) -> dict[str, str]:
        """The one error shape: ``{"code", "message", "next"}``."""
        return {"code": self.detail_code, "message": self.message, "next": self.next}


class BadValue(PerijoveError):
    """An input is wrong."""

    code = "bad-value"


class NotSignedIn(PerijoveError):
    """No sign-in, or one that ended."""

    code = "not-signed-in"


class Forbidden(PerijoveError):
    """The person is known and may see the thing, but not do this to it."""

    code = "forbidden"


class AccountClosed(Forbidden):
    """The token or the sign-in is of somebody whose account was closed."""

    code = "account-closed"

    def __init__(
        self, message: str = "this account is closed", *, next: str = "", code: str = ""
    ) -> None:
        super().__init__(message, next=next or "ask an administrator to open it again", code=code)


class NotFound(PerijoveError):
    """It does not exist, or this person may not know that it does."""

    code = "not-found"


class Conflict(PerijoveError):
    """The state of the thing forbids the act now."""

    code = "conflict"


class Refused(PerijoveError):
    """A Verdict was Denied."""

    code = "denied"


class TooLarge(PerijoveError):
    """A request body over the limit."""

    code = "too-large"


class Busy(PerijoveError):
    """Too many tries in a short time."""

    code = "busy"


class Unavailable(PerijoveError):
    """Something that this needs is down for now."""

    code = "unavailable"


class BadSetup(PerijoveError):
    """The operator must mend a file, a port, a disk or a database."""

    code = "bad-setup"


BY_CODE: dict[str, type[PerijoveError]] = {
    kind.code: kind
    for kind in (
        BadValue, NotSignedIn, Forbidden, AccountClosed, NotFound, Conflict, Refused, TooLarge,
        Busy, Unavailable, BadSetup,
    )
}  # fmt: skip
"""The class behind a code, for clients that read errors off the wire."""
