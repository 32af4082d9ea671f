"""Whose tokens were good: so that a token that is gone can be told from one that never was."""

import hashlib
from collections import OrderedDict

MOST = 50_000


class RememberedTokens:
    """Hashes of tokens that the Hub vouched for in this process's life, with their owners' names;
    the longest unused are forgotten first. A token itself is never kept."""

    def __init__(self, most: int = MOST) -> None:
        self._owners: OrderedDict[bytes, str] = OrderedDict()
        self._most = most

    def remember(self, token: str, hub_name: str) -> None:
        key = _key(token)
        self._owners[key] = hub_name
        self._owners.move_to_end(key)
        while len(self._owners) > self._most:
            self._owners.popitem(last=False)

    def owner(self, token: str) -> str:
        """The name of whoever had it; empty when it was never seen, or is forgotten."""
        return self._owners.get(_key(token), "")


def _key(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
