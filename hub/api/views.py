"""Rows and values of the core as the API shows them."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from urllib.parse import quote

from sqlmodel import Session, col, select

from catalog.errors import BadValue
from catalog.fitting import milli_of, share_of
from catalog.inventory import Node
from catalog.offers import Answer, Offer, OfferField
from catalog.units import MIB, WHOLE, format_bytes, format_cpu, format_credits, format_gpu
from hub import launching
from hub.activity import active_at
from hub.api import schema
from hub.attempts import Step
from hub.control_context import Control
from hub.courses.material import folder_of
from hub.held_credits import used_cost
from hub.launching import Judged, Standing
from hub.lifecycle import EndReason, Status
from hub.start_line import StartLine
from hub.store.course_tables import CourseRow
from hub.store.tables import (
    AttemptRow,
    PersonRow,
    ShareRow,
    TenantRow,
    WorkloadRow,
)
from hub.workloads import surely_extends, why_not_extend
from hub.world import HELD
from quotas.admission import Slot
from quotas.fairness import Share
from quotas.limits import Dimension
from quotas.periods import show_moment, span_at
from quotas.verdict import Code, Denied, Fits, Verdict, Waits, word

_STEPS = {
    Step.GRANTED: (1, "Granted; preparing your home"),
    Step.ASKED: (2, "Starting the server"),
    Step.LAUNCHED: (3, "Waiting for JupyterLab to answer"),
    Step.READY: (4, "Ready"),
}
STEPS = 4
TOLD_ALTERNATIVES = 3
"""Of a list, only the first that wait: each needs a plan of the whole queue without it."""
PLANNED_EXTENSIONS = 3
"""Of a list, only those whose leases end first: each needs a plan too."""
EXTEND_BY = timedelta(hours=1)


def verdict_view(judged: Judged) -> schema.VerdictView:
    """The Verdict in its one set of words."""
    verdict, answer = judged.verdict, judged.answer
    position, starts_at, nxt = None, None, ""
    match verdict:
        case Fits():
            nxt = "start it"
        case Waits():
            position, starts_at = verdict.position, verdict.starts_at
            nxt = "start it anyway and it waits its turn, or take one of the alternatives"
        case Denied():
            nxt = verdict.next
    return schema.VerdictView(
        verdict=word(verdict),  # type: ignore[arg-type]
        reason=verdict.reason,
        code=verdict.code,
        next=nxt,
        position=position,
        starts_at=starts_at,
        alternatives=[alternative_view(other) for other in judged.alternatives],
        price=schema.Price(per_hour=format_credits(answer.price_per_hour)),
        cost=format_credits(answer.cost),
    )


def alternative_view(answer: Answer) -> schema.Alternative:
    return schema.Alternative(
        offer=answer.offer.id,
        set=dict(answer.set),
        price=schema.Price(per_hour=format_credits(answer.price_per_hour)),
        text=launching.describe(answer),
    )


def offer_view(control: Control, standing: Standing, offer: Offer) -> schema.OfferView:
    """One line of the menu, as this visitor sees it now."""
    answer = offer.answer({})
    judged = launching.judge_with_alternatives(control, standing, answer)
    free, total = launching.free_copies(standing, answer)
    return schema.OfferView(
        id=offer.id,
        kind=offer.spec.kind,
        title=offer.spec.title,
        summary=offer.spec.summary,
        icon=offer.spec.icon,
        price=schema.Price(per_hour=format_credits(answer.price_per_hour)),
        fields=[field_view(field) for field in offer.fields.values() if field.mode != "hidden"],
        share=_offered_share(control, answer),
        availability=schema.Availability(
            free=free, of=total, text=_availability(free, total, judged.verdict)
        ),
        verdict=verdict_view(judged),
    )


def _availability(free: int, total: int, verdict: Verdict) -> str:
    if total == 0:
        return "nothing here is large enough"
    text = f"{free} of {total} free"
    return f"{text} · starts in seconds" if isinstance(verdict, Fits) else text


def field_view(field: OfferField) -> schema.FieldView:
    show, adjustable = field.quantity.show, field.mode == "adjustable"
    return schema.FieldView(
        name=field.quantity.value,  # type: ignore[arg-type]
        mode="adjustable" if adjustable else "fixed",
        label=field.label,
        value=show(field.default),
        min=show(field.least) if adjustable else None,
        max=show(field.most) if adjustable else None,
        step=show(field.step) if field.step is not None else None,
        choices=[show(choice) for choice in field.choices] or None,
        help=field.help,
    )


def _offered_share(control: Control, answer: Answer) -> schema.ShareView:
    """What a share of this offer would be, on the first device that may serve it."""
    ask = answer.ask
    able = (
        (device, milli)
        for node in control.nodes
        for device in node.devices
        if (milli := milli_of(ask, device)) is not None
    )
    device, milli = next(able, (None, 0))
    if device is None:
        return schema.ShareView(milli=ask.gpu_milli, memory_mib=0, mode="", emulated=False)
    share = share_of(device, milli)
    return schema.ShareView(
        milli=milli * ask.count,
        memory_mib=share.memory_mib * ask.count,
        mode=share.mode,
        emulated=device.emulated,
        model=device.model,
    )


class WorkloadViews:
    """Shows workloads with one plan for all of them, read in one transaction."""

    def __init__(self, control: Control, session: Session, standing: Standing) -> None:
        self._control, self._session, self._standing = control, session, standing
        self._now = control.clock.now()
        self._told: set[str] = set()
        self._planned: set[str] = set()
        self._line = StartLine(session, self._now)

    def show(self, rows: Iterable[WorkloadRow]) -> list[schema.WorkloadView]:
        rows = list(rows)
        waiting = [row.id for row in rows if row.status == Status.QUEUED]
        self._told = set(waiting[:TOLD_ALTERNATIVES])
        attempts = self._attempts(rows)
        run = {row.attempt_id for row in rows if row.status == Status.RUNNING}
        self._planned = _ends_first(a for a in attempts.values() if a.id in run and a.go_at is None)
        shares = self._shares([a.id for a in attempts.values()])
        people = self._people({row.person_id for row in rows})
        return [self._one(row, attempts.get(row.attempt_id or ""), shares, people) for row in rows]

    def _one(
        self, row: WorkloadRow, attempt: AttemptRow | None, shares: dict[str, list[ShareRow]],
        people: dict[str, PersonRow],
    ) -> schema.WorkloadView:  # fmt: skip
        status, person = Status(row.status), people[row.person_id]
        slot = self._slot(row) if status is Status.QUEUED else None
        held = shares.get(attempt.id, []) if attempt else []
        live_lease = attempt is not None and status.holds
        return schema.WorkloadView(
            id=row.id, name=row.name, kind=row.kind, status=status, target=row.target,
            url=self._url(row, person, attempt) if status is Status.RUNNING else "",
            share=share_view(row, held, rescue=bool(attempt and attempt.rescue)),
            cost=format_credits(row.cost + self._running_cost(attempt)),
            reason=slot.reason if slot else row.reason,
            reason_code=slot.code if slot else row.reason_code,
            next=row.next, offer=row.offer_id, offer_title=row.offer_title,
            set=dict(row.answers), cpu=f"{row.cpu_milli / WHOLE:g}",
            memory_mib=row.memory_bytes // MIB,
            price=schema.Price(per_hour=format_credits(row.price_per_hour)),
            held=format_credits(attempt.held if attempt else 0),
            owner=person.login, tenant=row.tenant_id, created_at=row.created_at,
            started_at=row.started_at, ended_at=row.ended_at,
            lease_ends_at=attempt.lease_ends_at if attempt and live_lease else None,
            offered_until=row.offered_until,
            preemptible=row.preemptible,
            borrowed=attempt is not None
            and live_lease
            and attempt.id in self._standing.outlook.borrowers,
            goes_at=attempt.go_at if attempt and live_lease else None,
            goes_why=attempt.go_text if attempt and live_lease else "",
            again=row.reason if row.again and status is Status.QUEUED else "",
            saved_at=row.saved_at,
            active_at=active_at(attempt) if attempt and status is Status.RUNNING else None,
            idle_stop_at=attempt.idle_stop_at if attempt and status is Status.RUNNING else None,
            can_extend=status is Status.RUNNING
            and attempt is not None
            and self._can_extend(row, attempt),
            notify=row.notify, position=slot.position if slot else None,
            starts_at=slot.at if slot else None,
            alternatives=self._alternatives(row, slot) if slot and row.id in self._told else [],
            progress=self._progress(status, attempt),
            notes=list(attempt.notes) if attempt else [],
            suggestion=launching.larger(self._control, row)
            if row.reason_code == EndReason.OUT_OF_MEMORY
            else None,
        )  # fmt: skip

    def _can_extend(self, row: WorkloadRow, attempt: AttemptRow) -> bool:
        """Never true of what would be refused. Far down a list it is false where only a plan could
        tell; a look at the one workload plans."""
        control, world = self._control, self._standing.world
        if attempt.id not in self._planned:
            return surely_extends(control, world, row, attempt, EXTEND_BY)
        slots = self._standing.planner.slots
        return why_not_extend(control, world, row, attempt, EXTEND_BY, slots) is None

    def _running_cost(self, attempt: AttemptRow | None) -> int:
        if attempt is None or attempt.released_at is not None:
            return 0
        return used_cost(attempt, self._now)

    def _url(self, row: WorkloadRow, person: PersonRow, attempt: AttemptRow | None) -> str:
        """Of a course's lab: its material, opened."""
        url = self._control.settings.person_url(person.hub_name)
        course = self._session.get(CourseRow, row.payer)
        here = course is not None and course.material_commit and not (attempt and attempt.rescue)
        place = f"/tree/{quote(folder_of(course))}" if course and here else ""
        return f"{url}/user/{person.hub_name}/{row.id}/lab{place}"

    def _slot(self, row: WorkloadRow) -> Slot | None:
        planner = self._standing.planner
        return planner.told(row.id) if row.id in planner.slots else None

    def _alternatives(self, row: WorkloadRow, slot: Slot) -> list[schema.Alternative]:
        if slot.code == Code.FITS:
            return []
        offer = self._control.menu.get().offers.get(row.offer_id)
        if offer is None:
            return []
        try:
            answer = offer.answer(row.answers)
        except BadValue:
            return []
        standing = self._standing.without(row.id)
        judged = launching.judge_with_alternatives(self._control, standing, answer)
        return [alternative_view(other) for other in judged.alternatives]

    def _progress(self, status: Status, attempt: AttemptRow | None) -> schema.Progress | None:
        if status is not Status.STARTING or attempt is None:
            return None
        done, text = _STEPS[attempt.step]
        ahead = self._line.ahead_of(attempt.id)
        if ahead is None or not ahead.starts:
            return schema.Progress(done=done, of=STEPS, text=text)
        return schema.Progress(
            done=done, of=STEPS, text=f"{text}; {ahead.text}", before=ahead.starts,
            about_s=ahead.seconds,
        )  # fmt: skip

    def _attempts(self, rows: list[WorkloadRow]) -> dict[str, AttemptRow]:
        ids = [row.attempt_id for row in rows if row.attempt_id]
        if not ids:
            return {}
        found = self._session.exec(select(AttemptRow).where(col(AttemptRow.id).in_(ids)))
        return {attempt.id: attempt for attempt in found}

    def _shares(self, attempt_ids: list[str]) -> dict[str, list[ShareRow]]:
        shares: dict[str, list[ShareRow]] = {}
        if not attempt_ids:
            return shares
        for row in self._session.exec(
            select(ShareRow).where(col(ShareRow.attempt_id).in_(attempt_ids))
        ):
            shares.setdefault(row.attempt_id, []).append(row)
        return shares

    def _people(self, ids: set[str]) -> dict[str, PersonRow]:
        found = self._session.exec(select(PersonRow).where(col(PersonRow.id).in_(ids)))
        return {person.id: person for person in found}


