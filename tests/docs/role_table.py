"""Writes the table of actions in docs/concepts/role.md: ``python -m tests.docs.role_table``."""

import re
from pathlib import Path

from hub.policy import TABLE, Action, Relation

PAGE = Path(__file__).resolve().parents[2] / "docs" / "concepts" / "role.md"
COLUMNS = {
    "Self": Relation.SELF,
    "Staff": Relation.TENANT_STAFF,
    "Instructor": Relation.TENANT_INSTRUCTOR,
    "Admin": Relation.TENANT_ADMIN,
    "Admin above": Relation.ADMIN_ABOVE,
    "Service": Relation.SERVICE,
}
_TABLE = re.compile(r"^\| Action \|.*?(?=\n\n|\Z)", re.MULTILINE | re.DOTALL)


def table() -> str:
    """The policy, a row for each action."""
    lines = [f"| Action | {' | '.join(COLUMNS)} |", "|---" * (len(COLUMNS) + 1) + "|"]
    for action in Action:
        cells = ["yes" if relation in TABLE[action] else "" for relation in COLUMNS.values()]
        lines.append(f"| `{action.value}` | {' | '.join(cells)} |")
    return "\n".join(lines)


def render() -> str:
    """The page with the table as it is now."""
    return _TABLE.sub(lambda _: table(), PAGE.read_text("utf-8")).rstrip() + "\n"


if __name__ == "__main__":
    PAGE.write_text(render(), "utf-8")
