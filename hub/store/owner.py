"""Which installation a database belongs to.

An installation with a local engine sees only the processes of its own machine. A second one on the
same database would take what runs at the first for lost, and grant its place again.
"""

import hashlib
from datetime import datetime

from catalog.errors import BadSetup
from hub.store.store import Store
from hub.store.tables import OwnerRow

_ENGINE = "local-engine"


def claim(store: Store, secret: str, place: str, now: datetime, *, take_over: bool) -> None:
    """Note that the installation with this secret works on the database; safe to repeat.

    A restored backup brings its secret along and is the same installation. `place` says where it
    is, for people. Raises BadSetup when another one was noted, unless `take_over`.
    """
    mark = hashlib.sha256(f"{_ENGINE}:{secret}".encode()).hexdigest()[:32]
    with store.write() as session:
        row = session.get(OwnerRow, _ENGINE)
        if row is not None and row.mark != mark and not take_over:
            raise BadSetup(
                f"this database belongs to the installation in {row.place}",
                next="give this one a database of its own; if the other is gone for ever, start"
                " once with PERIJOVE_TAKE_OVER=true: what ran there is then settled as lost",
            )
        row = row or OwnerRow(id=_ENGINE)
        if row.mark != mark or row.place != place:
            row.mark, row.place, row.since = mark, place, now
            session.add(row)
