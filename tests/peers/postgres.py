"""A real PostgreSQL on a socket alone, under a uid that is not root's."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

_NOBODY = 65534
_PATIENCE_S = 30


@contextmanager
def running_postgres(postgres_bin: Path) -> Iterator[str]:
    """The URL of a fresh server's maintenance database; the server goes with the block."""
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    uid = _NOBODY if os.geteuid() == 0 else None
    if uid:
        os.chown(folder, uid, uid)
    data = folder / "data"
    subprocess.run(
        [postgres_bin / "initdb", "-D", data, "-U", "owner", "-A", "trust", "--no-sync"],
        check=True, capture_output=True, user=uid, cwd=folder,
    )  # fmt: skip
    running = subprocess.Popen(
        [postgres_bin / "postgres", "-D", data, "-k", folder, "-h", "", "-F"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, user=uid, cwd=folder,
    )  # fmt: skip
    try:
        yield _when_it_answers(f"postgresql://owner@/postgres?host={folder}")
    finally:
        running.terminate()
        running.wait(timeout=20)
        shutil.rmtree(folder)


def _when_it_answers(url: str) -> str:
    end = time.monotonic() + _PATIENCE_S
    while True:
        try:
            psycopg.connect(url).close()
        except psycopg.OperationalError:
            assert time.monotonic() < end, "PostgreSQL did not start"
            time.sleep(0.1)
        else:
            return url
