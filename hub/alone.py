"""One bad item of a beat must not hold up the others."""

import contextlib
import logging
from collections.abc import Iterator

from sqlalchemy.exc import OperationalError

from catalog.errors import BadSetup, Unavailable

log = logging.getLogger("perijove.reconciler")


@contextlib.contextmanager
def alone(what: str) -> Iterator[None]:
    """What goes wrong inside is logged as `what`, and whatever comes after goes on; the next beat
    tries again. A store that is away or damaged is everybody's trouble: that passes."""
    try:
        yield
    except (Unavailable, BadSetup, OperationalError):
        raise
    except Exception:
        log.exception("beat-item-failed what=%s", what)