def _ends_first(attempts: Iterable[AttemptRow]) -> set[str]:
    """The ids of those whose can_extend is worth a plan."""
    by_end = sorted(attempts, key=lambda attempt: attempt.lease_ends_at)
    return {attempt.id for attempt in by_end[:PLANNED_EXTENSIONS]}


def share_view(row: WorkloadRow, held: list[ShareRow], *, rescue: bool = False) -> schema.ShareView:
    """What it holds; before it holds anything, what it asked for."""
    if rescue:
        return schema.ShareView(milli=0, memory_mib=0, mode="", emulated=False)
    if not held:
        return schema.ShareView(milli=row.gpu_milli, memory_mib=0, mode="", emulated=False)
    return schema.ShareView(
        milli=sum(share.milli for share in held),
        memory_mib=sum(share.memory_mib for share in held),
        mode=held[0].mode,
        emulated=any(share.emulated for share in held),
        model=held[0].model,
    )


def meter(standing: Standing, held: int, spent: int) -> list[schema.QuotaLine]:
    """What is used of each limit that applies to the visitor, theirs first."""
    scopes = standing.limits.scopes(standing.actor.tenant_id, standing.actor.person_id)
    used = standing.outlook.used
    lines = [
        schema.QuotaLine(
            dimension=dimension.value,  # type: ignore[arg-type]
            scope=scope.label,
            used=used.get(scope.id, {}).get(dimension, 0),
            limit=limit,
            text=_used_of(dimension, used.get(scope.id, {}).get(dimension, 0), limit),
        )
        for scope in scopes
        for dimension, limit in scope.limits.items()
        if dimension in HELD
    ]
    total = standing.balance + held + spent
    text = f"{format_credits(standing.balance)} credits left"
    return [
        *lines,
        schema.QuotaLine(
            dimension="credits", scope="you", used=held + spent, limit=total, text=text
        ),
    ]


