"""What must be true of a database after any crowd: read with plain SQL, told in words.

The rules are written down anew here, on purpose: the checker imports nothing of the product.
"""
# ruff: noqa: S608 (the statements are this file's own)

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.store.clients.database import Database

DEVICE_MILLI = 1000
LEGAL = {
    "queued": {"offered", "starting", "stopped", "failed"},
    "offered": {"starting", "stopped", "queued", "failed"},
    "starting": {"running", "stopping", "stopped", "failed", "queued"},
    "running": {"stopping", "stopped", "failed", "queued"},
    "stopping": {"stopped", "failed", "queued"},
    "stopped": set[str](),
    "failed": set[str](),
}
"""From each status, where a workload may go."""
HOLDING = {"offered", "starting", "running", "stopping"}
LIVE = HOLDING | {"queued"}


@dataclass(frozen=True)
class Site:
    """What is not in the database: how much each node has."""

    cpu_milli: Mapping[str, int] = field(default_factory=dict[str, int])
    memory_bytes: Mapping[str, int] = field(default_factory=dict[str, int])


Rule = Callable[[Database, Site], Iterable[str]]


def problems(database: Database, site: Site, *, quiet: bool = False) -> list[str]:
    """Everything that is wrong, as of one moment; empty when nothing is. `quiet` says that
    everything has ended, so that nothing may be held any more."""
    with database.one_picture():
        rules = [*RULES, nothing_is_left] if quiet else list(RULES)
        return [found for rule in rules for found in rule(database, site)]


# ---- shares and nodes -----------------------------------------------------------------------


def devices_hold_what_shares_say(database: Database, _: Site) -> Iterator[str]:
    held = database.map(
        "SELECT device_id, SUM(milli) FROM share WHERE released_at IS NULL GROUP BY device_id"
    )
    said = database.map("SELECT id, held_milli FROM device")
    for device in sorted({*held, *said}):
        if held.get(device, 0) > DEVICE_MILLI:
            yield f"{device} is over-granted: {held[device]} of {DEVICE_MILLI} milli"
        if held.get(device, 0) != said.get(device, 0):
            yield f"{device} says {said.get(device)} milli and its shares {held.get(device, 0)}"
    for attempt, device in database.rows(
        "SELECT s.attempt_id, s.device_id FROM share s LEFT JOIN attempt a ON a.id = s.attempt_id"
        " WHERE s.released_at IS NULL AND (a.id IS NULL OR a.released_at IS NOT NULL)"
    ):
        yield f"{attempt} has ended and still holds a share of {device}"


def devices_never_held_more_than_all(database: Database, _: Site) -> Iterator[str]:
    """From the product's own record: each share from its grant until its release."""
    intervals = database.rows(
        "SELECT s.device_id, a.created_at, s.released_at, s.milli"
        " FROM share s JOIN attempt a ON a.id = s.attempt_id"
    )
    yield from _over(intervals, dict.fromkeys((row[0] for row in intervals), DEVICE_MILLI), "milli")


def nodes_never_held_more_than_all(database: Database, site: Site) -> Iterator[str]:
    for column, limits in (("cpu_milli", site.cpu_milli), ("memory_bytes", site.memory_bytes)):
        intervals = database.rows(f"SELECT node, created_at, released_at, {column} FROM attempt")
        yield from _over(intervals, limits, column)


def _over(
    intervals: Iterable[tuple[str, Any, Any, int]], limits: Mapping[str, int], unit: str
) -> Iterator[str]:
    """Places where the sum of what was held passed the limit. What ends as another begins does
    not overlap it."""
    changes: dict[str, list[tuple[datetime, int]]] = {}
    for place, begin, end, amount in intervals:
        begins, ends = _time(begin), _time(end)
        if ends is None or begins is None or ends > begins:
            assert begins is not None
            changes.setdefault(place, []).append((begins, amount))
            if ends is not None:
                changes[place].append((ends, -amount))
    for place, steps in changes.items():
        held = 0
        for at, change in sorted(steps):
            held += change
            if place in limits and held > limits[place]:
                yield f"{place} held {held} of {limits[place]} {unit} at {at}"
                break


def _time(value: Any) -> datetime | None:
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    return None


# ---- money ----------------------------------------------------------------------------------


def entries_balance(database: Database, _: Site) -> Iterator[str]:
    for posting, total in database.rows(
        "SELECT posting_id, SUM(amount) FROM entry GROUP BY posting_id HAVING SUM(amount) <> 0"
    ):
        yield f"posting {posting} does not balance: {total}"
    for posting, key in database.rows(
        "SELECT p.id, p.key FROM posting p LEFT JOIN entry e ON e.posting_id = p.id"
        " WHERE e.posting_id IS NULL"
    ):
        yield f"posting {posting} ({key}) has no entry"
    for key, times in database.rows(
        "SELECT key, COUNT(*) FROM posting GROUP BY key HAVING COUNT(*) > 1"
    ):
        yield f"the posting of {key} was made {times} times"


