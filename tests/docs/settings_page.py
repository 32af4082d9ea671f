"""docs/settings.md from `hub.settings`: ``python -m tests.docs.settings_page`` writes it anew."""

from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo

from hub.settings import Settings

PAGE = Path(__file__).resolve().parents[2] / "docs" / "settings.md"
INTRODUCTION = """# Settings

Settings are environment variables. They are read when a process starts: change them, stop
`perijove up`, and start it again. A wrong value stops the start with one error that names it.

This page is made from the code by `python -m tests.docs.settings_page`.

| Variable | Default | Is |
|---|---|---|
"""
REMARKS = """
`PERIJOVE_HOME` holds the state, `PERIJOVE_SPACES` people's homes and `PERIJOVE_ENVS` notebook
environments. What lies where by default is on the page [Operations](operations.md). Paths may begin
with `~`. Truth values are `true` or `false`. Sizes are written like `20Gi`, credits like `100` or
`0.5`.

## Variables of the command line

| Variable | Is |
|---|---|
| `PERIJOVE_URL` | the address of another site than this machine's |
| `PERIJOVE_TOKEN` | the token to use there |
| `PERIJOVE_TRACE` | `1` shows where the program itself made a mistake |

See [The command line](cli.md). What a notebook can read is on the page
[What a notebook can read](environment.md).
"""


def render() -> str:
    """The whole page."""
    rows = (_row(name, field) for name, field in Settings.model_fields.items())
    return INTRODUCTION + "".join(rows) + REMARKS


def _row(name: str, field: FieldInfo) -> str:
    described = field.description or ""
    return f"| `PERIJOVE_{name.upper()}` | {_shown(field.default)} | {described} |\n"


def _shown(default: Any) -> str:
    if default is None or default == "":
        return ""
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
