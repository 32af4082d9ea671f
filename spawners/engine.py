"""The engine protocol: four verbs, each safe to repeat after a crash at any point.

Every engine passes `tests/contract/test_engine.py`, the fake included.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from catalog.inventory import Node, Share


class Enforcement(StrEnum):
    """How hard a limit is isolated on this engine."""

    HARD = "hard"
    SOFT = "soft"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Template:
    """A Python in which modules are imported already, from which a command may be forked.

    `python` is its interpreter, `modules` those of its modules that are imported as far as they are
    installed, `env` what the imports find in their environment, `paths` folders of further modules,
    which count as part of the installation. `marks` are values that nobody has, for variables that
    differ from command to command: what the imports keep of them is replaced by the command's own.
    Nothing in it is secret.
    """

    python: str
    modules: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    marks: Mapping[str, str] = field(default_factory=dict[str, str])
    paths: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LaunchSpec:
    """All that an engine needs to run one attempt.

    `argv` and `env` hold secrets: an engine keeps them in memory and in a 0600 file only.
    `node` is where; an engine of one machine need not look at it. `uid` None runs as the engine's
    own user. `deadline` ends the attempt even if nobody watches. `port` is where the process must
    listen, on 127.0.0.1. With a `template`, `argv` is ``(python, "-P", "-c", code, *args)``: an engine
    that has it ready may fork it instead of starting a fresh Python, which means the same.
    """

    attempt_id: str
    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: str
    port: int
    cpu_milli: int
    memory_bytes: int
    deadline: datetime
    uid: int | None = None
    gid: int | None = None
    shares: Sequence[Share] = ()
    node: str = ""
    template: Template | None = None


class Phase(StrEnum):
    """What an engine sees of an attempt."""

    STARTING = "starting"
    """Launched; does not listen yet."""
    UP = "up"
    """Listening on its port."""
    ENDED = "ended"
    """No process is left; `exit` says how."""


class EndCause(StrEnum):
    """Why the processes of an attempt ended."""

    EXITED = "exited"
    """By itself, with `exit_code`."""
    STOPPED = "stopped"
    """Because `stop` was called."""
    DEADLINE = "deadline"
    OUT_OF_MEMORY = "out-of-memory"
    NOT_STARTED = "not-started"
    """The command could not be run at all; `message` says why."""
    LOST = "lost"
    """Killed by somebody else, the machine restarted, or nothing is known."""
    DEVICE_FAILED = "device-failed"
    """A device below it failed."""
    NODE_LOST = "node-lost"
    """Its node does not answer any more; control gave it up."""


@dataclass(frozen=True, slots=True)
class Exit:
    """How an attempt ended. `memory_peak_bytes` 0 when it was not measured."""

    cause: EndCause
    ended_at: datetime
    exit_code: int | None = None
    memory_peak_bytes: int = 0
    message: str = ""


@dataclass(frozen=True, slots=True)
class Observation:
    """What an engine sees of one attempt now. `memory_bytes` is in use; 0 when unknown.
    `gpu_percent` is what it lately used of the time of its devices, 100 for a whole one; None when
    nothing can tell."""

    attempt_id: str
    phase: Phase
    url: str = ""
    started_at: datetime | None = None
    exit: Exit | None = None
    memory_bytes: int = 0
    gpu_percent: int | None = None
    notes: tuple[str, ...] = ()
    """What is not enforced, in words for a person."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How hard this engine holds each limit, with the reason where it does not.

    `mig`: it makes MIG instances. `split`: it starts one attempt on several nodes.
    """

    cpu: Enforcement
    memory: Enforcement
    gpu: Enforcement
    reasons: tuple[str, ...] = field(default=())
    mig: bool = False
    split: bool = False


class EngineError(Exception):
    """Base of what a verb may raise."""


class TemporaryError(EngineError):
    """Try again; nothing was changed, or what was is found by `observe`."""


class PermanentError(EngineError):
    """Trying again will not help; the message is for a person."""


class Engine(Protocol):
    """A place that runs attempts. Verbs block (call them in a thread); each returns within seconds."""

    def launch(self, spec: LaunchSpec) -> Observation:
        """Start the attempt unless it was started already; never starts it twice.

        A repeated launch of a live or ended attempt returns what `observe` says and changes nothing
        (the secrets of the first launch stay). Does not wait until the process listens.
        Raises TemporaryError or PermanentError; after either nothing of the attempt runs.
        """
        ...

    def observe(self, attempt_ids: Sequence[str] | None = None) -> list[Observation]:
        """Every attempt that this engine knows and nobody has forgotten, or those asked for.

        An id that the engine has never seen, or has forgotten, is not in the answer. What runs on a
        node that does not answer is answered as it was seen last: only control gives it up.
        """
        ...

    def stop(self, attempt_id: str, grace_s: float = 10.0) -> None:
        """Ask the attempt to end: TERM, then KILL after `grace_s`. Returns at once; `observe` shows
        the end. Stopping what has ended or is unknown does nothing."""
        ...

    def extend(self, attempt_id: str, deadline: datetime) -> None:
        """Move the deadline of a live attempt. Unknown or ended: does nothing."""
        ...

    def forget(self, attempt_id: str) -> None:
        """Drop what is kept of an ended attempt (files, groups). Of a live one: does nothing."""
        ...

    def log(self, attempt_id: str, last_bytes: int = 65536) -> bytes:
        """The end of what the attempt printed; empty when unknown or silent."""
        ...

    def prepare(self, templates: Sequence[Template]) -> None:
        """Have these ready to be forked from, as far as this engine does that, and replace those
        whose installation has changed. Called again and again with all that should be ready; what
        is not named goes when it was idle for long. Never waits and never fails; running attempts
        are not touched."""
        ...

    def why_not_prepared(self, template: Template) -> str:
        """Empty when it can be forked from now; else why not, or not yet. Starts nothing and never
        fails."""
        ...

    def processor_s(self, attempt_ids: Sequence[str]) -> dict[str, float]:
        """Processor time in seconds that live attempts have used since they began, by id; of what it
        cannot measure, nothing. Two answers tell what was used between them: what ended meanwhile
        may be missing in the second."""
        ...

    def inventory(self) -> list[Node]:
        """Nodes and devices as they are now, health read anew. A node that does not answer is not
        in the list."""
        ...

    def limits(self) -> Limits:
        """What this engine can enforce on this machine now."""
        ...
