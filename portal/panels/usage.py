"""The burn chart: what could be spent over time, and what each movement did to it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import panel as pn
from bokeh.models import ColumnDataSource, HoverTool
from bokeh.plotting import figure

from catalog.errors import PerijoveError
from catalog.units import MICRO, parse_credits
from portal.door import Portal
from portal.panels.client import ControlClient
from portal.panels.look import PLOT_GREY, framed, opened_page, text, trouble

PAGES = 5
"""The most pages of the statement that are fetched for the chart."""


def usage_page(portal: Portal) -> pn.Template:
    """The chart alone: the numbers and the table beside it are the shell's."""
    client = ControlClient(portal, opened_page())
    view = pn.Column(text('<p class="muted">Drawing…</p>'), sizing_mode="stretch_width")

    async def load() -> None:
        try:
            balance, lines = await _statement(client)
        except PerijoveError as error:
            view[:] = [text(trouble(error.message, error.next))]
            return
        view[:] = [_chart(balance_over_time(balance, lines))] if lines else [_nothing()]

    pn.state.onload(load)
    return framed(portal, view)


def balance_over_time(
    balance: str, lines: Sequence[Mapping[str, Any]]
) -> list[tuple[datetime, float, str]]:
    """Walk back from today's balance through the statement, newest first; returns oldest first."""
    points: list[tuple[datetime, float, str]] = []
    left = parse_credits(balance)
    for line in lines:
        at = datetime.fromisoformat(line["at"])
        points.append((at, left / MICRO, f"{line['amount']} · {line['text']}"))
        left -= parse_credits(line["amount"])
    return points[::-1]


async def _statement(client: ControlClient) -> tuple[str, list[Mapping[str, Any]]]:
    first = await client.get("usage")
    lines, cursor = list(first["items"]), first["next"]
    for _ in range(PAGES - 1):
        if not cursor:
            break
        more = await client.get(f"usage?cursor={cursor}")
        lines += more["items"]
        cursor = more["next"]
    return first["balance"], lines


def _nothing() -> pn.pane.HTML:
    return text(
        '<p class="muted">Nothing was spent yet: the chart begins with your first start.</p>'
    )


def _chart(points: Sequence[tuple[datetime, float, str]]) -> pn.pane.Bokeh:
    at, left, words = zip(*points, strict=True)
    source = ColumnDataSource({"at": at, "left": left, "text": words})
    plot = figure(
        height=280, x_axis_type="datetime", sizing_mode="stretch_width", toolbar_location=None,
        tools="", background_fill_alpha=0, border_fill_alpha=0, outline_line_alpha=0,
    )  # fmt: skip
    plot.varea_step(x=list(at), y1=[0.0] * len(at), y2=list(left), step_mode="after",
                    color="#6d5ae6", alpha=0.16)  # fmt: skip
    plot.step(x="at", y="left", source=source, mode="after", line_width=2.5, color="#6d5ae6")
    dots = plot.scatter(x="at", y="left", source=source, size=7, color="#e08a2c")
    plot.add_tools(HoverTool(renderers=[dots], tooltips=[("", "@text"), ("left", "@left{0.00}")]))
    plot.y_range.start = 0  # type: ignore[union-attr]
    for axis in (plot.xaxis[0], plot.yaxis[0]):
        axis.axis_line_color = axis.major_tick_line_color = None
        axis.minor_tick_line_color = None
        axis.major_label_text_color = axis.axis_label_text_color = PLOT_GREY
        axis.major_label_text_font_size = "12px"
    plot.xaxis[0].axis_label = "time (UTC)"
    plot.xaxis[0].axis_label_text_font_style = "normal"
    plot.yaxis[0].axis_label = "credits that can be spent"
    plot.yaxis[0].axis_label_text_font_style = "normal"
    plot.grid.grid_line_color = PLOT_GREY
    plot.grid.grid_line_alpha = 0.2
    plot.xgrid.grid_line_color = None
    return pn.pane.Bokeh(plot, sizing_mode="stretch_width")