def accounts_are_their_entries(database: Database, _: Site) -> Iterator[str]:
    """And none was overdrawn after any posting, in their order."""
    kinds = database.map("SELECT id, kind FROM account")
    balances: dict[str, int] = {}
    for posting, account, amount in database.rows(
        "SELECT posting_id, account_id, amount FROM entry ORDER BY posting_id, account_id"
    ):
        balances[account] = balances.get(account, 0) + amount
        if balances[account] < 0 and kinds.get(account) != "mint":
            yield f"{account} was overdrawn by posting {posting}: {balances[account]}"
    for account, says in database.rows("SELECT id, balance FROM account"):
        if says != balances.get(account, 0):
            yield f"{account} says {says} and its entries {balances.get(account, 0)}"
        if says < 0 and kinds[account] != "mint":
            yield f"{account} is overdrawn: {says}"


def holds_belong_to_live_attempts(database: Database, _: Site) -> Iterator[str]:
    """Every hold is closed, or what its live attempt says it holds; no more than that is held."""
    held: dict[str, int] = database.map(
        "SELECT p.attempt_id, SUM(e.amount) FROM entry e JOIN posting p ON p.id = e.posting_id"
        " JOIN account a ON a.id = e.account_id WHERE a.kind = 'held' GROUP BY p.attempt_id"
    )
    attempts = database.rows("SELECT id, held, released_at FROM attempt")
    for attempt, says, released in attempts:
        if released is not None and held.get(attempt, 0):
            yield f"{attempt} has ended and its hold of {held[attempt]} was lost"
        if says != held.get(attempt, 0):
            yield f"{attempt} says it holds {says}, its postings {held.get(attempt, 0)}"
    for stray in sorted(set(held) - {row[0] for row in attempts}):
        if held[stray]:
            yield f"{held[stray]} is held for {stray or 'nothing'}, which is no attempt"
    [(in_accounts,)] = database.rows(
        "SELECT COALESCE(SUM(balance), 0) FROM account WHERE kind = 'held'"
    )
    [(by_attempts,)] = database.rows(
        "SELECT COALESCE(SUM(held), 0) FROM attempt WHERE released_at IS NULL"
    )
    if in_accounts != by_attempts:
        yield f"{in_accounts} is held in all and the live attempts hold {by_attempts}"


def nobody_paid_twice_or_too_much(database: Database, _: Site) -> Iterator[str]:
    """What an attempt cost is at most what was set aside for it; a workload's cost is their sum."""
    paid: dict[str, int] = {}
    by_workload: dict[str, int] = {}
    for attempt, workload, spent in database.rows(
        "SELECT p.attempt_id, p.workload_id, SUM(e.amount) FROM entry e"
        " JOIN posting p ON p.id = e.posting_id JOIN account a ON a.id = e.account_id"
        " WHERE a.kind = 'spent' GROUP BY p.attempt_id, p.workload_id"
    ):
        paid[attempt] = spent
        by_workload[workload] = by_workload.get(workload, 0) + spent
    aside = database.map(
        "SELECT p.attempt_id, SUM(e.amount) FROM entry e JOIN posting p ON p.id = e.posting_id"
        " JOIN account a ON a.id = e.account_id WHERE a.kind = 'held' AND e.amount > 0"
        " GROUP BY p.attempt_id"
    )
    for attempt, spent in paid.items():
        if not 0 <= spent <= aside.get(attempt, 0):
            yield f"{attempt} paid {spent} of {aside.get(attempt, 0)} that was set aside"
    for workload, cost in database.rows("SELECT id, cost FROM workload"):
        if cost != by_workload.get(workload, 0):
            yield f"{workload} says it cost {cost} and paid {by_workload.get(workload, 0)}"


# ---- workloads ------------------------------------------------------------------------------


