"""Who may reach the public port: this machine only, or others through TLS."""

import ipaddress
from urllib.parse import urlsplit

from catalog.errors import BadSetup
from hub.settings import Settings


def demand_safe_exposure(settings: Settings) -> None:
    """Raises BadSetup when others could reach the port and passwords would travel in the clear, or
    when subdomains are wanted of an address that can have none."""
    if (settings.tls_cert is None) != (settings.tls_key is None):
        raise BadSetup(
            "one of PERIJOVE_TLS_CERT and PERIJOVE_TLS_KEY is set without the other",
            next="set both, or neither",
        )
    for path in (settings.tls_cert, settings.tls_key):
        if path is not None and not path.is_file():
            raise BadSetup(f"{path} is not a file", next="correct PERIJOVE_TLS_CERT and _KEY")
    if settings.subdomains and _is_address(urlsplit(settings.url).hostname or ""):
        raise BadSetup(
            f"PERIJOVE_SUBDOMAINS needs a name, and people reach this site at {settings.url}",
            next="set PERIJOVE_PUBLIC_URL to the address with its name, such as"
            " https://gpu.example.org, with a DNS entry and a certificate for *.gpu.example.org",
        )
    behind_proxy = settings.public_url.startswith("https://")
    if not is_loopback(settings.ip) and settings.tls_cert is None and not behind_proxy:
        raise BadSetup(
            f"PERIJOVE_IP={settings.ip} lets others in, and sign-ins would not be encrypted",
            next="set PERIJOVE_TLS_CERT and PERIJOVE_TLS_KEY; or, behind a reverse proxy with TLS, "
            "PERIJOVE_PUBLIC_URL=https://…",
        )


def is_loopback(ip: str) -> bool:
    """Whether only this machine reaches `ip`."""
    if ip == "localhost":
        return True
    try:
        return ipaddress.ip_address(ip).is_loopback
    except ValueError:
        return False


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
