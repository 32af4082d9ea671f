"""A template with what a scientific Python has, and forks of it that tell about themselves."""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from spawners.engine import Phase, Template
from tests.contract.engines import ForkedBench, wait_until

SOMEBODY = 61234
MODULES = (
    "asyncio", "kept_from_import", "logging", "multiprocessing.process", "numpy.random", "random",
    "ssl", "subprocess", "tempfile", "uuid",
)  # fmt: skip
KEPT = """
import functools, logging, os, sys
from pathlib import Path
HOME = os.path.expanduser("~")
try: os.environ[b"LOOKED_UP_IN_BYTES"]
except TypeError: pass
IN_LIST, IN_TUPLE, IN_SET = [HOME], ("x", (HOME, 1)), {HOME}
IN_PATH, IN_BYTES = Path(HOME) / "data", os.fsencode(HOME)
class Kept:
    at = HOME
    def __init__(self): self.mine = HOME
class Slotted:
    __slots__ = ("mine",)
    def __init__(self): self.mine = HOME
INSTANCE, SLOTTED = Kept(), Slotted()
def default(at=HOME, *, named=HOME): return [at, named]
def closed():
    inner = HOME
    return lambda: inner
CLOSURE = closed()
@functools.lru_cache
def cached(): return os.path.expanduser("~")
cached()
LOG = logging.getLogger("kept")
LOG.addHandler(logging.StreamHandler())
everything = lambda: [HOME, IN_LIST[0], IN_TUPLE[1][0], *IN_SET, str(IN_PATH.parent), os.fsdecode(IN_BYTES),
    Kept.at, INSTANCE.mine, SLOTTED.mine, *default(), CLOSURE(), cached()]
"""


class Forks(ForkedBench):
    """Each attempt prints one JSON value."""

    def tell(
        self, attempt_id: str, code: str, env: dict[str, str] | None = None, **more: Any
    ) -> Any:
        self.launch(self.told(attempt_id, code, env, **more))
        self.wait_for(attempt_id, Phase.ENDED)
        return json.loads(self.engine.log(attempt_id))

    def tell_anew(
        self, attempt_id: str, code: str, env: dict[str, str] | None = None, **more: Any
    ) -> Any:
        """The same from a process that is started as without a template."""
        self.engine.launch(self.told(attempt_id, code, env, template=None, **more))
        # Imports of JupyterLab take long on a busy machine.
        wait_until(lambda: self.engine.observe([attempt_id])[0].exit, 60)
        assert not self.forked(attempt_id)
        return json.loads(self.engine.log(attempt_id))

    def told(
        self, attempt_id: str, code: str, env: dict[str, str] | None = None, **more: Any
    ) -> Any:
        lines = f"import json, os, sys\n{code}\nprint(json.dumps(told))"
        full = {"PATH": os.defpath, "LANG": "C.UTF-8", "HOME": f"/home/{attempt_id}", **(env or {})}
        return self.python(attempt_id, lines, env=full, **more)


@pytest.fixture(scope="module")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forks]:
    folder = tmp_path_factory.mktemp("forks")
    (folder / "kept_from_import.py").write_text(KEPT)
    template = Template(sys.executable, MODULES, paths=(str(folder),))
    found = Forks(folder, Path("/sys/fs/cgroup"), template)
    yield found
    found.close()
