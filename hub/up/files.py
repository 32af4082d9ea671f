"""Small files that must be whole or absent: written beside, synced, renamed."""

import errno
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from catalog.errors import BadSetup


def write_whole(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Replace `path` by `content`; after a crash it holds the old or the new, never a part.

    Raises BadSetup naming the file when the disk is full or the folder not writable.
    """
    fresh = ""
    try:
        handle, fresh = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
        with os.fdopen(handle, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(fresh).replace(path)
    except OSError as error:
        if fresh:
            Path(fresh).unlink(missing_ok=True)
        raise unwritable(path, error) from error


def write_json(path: Path, value: Any) -> None:
    """`write_whole` of a JSON document, mode 0600."""
    write_whole(path, (json.dumps(value, indent=2) + "\n").encode())


def read_json(path: Path) -> dict[str, Any]:
    """The object in `path`; empty when the file is missing or holds no JSON object."""
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def unwritable(path: Path, error: OSError) -> BadSetup:
    """What to tell a person when `path` could not be written."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return BadSetup(
            f"no space left on the disk to write {path}", next=f"free space on {path.parent}"
        )
    return BadSetup(
        f"cannot write {path}: {error.strerror or error}",
        next=f"make {path.parent} a folder that you may write to",
    )
