"""Asking twice with one key makes one thing: what each of a person's keys was answered."""

from datetime import datetime

from sqlmodel import Session

from catalog.errors import Conflict
from hub.store.tables import IdempotencyRow


def answered(session: Session, person_id: str, key: str, fingerprint: str) -> str:
    """The id of what this request made before; empty when it is new, or has no key.

    `fingerprint` tells requests apart: raises Conflict when the key was used for another one.
    """
    known = session.get(IdempotencyRow, (person_id, key)) if key else None
    if known is None:
        return ""
    if known.fingerprint != fingerprint:
        raise Conflict(
            "this idempotency key was used for another request", next="use a new key for each"
        )
    return known.workload_id


def remember(
    session: Session, person_id: str, key: str, fingerprint: str, made_id: str, now: datetime
) -> None:
    """The request made `made_id`; nothing without a key."""
    if key:
        session.add(
            IdempotencyRow(
                person_id=person_id, key=key, fingerprint=fingerprint, workload_id=made_id, at=now
            )
        )