def workloads_are_in_legal_states(database: Database, _: Site) -> Iterator[str]:
    open_attempts: dict[str, list[str]] = {}
    for attempt, workload in database.rows(
        "SELECT id, workload_id FROM attempt WHERE released_at IS NULL"
    ):
        open_attempts.setdefault(workload, []).append(attempt)
    known: set[str] = set()
    for workload, status, target, attempt, ended in database.rows(
        "SELECT id, status, target, attempt_id, ended_at FROM workload"
    ):
        known.add(workload)
        live = open_attempts.get(workload, [])
        if status not in LEGAL:
            yield f"{workload} is {status!r}, which is no status"
        elif status in HOLDING and live != [attempt]:
            yield f"{workload} is {status} and its open attempts are {live}, not [{attempt}]"
        elif status not in HOLDING and live:
            yield f"{workload} is {status} and {live} hold a place"
        if (ended is None) != (status in LIVE):
            yield f"{workload} is {status} and its end is {ended}"
        if status not in LIVE and target != "stopped":
            yield f"{workload} is {status} and its target {target}"
    for stray in sorted(set(open_attempts) - known):
        yield f"{stray} is no workload and has attempts"


def keys_were_used_once(database: Database, _: Site) -> Iterator[str]:
    for workload, times in database.rows(
        "SELECT workload_id, COUNT(*) FROM idempotency GROUP BY workload_id HAVING COUNT(*) > 1"
    ):
        yield f"{workload} answers {times} keys"
    for person, key in database.rows(
        "SELECT i.person_id, i.key FROM idempotency i LEFT JOIN workload w ON w.id = i.workload_id"
        " WHERE w.id IS NULL OR w.created_by <> i.person_id"
    ):
        yield f"key {key} of {person} names no workload of theirs"
    for workload, name, times in database.rows(
        "SELECT workload_id, number, COUNT(*) FROM attempt GROUP BY workload_id, number"
        " HAVING COUNT(*) > 1"
    ):
        yield f"{workload} has {times} attempts number {name}"


def audit_is_a_chain(database: Database, _: Site) -> Iterator[str]:
    before = None
    for number, previous, own in database.rows("SELECT id, previous, hash FROM audit ORDER BY id"):
        if before is not None and previous != before:
            yield f"audit line {number} does not follow the line before it"
            return
        before = own


# ---- what was at any time: the trail --------------------------------------------------------


def trail_was_never_over(database: Database, site: Site) -> Iterator[str]:
    """In the order of the commits, nothing passed what a device, a node or a quota has."""
    if not _has_trail(database):
        return
    watches = [*_capacities(database, site), *_ceilings(database)]
    said: set[str] = set()
    for what, name, place, amount in database.rows(
        "SELECT what, id, place, amount FROM trail ORDER BY seq"
    ):
        for watch in watches:
            found = watch.see(what, name, place, amount)
            if found and watch.name not in said:
                said.add(watch.name)
                yield found


@dataclass
class Watch:
    """A sum that may never pass `limit`: of `what`, over all that `counts` says."""

    name: str
    what: str
    limit: int
    counts: Callable[[str, str], bool]
    held: dict[str, int] = field(default_factory=dict[str, int])
    total: int = 0

    def see(self, what: str, name: str, place: str, amount: int) -> str:
        if what != self.what or not self.counts(name, place):
            return ""
        self.total += amount - self.held.get(name, 0)
        self.held[name] = amount
        return f"{self.name}: {self.total} of {self.limit}" if self.total > self.limit else ""


def _capacities(database: Database, site: Site) -> Iterator[Watch]:
    for (device,) in database.rows("SELECT id FROM device"):
        yield Watch(
            f"{device} was over-granted", "gpu", DEVICE_MILLI, lambda _, at, d=device: at == d
        )
    for what, limits in (("cpu", site.cpu_milli), ("memory", site.memory_bytes)):
        for node, limit in limits.items():
            yield Watch(
                f"{what} of {node} was over-granted", what, limit, lambda _, at, n=node: at == n
            )


def _ceilings(database: Database) -> Iterator[Watch]:
    """Quotas of tenants (with all below them) and of persons, which must not have changed."""
    parents: dict[str, str | None] = database.map("SELECT id, parent_id FROM tenant")
    owners: dict[str, tuple[str, str]] = defaultdict(lambda: ("", ""))
    owners |= {
        a: (t, p) for a, t, p in database.rows("SELECT id, tenant_id, person_id FROM attempt")
    }
    limits = database.rows(
        "SELECT tenant_id, person_id, dimension, amount FROM quota"
        " WHERE amount IS NOT NULL AND dimension IN ('gpu', 'cpu', 'memory', 'workloads')"
    )
    for tenant, person, dimension, limit in limits:
        if not person:
            yield Watch(
                f"the {dimension} ceiling of tenant {tenant} was passed", dimension, limit,
                lambda name, _, t=tenant: t in _up(parents, owners[name.split()[0]][0]),
            )  # fmt: skip
    persons = {person: tenant for tenant, person in owners.values()}
    for person, tenant in persons.items():
        for dimension in ("gpu", "cpu", "memory", "workloads"):
            found = _persons_limit(limits, _up(parents, tenant), person, dimension)
            if found is not None:
                yield Watch(
                    f"the {dimension} ceiling of person {person} was passed", dimension, found,
                    lambda name, _, p=person: owners[name.split()[0]][1] == p,
                )  # fmt: skip


