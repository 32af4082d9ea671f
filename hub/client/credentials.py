"""The saved sign-in of `perijove login`: one address and its token, readable by the owner only."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from catalog.errors import BadSetup
from hub.client.private_file import write_private


@dataclass(frozen=True, slots=True)
class Credentials:
    """A token and the only address that it may be sent to."""

    url: str
    token: str


def credentials_file() -> Path:
    """``$XDG_CONFIG_HOME/perijove/credentials.json``; ~/.config where that is not set."""
    base = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(base).expanduser() / "perijove" / "credentials.json"


def load_credentials() -> Credentials | None:
    """What was saved; None when nothing was. Raises BadSetup naming an unusable file."""
    path = credentials_file()
    try:
        saved = json.loads(path.read_text())
        return Credentials(url=str(saved["url"]), token=str(saved["token"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadSetup(
            f"the saved sign-in in {path} cannot be used: {error}",
            next="run `perijove logout`, then `perijove login`",
        ) from error


def save_credentials(credentials: Credentials) -> Path:
    """Replace what was saved; returns the file. Raises BadSetup when it cannot be written."""
    path = credentials_file()
    try:
        write_private(path, json.dumps(asdict(credentials)))
    except OSError as error:
        raise BadSetup(
            f"{path} cannot be written: {error.strerror}",
            next="give the folder to yourself, or set PERIJOVE_URL and PERIJOVE_TOKEN instead",
        ) from error
    return path


def forget_credentials() -> bool:
    """Remove what was saved; False when nothing was."""
    path = credentials_file()
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise BadSetup(
            f"{path} cannot be removed: {error.strerror}", next="remove the file by hand"
        ) from error
    return True
