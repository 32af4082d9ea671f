"""canaille as an OpenID provider: ``python run.py`` in its own environment, its set-up as JSON in
CANAILLE_PEER.

``{"folder", "port", "client": {metadata}, "people": {login: [groups]}}``; every password is
``PASSWORD``. PUT /test/people/LOGIN with a list of groups, or DELETE, changes people while it runs.
"""

import datetime as dt
import json
import os
from typing import Any

from canaille import create_app
from canaille.app import models
from canaille.backends import Backend
from flask import request
from joserfc.jwk import RSAKey
from werkzeug.serving import make_server

PASSWORD = "a long password for tests"
GIVEN: dict[str, Any] = json.loads(os.environ["CANAILLE_PEER"])
CONFIG = {
    "SECRET_KEY": "only for tests",
    "SERVER_NAME": f"127.0.0.1:{GIVEN['port']}",
    "PREFERRED_URL_SCHEME": "http",
    "CANAILLE": {"DATABASE": "sql"},
    "CANAILLE_SQL": {
        "DATABASE_URI": f"sqlite:///{GIVEN['folder']}/canaille.sqlite",
        "PASSWORD_SCHEMES": "plaintext",
    },
    "CANAILLE_OIDC": {
        "ACTIVE_JWKS": [RSAKey.generate_key(2048, auto_kid=True).as_dict(private=True)]
    },
}


def put(login: str, groups: list[str]) -> None:
    """A person who is in just these groups."""
    person = Backend.instance.get(models.User, user_name=login)
    if person is None:
        person = models.User(
            user_name=login, family_name=login.title(), formatted_name=login.title(),
            emails=[f"{login}@example.org"], password=PASSWORD,
        )  # fmt: skip
        Backend.instance.save(person)
    for name in groups:
        if Backend.instance.get(models.Group, display_name=name) is None:
            Backend.instance.save(models.Group(display_name=name, members=[person]))
    person = Backend.instance.get(models.User, user_name=login)
    person.groups = [Backend.instance.get(models.Group, display_name=name) for name in groups]
    Backend.instance.save(person)


def remove(login: str) -> None:
    """A person is deleted."""
    Backend.instance.delete(Backend.instance.get(models.User, user_name=login))


def main() -> None:
    app = create_app(CONFIG, init_backend=True)

    def change(login: str) -> str:
        if request.method == "DELETE":
            remove(login)
        else:
            put(login, request.get_json())
        return "done"

    from canaille.app.flask import csrf

    app.add_url_rule("/test/people/<login>", "test", csrf.exempt(change), methods=["PUT", "DELETE"])
    with app.app_context(), app.backend.session():
        client = models.Client(client_id_issued_at=dt.datetime.now(dt.UTC), **GIVEN["client"])
        Backend.instance.save(client)
        client.audience = [client]
        Backend.instance.save(client)
        for login, groups in GIVEN["people"].items():
            put(login, groups)
    make_server("127.0.0.1", GIVEN["port"], app).serve_forever()


if __name__ == "__main__":
    main()
