"""JupyterHub's doors for people's tokens, with a line in the audit for each that is made or revoked there.
Control asks for tokens too, as a service, and writes its own lines."""

import json
from typing import Any

from jupyterhub import orm
from jupyterhub.apihandlers.users import UserTokenAPIHandler, UserTokenListAPIHandler
from jupyterhub.scopes import needs_scope
from jupyterhub.user import User
from tornado import web

from catalog.errors import PerijoveError

_PATIENCE_S = 5


class MadeHandler(UserTokenListAPIHandler):
    """Nobody holds a token that the audit does not know: without its line it is taken back."""

    _made: Any = b"{}"

    def write(self, chunk: Any) -> None:
        self._made = chunk
        super().write(chunk)

    async def post(self, user_name: str) -> None:
        await super().post(user_name)
        if not isinstance(self.current_user, User):
            return
        token = self.db.get(orm.APIToken, int(json.loads(self._made)["id"].removeprefix("a")))
        try:
            await _tell(self, "issued", _facts(token))
        except PerijoveError as error:
            self.db.delete(token)
            self.db.commit()
            raise web.HTTPError(
                503, f"{error.message}. No token was made: {error.next}."
            ) from error


class RevokedHandler(UserTokenAPIHandler):
    """It is revoked also while nobody can write the line; the Hub's log has it then."""

    @needs_scope("tokens")  # before anything is looked up: nobody else learns who is here
    async def delete(  # pyright: ignore[reportIncompatibleMethodOverride] (tornado takes either)
        self, user_name: str, token_id: str
    ) -> None:
        user: Any = self.find_user(user_name)
        facts = _facts(self.find_token_by_id(user, token_id)) if user else {}
        super().delete(user_name, token_id)
        if isinstance(self.current_user, User):
            try:
                await _tell(self, "revoked", facts)
            except PerijoveError:
                self.log.exception("token %s is revoked, and the audit has no line of it", token_id)


def _facts(token: Any) -> dict[str, Any]:
    """Without the secret. The Hub gives an id again once its token is gone: only with the time when it
    was made does it name one. Scopes are as they were given: ``inherit`` is all that the person may."""
    made, ends = (at.isoformat() + "Z" if at else "" for at in (token.created, token.expires_at))
    return {
        "owner": token.user.name, "token": token.api_id, "made": made, "ends": ends,
        "note": token.note or "", "scopes": list(token.scopes),
    }  # fmt: skip


async def _tell(handler: Any, act: str, facts: dict[str, Any]) -> None:
    """Safe to repeat: control writes one line of each act. Raises PerijoveError."""
    body = {"by": handler.current_user.name, "act": act, **facts}
    await handler.authenticator.door.call("POST", "/tokens/told", body, patience_s=_PATIENCE_S)


HANDLERS: list[tuple[str, Any]] = [
    (r"/api/users/([^/]+)/tokens", MadeHandler),
    (r"/api/users/([^/]+)/tokens/([^/]*)", RevokedHandler),
]
