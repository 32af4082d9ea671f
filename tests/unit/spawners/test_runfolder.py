"""Files of an attempt that several threads of control write."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

from spawners.local.runfolder import RunFolder


def test_two_who_write_the_same_file_at_once_both_come_through(tmp_path: Path) -> None:
    folder, both = RunFolder(tmp_path / "run"), Barrier(2)
    folder.make()

    def move_deadline(to: str) -> None:
        both.wait()
        for _ in range(100):
            folder.write("deadline", to)

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(move_deadline, to) for to in ("1.5", "2.5")]:
            done.result()
    assert (folder.path / "deadline").read_text() in {"1.5", "2.5"}
    assert [path.name for path in folder.path.iterdir()] == ["deadline"]
