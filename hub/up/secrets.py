"""The secrets that the processes share, one 0600 file each."""

import secrets
from pathlib import Path

from catalog.errors import BadSetup
from hub.up.files import write_whole

NAMES = (
    "cookie_secret",
    "proxy",
    "hub_control",
    "hub_portal",
    "hub_supervisor",
    "pepper",
    "portal_session",
    "internal",
)
"""`hub_*` are tokens of the Hub's services; `pepper` keys the hashes of keys and tokens."""

_BYTES = 32


def make_secrets(folder: Path) -> None:
    """Make those that are missing; the others stay as they are, at mode 0600.

    Raises BadSetup for an empty one: it was damaged, and a new one would silently void everything
    that was made with the old.
    """
    for name in NAMES:
        path = folder / name
        if not path.exists():
            write_whole(path, secrets.token_hex(_BYTES).encode() + b"\n")
        elif not path.read_text().strip():
            raise BadSetup(
                f"the secret {path} is empty",
                next="bring it back with `perijove restore`, or delete the file to have a new one "
                "made, which ends what the old one signed",
            )
        path.chmod(0o600)
