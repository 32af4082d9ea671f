"""What a fork must have of its own, where its parent has imported modules: chance, names of temporary
files, language, time zone.

Standard library only, and loaded by its place too: kernels are renewed by it, and so are servers that
are forked from a template (`spawners.local.forking`).
"""
# ruff: noqa: SLF001 (it renews what Python made private)

import contextlib
import gc
import locale
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterable
from typing import Any


def generators() -> list[random.Random]:
    """Those that the imports made; found before the fork, for a look at all objects copies memory."""
    return [one for one in gc.get_objects() if type(one) is random.Random]


def renew(made: Iterable[random.Random]) -> None:
    """In the fork, when `os.environ` is its own."""
    for generator in made:
        generator.seed()
    for name, again in _RENEWED.items():
        if name in sys.modules:
            again(sys.modules[name])
    tempfile.tempdir = None
    tempfile._name_sequence = None  # type: ignore[attr-defined]
    with contextlib.suppress(locale.Error):
        locale.setlocale(locale.LC_CTYPE, "")
    time.tzset()


def _renew_numpy(module: Any) -> None:
    module.seed()


def _renew_torch(module: Any) -> None:
    module.default_generator.seed()


def _renew_multiprocessing(process: Any) -> None:
    key = process.AuthenticationString(os.urandom(32))
    process._current_process._config["authkey"] = key


def _renew_uuid(uuid: Any) -> None:
    uuid._node = None
    uuid._last_timestamp = None


_RENEWED = {
    "multiprocessing.process": _renew_multiprocessing,
    "numpy.random": _renew_numpy,
    "torch": _renew_torch,
    "uuid": _renew_uuid,
}
