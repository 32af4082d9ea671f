"""A learning system for tests: Open edX's own LTI 1.3 code behind a small server that adds what a
course site would: people, a roster in pages, and a gradebook.

Runs in an environment of its own, with what it should be in the variable LTI_PEER (JSON).
"""

# It has an environment of its own.
# pyright: reportMissingImports=false

import json
import os
import sys
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from django.conf import settings

settings.configure(
    INSTALLED_APPS=[],
    DATABASES={},
    USE_TZ=True,
    PLATFORM_NAME="Open edX",
    CACHES={"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}},
)

import django  # noqa: E402 (Django wants its settings first)

django.setup()

from lti_consumer.data import Lti1p3LaunchData  # noqa: E402
from lti_consumer.lti_1p3.constants import LTI_1P3_CONTEXT_ROLE_MAP  # noqa: E402
from lti_consumer.lti_1p3.consumer import LtiAdvantageConsumer  # noqa: E402
from lti_consumer.utils import get_data_from_cache  # noqa: E402

GIVEN: dict[str, Any] = json.loads(os.environ["LTI_PEER"])
BASE = f"http://127.0.0.1:{GIVEN['port']}"
PAGE = 2
ROSTER = "https://purl.imsglobal.org/spec/lti-nrps/scope/contextmembership.readonly"
LINES = "https://purl.imsglobal.org/spec/lti-ags/scope/lineitem"
SCORES = "https://purl.imsglobal.org/spec/lti-ags/scope/score"
JSON = "application/json"
people: dict[str, dict[str, Any]] = GIVEN["people"]
lines: dict[str, dict[str, dict[str, Any]]] = {}
scores: list[dict[str, Any]] = []
picked: list[Any] = []
asked: list[str] = []


def consumer() -> LtiAdvantageConsumer:
    """Afresh for each request: it keeps what belongs to one launch."""
    tool = GIVEN["tool"]
    found = LtiAdvantageConsumer(
        iss=BASE, lti_oidc_url=tool["login"], lti_launch_url=tool["launch"],
        client_id=GIVEN["client_id"], deployment_id=GIVEN["deployment"],
        rsa_key=GIVEN["key"], rsa_key_id="platform-1", redirect_uris=[tool["launch"]],
        tool_keyset_url=tool["jwks"],
    )  # fmt: skip
    found.enable_deep_linking(tool["deep_link"], f"{BASE}/picked")
    return found


def begin(user: str, context: str, kind: str) -> str:
    """Where a click on the link leads: login initiation at the tool."""
    known = people[user]
    data = Lti1p3LaunchData(
        user_id=user, user_role=known["role"], config_id="1", resource_link_id=f"link-{context}",
        name=known["name"], email=known["email"], message_type=kind,
        context_id=context, context_title=f"Course {context}",
        custom_parameters=GIVEN.get("custom", {}),
    )  # fmt: skip
    return consumer().prepare_preflight_url(data)


def launch(query: dict[str, str]) -> str:
    """The page that posts the signed launch back to the tool."""
    data, here = get_data_from_cache(query["lti_message_hint"]), consumer()
    here.set_user_data(data.user_id, data.user_role, data.name, data.email)
    here.set_resource_link_claim(data.resource_link_id)
    here.set_context_claim(data.context_id, context_title=data.context_title)
    here.set_custom_parameters(data.custom_parameters)
    here.enable_nrps(f"{BASE}/roster/{quote(data.context_id)}")
    here.enable_ags(
        f"{BASE}/lines/{quote(data.context_id)}", allow_programmatic_grade_interaction=True
    )
    answer = here.generate_launch_request(query)
    fields = "".join(
        f'<input type="hidden" name="{name}" value="{escape(value)}">'
        for name, value in answer.items()
    )
    return (
        f'<form method="post" action="{escape(query["redirect_uri"])}">{fields}'
        '<button type="submit">Go on</button></form><script>document.forms[0].submit()</script>'
    )


class Server(BaseHTTPRequestHandler):
    """One request."""

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query))
        asked.append(f"GET {parts.path}")
        match parts.path.strip("/").split("/"):
            case ["jwks"]:
                self.say(consumer().get_public_keyset())
            case ["start", user, context]:
                kind = query.get("type", "LtiResourceLinkRequest")
                self.lead(begin(user, context, kind))
            case ["frame", user, context]:
                self.page(f'<iframe title="tool" src="/start/{user}/{context}"></iframe>')
            case ["authorize"]:
                self.page(launch(query))
            case ["roster", context] if self.allowed(ROSTER):
                self.roster(context, int(query.get("page", 0)))
            case ["lines", context] if self.allowed(LINES):
                self.say(list(lines.get(context, {}).values()))
            case ["seen"]:
                self.say({"scores": scores, "lines": lines, "picked": picked, "asked": asked})
            case _:
                self.say({}, 404)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = urlsplit(self.path).path
        asked.append(f"POST {path}")
        match path.strip("/").split("/"):
            case ["token"]:
                self.say(consumer().access_token(dict(parse_qsl(body.decode()))))
            case ["lines", context] if self.allowed(LINES):
                self.add_line(context, json.loads(body))
            case ["lines", context, number, "scores"] if self.allowed(SCORES):
                scores.append({"line": f"{context}/{number}", **json.loads(body)})
                self.say({})
            case ["picked"]:
                token = dict(parse_qsl(body.decode()))["JWT"]
                picked.append(consumer().check_and_decode_deep_linking_token(token))
                self.page("<h1>The link was added</h1>")
            case ["people"]:
                people.clear()
                people.update(json.loads(body))
                self.say({})
            case _:
                self.say({}, 404)

    def allowed(self, scope: str) -> bool:
        """Whether the caller has a token of ours for it."""
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        return bool(token) and consumer().check_token(token, [scope])

    def roster(self, context: str, page: int) -> None:
        everybody = [
            {
                "user_id": user, "name": known["name"], "email": known["email"],
                "status": known.get("status", "Active"),
                "roles": LTI_1P3_CONTEXT_ROLE_MAP[known["role"]],
            }
            for user, known in people.items()
        ]  # fmt: skip
        here = f"{BASE}/roster/{quote(context)}"
        content = {
            "id": here,
            "context": {"id": context},
            "members": everybody[page * PAGE :][:PAGE],
        }
        more = (page + 1) * PAGE < len(everybody)
        following = f"<{here}?{urlencode({'page': page + 1})}>; rel=next"
        self.say(content, headers={"Link": following} if more else {})

    def add_line(self, context: str, wanted: dict[str, Any]) -> None:
        found = lines.setdefault(context, {})
        number = str(len(found) + 1)
        found[number] = {**wanted, "id": f"{BASE}/lines/{quote(context)}/{number}"}
        self.say(found[number], 201)

    def lead(self, address: str) -> None:
        self.send_response(302)
        self.send_header("Location", address)
        self.end_headers()

    def page(self, text: str) -> None:
        self.send(200, "text/html; charset=utf-8", f"<!DOCTYPE html>{text}".encode(), {})

    def say(self, content: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self.send(status, JSON, json.dumps(content).encode(), headers or {})

    def send(self, status: int, kind: str, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in ({"Content-Type": kind, "Content-Length": len(body)} | headers).items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    sys.stderr.write(f"at {BASE}\n")
    ThreadingHTTPServer(("127.0.0.1", GIVEN["port"]), Server).serve_forever()
