"""The control process: ``python -m hub.control``. The public API on a port, the inner door on a
Unix socket, and the reconciler, in one event loop."""

import asyncio
import json
import logging
import os
import socket
import struct
import sys
from typing import Any

import aiohttp
import uvicorn
from anyio.to_thread import current_default_thread_limiter

from catalog.errors import BadSetup, PerijoveError
from hub import starting
from hub.api import app as public
from hub.api import internal
from hub.bounded_http import BoundedHttp
from hub.control_context import Control
from hub.courses.material_keeper import MaterialKeeper
from hub.hub_api import HubApi
from hub.mail import Mailer
from hub.people import SignIns
from hub.reconciler import BEAT_S, Reconciler
from hub.settings import PORTAL_PREFIX, Settings
from hub.templates import TemplateKeeper
from hub.warming import ClassWarmer
from hub.wiring import build_control

log = logging.getLogger("perijove.control")

KEEP_ALIVE_S = 75
"""Longer than the portal and the Hub keep a connection that rests: or one of them would send into one
that is just being closed."""
THREADS = 16
"""That answer requests. They share one interpreter: more of them only take turns more often."""
EX_CONFIG = 78
"""Exit code for what only the operator can mend; the supervisor does not restart after it."""


class OwnerOnly(BoundedHttp):
    """Closes a connection on the socket unless its peer has this process's uid, or is root."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        peer: socket.socket = transport.get_extra_info("socket")
        raw = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        if struct.unpack("3i", raw)[1] not in {0, os.geteuid()}:
            transport.abort()
            return
        super().connection_made(transport)


class _Server(uvicorn.Server):
    """Signals are handled once for both servers, below."""

    def capture_signals(self) -> Any:
        from contextlib import nullcontext

        return nullcontext()


async def serve(settings: Settings, control: Control) -> None:
    """Until TERM or INT."""
    starting.prepare_spaces(control)
    current_default_thread_limiter().total_tokens = THREADS
    control.bus.attach(asyncio.get_running_loop())
    async with HubApi(settings.internal_url("hub"), settings.secret("hub_control")) as hub:
        reconciler = Reconciler(control, hub)
        mailer = Mailer(control)
        outer = public.build(control, hub, lambda: not_ready(control, hub, reconciler))
        inner = internal.build(control, hub, SignIns())
        servers = [
            _server(outer, host="127.0.0.1", port=settings.ports["control"], http=BoundedHttp),
            _server(inner, uds=str(settings.socket), http=OwnerOnly),
        ]
        _stop_on_signals(servers)
        keepers = (MaterialKeeper(control), TemplateKeeper(control), ClassWarmer(control))
        rounds = (reconciler.run(), mailer.run(), *(keeper.run() for keeper in keepers))
        tasks = [asyncio.create_task(round_) for round_ in rounds]
        try:
            await asyncio.gather(*(server.serve() for server in servers))
        finally:
            for task in tasks:
                task.cancel()
    control.store.close()


async def not_ready(control: Control, hub: HubApi, reconciler: Reconciler) -> str:
    """What is not ready, by name; empty when all is."""
    age = control.clock.now() - reconciler.beat_at
    if age.total_seconds() > 10 * BEAT_S:
        return "reconciler"
    try:
        await asyncio.to_thread(_touch, control)
    except PerijoveError:
        return "database"
    if not await hub.alive():
        return "hub"
    url = f"{control.settings.internal_url('portal')}{PORTAL_PREFIX}/healthz"
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=3)) as session,
            session.get(url) as answer,
        ):
            return "" if answer.ok else "portal"
    except (aiohttp.ClientError, TimeoutError, OSError):
        return "portal"


def _touch(control: Control) -> None:
    with control.store.read() as session:
        session.connection()


def _server(app: Any, **where: Any) -> _Server:
    config = uvicorn.Config(
        app, log_config=None, access_log=False, server_header=False, lifespan="off",
        timeout_graceful_shutdown=3, timeout_keep_alive=KEEP_ALIVE_S, **where,
    )  # fmt: skip
    return _Server(config)


def _stop_on_signals(servers: list[_Server]) -> None:
    import signal

    def stop() -> None:
        for server in servers:
            server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)


def main() -> int:
    """Exit code 78 and one JSON line on stderr for what the operator must mend."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    os.umask(0o077)
    try:
        settings = Settings.load()
        settings.socket.unlink(missing_ok=True)
        control = build_control(settings)
    except BadSetup as error:
        sys.stderr.write(json.dumps({"error": error.as_dict()}) + "\n")
        return EX_CONFIG
    asyncio.run(serve(settings, control))
    return 0


if __name__ == "__main__":
    sys.exit(main())
