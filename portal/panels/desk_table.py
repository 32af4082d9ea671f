"""The table of the quota desk: the tree of tenants, limits that are edited in their cells, and the
dialog that tells what a change would bring about."""

from pathlib import Path
from typing import Any

import param
from panel.custom import JSComponent

STYLE = """
:host { display: block; width: 100%; }
.desk { font: 15px/1.5 var(--font); color: var(--ink); position: relative; min-height: 420px; }
[hidden] { display: none !important; }
h2 { font-size: 18px; margin: 26px 0 4px; }
p { margin: 0 0 8px; }
.tools { display: flex; gap: 12px 14px; flex-wrap: wrap; align-items: end; margin-bottom: 12px; }
.tools label, dialog label { display: grid; gap: 5px; font-size: 14px; font-weight: 600; }
input, select { font: 400 15px var(--font); min-height: 42px; padding: 8px 12px; max-width: 100%;
  border-radius: 10px; border: 1px solid var(--field); background: var(--card); color: var(--ink); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
caption { text-align: left; color: var(--muted); font-size: 14px; padding-bottom: 6px; }
th { text-align: left; font-size: 13px; font-weight: 600; color: var(--muted);
  padding: 9px 14px 9px 2px; border-bottom: 1px solid var(--edge); white-space: nowrap; }
th button { border: 0; background: none; padding: 4px 2px; color: inherit; font: inherit; min-height: 30px; }
td { padding: 6px 14px 6px 2px; border-bottom: 1px solid var(--edge); font-variant-numeric: tabular-nums;
  white-space: nowrap; }
td.name { white-space: normal; min-width: 190px; }
td.right { text-align: right; }
td.wide { white-space: normal; padding: 6px 0 14px 32px; }
td.wide section { background: var(--quiet); border-radius: 14px; padding: 4px 18px 16px; }
.over-it { display: flex; justify-content: space-between; align-items: center; }
.over-it h2 { margin: 12px 0; }
.above { display: block; font-size: 13px; color: var(--muted); }
.muted { color: var(--muted); font-size: 14px; }
.over { color: var(--bad); font-weight: 650; }
.tag { display: inline-block; font-size: 12px; font-weight: 620; padding: 1px 8px; border-radius: 12px;
  background: var(--amber-soft); color: var(--amber); margin-left: 6px; }
button { font: 600 14px var(--font); min-height: 36px; padding: 5px 12px; border-radius: 10px;
  border: 1px solid var(--edge-strong); background: var(--card); color: var(--ink); cursor: pointer; }
button:hover { background: var(--hover); }
button:disabled { opacity: .55; cursor: not-allowed; }
button.primary { background: var(--accent); border-color: var(--accent); color: var(--on-accent); }
button.primary:hover { background: var(--accent-strong); }
button.turn { min-width: 32px; min-height: 32px; padding: 0; border: 0; background: none;
  color: var(--muted); }
button.cell { border: 1px dashed transparent; background: none; font-weight: 500; min-width: 84px;
  text-align: left; margin-left: -12px; }
tr:hover button.cell, button.cell:focus { border-color: var(--edge-strong); }
td input { width: 110px; min-height: 36px; padding: 5px 10px; }
.bar { display: inline-block; width: 74px; height: 5px; border-radius: 3px; background: var(--track);
  overflow: hidden; margin-left: 10px; vertical-align: middle; }
.bar i { display: block; height: 100%; background: var(--accent); }
.bar i.full { background: var(--bad); }
.done { display: flex; justify-content: space-between; gap: 14px; flex-wrap: wrap; align-items: center;
  background: var(--good-soft); border: 1px solid var(--good); border-radius: 14px;
  padding: 10px 16px; margin-bottom: 12px; }
.bad { background: var(--bad-soft); border: 1px solid var(--bad); border-radius: 14px;
  padding: 10px 16px; margin-bottom: 12px; }
dialog { position: absolute; margin: 0 auto; inset: auto 0 auto 0; width: min(560px, 96%);
  background: var(--card); color: var(--ink); border: 1px solid var(--edge);
  border-radius: 18px; padding: 22px;
  box-shadow: 0 16px 50px -12px rgb(20 10 60 / .35); }
dialog::backdrop { background: rgb(20 10 40 / .35); }
dialog h2 { margin-top: 0; }
dialog ul { margin: 10px 0 16px; padding-left: 20px; }
dialog li { margin-bottom: 5px; }
.acts { display: flex; gap: 10px; flex-wrap: wrap; }
:focus-visible { outline: 3px solid var(--ring); outline-offset: 2px; }
"""


class DeskTable(JSComponent):
    """What the desk shows; each thing that the visitor does is sent to `on_msg` as ``{"act": …}``.

    `lines` are tenants in the order in which they stand, with `depth` and `open`; `people` the
    limits of people in `chosen`; `preview` what a change would do, empty while nothing is asked;
    `done` what was done last, with the ids that take it back."""

    lines: list[dict[str, Any]] = param.List(default=[])  # type: ignore[assignment]
    dimension: str = param.String(default="gpu")  # type: ignore[assignment]
    sort: str = param.String(default="name")  # type: ignore[assignment]
    chosen: dict[str, Any] = param.Dict(default={})  # type: ignore[assignment]
    people: list[dict[str, Any]] = param.List(default=[])  # type: ignore[assignment]
    history: list[dict[str, Any]] = param.List(default=[])  # type: ignore[assignment]
    preview: dict[str, Any] = param.Dict(default={})  # type: ignore[assignment]
    done: dict[str, Any] = param.Dict(default={})  # type: ignore[assignment]
    trouble: str = param.String(default="")  # type: ignore[assignment]

    _esm = Path(__file__).with_name("desk_table.js")
    _stylesheets = [STYLE]  # noqa: RUF012 (Panel's own attribute)
