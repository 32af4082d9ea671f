"""The keys with which this site signs as a tool: a current one, and the one before it.

They lie in the home's secrets, where a backup takes them along. The one before stays published, so
that what was signed a moment ago is still believed after a rotation.
"""

import os
import tempfile
from pathlib import Path
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from catalog.errors import BadSetup

CURRENT, PREVIOUS = "lti_key", "lti_key_previous"
_BITS = 2048


class ToolKeys:
    """The keys in a folder. Files are read at each use: another process may have changed them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def current(self) -> RSAKey:
        """The key to sign with, made now if there is none. Raises BadSetup for a damaged file."""
        found = self._read(CURRENT)
        if found is not None:
            return found
        self._make(CURRENT, only_if_missing=True)
        return self.current()

    def published(self) -> dict[str, Any]:
        """The public keys as a JSON Web Key Set, the current one first."""
        keys = [self.current(), self._read(PREVIOUS)]
        return {
            "keys": [
                {**key.as_dict(private=False), "kid": name_of(key), "use": "sig", "alg": "RS256"}
                for key in keys
                if key is not None
            ]
        }

    def rotate(self) -> tuple[str, str]:
        """A new current key; the one of before stays published, the one before that is gone. The
        names of the new one and of the one before."""
        before = self.current()
        fresh = self._write(_pem(before))
        fresh.replace(self._folder / PREVIOUS)
        self._make(CURRENT, only_if_missing=False)
        return name_of(self.current()), name_of(before)

    def _read(self, name: str) -> RSAKey | None:
        path = self._folder / name
        try:
            return RSAKey.import_key(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError, JoseError) as error:
            raise BadSetup(
                f"{path} holds no key that can be read",
                next="bring it back with `perijove restore`, or delete it to have a new one made",
            ) from error

    def _make(self, name: str, *, only_if_missing: bool) -> None:
        fresh = self._write(_pem(RSAKey.generate_key(_BITS)))
        if not only_if_missing:
            fresh.replace(self._folder / name)
            return
        try:
            # Unlike a rename this fails when another process was first: both then use that one.
            os.link(fresh, self._folder / name)
        except FileExistsError:
            pass
        finally:
            fresh.unlink()

    def _write(self, content: bytes) -> Path:
        """A file beside the keys, whole and 0600, to be put in its place."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=self._folder, prefix=".lti-")
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        return Path(name)


def name_of(key: RSAKey) -> str:
    """A key's name is its thumbprint (RFC 7638): nothing else has to be kept with it."""
    return key.thumbprint()


def _pem(key: RSAKey) -> bytes:
    return key.as_pem(private=True)
