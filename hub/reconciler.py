"""Makes fact follow wish: grants, starts, watches, stops, settles. Only it moves `status`.

One beat looks at everything; a wake-up makes it come at once. What needs the network or the engine
runs in one task for each attempt, outside of any transaction, and applies its result in a short
one. Everything is safe to repeat, so a killed control goes on where it was.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Collection, Coroutine
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from catalog.errors import Unavailable
from catalog.units import format_duration
from hub import (
    attempts,
    drains,
    fair_share,
    grants,
    healing,
    holds,
    leases,
    open_attempts,
    starting,
)
from hub.alone import alone
from hub.asks_seen import AsksSeen
from hub.attempts import Step
from hub.control_context import Control
from hub.courses import clean_up, visits
from hub.hub_api import HubApi, StartRefused
from hub.idle import IdleKeeper
from hub.lifecycle import EndReason, Status
from hub.open_attempts import OpenAttempt
from hub.store.leader import Leader
from spawners.engine import EndCause, EngineError, Exit, Observation, Phase

log = logging.getLogger("perijove.reconciler")

BEAT_S = 1.0
INVENTORY_EVERY = timedelta(seconds=10)
REJOIN_EVERY = timedelta(seconds=10)
SWEEP_EVERY = timedelta(seconds=30)
KEEP_LOG = timedelta(days=1)
"""Of what has ended: people are told to look at it."""
STOP_GRACE_S = 5.0
START_WITHIN = timedelta(minutes=5)
Work = Callable[[OpenAttempt], Coroutine[Any, Any, bool | None]]
"""True when nothing of it waits for the next beat."""


class Reconciler:
    """Run `run()` in control's event loop; `wake()` from any thread."""

    def __init__(self, control: Control, hub: HubApi) -> None:
        self._control = control
        self._hub = hub
        self._leader = Leader(control.store)
        self._asks_seen = AsksSeen(control)
        self._idle = IdleKeeper(control)
        self._wake = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        # Its own: whoever starts, signs in or waits must not hold up what they wait for.
        self._threads = ThreadPoolExecutor(4, "reconciler")
        self._tasks: dict[tuple[str, str, str], asyncio.Task[None]] = {}
        """By what is done, to which workload, in which attempt."""
        self._deadlines: dict[str, datetime] = {}
        self._nodes_at = control.clock.now() - INVENTORY_EVERY
        self._rejoined_at = control.clock.now()
        self._swept_at = control.clock.now()
        self._courses_at = control.clock.now()
        self._rejoining: asyncio.Task[None] | None = None
        self.beat_at = control.clock.now()
        control.wake = self.wake

    def wake(self) -> None:
        self._loop.call_soon_threadsafe(self._wake.set)

    async def run(self) -> None:
        """Until cancelled. A beat that fails is logged and the next one tries again."""
        adopted = False
        while True:
            begun = self._loop.time()
            try:
                if not adopted:
                    await self._thread(self._adopt)
                    adopted = True
                await self._give_turns_first()
                await self.beat()
            except Exception:  # the loop must outlive any single fault
                log.exception("beat-failed")
            # While a class arrives something happens all the time: what comes close together is
            # looked at together.
            await asyncio.sleep(min(BEAT_S / 2, self._loop.time() - begun))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), BEAT_S)
            self._wake.clear()

    async def beat(self) -> None:
        """One look at everything, by one control only where several share a database."""
        control = self._control
        if not await self._thread(self._look_around):
            self.beat_at = control.clock.now()
            return
        for ended in await self._thread(self._keep):
            self._spawn("forget", self._forget_server, ended)
        await self._give_turns()
        with contextlib.suppress(Unavailable):  # the next beat tries again
            await visits.keep(control, self._hub)
        if control.clock.now() - self._courses_at >= clean_up.EVERY:
            self._courses_at = control.clock.now()
            for course_id in await self._thread(clean_up.keep, control):
                self._clean_up(course_id)
        if control.clock.now() - self._rejoined_at > REJOIN_EVERY:
            self._rejoined_at = control.clock.now()
            if self._rejoining is None or self._rejoining.done():
                self._rejoining = asyncio.create_task(self._rejoin())
        self.beat_at = control.clock.now()

    async def _give_turns_first(self) -> None:
        """Whoever waits for a place should not wait for all the rest of a beat; and what ends should
        not wait because there is a fault in this, which the beat meets in its turn."""
        try:
            await self._give_turns()
        except Exception:
            log.exception("turns-failed")

    async def _give_turns(self) -> None:
        """Grant what fits, and give every attempt a task for what it needs now."""
        for attempt in await self._thread(self._granted_now):
            self._drive(attempt)

    def _adopt(self) -> None:
        """After a restart: the engine is told the deadlines that the store knows, and what it runs
        that nobody granted is stopped."""
        control = self._control
        known = {attempt.id: attempt for attempt in open_attempts.read(control)}
        for seen in control.engine.observe():
            attempt = known.get(seen.attempt_id)
            if attempt is None:
                self._drop(seen)
            elif seen.phase is not Phase.ENDED:
                self._tell_deadline(attempt)

    def _look_around(self) -> bool:
        """Whether this control leads: only then it does the rest."""
        control = self._control
        if control.clock.now() - self._nodes_at >= INVENTORY_EVERY:
            healing.read_inventory(control)
            self._nodes_at = control.clock.now()
        healing.refresh_nodes(control)
        self._asks_seen.keep()
        return self._leader.leads()

    def _keep(self) -> list[OpenAttempt]:
        """What time, faults and ends ask for; returns what has ended."""
        control = self._control
        leases.keep(control)
        holds.keep(control)
        fair_share.keep(control)
        drains.keep(control)
        self._idle.keep()
        found = open_attempts.read(control)
        given_up = healing.keep(control)
        gone = [attempt for attempt in found if attempt.id in given_up]
        return [*gone, *self._watch([one for one in found if one.id not in given_up])]

    def _granted_now(self) -> list[OpenAttempt]:
        """Every open attempt, after what fits was granted; none where another control leads."""
        control = self._control
        if not self._leader.leads():
            return []
        healing.refresh_nodes(control)  # a node may have been taken out
        grants.give_what_fits(control)
        return open_attempts.note_asked(control, open_attempts.read(control))

    def _watch(self, found: Collection[OpenAttempt]) -> list[OpenAttempt]:
        """Apply every end that the engine has seen, and tell it every lease that changed; returns
        what ended."""
        control = self._control
        seen = {o.attempt_id: o for o in control.engine.observe([one.id for one in found])}
        ended: list[OpenAttempt] = []
        for attempt in found:
            if exit_ := self._end_of(attempt, seen.get(attempt.id)):
                with alone(f"the end of {attempt.id}"):
                    attempts.finish(control, attempt.id, exit_)
                    ended.append(attempt)
            elif attempt.id in seen:
                self._tell_deadline(attempt)
        now = control.clock.now()
        if now - self._swept_at > SWEEP_EVERY or control.sight.returned:
            self._swept_at = now
            if self._sweep() == 0:
                healing.let_in(control)
        return ended

    def _watch_all(self) -> None:
        self._watch(open_attempts.read(self._control))

    def _sweep(self) -> int:
        """What runs is noted as seen; what nobody holds is stopped, and forgotten in time. Returns
        how many of these still run."""
        known = self._control.engine.observe()  # first: what is granted since is not in it
        open_ids = {attempt.id for attempt in open_attempts.read(self._control)}
        if open_ids:
            attempts.note_seen(self._control, open_ids)
        strays = [seen for seen in known if seen.attempt_id not in open_ids]
        for stray in strays:
            self._drop(stray)
        return sum(stray.exit is None for stray in strays)

    def _tell_deadline(self, attempt: OpenAttempt) -> None:
        deadline = leases.deadline(attempt)
        if self._deadlines.get(attempt.id) != deadline:
            try:
                self._control.engine.extend(attempt.id, deadline)
            except EngineError as error:
                log.warning("deadline-not-told attempt=%s why=%s", attempt.id, error)
                return
            self._deadlines[attempt.id] = deadline

    def _end_of(self, attempt: OpenAttempt, seen: Observation | None) -> Exit | None:
        if seen is not None:
            return seen.exit if seen.phase is Phase.ENDED else None
        if attempt.node in self._control.sight.missing:
            return None  # a silent node may answer again
        if attempt.launched_at is not None or attempt.ready_at is not None:
            message = "its processes and their records are gone; the machine may have restarted"
            return Exit(EndCause.LOST, self._control.clock.now(), message=message)
        return None

    def _drop(self, known: Observation) -> None:
        self._deadlines.pop(known.attempt_id, None)
        if known.exit is not None:
            starting.drop_token(self._control, known.attempt_id)
            if self._control.clock.now() - known.exit.ended_at > KEEP_LOG:
                self._control.engine.forget(known.attempt_id)
        else:
            self._control.engine.stop(known.attempt_id, STOP_GRACE_S)

    def _drive(self, attempt: OpenAttempt) -> None:
        """Give the attempt a task for what it needs now, unless it has one."""
        if attempt.stops:
            self._spawn("stop", self._stop, attempt)
        elif attempt.status != Status.STARTING or self._busy_with_earlier(attempt):
            return
        elif self._control.clock.now() - attempt.began > START_WITHIN:
            self._spawn("late", self._late, attempt)
        else:
            self._spawn("start", self._start, attempt)

    def _busy_with_earlier(self, attempt: OpenAttempt) -> bool:
        """Whether an earlier attempt of the workload is still being taken down: both have the same
        name in the Hub. What would start it still is given up."""
        if attempt.number == 1:
            return False
        earlier = [
            name for name in self._tasks if name[1] == attempt.workload_id and name[2] != attempt.id
        ]
        for name in earlier:
            if name[0] == "start":
                self._tasks[name].cancel()
        return bool(earlier)

    def _spawn(self, kind: str, work: Work, attempt: OpenAttempt) -> None:
        name = (kind, attempt.workload_id, attempt.id)
        if name not in self._tasks:
            task = asyncio.create_task(self._guarded(work, attempt))
            self._tasks[name] = task
            task.add_done_callback(lambda _: self._tasks.pop(name, None))

    def _clean_up(self, course_id: str) -> None:
        """Packing may take long, and nothing waits for it; one course at a time."""
        name = ("clean-up", "", "")
        if name not in self._tasks:
            task = asyncio.create_task(self._thread(self._clean_up_now, course_id))
            self._tasks[name] = task
            task.add_done_callback(lambda _: self._tasks.pop(name, None))

    def _clean_up_now(self, course_id: str) -> None:
        with alone(f"cleaning up {course_id}"):
            clean_up.clean_up(self._control, course_id)

    async def _guarded(self, work: Work, attempt: OpenAttempt) -> None:
        try:
            if await work(attempt):
                return
        except Unavailable as error:
            # The Hub is away for now: the next beat tries again, and the lease is not paid yet.
            log.warning("attempt-waits attempt=%s why=%s", attempt.id, error.message)
            await asyncio.sleep(0.2)
        except Exception:
            log.exception("attempt-task-failed attempt=%s", attempt.id)
            await asyncio.sleep(BEAT_S)
        self._wake.set()

    async def _start(self, attempt: OpenAttempt) -> bool:
        """Whether it came up."""
        try:
            if attempt.step == Step.GRANTED:
                await self._clear_name(attempt)
                await self._thread(attempts.mark_step, self._control, [attempt.id], Step.ASKED)
            await self._hub.start(attempt.hub_name, attempt.workload_id)
            outcome = await self._hub.follow_start(attempt.hub_name, attempt.workload_id)
        except StartRefused as error:
            await self._fail(attempt, str(error))
            return False
        if outcome.ready:
            await self._thread(self._came_up, attempt)
        elif not await self._hub.is_ready(attempt.hub_name, attempt.workload_id):
            await self._fail(attempt, outcome.message or "the Hub gave up on it")
        return outcome.ready

    def _came_up(self, attempt: OpenAttempt) -> None:
        seen = self._control.engine.observe([attempt.id])
        attempts.mark_ready(self._control, attempt.id, seen[0].notes if seen else ())

    async def _clear_name(self, attempt: OpenAttempt) -> None:
        """The Hub must have forgotten the server of an earlier attempt, or it would take the new one
        for started."""
        if attempt.number > 1:
            await self._hub.remove(attempt.hub_name, attempt.workload_id)
            if await self._hub.knows(attempt.hub_name, attempt.workload_id):
                raise Unavailable("the Hub still takes down the attempt before")

    async def _late(self, attempt: OpenAttempt) -> None:
        """The Hub may hang: what did not come up in time is ended whatever it says."""
        if start := self._tasks.get(("start", attempt.workload_id, attempt.id)):
            start.cancel()
        said = f"it was not up within {format_duration(START_WITHIN)}"
        await self._fail(attempt, said)

    async def _rejoin(self) -> None:
        """A Hub that forgot a running server (a lost database, a kill at the wrong moment) is asked
        to start it: the Spawner then finds it running, with its address and token."""
        found = await self._thread(open_attempts.read, self._control)
        running = [attempt for attempt in found if attempt.status == Status.RUNNING]
        if not running:
            return
        try:
            ready = await self._hub.ready_servers()
        except Unavailable as error:
            log.warning("rejoin-waits why=%s", error)
            return
        for attempt in running:
            if attempt.workload_id not in ready:
                try:
                    await self._hub.start(attempt.hub_name, attempt.workload_id)
                except (Unavailable, StartRefused) as error:
                    log.warning("rejoin-waits workload=%s why=%s", attempt.workload_id, error)

    async def _fail(self, attempt: OpenAttempt, said: str) -> None:
        """A start that will not come: whatever runs of it is stopped, and then it is settled."""
        control = self._control
        seen = await self._thread(control.engine.observe, [attempt.id])
        if not seen:
            exit_ = Exit(EndCause.NOT_STARTED, control.clock.now(), message=said)
            await self._thread(attempts.finish, control, attempt.id, exit_)
        elif seen[0].phase is not Phase.ENDED:
            reason = EndReason.START_FAILED
            await self._thread(attempts.begin_stopping, control, attempt.workload_id, reason, said)
            await self._stop(attempt)
        await self._forget_server(attempt)

    async def _stop(self, attempt: OpenAttempt) -> None:
        """Stop the processes whether or not the Hub is there; the Hub forgets the server after."""
        control = self._control
        seen = await self._thread(control.engine.observe, [attempt.id])
        if seen:
            await self._thread(control.engine.stop, attempt.id, STOP_GRACE_S)
            await self._gone(attempt.id)
            await self._thread(self._watch_all)
        elif attempt.launched_at is None:
            exit_ = Exit(EndCause.STOPPED, control.clock.now())
            finish = partial(attempts.finish, unless_launching=True)
            await self._thread(finish, control, attempt.id, exit_)
        await self._forget_server(attempt)

    async def _gone(self, attempt_id: str) -> None:
        """Wait until the engine sees the end; stop promises that it comes."""
        while True:
            seen = await self._thread(self._control.engine.observe, [attempt_id])
            if not seen or seen[0].phase is Phase.ENDED:
                return
            await asyncio.sleep(0.05)

    async def _forget_server(self, attempt: OpenAttempt) -> None:
        self._deadlines.pop(attempt.id, None)
        with contextlib.suppress(Unavailable):
            # Housekeeping: the Hub's own poll finds out too, and its page leads to the portal.
            await self._hub.remove(attempt.hub_name, attempt.workload_id)

    async def _thread(self, act: Callable[..., Any], *args: Any) -> Any:
        return await self._loop.run_in_executor(self._threads, partial(act, *args))
