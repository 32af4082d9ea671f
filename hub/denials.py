"""What the policy refused, in the audit: who tried what, on what."""

from datetime import timedelta

from catalog.errors import PerijoveError
from hub.control_context import Control
from hub.policy import ROOT_TENANT, Denied
from hub.rare import Rarely
from hub.store import audit

_SPAN = timedelta(minutes=1)
_MOST_OF_ONE = 30


class Denials:
    """Writes each denial once for person, action and object in a minute, and of one person no more
    than 30 in it: nobody can fill the audit by asking."""

    def __init__(self) -> None:
        self._rarely = Rarely()

    def note(self, control: Control, error: BaseException) -> None:
        """Nothing for errors that are no denial. Those who were told "there is no such thing"
        because of one are noted too."""
        denied = error if isinstance(error, Denied) else error.__cause__
        if not isinstance(denied, Denied):
            return
        now, who = control.clock.now(), denied.actor_id
        if not self._rarely.first(f"{who} {denied.action} {denied.object}", now, _SPAN):
            return
        if not self._rarely.fewer(who, now, _SPAN, _MOST_OF_ONE):
            return
        with control.store.write() as session:
            audit.record(
                session, now, who, "denied", denied.object, denied.tenant_id or ROOT_TENANT,
                {"action": denied.action.value, "told": _told(error)},
            )  # fmt: skip


def _told(error: BaseException) -> str:
    return error.code if isinstance(error, PerijoveError) else "error"
