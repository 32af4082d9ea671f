"""Faults below the work: a node that goes silent, a device that fails. What is lost waits again.

A node that is not listed any more is closed at once; after `node_silence` its attempts are given up.
What may still run there is stopped when it answers again, before anything new is placed.
"""

import logging
from collections.abc import Iterable

from sqlmodel import col, select

from catalog.units import format_duration
from hub import attempts, drains, quarantine
from hub.alone import alone
from hub.control_context import Control
from hub.endings import Away
from hub.lifecycle import EndReason
from hub.sight import look, seen_nodes
from hub.store.tables import AttemptRow, ShareRow
from spawners.engine import EndCause, Exit, TemporaryError

log = logging.getLogger("perijove.healing")


def read_inventory(control: Control) -> None:
    """Look at all nodes anew. An engine that is out of reach lists none."""
    try:
        listed = control.engine.inventory()
    except TemporaryError as error:
        log.warning("inventory-out-of-reach why=%s", error)
        listed = []
    with control.store.read() as session:
        expected = session.exec(
            select(AttemptRow.node).where(col(AttemptRow.released_at).is_(None)).distinct()
        ).all()
    control.sight = look(
        control.sight, listed, expected, control.settings.node_silence_span, control.clock.now()
    )


def refresh_nodes(control: Control) -> None:
    """Apply drains and quarantine, as the store has them, to what was seen last."""
    with control.store.read() as session:
        closed, quarantined = drains.closed(session), quarantine.quarantined(session)
    control.nodes = seen_nodes(control.sight, closed, quarantined)


def keep(control: Control) -> set[str]:
    """Take work from what failed; the ids of attempts that were given up. Safe to repeat."""
    now = control.clock.now()
    given_up: set[str] = set()
    for node in control.sight.silent(control.settings.node_silence_span, now):
        given_up |= _give_up(control, node)
    failed = control.sight.failed(now)
    for attempt_id, device_id in _attempts_on(control, failed):
        failing = failed[device_id]
        text = f"a device below it failed: {failing.reason}"
        away = Away(failing.since, EndReason.DEVICE_FAILED, text)
        with alone(f"taking {attempt_id} from a failed device"):
            attempts.send_away(control, attempt_id, away)
    return given_up


def _give_up(control: Control, node: str) -> set[str]:
    """End what ran on a silent node, as of when it was seen last."""
    since = control.sight.missing[node].since
    with control.store.read() as session:
        open_ids = session.exec(
            select(AttemptRow.id).where(
                AttemptRow.node == node, col(AttemptRow.released_at).is_(None)
            )
        ).all()
    silence = format_duration(control.settings.node_silence_span)
    message = f"its node did not answer for {silence}"
    given_up: set[str] = set()
    for attempt_id in open_ids:
        exit_ = Exit(EndCause.NODE_LOST, since, message=message)
        with alone(f"giving up {attempt_id}"):
            attempts.finish(control, attempt_id, exit_)
            given_up.add(attempt_id)
    return given_up


def _attempts_on(control: Control, devices: Iterable[str]) -> list[tuple[str, str]]:
    """Attempt and device, for each share that is held of one of `devices`."""
    with control.store.read() as session:
        rows = session.exec(
            select(ShareRow.attempt_id, ShareRow.device_id).where(
                col(ShareRow.device_id).in_(list(devices)), col(ShareRow.released_at).is_(None)
            )
        ).all()
    return list(rows)


def let_in(control: Control) -> None:
    """Nodes that came back are open again: nothing runs on them that nobody knows."""
    control.sight = control.sight.without_returned()
