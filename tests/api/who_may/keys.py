"""Keys of services for tests: one that is good, and one that has expired."""

from datetime import timedelta
from weakref import WeakKeyDictionary

from hub import service_keys
from hub.auth.providers import Provider
from hub.auth.rules import Rule
from hub.policy import Actor
from hub.rare import Rarely
from hub.service_keys import Issued, NewKey, Subject
from tests.api.who_may.callers import platform
from tests.site import Site

ISSUER = "https://idp.example.edu"
_KEYS: WeakKeyDictionary[Site, dict[str, Issued]] = WeakKeyDictionary()


def add_provider(site: Site, rules: list[Rule] | None = None, issuer: str = ISSUER) -> Provider:
    """An OpenID provider that lets nobody in by itself but those whom rules name."""
    provider = Provider(
        name="uni", title="University", issuer=issuer, client_id="perijove",
        client_secret="a secret", allowed="everyone", rules=rules or [],
    )  # fmt: skip
    site.control.providers = {**site.control.providers, issuer: provider}
    return provider


def add_key(
    site: Site, tenant: str = "main", *, life: timedelta = timedelta(days=30),
    subject: Subject = "external-id", issuer: str = ISSUER, name: str = "entra",
) -> Issued:  # fmt: skip
    wanted = NewKey(name, tenant, issuer, life, subject=subject)
    return service_keys.issue(site.control, platform(site), wanted)


def expired_key(site: Site) -> Issued:
    """The clock goes on by a minute."""
    issued = add_key(site, life=timedelta(minutes=1), name="old")
    site.clock.advance(timedelta(minutes=1))
    return issued


def issue_both(site: Site) -> None:
    """The key of the caller *service*, and that of *expired-key*."""
    add_provider(site)
    _KEYS[site] = {"expired-key": expired_key(site), "service": add_key(site)}


def of(site: Site, caller: str) -> str:
    return _KEYS[site][caller].secret


def service(site: Site) -> Actor:
    """The caller *service*, as use cases see it."""
    return service_keys.service_of(site.control, of(site, "service"), Rarely())
