"""The heat map of devices: one square each, darker the more of it is held."""

from collections.abc import Mapping, Sequence
from typing import Any

import panel as pn
from bokeh.models import ColumnDataSource, FactorRange, HoverTool, LinearColorMapper
from bokeh.plotting import figure

from catalog.errors import PerijoveError
from catalog.units import WHOLE, format_gpu
from portal.door import Portal
from portal.panels.client import ControlClient
from portal.panels.look import PLOT_GREY, framed, opened_page, text, trouble

REFRESH_MS = 5000
PALETTE = ["#ece9fb", "#d3cbf7", "#b5a8f1", "#9685ea", "#7864e2", "#5d49cf", "#4936ab", "#372882"]
UNHEALTHY = "#c0392b"


def inventory_page(portal: Portal) -> pn.Template:
    """The map alone: names, memory and health as text are the shell's."""
    client = ControlClient(portal, opened_page())
    source = ColumnDataSource(cells([]))
    view = pn.Column(text('<p class="muted">Drawing…</p>'), sizing_mode="stretch_width")
    drawn = False

    async def refresh() -> None:
        nonlocal drawn
        try:
            nodes = (await client.get("inventory"))["nodes"]
        except PerijoveError as error:
            view[:] = [text(trouble(error.message, error.next))]
            drawn = False
            return
        source.data = found = cells(nodes)
        if not drawn:
            view[:] = [_map(source, nodes)] if found["node"] else [_nothing()]
            drawn = True

    async def load() -> None:
        await refresh()
        pn.state.add_periodic_callback(refresh, period=REFRESH_MS)  # type: ignore[arg-type]

    pn.state.onload(load)
    return framed(portal, view)


def cells(nodes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A column of the map's source for each thing that is shown of a device."""
    rows = [
        (
            node["name"],
            str(place),
            device["held_milli"],
            f"{device['model']} ({device['id']})",
            f"{format_gpu(device['held_milli'])} held" if device["held_milli"] else "nothing held",
            device["health"] + (f": {device['health_reason']}" if device["health_reason"] else ""),
            f"{device['held_milli'] * 100 // WHOLE} %" if device["health"] == "ok" else "✕",
            PLOT_GREY if device["health"] == "ok" else UNHEALTHY,
            "#ffffff" if device["held_milli"] > WHOLE // 2 else "#241b4f",
        )
        for node in nodes
        for place, device in enumerate(node["devices"])
    ]
    names = ("node", "place", "held", "device", "share", "health", "mark", "edge", "ink")
    return {name: [row[index] for row in rows] for index, name in enumerate(names)}


def _nothing() -> pn.pane.HTML:
    return text('<p class="muted">This site has no accelerators: CPU work runs all the same.</p>')


def _map(source: ColumnDataSource, nodes: Sequence[Mapping[str, Any]]) -> pn.pane.Bokeh:
    names = [node["name"] for node in nodes if node["devices"]]
    most = max(len(node["devices"]) for node in nodes)
    plot = figure(
        x_range=FactorRange(factors=[str(place) for place in range(max(most, 8))]),
        y_range=FactorRange(factors=names[::-1]),
        height=56 + 72 * len(names), sizing_mode="stretch_width", toolbar_location=None, tools="",
        background_fill_alpha=0, border_fill_alpha=0, outline_line_alpha=0,
        x_axis_location="above",
    )  # fmt: skip
    squares = plot.rect(
        x="place", y="node", width=0.92, height=0.86, source=source, line_color="edge",
        line_width=2, border_radius=6,  # type: ignore[arg-type]
        fill_color={"field": "held",
                    "transform": LinearColorMapper(palette=PALETTE, low=0, high=WHOLE)},
    )  # fmt: skip
    plot.text(x="place", y="node", text="mark", source=source, text_align="center",
              text_baseline="middle", text_color="ink", text_font_size="13px")  # fmt: skip
    plot.add_tools(
        HoverTool(
            renderers=[squares],
            tooltips=[("device", "@device"), ("share", "@share"), ("health", "@health")],
        )
    )
    for axis in (plot.xaxis[0], plot.yaxis[0]):
        axis.axis_line_color = axis.major_tick_line_color = None
        axis.major_label_text_color = PLOT_GREY
        axis.major_label_text_font_size = "12px"
    plot.grid.grid_line_color = None
    return pn.pane.Bokeh(plot, sizing_mode="stretch_width")
