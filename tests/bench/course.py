"""A Perijove with one course, whose students all have an account with a password."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta

import httpx

from tests.bench.accounts import sign_up
from tests.bench.own_site import OwnSite
from tests.bench.product import CROWD_ANSWERS, CROWD_OFFER
from tests.bench.target import checked

COURSE = "bench-101"
WATCHER = "watcher"
"""In the course too; looks at the menu while the others come."""


class CourseSite(OwnSite):
    """`logins` are the students; nothing of it is left when the context ends."""

    def __init__(self, people: int) -> None:
        super().__init__("stampede")
        self.logins = [f"s{n:03}" for n in range(people)]

    def processes(self) -> dict[str, int]:
        """The pids of what `perijove up` runs, by name."""
        found = json.loads(self.site.run("status", "--json").stdout)["processes"]
        return {one["name"]: int(one["pid"]) for one in found if one["pid"]}

    def prepare(self) -> None:
        everybody = [*self.logins, WATCHER]
        self.site.cli("credits", "grant", "main", str(2 * len(everybody)))
        token = self.site.cli("token", "--user", "admin")["token"]
        with httpx.Client(
            base_url=f"{self.url}/services/control/v1", timeout=60, trust_env=False,
            headers={"Authorization": f"token {token}"},
        ) as api:  # fmt: skip
            checked(api.post("/courses", json=course(everybody)))
            answer = api.post(f"/courses/{COURSE}/roster/invitations")
            answer.raise_for_status()
        sign_up(self.url, dict(zip(everybody, links_of(answer.text), strict=True)))


def course(logins: list[str]) -> dict[str, object]:
    """The body of `POST /courses`: each gets a credit, and a small notebook as the lab."""
    today = datetime.now(UTC).date()
    return {
        "id": COURSE, "name": "Bench 101",
        "first_day": str(today - timedelta(days=1)), "last_day": str(today + timedelta(days=30)),
        "lab": {"offer": CROWD_OFFER, "set": CROWD_ANSWERS},
        "student": {"credits": "1"}, "credits": str(len(logins)),
        "roster": {"csv": "\n".join(["id,name", *(f"{login},{login}" for login in logins)])},
    }  # fmt: skip


def links_of(text: str) -> list[str]:
    """The one-time links of the CSV that the course gives out."""
    rows = csv.reader(io.StringIO(text.removeprefix("\ufeff")))
    return [cell for row in rows for cell in row if "/hub/invitation?" in cell]
