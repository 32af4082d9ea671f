"""Tokens that people make at the Hub: none without its line in the audit. Over a real database of the Hub;
what makes the token is JupyterHub's own, and stands in here."""

import json
import logging
from types import SimpleNamespace
from typing import Any

import pytest
from jupyterhub import orm, roles
from jupyterhub.apihandlers.users import UserTokenAPIHandler, UserTokenListAPIHandler
from jupyterhub.user import User
from tornado import web

from catalog.errors import Unavailable
from hub.auth.script_tokens import MadeHandler, RevokedHandler


class Door:
    """Control's, which may be away."""

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []
        self.away = False

    async def call(
        self, method: str, path: str, body: dict[str, Any], *, patience_s: float
    ) -> None:
        assert (method, path) == ("POST", "/tokens/told")
        assert patience_s > 0
        if self.away:
            raise Unavailable("the control service does not answer", next="try again soon")
        self.told.append(body)


class Hub:
    """Its database with Mia in it, and a request of hers."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.door, self.db = Door(), orm.new_session_factory("sqlite:///:memory:")()
        roles.create_role(self.db, {"name": "user", "description": "", "scopes": ["self"]})
        self.mia = orm.User(name="mia")
        self.db.add_all(
            [self.mia, orm.OAuthClient(identifier="jupyterhub", allowed_scopes=["inherit"])]
        )
        roles.grant_role(self.db, self.mia, orm.Role.find(self.db, "user"))
        self.db.commit()

        async def post(handler: Any, user_name: str) -> None:
            self._post(handler, user_name)

        def delete(handler: Any, user_name: str, token_id: str) -> None:
            self._delete(handler, user_name, token_id)

        monkeypatch.setattr(UserTokenListAPIHandler, "post", post)
        monkeypatch.setattr(UserTokenListAPIHandler, "write", lambda *_: None)
        monkeypatch.setattr(UserTokenAPIHandler, "delete", delete)
        monkeypatch.setattr(
            UserTokenAPIHandler,
            "find_user",
            lambda *_: SimpleNamespace(orm_user=self.mia, name="mia"),
        )

    @property
    def tokens(self) -> list[str]:
        return [str(token.note) for token in self.db.query(orm.APIToken)]

    def request(self, kind: type[Any], by: Any = None) -> Any:
        authenticator = SimpleNamespace(door=self.door)
        found: Any = object.__new__(kind)
        found.application = SimpleNamespace(
            settings={
                "db": self.db,
                "authenticator": authenticator,
                "log": logging.getLogger("test"),
            }
        )
        found._jupyterhub_user = by or User(self.mia, {"db": self.db}, db=self.db)
        return found

    def _post(self, handler: Any, user_name: str) -> None:
        assert user_name == "mia"
        self.mia.new_api_token(note="nightly")
        handler.write(json.dumps(self._model(self.db.query(orm.APIToken).one())))

    def _delete(self, handler: Any, user_name: str, token_id: str) -> None:
        assert user_name == "mia"
        self.db.delete(
            handler.find_token_by_id(SimpleNamespace(orm_user=self.mia, name="mia"), token_id)
        )
        self.db.commit()

    @staticmethod
    def _model(token: orm.APIToken) -> dict[str, Any]:
        return {"id": token.api_id, "user": "mia", "note": token.note, "scopes": ["inherit"],
                "expires_at": None, "token": "secret"}  # fmt: skip


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Hub:
    return Hub(monkeypatch)


async def test_one_that_is_made_is_told_without_the_secret(hub: Hub) -> None:
    await hub.request(MadeHandler).post("mia")
    [told] = hub.door.told
    assert told.pop("made").endswith("Z")
    assert told == {
        "by": "mia", "owner": "mia", "act": "issued", "token": "a1", "note": "nightly",
        "scopes": ["inherit"], "ends": "",
    }  # fmt: skip
    assert hub.tokens == ["nightly"]


async def test_none_is_made_that_cannot_be_told(hub: Hub) -> None:
    hub.door.away = True
    with pytest.raises(web.HTTPError, match="No token was made"):
        await hub.request(MadeHandler).post("mia")
    assert hub.tokens == []


async def test_what_control_asks_for_it_tells_itself(hub: Hub) -> None:
    await hub.request(MadeHandler, by=orm.Service(name="control")).post("mia")
    assert hub.door.told == []
    assert hub.tokens == ["nightly"]


@pytest.mark.parametrize("away", [False, True])
async def test_one_is_revoked_whether_or_not_it_can_be_told(hub: Hub, away: bool) -> None:
    await hub.request(MadeHandler).post("mia")
    hub.door.away = away
    delete: Any = RevokedHandler.delete  # behind its check of scopes, which is JupyterHub's
    await delete.__wrapped__(hub.request(RevokedHandler), "mia", "a1")
    assert hub.tokens == []
    assert hub.door.told[1:] == ([] if away else [hub.door.told[0] | {"act": "revoked"}])
