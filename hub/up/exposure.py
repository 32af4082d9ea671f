"""Who may reach the public port: this machine only, or others through TLS."""

import ipaddress

from catalog.errors import BadSetup
from hub.settings import Settings


def demand_safe_exposure(settings: Settings) -> None:
    """Raises BadSetup when others could reach the port and passwords would travel in the clear."""
    if (settings.tls_cert is None) != (settings.tls_key is None):
        raise BadSetup(
            "one of PERIJOVE_TLS_CERT and PERIJOVE_TLS_KEY is set without the other",
            next="set both, or neither",
        )
    for path in (settings.tls_cert, settings.tls_key):
        if path is not None and not path.is_file():
            raise BadSetup(f"{path} is not a file", next="correct PERIJOVE_TLS_CERT and _KEY")
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