def _persons_limit(
    limits: list[tuple[Any, ...]], path: list[str], person: str, dimension: str
) -> int | None:
    """What is set for the person goes before what is set for each; the nearest tenant first."""
    for whose in (person, "*"):
        for tenant in path:
            for at, who, what, limit in limits:
                if (at, who, what) == (tenant, whose, dimension):
                    return limit
    return None


def _up(parents: Mapping[str, str | None], tenant: str) -> list[str]:
    path: list[str] = []
    current: str | None = tenant
    while current is not None and current not in path:
        path.append(current)
        current = parents.get(current)
    return path


def budgets_were_never_passed(database: Database, _: Site) -> Iterator[str]:
    """What a tenant's people held and had spent, after each posting."""
    parents: dict[str, str | None] = database.map("SELECT id, parent_id FROM tenant")
    for tenant, limit in database.rows(
        "SELECT tenant_id, amount FROM quota"
        " WHERE dimension = 'credits' AND person_id = '' AND period = '' AND amount IS NOT NULL"
    ):
        total = 0
        for posting, of, amount in database.rows(
            "SELECT e.posting_id, a.tenant_id, SUM(e.amount) FROM entry e"
            " JOIN account a ON a.id = e.account_id WHERE a.kind IN ('held', 'spent')"
            " GROUP BY e.posting_id, a.tenant_id ORDER BY e.posting_id"
        ):
            if tenant in _up(parents, of):
                total += amount
                if total > limit:
                    yield f"the budget of tenant {tenant} was passed by posting {posting}"
                    break


def trail_moved_legally(database: Database, _: Site) -> Iterator[str]:
    if not _has_trail(database):
        return
    for workload, move in database.rows(
        "SELECT id, place FROM trail WHERE what = 'status' ORDER BY seq"
    ):
        before, after = move.split(" ")
        if not before and after != "queued":
            yield f"{workload} began as {after}"
        elif before and before != after and after not in LEGAL.get(before, set()):
            yield f"{workload} went from {before} to {after}"
    for account, balance in database.rows(
        "SELECT id, amount FROM trail WHERE what = 'balance' AND place <> 'mint' AND amount < 0"
    ):
        yield f"{account} was at {balance} for a moment"
    for table, times in database.rows(
        "SELECT id, COUNT(*) FROM trail WHERE what = 'deleted' GROUP BY id"
    ):
        yield f"{times} lines of {table} were deleted"


def _has_trail(database: Database) -> bool:
    where = (
        "sqlite_master WHERE type = 'table' AND name = 'trail'"
        if database.is_sqlite
        else "pg_tables WHERE tablename = 'trail'"
    )
    return bool(database.rows(f"SELECT 1 FROM {where}"))


# ---- after everything has ended -------------------------------------------------------------


def nothing_is_left(database: Database, _: Site) -> Iterator[str]:
    for what, sql in (
        ("workloads live", "SELECT id FROM workload WHERE status NOT IN ('stopped', 'failed')"),
        ("attempts hold a place", "SELECT id FROM attempt WHERE released_at IS NULL"),
        ("shares are held", "SELECT attempt_id FROM share WHERE released_at IS NULL"),
        ("devices are held", "SELECT id FROM device WHERE held_milli <> 0"),
        ("accounts hold", "SELECT id FROM account WHERE kind = 'held' AND balance <> 0"),
    ):
        found = [row[0] for row in database.rows(sql)]
        if found:
            yield f"{len(found)} {what} though everything has ended: {found[:5]}"


def digest(database: Database) -> str:
    """What happened, in a line: to see that a crowd did anything at all."""
    counts = {
        table: database.rows(f"SELECT COUNT(*) FROM {table}")[0][0]
        for table in ("workload", "attempt", "share", "posting", "audit")
    }
    ends = database.map("SELECT reason_code, COUNT(*) FROM workload GROUP BY reason_code")
    return json.dumps({**counts, "ends": ends}, default=str)


RULES: tuple[Rule, ...] = (
    devices_hold_what_shares_say,
    devices_never_held_more_than_all,
    nodes_never_held_more_than_all,
    entries_balance,
    accounts_are_their_entries,
    holds_belong_to_live_attempts,
    nobody_paid_twice_or_too_much,
    workloads_are_in_legal_states,
    keys_were_used_once,
    audit_is_a_chain,
    trail_was_never_over,
    budgets_were_never_passed,
    trail_moved_legally,
)
