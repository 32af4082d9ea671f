"""A database has one installation: a second one would grant again what runs at the first."""

from datetime import timedelta

import pytest

from catalog.clock import ManualClock
from catalog.errors import BadSetup
from hub.control_context import Control
from hub.store import owner
from hub.store.tables import OwnerRow


def claim(control: Control, secret: str, place: str, *, take_over: bool = False) -> None:
    owner.claim(control.store, secret, place, control.clock.now(), take_over=take_over)


def test_the_first_has_it_and_comes_back(control: Control, clock: ManualClock) -> None:
    claim(control, "one", "/a on n1")
    clock.advance(timedelta(days=1))
    claim(control, "one", "/b on n2")  # moved, or restored from its backup
    with control.store.read() as session:
        row = session.get_one(OwnerRow, "local-engine")
    assert (row.place, row.since) == ("/b on n2", clock.now())
    assert "one" not in row.mark


def test_another_is_refused_by_name_and_may_take_over(control: Control) -> None:
    claim(control, "one", "/a on n1")
    with pytest.raises(BadSetup, match="belongs to the installation in /a on n1") as caught:
        claim(control, "two", "/b on n2")
    assert "PERIJOVE_TAKE_OVER" in caught.value.next
    claim(control, "two", "/b on n2", take_over=True)
    with pytest.raises(BadSetup, match="/b on n2"):
        claim(control, "one", "/a on n1")
