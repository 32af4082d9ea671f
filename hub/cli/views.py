"""How each answer of the API looks in a terminal."""

from collections.abc import Sequence
from datetime import datetime

from catalog.units import MIB, WHOLE, format_bytes, format_cpu
from hub.cli import words
from hub.cli.output import Screen
from hub.client.api import Page
from hub.client.errors import Json
from quotas.labels import label_of

_VERDICT_STYLE = {"fits": "green", "waits": "yellow", "denied": "red"}


def offers(screen: Screen, page: Page) -> None:
    """The menu."""
    screen.table(
        ("OFFER", "TITLE", "SHARE", "PRICE/H", "AVAILABLE", "VERDICT"),
        [
            (
                offer["id"],
                offer["title"],
                words.share(offer["share"]),
                offer["price"]["per_hour"],
                offer["availability"]["text"],
                words.verdict(offer["verdict"], screen.now),
            )
            for offer in page["items"]
        ],
    )


def verdict(screen: Screen, answer: Json) -> None:
    """The answer of `check`."""
    screen.line(words.verdict(answer, screen.now), _VERDICT_STYLE.get(answer["verdict"], ""))
    cost = f", at the most {answer['cost']} in all" if answer.get("cost") else ""
    screen.line(f"price: {answer['price']['per_hour']} credits an hour{cost}")
    for line in words.alternatives(answer):
        screen.line(f"would start now: {line}")
    if answer.get("next"):
        screen.line(f"→ {answer['next']}")


def workloads(screen: Screen, page: Page) -> None:
    """My workloads. In a terminal the addresses come below: a folded one cannot be clicked."""
    drawn = screen.console.is_terminal
    screen.table(
        ("ID", "NAME", "STATUS", "OFFER", "SHARE", "LEFT", "COST", "WHY" if drawn else "WHERE/WHY"),
        [
            (
                workload["id"],
                workload["name"],
                workload["status"],
                workload["offer"],
                words.share(workload["share"]),
                _left(workload, screen.now),
                workload["cost"],
                (words.going(workload, screen.now) or workload["reason"])
                if drawn
                else words.where_or_why(workload, screen.now),
            )
            for workload in page["items"]
        ],
    )
    for workload in page["items"] if drawn else []:
        if workload["status"] == "running":
            screen.line(f"{workload['name'] or workload['id']}: {workload['url']}")


def _left(workload: Json, now: datetime) -> str:
    return "" if workload["ended_at"] else words.time_left(workload["lease_ends_at"], now)


def workload(screen: Screen, one: Json) -> None:
    """One workload, after something was done with it."""
    screen.facts(
        [
            ("id", one["id"]),
            ("name", one["name"]),
            ("status", words.progress(one, screen.now)),
            ("address", one["url"] if one["status"] == "running" else ""),
            ("share", words.share(one["share"])),
            ("price", f"{one['price']['per_hour']} credits an hour"),
            ("cost", one["cost"]),
            ("left", _left(one, screen.now)),
            *(("note", text) for text in one["notes"]),
            *(("instead", line) for line in words.alternatives(one) if one["status"] == "queued"),
            ("next", one["next"]),
        ]
    )
    if one["suggestion"]:
        answers = words.answers(one["suggestion"]).replace(" ", " --set ")
        screen.line(f"larger: perijove relaunch {one['id']} --set {answers}")


def event(screen: Screen, line: Json) -> None:
    """One line of a history."""
    screen.line(f"{words.moment(line['at'], screen.now)}  {line['status']:<9}  {line['text']}")


def me(screen: Screen, visitor: Json) -> None:
    """Who I am, the meter, and what every screen has to say."""
    person, site = visitor["person"], visitor["site"]
    roles = ", ".join(f"{m['role']} of {m['tenant_name']}" for m in person["memberships"])
    screen.facts(
        [
            ("login", person["login"]),
            ("name", person["display_name"]),
            ("roles", "platform administrator" if visitor["platform_admin"] else roles),
            ("credits", f"{visitor['balance']} to spend, {visitor['held']} held"),
            ("unread notices", visitor["unread"] or ""),
        ]
    )
    for line in visitor["meter"]:
        screen.line(f"{label_of(line['dimension'])} ({line['scope']}): {line['text']}")
    for share in visitor.get("fair_share", []):
        screen.line(share["text"])
    if site["emulated"]:
        screen.line("the accelerators here are emulated", "yellow")
    for warning in site["warnings"]:
        screen.line(warning, "yellow")


