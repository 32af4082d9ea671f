"""An engine in memory, for tests: time is its clock's, ends and failures are asked for."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from catalog.clock import Clock
from catalog.inventory import Health, Node
from spawners.engine import (
    EndCause,
    Enforcement,
    EngineError,
    Exit,
    LaunchSpec,
    Limits,
    Observation,
    Phase,
    Template,
)


class FakeEngine:
    """`spawners.engine.Engine` without processes.

    `failures[verb]` is raised by the next call of that verb, once. An attempt listens `up_after_s`
    after its launch; `end` ends one. `ignores_stop` makes attempts live until their grace is over.
    A node in `silent` does not answer: it is not listed, what runs there runs on and cannot be
    stopped, and is shown as it was seen last.
    """

    def __init__(self, nodes: Sequence[Node], clock: Clock, *, up_after_s: float = 0.0) -> None:
        self.nodes = list(nodes)
        self.specs: dict[str, LaunchSpec] = {}
        """Every live or ended attempt's first launch."""
        self.launches: list[str] = []
        """Ids that were really started, in order."""
        self.logs: dict[str, bytes] = {}
        self.failures: dict[str, EngineError] = {}
        self.up_after_s = up_after_s
        self.ignores_stop = False
        self.silent: set[str] = set()
        self.gpu_percent: int | None = None
        """What everything that is up uses of its devices, as it says."""
        self.processor: dict[str, float] = {}
        """Seconds by attempt, as it says; of the others that are up, 0."""
        self.prepared: list[Template] = []
        """What it was last asked to have ready."""
        self._clock = clock
        self._seen: dict[str, Observation] = {}
        self._deadlines: dict[str, datetime] = {}
        self._stops: dict[str, datetime] = {}

    def launch(self, spec: LaunchSpec) -> Observation:
        self._fail("launch")
        if spec.attempt_id not in self._seen:
            self.specs[spec.attempt_id] = spec
            self.launches.append(spec.attempt_id)
            self._deadlines[spec.attempt_id] = spec.deadline
            self._seen[spec.attempt_id] = Observation(
                spec.attempt_id,
                Phase.STARTING,
                f"http://127.0.0.1:{spec.port}" if spec.port else "",
                self._clock.now(),
            )
        return self._look(spec.attempt_id)

    def observe(self, attempt_ids: Sequence[str] | None = None) -> list[Observation]:
        self._fail("observe")
        names = sorted(self._seen) if attempt_ids is None else attempt_ids
        return [self._look(name) for name in names if name in self._seen]

    def stop(self, attempt_id: str, grace_s: float = 10.0) -> None:
        self._fail("stop")
        if attempt_id in self._seen and not self._is_silent(attempt_id):
            wait = timedelta(seconds=grace_s if self.ignores_stop else 0)
            at = self._clock.now() + wait
            self._stops[attempt_id] = min(at, self._stops.get(attempt_id, at))

    def extend(self, attempt_id: str, deadline: datetime) -> None:
        self._fail("extend")
        if attempt_id in self._seen and self._look(attempt_id).phase is not Phase.ENDED:
            self._deadlines[attempt_id] = deadline

    def forget(self, attempt_id: str) -> None:
        self._fail("forget")
        if attempt_id in self._seen and self._look(attempt_id).phase is Phase.ENDED:
            for kept in (self._seen, self.specs, self._deadlines, self._stops, self.logs):
                kept.pop(attempt_id, None)

    def log(self, attempt_id: str, last_bytes: int = 65536) -> bytes:
        return self.logs.get(attempt_id, b"")[-last_bytes:]

    def prepare(self, templates: Sequence[Template]) -> None:
        self.prepared = list(templates)

    def why_not_prepared(self, template: Template) -> str:
        return "" if template in self.prepared else "nobody has asked for it"

    def processor_s(self, attempt_ids: Sequence[str]) -> dict[str, float]:
        self._fail("processor_s")
        seen = self.observe(attempt_ids)
        live = [one.attempt_id for one in seen if one.phase is not Phase.ENDED]
        return {name: self.processor.get(name, 0.0) for name in live}

    def inventory(self) -> list[Node]:
        self._fail("inventory")
        return [node for node in self.nodes if node.name not in self.silent]

    def limits(self) -> Limits:
        return Limits(Enforcement.NONE, Enforcement.NONE, Enforcement.NONE, ("nothing is real",))

    def end(
        self,
        attempt_id: str,
        cause: EndCause = EndCause.EXITED,
        exit_code: int | None = 0,
        memory_peak_bytes: int = 0,
        message: str = "",
    ) -> None:
        """End a live attempt now; of an ended one: does nothing."""
        seen = self._seen[attempt_id]
        if seen.exit is None:
            end = Exit(cause, self._clock.now(), exit_code, memory_peak_bytes, message)
            self._seen[attempt_id] = replace(seen, phase=Phase.ENDED, exit=end, memory_bytes=0)

    def set_health(self, device_id: str, health: Health, reason: str = "") -> None:
        """What the inventory says of a device from now on."""
        self.nodes = [
            replace(
                node,
                devices=tuple(
                    replace(d, health=health, health_reason=reason) if d.id == device_id else d
                    for d in node.devices
                ),
            )
            for node in self.nodes
        ]

    def _is_silent(self, attempt_id: str) -> bool:
        return self.specs[attempt_id].node in self.silent

    def _look(self, attempt_id: str) -> Observation:
        if self._is_silent(attempt_id):
            return self._seen[attempt_id]
        now, seen = self._clock.now(), self._seen[attempt_id]
        stop_at, started = self._stops.get(attempt_id), seen.started_at
        if stop_at and now >= stop_at:
            self.end(attempt_id, EndCause.STOPPED, -15)
        elif now >= self._deadlines[attempt_id]:
            self.end(attempt_id, EndCause.DEADLINE, -15)
        elif started and seen.exit is None and (now - started).total_seconds() >= self.up_after_s:
            self._seen[attempt_id] = replace(seen, phase=Phase.UP, gpu_percent=self.gpu_percent)
        return self._seen[attempt_id]

    def _fail(self, verb: str) -> None:
        if error := self.failures.pop(verb, None):
            raise error
