"""The table of a course's room: rows change in place under what the visitor has chosen."""

from pathlib import Path
from typing import Any

import param
from panel.custom import JSComponent

STYLE = """
:host { display: block; width: 100%; }
.room { font: 15px/1.5 var(--font); color: var(--ink); }
[hidden] { display: none !important; }
.filters { display: flex; gap: 12px 14px; flex-wrap: wrap; align-items: end; margin-bottom: 8px; }
.filters label { display: grid; gap: 5px; font-size: 14px; font-weight: 600; }
.filters input, .filters select { font: 400 15px var(--font); min-height: 42px; padding: 8px 12px;
  border-radius: 10px; border: 1px solid var(--field); background: var(--card); color: var(--ink); }
::placeholder { color: var(--muted); opacity: 1; }
.filters .muted { padding-bottom: 11px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th { text-align: left; font-size: 13px; font-weight: 600; color: var(--muted);
  padding: 9px 14px 9px 2px; border-bottom: 1px solid var(--edge); }
td { padding: 9px 14px 9px 2px; border-bottom: 1px solid var(--edge); vertical-align: top;
  font-variant-numeric: tabular-nums; }
td.right { text-align: right; }
.muted { color: var(--muted); font-size: 14px; }
.good { color: var(--good); font-size: 13px; white-space: nowrap; }
.tag { display: inline-block; font-size: 12px; font-weight: 620; padding: 1px 8px;
  border-radius: 12px; background: var(--amber-soft); color: var(--amber); margin-left: 6px; }
.state { font-size: 13px; font-weight: 620; padding: 2px 10px; border-radius: 20px;
  background: var(--quiet); color: var(--muted); white-space: nowrap; }
.state.running { background: var(--good-soft); color: var(--good); }
.state.queued, .state.offered { background: var(--warn-soft); color: var(--warn); }
.state.starting, .state.stopping { background: var(--accent-soft); color: var(--accent-ink); }
button { font: 600 14px var(--font); min-height: 34px; padding: 4px 11px; border-radius: 10px;
  border: 1px solid var(--edge-strong); background: var(--card); color: var(--ink);
  cursor: pointer; white-space: nowrap; }
button:hover { background: var(--hover); }
input[type="checkbox"] { accent-color: var(--accent); width: 18px; height: 18px; margin: 2px 8px 0 0; }
:focus-visible { outline: 3px solid var(--ring); outline-offset: 2px; }
"""


class RoomTable(JSComponent):
    """People of a course. `chosen` holds logins, from either side; who presses "Ask to open" sends
    ``{"ask": login}`` to `on_msg`."""

    rows: list[dict[str, Any]] = param.List(default=[])  # type: ignore[assignment]
    chosen: list[str] = param.List(default=[])  # type: ignore[assignment]
    may_visit: bool = param.Boolean(default=False)  # type: ignore[assignment]

    _esm = Path(__file__).with_name("room_table.js")
    _stylesheets = [STYLE]  # noqa: RUF012 (Panel's own attribute)
