from pathlib import Path

import pytest

from hub.up import logs


def test_the_log_is_appended_to_and_its_tail_starts_where_asked(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    with logs.open_log(path) as log:
        log.write(b"one\n")
    with logs.open_log(path) as log:
        begins = log.tell()
        log.write(b"two\nthree\n")
    assert logs.tail(path) == ["one", "two", "three"]
    assert logs.tail(path, since=begins) == ["two", "three"]
    assert logs.tail(path, lines=1) == ["three"]
    assert logs.tail(tmp_path / "missing") == []


def test_a_large_log_is_put_aside_and_three_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "LARGEST", 3)
    path = tmp_path / "x.log"
    for number in range(6):
        with logs.open_log(path) as log:
            log.write(f"start {number}\n".encode())
    said = {p.name: p.read_text() for p in tmp_path.iterdir()}
    assert said == {
        "x.log": "start 5\n",
        "x.log.1": "start 4\n",
        "x.log.2": "start 3\n",
        "x.log.3": "start 2\n",
    }


def test_the_last_setup_error_of_this_life_is_found_among_noise(tmp_path: Path) -> None:
    path = tmp_path / "x.log"
    path.write_text('{"error": {"message": "old"}}\n')
    since = path.stat().st_size
    assert logs.setup_error(path, since) is None
    with path.open("a") as log:
        log.write('{"level": "info"}\nnoise\n{"error": {"message": "new", "next": "x"}}\nbye\n')
    assert logs.setup_error(path, since) == {"message": "new", "next": "x"}
