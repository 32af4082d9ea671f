"""Every setting, declared once: environment variables ``PERIJOVE_*`` and where files lie."""

import hashlib
import json
import os
import sys
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from catalog.errors import BadSetup, BadValue
from catalog.idleness import LEAST, parse_idle
from catalog.units import parse_duration
from hub.courses.material_source import Allowed

PACKAGE_ROOT = Path(__file__).resolve().parent.parent
CONTROL_PREFIX = "/services/control"
SCIM_PREFIX = "/services/control/scim/v2"
PORTAL_PREFIX = "/services/portal"
API_SCOPE = "custom:perijove:api"
"""The scope that a Hub token needs to be accepted by the REST API."""


class Settings(BaseSettings):
    """Read from the environment when the process starts; never changed after."""

    model_config = SettingsConfigDict(env_prefix="PERIJOVE_", extra="ignore", frozen=True)

    home: Path = Field(default=Path("~/.perijove"), description="State directory, mode 0700.")
    ip: str = Field(default="127.0.0.1", description="Address of the public port.")
    port: int = Field(default=8000, ge=1, le=65535, description="The one public port.")
    public_url: str = Field(
        default="", description="Address that people type, when a reverse proxy is in front."
    )
    subdomains: bool = Field(
        default=False,
        description="Serve each person's notebooks from a subdomain of their own: one person's code"
        " then cannot act as another who opens it. Needs a wildcard DNS name and certificate.",
    )
    tls_cert: Path | None = Field(default=None, description="Certificate of the public port.")
    tls_key: Path | None = Field(default=None, description="Key of the public port.")
    database_url: str = Field(
        default="", description="Control's database; empty is SQLite inside the home."
    )
    spaces: Path | None = Field(
        default=None,
        description="Where people's homes lie; as root it must be traversable by others.",
    )
    envs: Path | None = Field(default=None, description="Where notebook environments lie.")
    menu: Path | None = Field(default=None, description="The menu file; default menu.yaml.")
    inventory: Path | None = Field(
        default=None, description="The inventory file; default inventory.yaml, if it is there."
    )
    oidc: Path | None = Field(
        default=None, description="OpenID providers; default oidc.yaml, if it is there."
    )
    lti: Path | None = Field(
        default=None, description="Learning systems (LTI 1.3); default lti.yaml, if it is there."
    )
    git_hosts: str = Field(
        default="",
        description="Hosts in private networks from which the material of courses may come, like"
        " git.example.edu, http://10.0.0.5:3000; public https hosts need not be named.",
    )
    materials: Path | None = Field(
        default=None,
        description="A folder of git repositories on this machine, readable by everybody on it, from"
        " which the material of courses may come.",
    )
    trust_everyone: bool = Field(
        default=False,
        description="Without root: let several people run as one operating-system user.",
    )
    preempt_grace: str = Field(
        default="2m",
        description="Notice that work gets before its place goes to somebody with more right to it.",
    )
    protect: str = Field(
        default="10m",
        description="Time after its grant for which no work is preempted; best-effort work has to"
        " make room for real-time work at any time.",
    )
    half_life: str = Field(
        default="7d",
        description="Fair share: after this time, what somebody used counts half as much.",
    )
    patience: str = Field(
        default="30m",
        description="After this wait the start of the first that a person waits for is firm: nobody"
        " of its priority class goes ahead any more.",
    )
    node_silence: str = Field(
        default="60s",
        description="How long a node may be silent until its work is given up and started elsewhere.",
    )
    time_zone: str = Field(
        default="UTC",
        description="By whose calendar days, weeks and months begin, for limits of a period and"
        " statements; like Europe/Berlin.",
    )
    starter_credits: str = Field(default="100", description="What a new person is given.")
    tenant_credits: str = Field(
        default="100000",
        description="What the first tenant may hold and spend in all; 0 is no limit.",
    )
    take_over: bool = Field(
        default=False,
        description="Once: work on a database that belonged to an installation that is gone.",
    )
    first_uid: int = Field(default=200_000, description="As root: first uid handed to people.")
    leave_grace: str = Field(
        default="15m",
        description="How long running work of somebody who has lost their role in its tenant may"
        " still go on.",
    )
    idle: str = Field(
        default="2h",
        description="How long a notebook with a share of a GPU may be idle before it is stopped; `off`"
        " is for ever. An offer may say its own.",
    )
    idle_ask: str = Field(
        default="10m",
        description="How long before it is stopped as idle its owner is asked whether they still work.",
    )
    home_quota: str = Field(default="", description="Size at which a home counts as full.")
    smtp_url: str = Field(
        default="", description="smtp://user:password@host:port or smtps://…; empty sends no mail."
    )
    smtp_from: str = Field(default="perijove@localhost", description="Sender of mail.")
    fork: Literal["on", "off"] = Field(
        default="on",
        description="Start notebooks by a fork of a process that has JupyterLab imported already: much"
        " sooner, and with less memory. `off` starts each Python anew.",
    )
    warm_ahead: str = Field(
        default="10m",
        description="Before lab hours: from then on their environments are kept ready and their"
        " material is fetched, and teachers are told what is in the way.",
    )
    cgroup_root: Path = Field(default=Path("/sys/fs/cgroup"), description="For tests.")

    @field_validator(
        "home", "spaces", "envs", "menu", "inventory", "oidc", "lti", "materials", mode="after"
    )
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return None if value is None else value.expanduser().absolute()

    @field_validator("git_hosts", mode="after")
    @classmethod
    def _known_hosts(cls, value: str) -> str:
        try:
            Allowed.parse(value, None)
        except BadValue as error:
            raise ValueError(f"{error.message}; {error.next}") from error
        return value

    @field_validator("time_zone", mode="after")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError("there is no such time zone; write it like Europe/Berlin") from error
        return value

    @classmethod
    def load(cls) -> "Settings":
        """Read the environment. Raises BadSetup naming the variable."""
        try:
            return cls()
        except ValidationError as error:
            first = error.errors()[0]
            name = "PERIJOVE_" + "_".join(str(part) for part in first["loc"]).upper()
            raise BadSetup(
                f"{name}: {first['msg']} (it is {first.get('input')!r})",
                next=f"correct or unset {name} and start again",
            ) from error

    @field_validator(
        "preempt_grace",
        "protect",
        "half_life",
        "patience",
        "node_silence",
        "leave_grace",
        "warm_ahead",
        "idle_ask",
        mode="after",
    )
    @classmethod
    def _duration(cls, value: str) -> str:
        try:
            parse_duration(value)
        except BadValue as error:
            raise ValueError(error.message) from error
        return value

    @field_validator("idle", mode="after")
    @classmethod
    def _idle_span(cls, value: str) -> str:
        try:
            parse_idle(value)
        except BadValue as error:
            raise ValueError(f"{error.message}; {error.next}") from error
        return value

    @field_validator("idle_ask", mode="after")
    @classmethod
    def _time_to_answer(cls, value: str) -> str:
        if parse_duration(value) < LEAST:
            raise ValueError(f"nobody can answer within {value}")
        return value

    @property
    def preempt_grace_span(self) -> timedelta:
        return parse_duration(self.preempt_grace)

    @property
    def protect_span(self) -> timedelta:
        return parse_duration(self.protect)

    @property
    def half_life_span(self) -> timedelta:
        return parse_duration(self.half_life)

    @property
    def patience_span(self) -> timedelta:
        return parse_duration(self.patience)

    @property
    def node_silence_span(self) -> timedelta:
        return parse_duration(self.node_silence)

    @property
    def leave_grace_span(self) -> timedelta:
        return parse_duration(self.leave_grace)

    @property
    def idle_span(self) -> timedelta | None:
        """None: for ever."""
        return parse_idle(self.idle)

    @property
    def idle_ask_span(self) -> timedelta:
        return parse_duration(self.idle_ask)

    @property
    def warm_ahead_span(self) -> timedelta:
        return parse_duration(self.warm_ahead)

    @property
    def zone(self) -> ZoneInfo:
        """The site's calendar."""
        return ZoneInfo(self.time_zone)

    @property
    def is_root(self) -> bool:
        return os.geteuid() == 0

    @property
    def url(self) -> str:
        """The address that people open, without a trailing slash."""
        if self.public_url:
            return self.public_url.rstrip("/")
        scheme = "https" if self.tls_cert else "http"
        host = "127.0.0.1" if self.ip in {"", "0.0.0.0", "::"} else self.ip  # noqa: S104 (compared)
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self.port}"

    @property
    def main_host(self) -> str:
        """Host and port that people type, as a browser sends them."""
        return urlsplit(self.url).netloc.lower()

    def person_url(self, hub_name: str) -> str:
        """Where a person's servers are, without a trailing slash: their own subdomain, if asked."""
        scheme, host, *_ = urlsplit(self.url)
        return f"{scheme}://{subdomain(hub_name, host)}" if self.subdomains else self.url

    @property
    def database(self) -> str:
        return self.database_url or f"sqlite:///{self.home / 'control.sqlite'}"

    @property
    def instance(self) -> str:
        """A short name for this home, to keep two installations on a machine apart."""
        return hashlib.sha256(str(self.home).encode()).hexdigest()[:10]

    @property
    def spaces_dir(self) -> Path:
        """Holds people's homes: outside the 0700 state directory when they have their own uid."""
        if self.spaces is not None:
            return self.spaces
        return Path("/var/lib/perijove") / self.instance if self.is_root else self.home / "spaces"

    @property
    def run_dir(self) -> Path:
        return self.home / "run"

    @property
    def socket(self) -> Path:
        """Control's Unix socket: the door for the Hub, the supervisor and the local CLI."""
        return self.run_dir / "control.sock"

    @property
    def log_dir(self) -> Path:
        return self.home / "logs"

    @property
    def menu_file(self) -> Path:
        return self.menu or self.home / "menu.yaml"

    @property
    def inventory_file(self) -> Path | None:
        return self.inventory or self._if_there(self.home / "inventory.yaml")

    @property
    def oidc_file(self) -> Path | None:
        return self.oidc or self._if_there(self.home / "oidc.yaml")

    @property
    def lti_file(self) -> Path | None:
        return self.lti or self._if_there(self.home / "lti.yaml")

    @property
    def proxy_dir(self) -> Path:
        return PACKAGE_ROOT / "deploy" / "proxy"

    @cached_property
    def ports(self) -> dict[str, int]:
        """Ports on 127.0.0.1 of hub, control, portal and the proxy's API, chosen by `up`."""
        return json.loads((self.run_dir / "ports.json").read_text())

    def internal_url(self, process: str) -> str:
        """Address of a process on this machine, without a trailing slash."""
        return f"http://127.0.0.1:{self.ports[process]}"

    def secret(self, name: str) -> str:
        """A secret made by `up` (see `hub.secrets`). Raises FileNotFoundError before that."""
        return (self.home / "secrets" / name).read_text().strip()

    def child_env(self) -> dict[str, str]:
        """The environment for a process of the product: this one's, and these settings."""
        env = {k: v for k, v in os.environ.items() if not k.startswith("PERIJOVE_")}
        for name in type(self).model_fields:
            value = getattr(self, name)
            if value is not None and value != "":
                env[f"PERIJOVE_{name.upper()}"] = str(value)
        env["PATH"] = f"{Path(sys.executable).parent}:{env.get('PATH', '/usr/bin:/bin')}"
        return env

    @staticmethod
    def _if_there(path: Path) -> Path | None:
        return path if path.exists() else None


def subdomain(name: str, domain: str, kind: str = "user") -> str:
    """The host of a person's servers below `domain`; a service is on the main host, where its stable
    address is. JupyterHub's `subdomain_hook`."""
    return f"{name.lower()}.{domain}" if kind == "user" else domain
