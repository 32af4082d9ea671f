"""The campus that is simulated: what `campus.yaml` says, as values. Times are minutes from Monday 0:00."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

SPEC = Path(__file__).with_name("campus.yaml")
DAY, HOUR = 24 * 60, 60
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True, slots=True)
class Machine:
    """A node and the ids of its devices, ``a100-1/3``."""

    name: str
    model: str
    devices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Lab:
    """One lab session of a course: the roster may come, each with a share of `milli`."""

    id: str
    course: str
    students: int
    milli: int
    begins: int
    ends: int


@dataclass(frozen=True, slots=True)
class Campus:
    """The spec; `courses`, `groups`, `work` and `rhythms` are as in the file."""

    minutes: int
    machines: tuple[Machine, ...]
    failures: dict[str, float]
    courses: tuple[dict[str, Any], ...]
    groups: tuple[dict[str, Any], ...]
    work: tuple[dict[str, Any], ...]
    rhythms: dict[str, dict[str, Any]]

    @property
    def devices(self) -> dict[str, Machine]:
        """By device id, in order."""
        return {device: machine for machine in self.machines for device in machine.devices}

    @property
    def labs(self) -> tuple[Lab, ...]:
        """All lab sessions, by beginning."""
        found: list[Lab] = []
        for course in self.courses:
            for when in course["labs"]:
                day, clock = when.split()
                hour, minute = map(int, clock.split(":"))
                first = _DAYS.index(day) * DAY + hour * HOUR + minute
                found += [
                    Lab(f"{course['id']}@{at}", course["id"], course["students"],
                        course["milli"], at, at + course["minutes"])
                    for at in range(first, self.minutes, 7 * DAY)
                ]  # fmt: skip
        return tuple(sorted(found, key=lambda lab: (lab.begins, lab.id)))


def read_campus(path: Path = SPEC) -> Campus:
    """The campus of a spec file."""
    spec = yaml.safe_load(path.read_text())
    machines = [
        Machine(name, row["model"], tuple(f"{name}/{d}" for d in range(row["devices"])))
        for row in spec["site"]
        for name in (f"{row['model'].lower()}-{n}" for n in range(row["nodes"]))
    ]
    return Campus(
        spec["days"] * DAY,
        tuple(machines),
        spec["failures"],
        tuple(spec["courses"]),
        tuple(spec["groups"]),
        tuple(spec["work"]),
        spec["rhythms"],
    )
