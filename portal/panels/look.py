"""How Panel's pages wear the shell's look: the same variables, through the shadow DOM."""

from html import escape
from typing import Any

import panel as pn

from portal.door import Portal

_FRAME = """
{% extends base %}
{% block preamble %}
<script src="{{ assets }}theme.js"></script>
<link rel="stylesheet" href="{{ assets }}shell.css">
<link rel="stylesheet" href="{{ assets }}frame.css">
{% endblock %}
{% block contents %}<main>{{ embed(roots.main) }}</main>{% endblock %}
"""

_CARET = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 12 8'%3E%3Cpath "
    "d='M1 1.5l5 5 5-5' fill='none' stroke='%23808795' stroke-width='1.8'/%3E%3C/svg%3E"
)
WIDGETS = """
:host { font-family: var(--font) !important; font-size: 15px; color: var(--ink) !important; }
label { font-weight: 600; font-size: 14px; color: var(--ink); }
.bk-input, select.bk-input { background-color: var(--card); color: var(--ink);
  border: 1px solid var(--field); border-radius: 10px; min-height: 42px; font-size: 15px;
  font-family: var(--font); padding: 8px 12px; }
.bk-input:focus { outline: 3px solid var(--ring); outline-offset: 1px; border-color: var(--accent);
  box-shadow: none; }
:host .bk-btn.bk-btn-primary, :host(.solid) .bk-btn.bk-btn-primary { background-color: var(--accent);
  color: var(--on-accent); border-color: var(--accent); }
:host .bk-btn.bk-btn-primary:hover { background-color: var(--accent-strong); }
:host .bk-btn.bk-btn-default, :host(.solid) .bk-btn.bk-btn-default { background-color: var(--card);
  color: var(--ink); border: 1px solid var(--edge-strong); }
:host .bk-btn.bk-btn-default:hover { background-color: var(--hover); }
:host .bk-btn.bk-btn-default.bk-active { background-color: var(--accent-soft);
  color: var(--accent-ink); border-color: var(--accent);
  box-shadow: none !important; }
.bk-btn { border-radius: 10px; min-height: 42px; font: 600 15px var(--font); padding: 8px 18px;
  border: 1px solid var(--edge-strong); }
.bk-btn:focus-visible { outline: 3px solid var(--ring); outline-offset: 2px; }
.bk-btn-primary:disabled { opacity: .5; }
.noUi-connect { background-color: var(--accent) !important; }
.noUi-target { background: var(--track); border: 0; box-shadow: none; }
.noUi-horizontal .noUi-handle { border: 3px solid var(--accent); background: var(--card);
  border-radius: 50%; box-shadow: none; width: 20px; height: 20px; right: -10px; top: -6px; }
.bk-slider-title { font-size: 14px; font-weight: 600; }
:host select:not([multiple]).bk-input { background-image: url("@CARET@");
  background-size: 12px 8px; background-repeat: no-repeat; background-position: right 14px center; }
.bk-description > .bk-icon { background-color: var(--muted); }
.bk-clearfix { color: var(--ink); }
.description { color: var(--muted); }
input[type="checkbox"] { width: 17px; height: 17px; accent-color: var(--accent); margin-right: 8px; }
""".replace("@CARET@", _CARET)

PLOT_GREY = "#808795"
"""Legible on light and on dark: a plot keeps its colours when the theme changes."""


def opened_page() -> str:
    """The opaque id in this page's token, whose signature the server has checked."""
    context = pn.state.curdoc.session_context if pn.state.curdoc else None
    payload = getattr(context, "token_payload", {})
    return str(payload.get("page", ""))


def framed(portal: Portal, content: Any) -> pn.Template:
    """A whole page around `content`, for a frame of the shell."""
    template = pn.Template(_FRAME)
    template.add_variable("assets", portal.layout.base)
    template.add_panel("main", content)
    return template


def text(html: str, **more: Any) -> pn.pane.HTML:
    """A piece of HTML of ours; whatever came from elsewhere was escaped before."""
    return pn.pane.HTML(html, stylesheets=[WIDGETS, PROSE], sizing_mode="stretch_width", **more)


def trouble(message: str, next: str) -> str:
    """What went wrong and what helps."""
    return f'<p class="bad" role="alert"><strong>{escape(message)}</strong><br>{escape(next)}</p>'


PROSE = """
p { margin: 0 0 6px; line-height: 1.5; }
.muted { color: var(--muted); font-size: 14px; }
.verdict { border-radius: 14px; padding: 16px 18px; background: var(--quiet);
  border: 1px solid var(--edge); }
.verdict h2 { font-size: 17px; margin: 0 0 4px; color: var(--ink); }
.verdict.fits { background: var(--good-soft); border-color: var(--good); }
.verdict.waits { background: var(--warn-soft); border-color: var(--warn); }
.verdict.denied, .bad { background: var(--bad-soft); border-color: var(--bad); color: var(--ink); }
.bad { padding: 14px 16px; border-radius: 14px; }
.sum { display: flex; gap: 28px; flex-wrap: wrap; margin-top: 12px; }
.sum div { font-size: 13px; color: var(--muted); } .sum + p { margin-top: 12px; }
.sum strong { display: block; font-size: 20px; color: var(--ink); font-variant-numeric: tabular-nums; }
dl { display: flex; gap: 8px 32px; flex-wrap: wrap; margin: 0; }
dt { font-size: 13px; color: var(--muted); } dd { margin: 0; font-weight: 600; }
table { border-collapse: collapse; width: 100%; font-size: 15px; }
th { text-align: left; font-size: 13px; font-weight: 600; color: var(--muted); }
tbody th { color: var(--ink); font-size: 15px; }
th, td { padding: 8px 14px 8px 0; border-bottom: 1px solid var(--edge); white-space: nowrap; }
.scroll { overflow-x: auto; } .scroll:focus-visible { outline: 3px solid var(--ring); }
ul { margin: 4px 0 0; padding-left: 20px; } a { color: var(--accent); }
details summary { cursor: pointer; margin-top: 6px; }
pre { background: var(--quiet); border: 1px solid var(--edge); border-radius: 12px; padding: 14px 16px;
  overflow-x: auto; font: 13px/1.6 var(--mono); margin: 0; color: var(--ink); }
"""
