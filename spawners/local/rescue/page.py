"""The one page of the rescue server: plain HTML that needs no script; pure."""

from dataclasses import dataclass
from html import escape

from .usage import THROWAWAY, Entry, UsageMap

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")

STYLE = """
:root { color-scheme: light dark; --line: #d5dae3; --soft: #f4f6fa; --ink: #1a2233;
  --dim: #5a6478; --bar: #b4541a; --act: #8a3a0c; --note: #e7f3ea }
@media (prefers-color-scheme: dark) { :root { --line: #343c4d; --soft: #1b212d; --ink: #e8ecf4;
  --dim: #a3adc0; --bar: #ea9255; --act: #f0a878; --note: #1d3526 } }
* { box-sizing: border-box }
body { margin: 0; font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: Canvas }
main { max-width: 54rem; margin: 0 auto; padding: 2.5rem 1.25rem }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .5rem } h2 { font-size: 1.15rem }
p { margin: .4rem 0 } .dim { color: var(--dim) }
[role=status] { background: var(--note); padding: .7rem 1rem; border-radius: .6rem }
progress { width: 100%; height: .9rem; accent-color: var(--bar) }
ul { list-style: none; padding: 0; border: 1px solid var(--line); border-radius: .8rem }
li { display: grid; grid-template-columns: 1fr auto; gap: .2rem 1rem; padding: .7rem 1rem }
li + li { border-top: 1px solid var(--line) }
.name { overflow-wrap: anywhere } .size { font-variant-numeric: tabular-nums }
.bar { grid-column: 1 / -1; height: .4rem; border-radius: .2rem; background: var(--soft) }
.bar svg { display: block; width: 100%; height: 100% } .bar rect { fill: var(--bar) }
details { grid-column: 1 / -1 } summary { cursor: pointer; color: var(--act); width: max-content }
button { font: inherit; padding: .35rem .9rem; border-radius: .5rem; cursor: pointer;
  border: 1px solid var(--act); color: var(--act); background: transparent }
:focus-visible { outline: 3px solid var(--bar); outline-offset: 2px }
"""


@dataclass(frozen=True, slots=True)
class Disk:
    """Room of the file system that holds the home, in bytes."""

    free_bytes: int
    size_bytes: int


def render_page(usage: UsageMap, disk: Disk, *, prefix: str, xsrf: str, message: str = "") -> str:
    """The whole page. `xsrf` is the token that its forms send back to below `prefix`."""
    token = f'<input type="hidden" name="_xsrf" value="{escape(xsrf)}">'
    rows = "".join(_row(entry, usage.total_bytes, prefix, token) for entry in usage.entries)
    partly = "" if usage.complete else " (counting stopped early: there is at least this much)"
    used = disk.size_bytes - disk.free_bytes
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Your home is full</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head>
<body><main>
<h1>Your home is full</h1>
<p>JupyterLab needs some room to start. Delete what you no longer need, then stop this server in
the portal and launch again.</p>
{f'<p role="status">{escape(message)}</p>' if message else ""}
<p><label for="disk">Disk: {size(disk.free_bytes)} free of {size(disk.size_bytes)}</label>
<progress id="disk" max="{max(1, disk.size_bytes)}" value="{used}"></progress></p>
<p class="dim">Your files take {size(usage.total_bytes)}{partly}.</p>
<form method="post" action="{escape(prefix)}empty">{token}
<button>Empty caches and trash</button>
<span class="dim">removes {escape(", ".join(THROWAWAY))}</span></form>
<h2>What takes the most</h2>
{f"<ul>{rows}</ul>" if rows else "<p>Nothing here takes any room.</p>"}
</main></body></html>"""


def size(count: int) -> str:
    """Rounded for people."""
    value, unit = float(count), 0
    while value >= 1024 and unit < len(_UNITS) - 1:
        value, unit = value / 1024, unit + 1
    return f"{value:.1f}".removesuffix(".0") + f" {_UNITS[unit]}"


def _row(entry: Entry, total: int, prefix: str, token: str) -> str:
    percent = 100 * entry.used_bytes / max(1, total)
    name = escape(entry.path.encode(errors="replace").decode() + ("/" if entry.is_folder else ""))
    what = "this folder and all that is in it" if entry.is_folder else "this file"
    return f"""<li><span class="name">{name}</span><span class="size">{size(entry.used_bytes)}</span>
<div class="bar" aria-hidden="true"><svg viewBox="0 0 100 1" preserveAspectRatio="none">
<rect width="{percent:.1f}" height="1"/></svg></div>
<details><summary aria-label="Delete {name}">Delete…</summary>
<form method="post" action="{escape(prefix)}delete">{token}
<input type="hidden" name="path" value="{escape(_sent(entry.path))}">
<p>Delete {what} for good?</p><button>Yes, delete {name}</button></form></details></li>"""


def _sent(path: str) -> str:
    """As hexadecimal: a file name may hold bytes that no form can carry."""
    return path.encode(errors="surrogateescape").hex()
