"""From a wish to the queue: the Verdict of an offer, alternatives, launch."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

from sqlmodel import Session, select

from catalog.alternatives import nearby
from catalog.errors import AccountClosed, BadValue, Conflict, Refused
from catalog.fitting import milli_of
from catalog.inventory import Mode
from catalog.offers import Answer, Offer, Quantity
from catalog.placement import NoRoom, Shortage
from hub import budgets, environments, history, idempotency
from hub.control_context import Control
from hub.courses import terms
from hub.lifecycle import Status, Target
from hub.picture import Picture
from hub.policy import Actor, absent
from hub.store import audit, money
from hub.store.course_tables import CourseRow
from hub.store.ids import new_id
from hub.store.tables import PersonRow, TenantRow, WorkloadRow
from hub.tenant_paths import TenantPaths
from hub.world import Limits, Outlook, queued_by
from quotas import admission
from quotas.admission import Planner, Waiting, World
from quotas.explain import starting_now
from quotas.ledger import AccountKind
from quotas.periods import Lease, Use
from quotas.verdict import Code, Denied, Fits, Verdict, Waits

MAX_ALTERNATIVES = 3
MAX_QUEUED_EACH = 50
"""Of one person, so that nobody fills the queue by accident."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What decides about an actor's asks, as of one transaction, which is open while it is used."""

    actor: Actor
    limits: Limits
    sees: Callable[[], Outlook]
    balance: int
    budgets: tuple[Use, ...]
    offers: Callable[[], tuple[Offer, ...]]
    asks: Callable[[], Mapping[str, Lease]]
    closed: Callable[[], Denied | None]

    @property
    def menu(self) -> tuple[Offer, ...]:
        """What the actor may launch where they are at work."""
        return self.offers()

    @property
    def asked(self) -> Mapping[str, Lease]:
        """What the actor's own workloads in the queue may come to use, by id."""
        return self.asks()

    @property
    def over(self) -> Denied | None:
        """Nothing is launched where they are at work: the course has ended, or its environment is
        gone."""
        return self.closed()

    @property
    def outlook(self) -> Outlook:
        return self.sees()

    @property
    def world(self) -> World:
        return self.outlook.world

    @property
    def planner(self) -> Planner:
        return self.outlook.planner

    def without(self, workload_id: str) -> "Standing":
        """The same, as if this workload were not in the queue."""
        asked = {id_: lease for id_, lease in self.asked.items() if id_ != workload_id}
        other = self.outlook.without(workload_id)
        return replace(self, sees=lambda: other, asks=lambda: asked)


@dataclass(frozen=True, slots=True)
class Judged:
    """A Verdict with what it is about, and what would start now instead."""

    answer: Answer
    verdict: Verdict
    alternatives: tuple[Answer, ...] = ()


@dataclass(frozen=True, slots=True)
class Wish:
    """A launch as it was asked for."""

    offer_id: str
    answers: Mapping[str, Any]
    name: str = ""
    notify: bool = False
    idempotency_key: str = ""
    tenant: str = ""
    """Where it counts and who pays: a course, or a group of one; empty for the person's own."""


def standing_of(
    control: Control, session: Session, actor: Actor, picture: Picture | None = None
) -> Standing:
    """Everything a Verdict for `actor` depends on; much of it is read when it is first asked for.
    With a `picture`, as that shows it: good to look at, not to decide by."""
    limits = picture.limits(session) if picture else Limits(session)
    owner = money.Owner(actor.tenant_id, actor.person_id)
    wallet = money.Owner(limits.payer_of(actor.tenant_id), actor.person_id)
    balance = money.balance(session, wallet, AccountKind.WALLET)
    books = (
        picture.books(session)
        if picture
        else budgets.Books(session, control.settings.zone, paths=limits.paths)
    )
    uses = budgets.uses_of(control, session, owner, books=books)
    own = Outlook(control, session, limits)

    def asked() -> Mapping[str, Lease]:
        return budgets.asked_by(control, session, owner, limits.paths) if uses else {}

    def closed() -> Denied | None:
        over = terms.refusal(session, actor.tenant_id, control.clock.now())
        return over or environments.refusal(control.settings, session, actor.tenant_id)

    return Standing(
        actor, limits, partial(picture.outlook, session) if picture else lambda: own, balance,
        uses, cache(lambda: tuple(menu_of(control, session, actor))), cache(asked), cache(closed),
    )  # fmt: skip


def acting_in(session: Session, actor: Actor, tenant_id: str) -> Actor:
    """The actor at work in a tenant where they have a role; in their own one when it is empty.

    Raises NotFound for a tenant that is not theirs.
    """
    if tenant_id in {"", actor.tenant_id}:
        return actor
    if tenant_id not in actor.roles or session.get(TenantRow, tenant_id) is None:
        raise absent(f"tenant {tenant_id[:40]!r}")
    return replace(actor, tenant_id=tenant_id)


