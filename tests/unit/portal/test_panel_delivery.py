"""What Panel is to send while it sends something else."""

import asyncio
from typing import Any

import pytest
from bokeh.document import Document
from bokeh.document.events import ModelChangedEvent
from bokeh.models import Div
from bokeh.protocol import Protocol
from panel.io import document as panel

from portal.panels.delivery import deliver_all


class Socket:
    """By its class Panel finds who writes to it."""


class Connection:
    def __init__(self) -> None:
        self._socket = Socket()
        self.protocol = Protocol()
        self.sent: list[str] = []
        self.through = asyncio.Event()

    def dispatch(self, _: Any, *, msg: Any) -> list[asyncio.Future[None]]:
        self.sent.append(msg.content["events"][0]["new"])
        return [asyncio.ensure_future(self._write())]

    async def _write(self) -> None:
        await self.through.wait()


@pytest.mark.parametrize("later", range(6))
async def test_a_change_that_comes_while_another_is_written_is_sent(
    monkeypatch: pytest.MonkeyPatch, later: int
) -> None:
    """`later` turns of the loop after the browser took the first; at one of them Panel alone keeps it."""
    monkeypatch.setattr(panel, "_dispatch_msgs", panel._dispatch_msgs)
    deliver_all()
    doc, shown, browser = Document(), Div(), Connection()
    doc.add_root(shown)
    monkeypatch.setitem(panel.extra_socket_handlers, Socket, browser.dispatch)

    def change(text: str) -> None:
        event = ModelChangedEvent(doc, shown, "text", text)
        panel.schedule_write_events(doc, [browser], [event])  # type: ignore[list-item]

    change("Extend…")
    await asyncio.sleep(0)  # it is being written
    browser.through.set()
    for _ in range(later):
        await asyncio.sleep(0)
    change("done for 1")
    for _ in range(10):
        await asyncio.sleep(0)
    assert browser.sent == ["Extend…", "done for 1"]
