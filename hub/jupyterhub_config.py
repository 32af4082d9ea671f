"""The Hub's configuration: everything else is control's.

Run by JupyterHub, which provides `c`.
"""
# pyright: reportUndefinedVariable=false
# ruff: noqa: F821 (JupyterHub defines `c`)

import hmac
import json
import sys
from pathlib import Path

from catalog.clock import SystemClock
from catalog.errors import BadSetup
from hub import hub_database
from hub.auth.authenticator import PerijoveAuthenticator
from hub.auth.kept import reconcile
from hub.auth.providers import load_providers
from hub.control_door import ControlDoor
from hub.lti.platforms import load_platforms
from hub.settings import API_SCOPE, PORTAL_PREFIX, Settings, subdomain
from hub.up.database import hub_file, set_aside_if_damaged
from spawners.jupyterhub import PerijoveSpawner

try:
    settings = Settings.load()
    openid_providers = load_providers(settings.oidc_file)
    lti_platforms = load_platforms(settings.lti_file)
except BadSetup as error:
    # What only the operator can mend: the supervisor shows this line and does not restart.
    sys.stderr.write(json.dumps({"error": error.as_dict()}) + "\n")
    sys.exit(78)
door = ControlDoor(settings.socket)


class _Port:
    """`spawners.jupyterhub.StartPort` through control's socket."""

    async def start(
        self, person: str, server: str, args: list[str], env: dict[str, str]
    ) -> tuple[str, str]:
        body = {"person": person, "server": server, "args": args, "env": env}
        found = await door.call("POST", "/servers/start", body, patience_s=60)
        while not found.get("url"):
            path = f"/servers/attempts/{found['attempt']}"
            found = await door.call("GET", path, patience_s=60)
        return found["url"], found["token"]

    async def alive(self, person: str, server: str) -> bool:
        found = await door.call("GET", f"/servers/{person}/{server or '-'}", patience_s=60)
        return bool(found["alive"])

    async def address(self, person: str, server: str) -> str:
        found = await door.call("GET", f"/servers/{person}/{server or '-'}", patience_s=60)
        return str(found["url"])

    async def stop(self, person: str, server: str) -> None:
        await door.call("POST", f"/servers/{person}/{server or '-'}/stop", {}, patience_s=60)


PerijoveSpawner.port_to_control = _Port()
PerijoveAuthenticator.door = door
PerijoveAuthenticator.settings = settings
if openid_providers:
    from hub.auth.oidc import OpenIdClient
    from hub.auth.refreshing import Refresher

    PerijoveAuthenticator.clients = {
        found.name: OpenIdClient(found, settings.url, SystemClock()) for found in openid_providers
    }
    PerijoveAuthenticator.refresher = Refresher(PerijoveAuthenticator.clients, door, SystemClock())

if lti_platforms:
    from hub.auth.lti_pages import LtiDesk

    PerijoveAuthenticator.lti = LtiDesk.of(settings, lti_platforms, SystemClock())

# ---- addresses ------------------------------------------------------------------------------
c.JupyterHub.bind_url = settings.url
c.JupyterHub.hub_bind_url = settings.internal_url("hub")
c.JupyterHub.hub_connect_url = settings.internal_url("hub")
c.JupyterHub.default_url = f"{PORTAL_PREFIX}/"
c.ConfigurableHTTPProxy.should_start = False
c.ConfigurableHTTPProxy.api_url = settings.internal_url("proxy_api")
c.ConfigurableHTTPProxy.auth_token = settings.secret("proxy")
c.JupyterHub.cleanup_servers = False
c.JupyterHub.cleanup_proxy = False

if settings.subdomains:
    c.JupyterHub.subdomain_host = settings.url
    c.JupyterHub.subdomain_hook = subdomain
    # A page of a subdomain can set cookies for the whole domain: these names it cannot take.
    c.JupyterHub.cookie_host_prefix_enabled = settings.url.startswith("https://")

# ---- state ----------------------------------------------------------------------------------
if aside := set_aside_if_damaged(hub_file(settings)):
    # Control knows all that matters: people sign in again, and what runs is found again.
    sys.stderr.write(f"the Hub's database was damaged and is now {aside}; a new one is made\n")