def menu_of(control: Control, session: Session, actor: Actor) -> list[Offer]:
    """The offers that the actor sees where they are at work: a course may allow only some."""
    seen = control.menu.get().seen_by(actor.tenants)
    course = session.get(CourseRow, TenantPaths(session).course_of(actor.tenant_id))
    if course is None or not course.offers:
        return seen
    return [offer for offer in seen if offer.id in course.offers]


def offer_for(control: Control, session: Session, actor: Actor, offer_id: str) -> Offer:
    """An offer that the actor sees. Raises NotFound."""
    offer = control.menu.get().get(offer_id, actor.tenants)
    if offer not in menu_of(control, session, actor):
        raise absent(f"offer {offer_id[:40]!r} in this course")
    return offer


def judge(control: Control, standing: Standing, answer: Answer) -> Verdict:
    """The Verdict of one decided offer, as if it were asked for now."""
    if denied := _closed_to(control, standing, answer):
        return denied
    waiting = _waiting(control, standing, answer)
    verdict = standing.planner.check(waiting, answer.cost, standing.balance)
    if isinstance(verdict, Denied):
        return verdict
    return budgets.judge(control, standing.budgets, standing.asked.values(), answer, verdict)


def refusal(control: Control, standing: Standing, answer: Answer) -> Denied | None:
    """The Verdict where it is Denied; None for whatever starts now or later. The queue is planned
    only where a budget asks when it would start."""
    if budgets.start_matters(standing.budgets, answer.ask):
        verdict = judge(control, standing, answer)
        return verdict if isinstance(verdict, Denied) else None
    waiting = _waiting(control, standing, answer)
    denied = _closed_to(control, standing, answer) or admission.refusal(
        waiting, answer.cost, standing.balance, control.capacity, control.placer
    )
    if denied is not None:
        return denied
    some = Waits(Code.QUEUE, "", 1, None)
    verdict = budgets.judge(control, standing.budgets, standing.asked.values(), answer, some)
    return verdict if isinstance(verdict, Denied) else None


def _closed_to(control: Control, standing: Standing, answer: Answer) -> Denied | None:
    if standing.actor.tenant_id not in standing.actor.roles:
        return Denied(
            Code.ROLE,
            "you have no role in the tenant that you belong to",
            "ask its administrator, or work in a course of yours",
        )
    return standing.over or _engine_refuses(control, answer)


def _waiting(control: Control, standing: Standing, answer: Answer) -> Waiting:
    scopes = standing.limits.scopes(standing.actor.tenant_id, standing.actor.person_id)
    return Waiting("~new", answer.ask, scopes, control.clock.now())


def judge_with_alternatives(control: Control, standing: Standing, answer: Answer) -> Judged:
    """The Verdict, and when it is not Fits, what would start now: each judged by the same rule."""
    verdict = judge(control, standing, answer)
    if isinstance(verdict, Fits):
        return Judged(answer, verdict)
    others = standing.menu
    near = nearby(answer, others, _short(control, standing, answer))
    found = starting_now(near, lambda other: judge(control, standing, other), MAX_ALTERNATIVES)
    return Judged(answer, verdict, tuple(found))


def _short(control: Control, standing: Standing, answer: Answer) -> tuple[Shortage, ...]:
    """What there is too little of now for this to start; empty when there is room."""
    capacity = control.capacity
    for claim in standing.world.running:
        capacity = capacity.take(claim.placement)
    place = control.placer.place(answer.ask, capacity)
    return place.minimal if isinstance(place, NoRoom) else ()


def _engine_refuses(control: Control, answer: Answer) -> Denied | None:
    """What the engine of this site could not run or keep apart, whatever is free."""
    ask, limits = answer.ask, control.limits
    if ask.split and not limits.split:
        return Denied(
            Code.ENGINE,
            "it may lie on several machines, and the engine of this site starts a workload on one",
            "choose an offer for one machine",
        )
    able = [
        device
        for node in control.nodes
        for device in node.devices
        if milli_of(ask, device) is not None
    ]
    if able and all(device.sharing is Mode.MIG and not device.emulated for device in able):
        if limits.mig:
            return None
        return Denied(
            Code.ENGINE,
            "only devices cut by MIG could serve it, and the engine of this site makes no instances",
            "choose another offer, or ask an administrator to share the devices another way",
        )
    return None


def free_copies(standing: Standing, answer: Answer) -> tuple[int, int]:
    """How many of it have room now beside what runs and what is held for others, of how many if
    nothing ran."""
    actor = standing.actor
    scopes = standing.limits.scopes(actor.tenant_id, actor.person_id)
    return standing.outlook.copies(answer.ask, scopes)


