"""What is seen of nodes and devices over time: who is silent, what fails. Pure."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from catalog.inventory import Health, Node

FAILS_FOR = timedelta(seconds=15)
"""How long a device must be seen failing before work is taken from it: a driver may stumble once."""


@dataclass(frozen=True, slots=True)
class Missing:
    """A node that is not listed any more; `node` None when it was never seen by this process."""

    since: datetime
    node: Node | None = None


@dataclass(frozen=True, slots=True)
class Failing:
    """A device that is listed and not healthy."""

    since: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Sight:
    """The inventory as it was read last, with what is not as it should be.

    `returned` are nodes that were given up, or not known, and answer now: what may still run there
    from before is stopped before anything new is placed.
    """

    nodes: tuple[Node, ...] = ()
    missing: Mapping[str, Missing] = field(default_factory=dict[str, Missing])
    failing: Mapping[str, Failing] = field(default_factory=dict[str, Failing])
    returned: frozenset[str] = frozenset()

    def silent(self, silence: timedelta, now: datetime) -> frozenset[str]:
        """Nodes that have been missing for `silence` at least."""
        return frozenset(
            name for name, missing in self.missing.items() if now - missing.since >= silence
        )

    def without_returned(self) -> "Sight":
        """The same, when nothing unknown runs any more on what came back."""
        return replace(self, returned=frozenset())

    def failed(self, now: datetime) -> Mapping[str, Failing]:
        """Devices that have been failing for long enough to take work from them, by id."""
        return {id_: f for id_, f in self.failing.items() if now - f.since >= FAILS_FOR}


def look(
    before: Sight,
    listed: Iterable[Node],
    expected: Collection[str],
    silence: timedelta,
    now: datetime,
) -> Sight:
    """The next sight. `expected` are names of nodes on which something should run."""
    nodes = tuple(listed)
    names = {node.name for node in nodes}
    known = {node.name: node for node in before.nodes}
    gone = ({*known, *before.missing, *expected}) - names
    missing = {
        name: before.missing.get(name) or Missing(now, known.get(name)) for name in sorted(gone)
    }
    failing = {
        device.id: Failing(
            earlier.since if (earlier := before.failing.get(device.id)) else now,
            device.health_reason or f"it is {device.health}",
        )
        for node in nodes
        for device in node.devices
        if device.health is not Health.OK
    }
    came_back = (before.silent(silence, now) & names) | (names - set(known) - set(before.missing))
    return Sight(nodes, missing, failing, (before.returned & names) | came_back)


def seen_nodes(
    sight: Sight, drains: Mapping[str, str], quarantined: Mapping[str, str]
) -> list[Node]:
    """The nodes as placement should see them: closed where they are drained (`drains`: words by
    node), missing, or back a moment ago; a device in quarantine (words by id) fails."""
    nodes = [_seen(node, sight, drains, quarantined) for node in sight.nodes]
    for name, missing in sight.missing.items():
        if missing.node is not None:
            said = f"node {name} has not answered since {missing.since:%H:%M} UTC"
            nodes.append(replace(missing.node, closed=said))
    return nodes


def _seen(
    node: Node, sight: Sight, drains: Mapping[str, str], quarantined: Mapping[str, str]
) -> Node:
    closed = drains.get(node.name, "") or node.closed
    if not closed and node.name in sight.returned:
        closed = f"node {node.name} has just come back"
    devices = tuple(
        replace(device, health=Health.FAILING, health_reason=quarantined[device.id])
        if device.id in quarantined and device.health is Health.OK
        else device
        for device in node.devices
    )
    return replace(node, closed=closed, devices=devices)