def budget_lines(control: Control, standing: Standing) -> list[schema.QuotaLine]:
    """What is used up of each limit of a period, and when it resets."""
    now, zone = control.clock.now(), control.settings.zone
    found: list[schema.QuotaLine] = []
    for use in standing.budgets:
        budget, span = use.budget, span_at(use.budget.period, now, zone)
        if span.ends_at is None and budget.dimension is Dimension.CREDITS:
            continue
        used, show = use.in_span(span, zone), budget.dimension.show
        resets = f", resets on {show_moment(span.ends_at, zone)}" if span.ends_at else ""
        found.append(
            schema.QuotaLine(
                dimension=budget.dimension.value,  # type: ignore[arg-type]
                scope=budget.label, period=budget.period, used=used, limit=budget.limit,
                text=f"{show(used).split()[0]} of {show(budget.limit)}{budget.period.each}{resets}",
            )
        )  # fmt: skip
    return found


def _used_of(dimension: Dimension, used: int, limit: int) -> str:
    match dimension:
        case Dimension.GPU:
            return f"{used / WHOLE:g} of {format_gpu(limit)}"
        case Dimension.CPU:
            return f"{used / WHOLE:g} of {format_cpu(limit)}"
        case Dimension.MEMORY:
            return f"{format_bytes(used)} of {format_bytes(limit)}"
        case _:
            return f"{used} of {limit}"