def launch(control: Control, actor: Actor, wish: Wish) -> WorkloadRow:
    """Put the wish in the queue, once for each idempotency key. Raises Refused with the Verdict's
    words when it is Denied; what Waits is queued and what Fits starts at the next beat."""
    with control.store.write() as session:
        row = launch_within(control, session, actor, wish)
    history.hint(control.bus, row)
    control.wake()
    return row


def launch_within(control: Control, session: Session, actor: Actor, wish: Wish) -> WorkloadRow:
    """As `launch`, as a part of a transaction of the caller, who tells others after it."""
    fingerprint = _fingerprint(wish)
    actor = acting_in(session, actor, wish.tenant)
    answer = offer_for(control, session, actor, wish.offer_id).answer(wish.answers)
    if earlier := _earlier(session, actor, wish, fingerprint):
        return earlier
    standing = standing_of(control, session, actor)
    if denied := refusal(control, standing, answer):
        raise LaunchRefused(judge_with_alternatives(control, standing, answer), denied)
    mine = queued_by(session, actor.person_id)
    if mine >= MAX_QUEUED_EACH:
        raise Conflict(
            f"{mine} of your workloads wait already", next="stop some with `perijove stop`"
        )
    payer = standing.limits.payer_of(actor.tenant_id)
    row = _new_workload(control, session, actor, answer, wish, payer)
    idempotency.remember(
        session, actor.person_id, wish.idempotency_key, fingerprint, row.id, row.created_at
    )
    return row


class LaunchRefused(Refused):
    """A launch that was Denied; carries the judgement, so that the answer can show it whole."""

    def __init__(self, judged: Judged, verdict: Denied) -> None:
        super().__init__(verdict.reason, next=verdict.next)
        self.judged = judged


def _new_workload(
    control: Control, session: Session, actor: Actor, answer: Answer, wish: Wish, payer: str
) -> WorkloadRow:
    now, offer, ask = control.clock.now(), answer.offer, answer.ask
    if not session.get_one(PersonRow, actor.person_id).active:
        raise AccountClosed
    row = WorkloadRow(
        id=new_id("w"), tenant_id=actor.tenant_id, person_id=actor.person_id,
        payer=payer,
        created_by=actor.person_id, kind=offer.spec.kind, name=wish.name or offer.spec.title,
        offer_id=offer.id, offer_title=offer.spec.title, answers=dict(answer.set),
        cpu_milli=ask.cpu_milli, memory_bytes=ask.memory_bytes, gpu_milli=ask.gpu_milli,
        models=list(ask.models), priority=ask.priority, preemptible=ask.preemptible,
        gpu_count=ask.gpu_count, gpu_memory_mib=ask.gpu_memory_mib, vendors=list(ask.vendors),
        whole_node=ask.whole_node, apart=ask.apart,
        duration_s=int(ask.duration.total_seconds()), price_per_hour=answer.price_per_hour,
        status=Status.QUEUED, target=Target.RUNNING, notify=wish.notify, created_at=now,
        queued_at=now,
    )  # fmt: skip
    session.add(row)
    session.flush()
    history.tell_event(session, row, now, "asked for")
    audit.record(
        session, now, actor.person_id, "launch", row.id, row.tenant_id, {"offer": offer.id}
    )
    return row


def _earlier(session: Session, actor: Actor, wish: Wish, fingerprint: str) -> WorkloadRow | None:
    made = idempotency.answered(session, actor.person_id, wish.idempotency_key, fingerprint)
    return session.exec(select(WorkloadRow).where(WorkloadRow.id == made)).one() if made else None


def _fingerprint(wish: Wish) -> str:
    facts = [wish.offer_id, dict(wish.answers), wish.name, wish.notify]
    if wish.tenant:
        facts.append(wish.tenant)
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def describe(answer: Answer) -> str:
    """``"1/8 GPU notebook, 2h"``: an alternative in words."""
    gpu = f" ({answer.ask.gpu_text})" if answer.ask.gpu_text else ""
    changed = ", ".join(f"{name} {value}" for name, value in answer.set.items())
    title = answer.offer.spec.title
    shown = title if "GPU" in title else f"{title}{gpu}"
    return f"{shown}, {changed}" if changed else shown


def larger(control: Control, row: WorkloadRow) -> dict[str, Any] | None:
    """The answers of a relaunch with more memory, after it was not enough; None if there is none."""
    offer: Offer | None = control.menu.get().offers.get(row.offer_id)
    if offer is None:
        return None
    field = offer.fields[Quantity.MEMORY]
    wanted = min(row.memory_bytes * 2, field.most)
    if field.mode != "adjustable" or wanted <= row.memory_bytes:
        return None
    try:
        return dict(offer.answer({**row.answers, "memory": field.quantity.show(wanted)}).set)
    except BadValue:
        return None
