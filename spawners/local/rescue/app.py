"""The rescue server: a small tornado app behind the Hub's own sign-in, for the owner alone."""

import asyncio
import os
import secrets
from pathlib import Path
from urllib.parse import urlsplit

import jupyterhub
from jupyterhub.services.auth import HubOAuthCallbackHandler, HubOAuthenticated
from tornado import web

from .page import Disk, render_page
from .usage import delete_in, empty_throwaway, largest_in

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; "
    "frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-JupyterHub-Version": jupyterhub.__version__,
}


class Ready(web.RequestHandler):
    """The Hub asks ``/api`` until it answers; nothing here is anybody's."""

    def set_default_headers(self) -> None:
        _set_headers(self)

    def get(self) -> None:
        self.write({"version": jupyterhub.__version__})

    head = get


class Owned(HubOAuthenticated, web.RequestHandler):  # pyright: ignore[reportIncompatibleMethodOverride] (jupyterhub's token is its own)
    """Answers the owner of the home; the Hub's sign-in for a stranger, 403 for anybody else."""

    def set_default_headers(self) -> None:
        _set_headers(self)

    async def prepare(self) -> None:
        # Asked here without blocking; what follows finds the answer kept.
        await self.hub_auth.get_user(self, sync=False)
        person = self.current_user
        if person and person["name"] != self.settings["owner"]:
            raise web.HTTPError(403, "only the owner of this home may look at it")

    def write_error(self, status_code: int, **_: object) -> None:
        self.finish(f"<!doctype html><title>{status_code}</title><h1>{self._reason}</h1>")

    def _token(self) -> str:
        token = self.xsrf_token
        return token.decode() if isinstance(token, bytes) else str(token)

    async def show(self, message: str = "") -> None:
        home: Path = self.settings["home"]
        disk = os.statvfs(home)
        usage = await asyncio.to_thread(largest_in, home, 25, 5.0)
        self.finish(
            render_page(
                usage,
                Disk(disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize),
                prefix=self.settings["prefix"],
                xsrf=self._token(),
                message=message,
            )
        )


class Home(Owned):
    """Any address that JupyterLab might have: the same page."""

    @web.authenticated
    async def get(self) -> None:
        await self.show()


class Delete(Owned):
    """Remove one entry."""

    @web.authenticated
    async def post(self) -> None:
        try:
            relative = os.fsdecode(bytes.fromhex(self.get_body_argument("path")))
            await asyncio.to_thread(delete_in, self.settings["home"], relative)
        except FileNotFoundError:
            await self.show("It was gone already.")
        except OSError as error:
            await self.show(f"It could not be deleted: {error.strerror}.")
        except ValueError as error:
            raise web.HTTPError(400, reason="That is not a place inside this home") from error
        else:
            await self.show(f"Deleted {relative.encode(errors='replace').decode()}.")


class Empty(Owned):
    """Remove caches and trash."""

    @web.authenticated
    async def post(self) -> None:
        freed = await asyncio.to_thread(empty_throwaway, self.settings["home"])
        await self.show(f"Emptied {', '.join(freed)}." if freed else "There was nothing to empty.")


def make_app(prefix: str, home: Path, owner: str) -> web.Application:
    """The application; `prefix` begins and ends with a slash."""
    return web.Application(
        [
            (f"{prefix}oauth_callback", HubOAuthCallbackHandler),
            (f"{prefix}api", Ready),
            (f"{prefix}delete", Delete),
            (f"{prefix}empty", Empty),
            (r".*", Home),
        ],
        cookie_secret=secrets.token_bytes(32),
        xsrf_cookies=True,
        home=home,
        owner=owner,
        prefix=prefix,
    )


async def serve() -> None:
    """Listen where the Hub's environment says, on 127.0.0.1 only, until the end."""
    prefix = "/" + os.environ["JUPYTERHUB_SERVICE_PREFIX"].strip("/") + "/"
    home = Path(os.environ["HOME"]).resolve()
    app = make_app(prefix.replace("//", "/"), home, os.environ["JUPYTERHUB_USER"])
    app.listen(urlsplit(os.environ["JUPYTERHUB_SERVICE_URL"]).port or 0, "127.0.0.1")
    await asyncio.Event().wait()


def main() -> None:
    asyncio.run(serve())


def _set_headers(handler: web.RequestHandler) -> None:
    for name, value in _HEADERS.items():
        handler.set_header(name, value)
