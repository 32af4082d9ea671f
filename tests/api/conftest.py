"""A site for each test."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from tests.site import Site


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with Site(tmp_path) as built:
        built.person("mia")
        built.person("noa")
        yield built


@pytest.fixture
def statements(site: Site) -> Iterator[list[str]]:
    """What the site's database is asked from here on, in SQL."""
    found: list[str] = []

    def note(*args: Any) -> None:
        found.append(args[2])

    event.listen(site.control.store.engine, "before_cursor_execute", note)
    yield found
    event.remove(site.control.store.engine, "before_cursor_execute", note)
