"""What ``ps`` and ``/proc/PID/environ`` show of a process, which an exec would have set.

The kernel reads both from the memory that the program was started with. A template is started with
much of it, and whoever is forked from it writes there.
"""

import ctypes
import os
from collections.abc import Iterable, Mapping

from spawners.local.shim import stat_fields

_FIRST = ("PERIJOVE_ATTEMPT", "HOME", "JUPYTERHUB_SERVICE_PREFIX")
"""By these a process is found, so they come before what may not find room."""
_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_NAME = 15


class Region:
    """The memory of this process's arguments and environment. Found once, before any change of
    user, which hides it; a fork has it at the same place."""

    def __init__(self) -> None:
        # Fields 48 to 51 of /proc/PID/stat; `stat_fields` begins with the third.
        fields = [int(word) for word in stat_fields(os.getpid())[45:49]]
        self._arguments, self._environment = (fields[0], fields[1]), (fields[2], fields[3])

    def write(self, arguments: Iterable[str], environment: Mapping[str, str], name: str) -> None:
        """Replace both; what does not fit is left out. `name` is the short one, 15 bytes.

        The C library must hold no variable there any more: call it after `os.environ` was replaced.
        """
        first = {key: environment[key] for key in _FIRST if key in environment}
        lines = [f"{key}={value}" for key, value in (first | dict(environment)).items()]
        _fill(self._arguments, arguments)
        _fill(self._environment, lines)
        _LIBC.prctl(_PR_SET_NAME, name.encode()[:15], 0, 0, 0)


def _fill(place: tuple[int, int], words: Iterable[str]) -> None:
    start, room = place[0], place[1] - place[0]
    text = b""
    for word in words:
        line = os.fsencode(word) + b"\0"
        if len(text) + len(line) <= room:
            text += line
    ctypes.memmove(start, text.ljust(room, b"\0"), room)
