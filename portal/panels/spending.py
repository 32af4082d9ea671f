"""The burn-down of a course's credits: what is left day by day, and when it would be used up."""

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import ROUND_DOWN, Decimal
from html import escape
from typing import Any

import panel as pn
from bokeh.models import ColumnDataSource, HoverTool
from bokeh.plotting import figure

from catalog.errors import PerijoveError
from portal.door import Portal
from portal.panels.client import ControlClient
from portal.panels.look import PLOT_GREY, framed, opened_page, text, trouble
from portal.panels.room import asked_course

FAR = timedelta(days=366)
"""A guess that reaches further says no day: a course whose first lab was today would last for decades."""


def spending_page(portal: Portal) -> pn.Template:
    """The page of ``?course=ID``."""
    client, course = ControlClient(portal, opened_page()), asked_course()
    view = pn.Column(text('<p class="muted">Drawing…</p>'), sizing_mode="stretch_width")

    async def load() -> None:
        try:
            found = await client.get(f"courses/{course}/spending")
        except PerijoveError as error:
            view[:] = [text(trouble(error.message, error.next))]
            return
        view[:] = [
            text(numbers_html(found), margin=0),
            *([_chart(found)] if found["points"] else []),
        ]

    pn.state.onload(load)
    return framed(portal, view)


def numbers_html(found: Mapping[str, Any]) -> str:
    """The same in numbers, for who cannot see the plot."""
    left = found["points"][-1]["left"] if found["points"] else found["budget"]
    facts = (
        (left, "left"), (found["spent"], "spent"), (found["held"], "set aside for what runs"),
        (found["budget"], "came in"),
    )  # fmt: skip
    tiles = "".join(
        f"<div><strong>{escape(shown(value))}</strong>{word}</div>" for value, word in facts
    )
    empty = found["forecast_empty_on"]
    words = "At this pace they are not used up."
    if empty and _is_far(found):
        words = "At this pace they last for more than a year."
    elif empty:
        day = date.fromisoformat(empty)
        words = f"If it goes on as in the last two weeks, they are used up on {day:%d %B %Y}."
    return f'<div class="sum">{tiles}</div><p class="muted">{escape(words)}</p>'


def shown(amount: str) -> str:
    """Two decimals, four of what is less than one, cut off as on every page."""
    number = Decimal(amount)
    places = Decimal("0.0001") if abs(number) < 1 else Decimal("0.01")
    whole, _, rest = f"{number.quantize(places, ROUND_DOWN):,f}".partition(".")
    return f"{whole}.{rest[:2]}{rest[2:].rstrip('0')}"


def _is_far(found: Mapping[str, Any]) -> bool:
    empty, points = found["forecast_empty_on"], found["points"]
    since = date.fromisoformat(points[-1]["day"]) if points else date.fromisoformat(empty)
    return date.fromisoformat(empty) - since > FAR


def ahead(found: Mapping[str, Any]) -> tuple[list[datetime], list[float]]:
    """The dashed line from today to the day on which nothing would be left; empty without one, and
    where that is far."""
    empty, points = found["forecast_empty_on"], found["points"]
    if not empty or not points or _is_far(found):
        return [], []
    last = points[-1]
    return [_noon(last["day"]), _noon(empty)], [float(last["left"]), 0.0]


def _noon(day: str) -> datetime:
    return datetime.combine(date.fromisoformat(day), time(12))


def _chart(found: Mapping[str, Any]) -> pn.pane.Bokeh:
    points = found["points"]
    at = [_noon(point["day"]) for point in points]
    left = [float(point["left"]) for point in points]
    source = ColumnDataSource(
        {"at": at, "left": left, "spent": [float(point["spent"]) for point in points]}
    )
    plot = figure(
        height=300, x_axis_type="datetime", sizing_mode="stretch_width", toolbar_location=None,
        tools="", background_fill_alpha=0, border_fill_alpha=0, outline_line_alpha=0,
    )  # fmt: skip
    half = timedelta(hours=10).total_seconds() * 1000
    plot.vbar(x="at", top="spent", width=2 * half, source=source, color="#e08a2c", alpha=0.75,
              legend_label="spent on the day")  # fmt: skip
    plot.line(x="at", y="left", source=source, line_width=2.5, color="#6d5ae6", legend_label="left")
    dots = plot.scatter(x="at", y="left", source=source, size=6, color="#6d5ae6")
    days, guess = ahead(found)
    if days:
        plot.line(x=days, y=guess, line_width=2, line_dash="dashed", color="#6d5ae6",
                  legend_label="if it goes on like this")  # fmt: skip
    plot.add_tools(
        HoverTool(
            renderers=[dots],
            tooltips=[("day", "@at{%d %b}"), ("left", "@left{0.00}"), ("spent", "@spent{0.00}")],
            formatters={"@at": "datetime"},
        )
    )
    _set_ranges(plot, [*at, *days], float(found["budget"]))
    _wear(plot)
    return pn.pane.Bokeh(plot, sizing_mode="stretch_width")


def _set_ranges(plot: Any, days: list[datetime], budget: float) -> None:
    """A week at least, so that the first day of a course does not look like a year."""
    first, last = min(days), max(days)
    plot.x_range.start = first - timedelta(days=1)
    plot.x_range.end = max(last, first + timedelta(days=7)) + timedelta(days=1)
    plot.y_range.start, plot.y_range.end = 0, max(budget, 1.0) * 1.08


def _wear(plot: Any) -> None:
    for axis in (plot.xaxis[0], plot.yaxis[0]):
        axis.axis_line_color = axis.major_tick_line_color = axis.minor_tick_line_color = None
        axis.major_label_text_color = axis.axis_label_text_color = PLOT_GREY
        axis.major_label_text_font_size = "12px"
        axis.axis_label_text_font_style = "normal"
    plot.yaxis[0].axis_label = "credits"
    plot.xaxis[0].ticker.desired_num_ticks = 4  # more overlap on a phone
    plot.grid.grid_line_color = PLOT_GREY
    plot.grid.grid_line_alpha = 0.2
    plot.xgrid.grid_line_color = None
    plot.legend.background_fill_alpha = 0
    plot.legend.border_line_alpha = 0
    plot.legend.label_text_color = PLOT_GREY
    plot.legend.label_text_font_size = "12px"
    plot.legend.location = "bottom_left"
