"""A Perijove for a benchmark alone: a folder of its own, started and ended with all that it runs."""

import shutil
import tempfile
from pathlib import Path
from typing import Self

from tests import leftovers
from tests.live import LiveSite

ROOMY = "cpu: 400\nmemory: 800Gi\n"
"""An inventory file that has a place for everybody: what is measured is the start, not the queue."""


class OwnSite:
    """`site` runs within the context; nothing of it is left when that ends, whatever ended it."""

    def __init__(self, name: str) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix=f"bench-{name}-"))
        self.site = LiveSite(self._folder)
        self.url = self.site.url

    def prepare(self) -> None:
        """What has to be made at the site that just started, before anybody comes."""

    def __enter__(self) -> Self:
        try:
            self.site.home.mkdir(mode=0o700)
            (self.site.home / "inventory.yaml").write_text(ROOMY)
            self.site.start()
            self.prepare()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        leftovers.end(self.site)
        shutil.rmtree(self._folder, ignore_errors=True)
