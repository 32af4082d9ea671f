"""Sees to it that Panel sends every change of a page.

A change that comes while another is written to the browser is queued in `_WRITE_MSGS`, with a task
to send it (`panel.io.document`, 1.9.4). The task that ends writing takes the mark `_WRITE_BLOCK`
away, and the one that was about to begin stops without it: the change stays until the next one. So
the room said "Extend…" for ever, though the answer had come. This file can go when
`tests/unit/portal/test_panel_delivery.py` passes without it.
"""

from typing import Any

from bokeh.document import Document
from panel.io import document as panel

_dispatch_once = panel._dispatch_msgs


async def _dispatch(doc: Document) -> None:
    """As Panel's; what was queued meanwhile has a task of its own, with the mark that it needs."""
    await _dispatch_once(doc)
    if doc in panel._WRITE_MSGS and doc not in panel._WRITE_BLOCK:
        panel._WRITE_BLOCK[doc] = True
        panel._dispatch_write_task(doc, _dispatch, doc)


def deliver_all() -> None:
    """From now on, in this process. More than once does no harm."""
    functions: Any = panel
    functions._dispatch_msgs = _dispatch
