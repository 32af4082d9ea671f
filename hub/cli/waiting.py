"""Waiting in the terminal: each change is told once on stderr; Ctrl-C says what goes on."""

from collections.abc import Callable
from datetime import datetime

from hub.cli import words
from hub.cli.output import note
from hub.client import Client, Patience, wait_until_ended, wait_until_running
from hub.client.errors import Json


def until_running(client: Client, workload: Json, timeout_s: float | None) -> Json:
    """The workload once it runs. Raises EndedInstead, TimedOut."""
    try:
        return wait_until_running(client, workload, Patience(timeout_s), tell_changes())
    except KeyboardInterrupt:
        id_ = workload["id"]
        note(f"it goes on: `perijove attach {id_}` waits on, `perijove stop {id_}` cancels it")
        raise


def until_ended(client: Client, workload: Json, timeout_s: float | None) -> Json:
    """The workload once nothing of it runs. Raises TimedOut."""
    return wait_until_ended(client, workload, Patience(timeout_s), tell_changes())


def tell_changes() -> Callable[[Json], None]:
    """Says where a workload is whenever that reads differently than before."""
    told: list[str] = []

    def tell(workload: Json) -> None:
        now = datetime.now().astimezone()
        text = words.progress(workload, now)
        if text in told[-1:]:
            return
        told.append(text)
        note(text)
        if len(told) == 1:
            for line in words.alternatives(workload):
                note(f"  would start now: {line}")

    return tell
