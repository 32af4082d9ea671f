"""The log of each process: opened for appending, rotated at the start, read from its end."""

import contextlib
import json
import os
from pathlib import Path
from typing import BinaryIO

LARGEST = 20 * 2**20
KEPT = 3
_TAIL_BYTES = 64 * 2**10


def open_log(path: Path) -> BinaryIO:
    """Open for appending; over `LARGEST` bytes it is put aside first and `KEPT` older stay."""
    with contextlib.suppress(FileNotFoundError):
        if path.stat().st_size > LARGEST:
            _rotate(path)
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "ab")


def tail(path: Path, lines: int = 15, since: int = 0) -> list[str]:
    """The last lines that were written after byte `since`; empty when there is no log."""
    try:
        with path.open("rb") as log:
            end = log.seek(0, os.SEEK_END)
            log.seek(max(since if since <= end else 0, end - _TAIL_BYTES))
            return log.read().decode(errors="replace").splitlines()[-lines:]
    except OSError:
        return []


def setup_error(path: Path, since: int) -> dict[str, str] | None:
    """The last ``{"error": {"code", "message", "next"}}`` line written after `since`."""
    for line in reversed(tail(path, lines=200, since=since)):
        try:
            value = json.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict) and isinstance(value.get("error"), dict):
            return {str(k): str(v) for k, v in value["error"].items()}
    return None


def _rotate(path: Path) -> None:
    for number in range(KEPT - 1, 0, -1):
        with contextlib.suppress(FileNotFoundError):
            path.with_name(f"{path.name}.{number}").replace(
                path.with_name(f"{path.name}.{number + 1}")
            )
    path.replace(path.with_name(f"{path.name}.1"))