def fair_share_lines(standing: Standing) -> list[schema.FairShareLine]:
    """What the visitor and the tenants above have lately used."""
    recent, actor = standing.world.recent, standing.actor
    shares = [
        Share(scope.id, scope.label, recent.get(scope.id, 0.0))
        for scope in standing.limits.scopes(actor.tenant_id, actor.person_id)
    ]
    return [schema.FairShareLine(scope=s.label, share=s.share, text=s.text) for s in shares]


def inventory_view(
    nodes: list[Node], standing: Standing, isolation: dict[str, str], notes: list[str]
) -> schema.InventoryView:
    """What exists and what is held, without saying by whom."""
    held: dict[str, int] = {}
    cpu: dict[str, int] = {}
    memory: dict[str, int] = {}
    for claim in standing.world.running:
        place = claim.placement
        cpu[place.node] = cpu.get(place.node, 0) + place.cpu_milli
        memory[place.node] = memory.get(place.node, 0) + place.memory_bytes
        for share in place.shares:
            held[share.device_id] = held.get(share.device_id, 0) + share.milli
    return schema.InventoryView(
        nodes=[
            schema.NodeView(
                name=node.name,
                cpu_milli=node.cpu_milli,
                cpu_held_milli=cpu.get(node.name, 0),
                memory_mib=node.memory_bytes // MIB,
                memory_held_mib=memory.get(node.name, 0) // MIB,
                devices=[
                    schema.DeviceView(
                        id=d.id, node=node.name, vendor=d.vendor, model=d.model,
                        memory_mib=d.memory_mib, health=d.health, health_reason=d.health_reason,
                        held_milli=held.get(d.id, 0), emulated=d.emulated, untested=d.untested,
                        sharing=d.sharing,
                    )
                    for d in node.devices
                ],
            )
            for node in nodes
        ],
        isolation=isolation,
        notes=notes,
    )  # fmt: skip


def tenant_names(session: Session) -> dict[str, str]:
    return dict(session.exec(select(TenantRow.id, TenantRow.name)).all())


def gpu_hours(attempts: Iterable[AttemptRow], now: datetime) -> str:
    """Milli-GPU × time of attempts, as hours of a whole GPU with two decimals."""
    milli_seconds = 0.0
    for attempt in attempts:
        if attempt.ready_at is not None:
            until = attempt.ended_at or now
            milli_seconds += attempt.gpu_milli * (until - attempt.ready_at).total_seconds()
    return f"{max(0.0, milli_seconds) / WHOLE / 3600:.2f}"