def usage(screen: Screen, statement: Json) -> None:
    """A person's statement."""
    screen.facts(
        [
            ("balance", f"{statement['balance']} credits"),
            ("held", statement["held"]),
            ("spent", statement["spent"]),
            ("GPU-hours", statement["gpu_hours"]),
        ]
    )
    screen.table(
        ("AT", "KIND", "AMOUNT", "WORKLOAD", "WHAT"),
        [
            (
                words.moment(item["at"], screen.now),
                item["kind"],
                item["amount"],
                item["workload_name"] or item["workload"],
                item["text"],
            )
            for item in statement["items"]
        ],
    )


def notices(screen: Screen, page: Page) -> None:
    """What I should know."""
    screen.table(
        ("AT", "", "KIND", "WORKLOAD", "WHAT"),
        [
            (
                words.moment(item["at"], screen.now),
                "" if item["read"] else "new",
                item["kind"],
                item["workload"] or "",
                item["text"],
            )
            for item in page["items"]
        ],
    )


def inventory(screen: Screen, found: Json) -> None:
    """Nodes, devices, and how hard shares are isolated."""
    screen.table(
        ("NODE", "CPU HELD", "MEMORY HELD"),
        [
            (
                node["name"],
                f"{node['cpu_held_milli'] / WHOLE:g} of {format_cpu(node['cpu_milli'])}",
                words.of(node["memory_held_mib"] * MIB, node["memory_mib"] * MIB),
            )
            for node in found["nodes"]
        ],
    )
    devices = [device for node in found["nodes"] for device in node["devices"]]
    screen.table(
        ("DEVICE", "NODE", "MODEL", "MEMORY", "HELD", "SHARING", "HEALTH"),
        [_device_row(device) for device in devices],
    )
    for what, hardness in found["isolation"].items():
        screen.line(f"isolation of {label_of(what)}: {hardness}")
    for text in found["notes"]:
        screen.line(text, "yellow")


def _device_row(device: Json) -> Sequence[str]:
    labels = [label for label in ("emulated", "untested") if device[label]]
    return (
        device["id"],
        device["node"],
        " ".join([device["vendor"], device["model"], *(f"[{label}]" for label in labels)]),
        format_bytes(device["memory_mib"] * MIB),
        f"{device['held_milli'] / 10:g} %",
        device["sharing"],
        f"{device['health']} {device['health_reason']}".strip(),
    )


def people(screen: Screen, page: Page) -> None:
    """People whom I may see."""
    screen.table(
        ("LOGIN", "NAME", "ACTIVE", "ROLES", "CREDITS"),
        [
            (
                person["login"],
                person["display_name"],
                "yes" if person["active"] else "no",
                ", ".join(f"{m['role']} of {m['tenant_name']}" for m in person["memberships"]),
                person["balance"],
            )
            for person in page["items"]
        ],
    )


def quotas(screen: Screen, page: Page) -> None:
    """The limits that are set."""
    screen.table(
        ("TENANT", "PERSON", "DIMENSION", "LIMIT"),
        [
            (
                limit["tenant"],
                limit["person"] or "(all)",
                label_of(limit["dimension"]),
                limit["text"],
            )
            for limit in page["items"]
        ],
    )


def invitations(screen: Screen, page: Page) -> None:
    """Who was invited where."""
    screen.table(
        ("ID", "TENANT", "ROLE", "FOR", "STATE", "UNTIL"),
        [
            (
                one["id"],
                one["tenant"],
                one["role"],
                one["email"],
                one["state"],
                words.moment(one["expires_at"], screen.now),
            )
            for one in page["items"]
        ],
    )


def audit(screen: Screen, page: Page) -> None:
    """Who did what."""
    screen.table(
        ("ID", "AT", "ACTOR", "ACTION", "OBJECT", "TENANT", "DETAIL"),
        [
            (
                line["id"],
                words.moment(line["at"], screen.now),
                line["actor_login"] or line["actor"],
                line["action"],
                line["object_login"] or line["object"],
                line["tenant"],
                words.facts(line["told"], screen.now),
            )
            for line in page["items"]
        ],
    )


def processes(screen: Screen, status: Json) -> None:
    """The processes of this machine."""
    screen.table(
        ("PROCESS", "PID", "STATUS"),
        [(line["name"], line["pid"] or "", line["status"]) for line in status["processes"]],
    )
    screen.line(f"address: {status['url']}")


def findings(screen: Screen, page: Page) -> None:
    """What the doctor found."""
    style = {"ok": "green", "warn": "yellow", "bad": "red"}
    for finding in page["items"]:
        level = finding["level"]
        screen.line(f"{level:<4}  {finding['name']}: {finding['text']}", style.get(level, ""))
        if finding["next"] and level != "ok":
            screen.line(f"      → {finding['next']}")