hub_database.prepare(hub_file(settings))
c.JupyterHub.db_url = f"sqlite:///{hub_file(settings)}"
c.JupyterHub.cookie_secret = bytes.fromhex(settings.secret("cookie_secret"))
c.JupyterHub.pid_file = ""
c.JupyterHub.upgrade_db = True
c.JupyterHub.template_paths = [str(Path(__file__).parent / "templates")]
c.JupyterHub.template_vars = {"api_scope": API_SCOPE}
c.JupyterHub.last_activity_interval = 300

# ---- sign-in --------------------------------------------------------------------------------
c.JupyterHub.authenticator_class = PerijoveAuthenticator
c.Authenticator.allow_all = True  # control decides; it denies whom it does not know
c.Authenticator.allow_existing_users = False
spans = [found.refresh_span for found in openid_providers if found.refresh_span]
c.Authenticator.auth_refresh_age = min([60, *(int(span.total_seconds()) for span in spans)])
c.Authenticator.refresh_pre_spawn = False
c.Authenticator.auth_refresh_strict = True
c.Authenticator.any_allow_config = True
# Kept of an OpenID sign-in, encrypted: the ID token, which the provider wants back at the logout,
# and the refresh token, with which it is asked again.
c.Authenticator.enable_auth_state = bool(openid_providers)
c.Authenticator.reconcile_auth_state_hook = reconcile
c.CryptKeeper.keys = [
    hmac.digest(c.JupyterHub.cookie_secret, b"perijove: kept of a sign-in", "sha256")
]
c.JupyterHub.token_expires_in_max_seconds = 90 * 86400
c.JupyterHub.api_page_max_limit = 100_000  # control lists all running servers at once
# The services' tokens below are 32 random bytes each: no stretching makes them harder to guess, and it
# was a sixth of all that the Hub has to do when a class starts.
c.JupyterHub.trust_user_provided_tokens = True
c.JupyterHub.oauth_token_expires_in = 12 * 3600
c.JupyterHub.cookie_max_age_days = 1

# ---- servers --------------------------------------------------------------------------------
c.JupyterHub.spawner_class = PerijoveSpawner
c.JupyterHub.allow_named_servers = True
# A server that is just starting waits for the Hub, so the Hub must not wait for it.
c.JupyterHub.init_spawners_timeout = 1
c.JupyterHub.concurrent_spawn_limit = 200  # control queues; the Hub need not
c.JupyterHub.tornado_settings = {"slow_spawn_timeout": 0}
c.Spawner.start_timeout = 120
c.Spawner.http_timeout = 60
c.Spawner.poll_interval = 30
c.Spawner.consecutive_failure_limit = 0
c.Spawner.ip = "127.0.0.1"
c.Spawner.env_keep = ["LANG", "LC_ALL", "TZ"]

# ---- what each may do -----------------------------------------------------------------------
c.JupyterHub.custom_scopes = {
    API_SCOPE: {"description": "Use Perijove's API: menu, workloads, usage"}
}
c.JupyterHub.load_roles = [
    {
        "name": "user",
        "description": "A person: their own servers, tokens and the API. Starting is control's.",
        "scopes": [
            "read:users!user", "access:servers!user", "users:activity!user", "tokens!user",
            "access:services!service=portal", API_SCOPE,
        ],
    },
    {
        "name": "control",
        "scopes": [
            "admin:users", "admin:servers", "shares", "access:servers", "tokens", "list:users", "read:users",
            "read:servers", "delete:servers", API_SCOPE,
        ],
        "services": ["control"],
    },
    {"name": "supervisor", "scopes": ["proxy"], "services": ["supervisor"]},
]  # fmt: skip
c.JupyterHub.services = [
    {
        "name": "control",
        "url": settings.internal_url("control"),
        "api_token": settings.secret("hub_control"),
        "display": False,
    },
    {
        "name": "portal",
        "url": settings.internal_url("portal"),
        "api_token": settings.secret("hub_portal"),
        "oauth_no_confirm": True,
        "oauth_redirect_uri": f"{PORTAL_PREFIX}/oauth_callback",
        "oauth_client_allowed_scopes": [API_SCOPE, "read:users!user"],
        "display": False,
    },
    {"name": "supervisor", "api_token": settings.secret("hub_supervisor"), "display": False},
]
