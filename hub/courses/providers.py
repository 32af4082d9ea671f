"""Identity providers by the names that people give them."""

from catalog.errors import BadValue
from hub.auth.providers import Provider
from hub.control_context import Control


def provider_of(control: Control, name: str) -> Provider:
    """Raises BadValue for a name that no provider of this site has."""
    found = next((one for one in control.providers.values() if one.name == name), None)
    if found is None:
        names = ", ".join(sorted(one.name for one in control.providers.values()))
        raise BadValue(
            f"provider: there is no identity provider {name[:40]!r}",
            next=f"use {names}" if names else "leave it out: people come in by links then",
        )
    return found


def issuer_of(control: Control, name: str) -> str:
    """The issuer of a provider; empty for no provider. Raises BadValue."""
    return provider_of(control, name).issuer if name else ""


def name_of(control: Control, issuer: str) -> str:
    """What people call the provider of an issuer; the issuer itself where it is gone."""
    found = control.providers.get(issuer)
    return found.name if found else issuer
