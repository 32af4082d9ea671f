"""The menu in use: read again when its file changes, kept when the change is a mistake."""

import contextlib
from pathlib import Path
from typing import Protocol

from catalog.errors import BadSetup
from catalog.offers import Menu, load_menu


class Prices(Protocol):
    """Prices that change without the menu file."""

    def on(self, menu: Menu) -> Menu:
        """The menu at the prices in effect. Never waits within a transaction."""
        ...

    def read_again(self) -> None:
        """Note that some were set. Not within a transaction."""
        ...


class MenuSource:
    """Holds the last good menu. The first load must succeed: BadSetup otherwise."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp = self._read_stamp()
        self._menu = load_menu(path)
        self.problem: BadSetup | None = None
        self.prices: Prices | None = None
        """Set by the wiring; without, those of the file hold."""

    def get(self) -> Menu:
        """The menu; a changed file is read first, and a bad one leaves `problem` set."""
        if self._read_stamp() != self._stamp:
            with contextlib.suppress(BadSetup):
                self.reload()
        return self._menu if self.prices is None else self.prices.on(self._menu)

    @property
    def unpriced(self) -> Menu:
        """The menu as the file has it."""
        return self._menu

    def reload(self) -> Menu:
        """Read the file now. Raises BadSetup, and keeps the last good menu."""
        self._stamp = self._read_stamp()
        try:
            self._menu = load_menu(self._path)
        except BadSetup as error:
            self.problem = error
            raise
        self.problem = None
        return self._menu

    def _read_stamp(self) -> tuple[int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size
