"""A page's connection to its kernel, less what Jupyter makes it wait for nothing."""
# Jupyter's own packages are in the notebooks' environment only.
# pyright: reportMissingImports=false, reportUntypedBaseClass=false

import asyncio
from typing import Any

import zmq
from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection

FIRST_MS, LAST_MS = 5, 20
"""The first pause of a ZeroMQ connection that finds nobody, which doubles, and the last. A forked kernel
that was restarted is ready a few milliseconds after it listens: what it prints to a page that is
looking for it more slowly would be lost."""
_LOOK_S, _LOOKS = 0.005, 20


class PromptConnection(ZMQChannelsWebsocketConnection):
    """Jupyter's own. It sends each message at once, where the first would be held back for another's
    receipt (0.04 s), and looks sooner whether the kernel is known to have begun (0.05 s)."""

    async def prepare(self) -> None:
        await super().prepare()
        for _ in range(_LOOKS):
            if getattr(self.kernel_manager, "execution_state", "") != "starting":
                return
            await asyncio.sleep(_LOOK_S)

    def connect(self) -> Any:
        self.websocket_handler.set_nodelay(True)
        return super().connect()


def be_prompt(app: Any) -> None:
    """For the pages of this server. A connection that somebody chose stays."""
    settings = app.web_app.settings
    if settings.get("kernel_websocket_connection_class") is ZMQChannelsWebsocketConnection:
        settings["kernel_websocket_connection_class"] = PromptConnection
    # By itself ZeroMQ looks for a kernel that does not listen yet every 0.1 to 0.2 s.
    context = app.kernel_manager.context
    context.setsockopt(zmq.RECONNECT_IVL, FIRST_MS)
    context.setsockopt(zmq.RECONNECT_IVL_MAX, LAST_MS)
