"""``python -m portal``: exit code 78 and one JSON line when the set-up is wrong."""

import asyncio
import contextlib
import json
import logging
import signal
import sys

from catalog.errors import BadSetup
from hub.settings import PACKAGE_ROOT, Settings
from portal.config import PortalConfig
from portal.server import Server

EX_CONFIG = 78


def read_config() -> PortalConfig:
    """From the settings and the files that `up` made. Raises BadSetup."""
    settings = Settings.load()
    try:
        return PortalConfig(
            port=settings.ports["portal"],
            public_url=settings.url,
            hub_url=settings.internal_url("hub"),
            control_url=settings.internal_url("control"),
            client_secret=settings.secret("hub_portal"),
            page_secret=settings.secret("portal_session"),
            docs=str(PACKAGE_ROOT / "docs"),
            lab_assets=str(settings.spaces_dir / "lab"),
        )
    except (OSError, KeyError, ValueError) as error:
        raise BadSetup(
            f"{settings.home} has no ports or secrets for the portal ({error})",
            next="start it with `perijove up`, which makes them",
        ) from error


async def serve(config: PortalConfig) -> None:
    """Until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    server = Server(config)
    await server.start()
    panel = asyncio.create_task(server.open_panel())
    await stop.wait()
    panel.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await panel
    await server.close()


def main() -> int:
    """Run the portal; returns the exit code."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s %(message)s")
    try:
        asyncio.run(serve(read_config()))
    except BadSetup as error:
        sys.stderr.write(json.dumps({"error": error.as_dict()}) + "\n")
        return EX_CONFIG
    return 0


if __name__ == "__main__":
    sys.exit(main())
