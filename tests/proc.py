"""What a process keeps in its memory, read from outside as root."""

import contextlib
from pathlib import Path


def found_in_memory(pid: int, *wanted: bytes) -> set[bytes]:
    """Those that lie somewhere in what the process could write to."""
    parts = _writable(pid)
    return {one for one in wanted if any(one in part for part in parts)}


def _writable(pid: int) -> list[bytes]:
    parts: list[bytes] = []
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            span, rights = line.split()[:2]
            start, end = (int(word, 16) for word in span.split("-"))
            if rights.startswith("rw"):
                with contextlib.suppress(OSError):  # given back since its line was read
                    memory.seek(start)
                    parts.append(memory.read(end - start))
    return parts
