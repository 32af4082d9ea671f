"""From a fork of a template to what ``python -P -c CODE`` would have been, and then the code."""

import atexit
import contextlib
import ctypes
import io
import locale
import logging
import os
import pwd
import signal
import sys
import threading
from collections.abc import Mapping
from importlib.machinery import BuiltinImporter
from types import ModuleType
from typing import Any, NoReturn, TextIO

from spawners.local.forking.places import Place
from spawners.local.forking.region import Region

_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_DUMPABLE = 4
_FLUSH_FAILED = 120
"""Python's exit code when its output could not be written."""


class Renewal:
    """What a template prepares so that a fork of it becomes somebody's own process.

    `marks` maps names of variables to the values that they had while modules were imported;
    `found` are the places that still hold them; `chance` is the module ``perijove_inside.renewal``.
    """

    def __init__(self, marks: Mapping[str, str], found: list[Place], chance: Any) -> None:
        self._marks = marks
        self._found = found
        self._chance = chance
        self._generators = chance.generators()
        # Looked up now: in a fork it would copy the memory of every module's name.
        self._own = [name for name in sys.modules if name.partition(".")[0] == "spawners"]

    def enter(self, run: dict[str, Any], error: int, region: Region) -> None:
        """Run ``run["argv"]``, which is ``(python, "-P", "-c", code, *args)``; ends the process.
        Raises before the command's first line; closes `error` just before it."""
        # The change of user took it: without it, /proc/self is root's.
        _LIBC.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)
        python, code, args = run["argv"][0], run["argv"][3], run["argv"][4:]
        take_environment(run["env"])
        region.write((python, "-P", "-c", "(forked)", *args), run["env"], "python")
        self.correct(run["env"])
        self.renew()
        sys.argv = ["-c", *args]
        sys.orig_argv = list(run["argv"])
        for name in self._own:
            del sys.modules[name]
        os.close(error)
        execute(code)

    def correct(self, env: Mapping[str, str]) -> None:
        """Put the person's own values wherever a mark is."""
        values = {mark: env.get(name, "") for name, mark in self._marks.items()}
        if "HOME" in self._marks and not env.get("HOME"):
            values[self._marks["HOME"]] = pwd.getpwuid(os.getuid()).pw_dir
        for place in self._found:
            place.swap(values)

    def renew(self) -> None:
        """Everything that a fresh process has of its own: chance, output, signals, place and time."""
        self._chance.renew(self._generators)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for ignored in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(ignored, signal.SIG_IGN)
        renew_streams()


def take_environment(env: Mapping[str, str]) -> None:
    """`os.environ` is exactly `env`, for Python and for C."""
    os.environ.clear()
    os.environ.update(env)


def renew_streams() -> None:
    """Input and output as a fresh Python has them, on descriptors 0, 1 and 2; loggers follow."""
    old_out, old_err = sys.stdout, sys.stderr
    lenient = locale.setlocale(locale.LC_CTYPE) in {"C", "POSIX", "C.UTF-8", "C.utf8"}
    errors = "surrogateescape" if lenient else "strict"
    sys.stdin = sys.__stdin__ = _stream(0, "r", errors)
    sys.stdout = sys.__stdout__ = _stream(1, "w", errors)
    sys.stderr = sys.__stderr__ = _stream(2, "w", "backslashreplace")
    for reference in logging._handlerList:  # type: ignore[attr-defined]
        handler = reference()
        if isinstance(handler, logging.StreamHandler) and type(handler) is logging.StreamHandler:
            if handler.stream is old_out:
                handler.stream = sys.stdout
            elif handler.stream is old_err:
                handler.stream = sys.stderr


def _stream(fd: int, mode: str, errors: str) -> TextIO:
    binary = open(fd, f"{mode}b", closefd=False)  # noqa: SIM115 (open as long as the process)
    name = ("<stdin>", "<stdout>", "<stderr>")[fd]
    stream = io.TextIOWrapper(binary, "utf-8", errors, line_buffering=fd == 2 or os.isatty(fd))
    stream.mode = mode  # type: ignore[misc]
    binary.raw.name = name  # type: ignore[attr-defined]
    return stream


def execute(code: str) -> NoReturn:
    """As ``python -c`` does, up to the exit status."""
    main = ModuleType("__main__")
    main.__dict__.update(
        __annotations__={}, __builtins__=sys.modules["builtins"], __loader__=BuiltinImporter
    )
    sys.modules["__main__"] = main
    status = 0
    try:
        exec(compile(code, "<string>", "exec"), main.__dict__)  # noqa: S102 (that is its purpose)
    except SystemExit as end:
        status = _status_of(end)
    except BaseException as error:  # noqa: BLE001 (as the interpreter does)
        status = -signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1
        own = error.__traceback__
        error.__traceback__ = own.tb_next if own else None  # without this program's own line
        sys.excepthook(type(error), error, error.__traceback__)
    finish(status)


def _status_of(end: SystemExit) -> int:
    match end.code:
        case None:
            return 0
        case int():
            return end.code & 0xFF
        case _:
            with contextlib.suppress(OSError, ValueError):
                sys.stderr.write(f"{end.code}\n")
            return 1


def finish(status: int) -> NoReturn:
    """Wait for threads, run what was registered, flush, end; negative: by that signal."""
    with contextlib.suppress(BaseException):
        threading._shutdown()  # type: ignore[attr-defined]
    with contextlib.suppress(BaseException):
        atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            status = status or _FLUSH_FAILED
    if status < 0:
        signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    os._exit(status & 0xFF)
