"""How a benchmark begins that starts servers: its options, and a way to end it that leaves none."""

import os
import signal
import sys
from collections.abc import Callable, Mapping
from typing import TypeVar

T = TypeVar("T")


def begin(read: Callable[[Mapping[str, str]], T]) -> T:
    """What `read` makes of the environment; exits with 2 and its words where it raises ValueError.

    From here on SIGTERM ends the program as an exception does, so that what was started is ended.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        return read(os.environ)
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)
