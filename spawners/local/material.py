"""Brings the newest material of a course into a student's folder, before their lab opens.

Run as the student, ``python -I -S material.py``; standard library and git only, so that it starts
in 10 ms. ``PERIJOVE_MATERIAL`` says what to do, as JSON: ``mirror`` (a bare repository), ``commit``,
``folder`` (below the home), ``course``, ``git``, ``config`` (what git reads). The mirror is a folder
of this machine; nothing here connects to anywhere.

What a student has is never lost, and no conflict is ever shown:

=====================================  ==========================================================
the material                           becomes
=====================================  ==========================================================
new                                    there; a file of the student with that name is renamed
changed, the student did not           replaced
changed, the student did too           merged by line; where both changed a line, the student's
deleted, the student did not change    deleted
deleted, the student did change        the student's, kept
deleted by the student                 there again
=====================================  ==========================================================

Each file appears whole or not at all; a run that was cut off is safe to repeat. What it did is one
line on standard output: ``perijove-material {"code": "done", "new": 3, …}``.
"""

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import resource
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any, BinaryIO

SAYS = "perijove-material "
GIVE_UP_S = 600
_MOST_MERGED = 8 * 2**20
_CHUNK = 1 << 20
_LINK = "120000"
_FILES = {"100644": 0o644, "100664": 0o644, "100755": 0o755}
_MOST_WRITTEN = 4 * 2**30
Tree = dict[str, tuple[str, str]]
"""Mode and object id, by path."""


class CannotError(Exception):
    """It does not work; the text is one of the codes that control knows."""


class Objects:
    """The objects of a mirror, read by one git."""

    def __init__(self, plan: dict[str, str]) -> None:
        self._git = [plan["git"], "--git-dir", plan["mirror"]]
        self._env = {
            "PATH": os.defpath, "LC_ALL": "C", "HOME": "/nonexistent",
            "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": plan["config"],
            "GIT_NO_REPLACE_OBJECTS": "1", "GIT_ALLOW_PROTOCOL": "none",
        }  # fmt: skip
        self._reader: subprocess.Popen[bytes] | None = None

    def tree(self, commit: str) -> Tree:
        """All files and links of a commit. Submodules are left out."""
        done = self._run("ls-tree", "-r", "-z", "--full-tree", commit)
        found: Tree = {}
        for line in done.decode().split("\0"):
            about, _, path = line.partition("\t")
            if path and (mode := about.split()[0]) in (*_FILES, _LINK):
                found[path] = (mode, about.split()[2])
        return found

    def read(self, object_id: str) -> bytes:
        """Raises CannotError when it is not there."""
        return b"".join(self.stream(object_id))

    def stream(self, object_id: str) -> Iterator[bytes]:
        """In pieces; take them all. Raises CannotError when it is not there."""
        asked, answers = self._talk()
        asked.write(object_id.encode() + b"\n")
        asked.flush()
        head = answers.readline().split()
        if len(head) != 3 or head[1] != b"blob":
            raise CannotError("broken")
        left = int(head[2])
        while left:
            piece = answers.read(min(left, _CHUNK))
            if not piece:
                raise CannotError("broken")
            left -= len(piece)
            yield piece
        answers.read(1)

    def merged(self, mine: bytes, base: bytes, theirs: bytes) -> bytes | None:
        """By line; what both changed stays as in `mine`. None when they are no text."""
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            names = [os.path.join(folder, name) for name in ("mine", "base", "theirs")]
            for name, content in zip(names, (mine, base, theirs), strict=True):
                with open(name, "wb") as file:
                    file.write(content)
            done = subprocess.run(
                [self._git[0], "merge-file", "--ours", "-p", "--", *names], cwd=folder,
                env=self._env, capture_output=True, check=False,
            )  # fmt: skip
        return done.stdout if done.returncode == 0 else None

    def close(self) -> None:
        if self._reader is not None:
            with self._reader:
                self._reader.kill()

    def _run(self, *args: str) -> bytes:
        done = subprocess.run(
            [*self._git, *args], cwd="/", env=self._env, capture_output=True, check=False
        )
        if done.returncode:
            raise CannotError("broken")
        return done.stdout

    def _talk(self) -> tuple[BinaryIO, BinaryIO]:
        if self._reader is None:
            self._reader = subprocess.Popen(
                [*self._git, "cat-file", "--batch"], cwd="/", env=self._env,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            )  # fmt: skip
        asked, answers = self._reader.stdin, self._reader.stdout
        if asked is None or answers is None:
            raise CannotError("broken")
        return asked, answers  # type: ignore[return-value]  # (buffered streams of bytes)


class Merge:
    """One commit into one folder. `counts` says what happened."""

    def __init__(self, folder: str, objects: Objects, before: Tree, now: Tree) -> None:
        self._top = os.fsencode(folder)
        self._objects = objects
        self._before = before
        self._now = now
        names = ("new", "updated", "merged", "kept", "back", "renamed")
        self.counts: dict[str, int] = dict.fromkeys(names, 0)

    def run(self) -> None:
        # What goes, goes first: a folder may become a file, and a file a folder.
        for path in sorted(set(self._before) - set(self._now), reverse=True):
            self._gone(path)
        for path in sorted(self._now):
            self._came(path)

    def _gone(self, path: str) -> None:
        """The material has it no more."""
        place = self._at(path)
        if not os.path.lexists(place) or self._through_link(path):
            return
        if self._is(place, self._before[path]):
            os.unlink(place)
            self._drop_empty(os.path.dirname(place))
            self.counts["updated"] += 1
        else:
            self.counts["kept"] += 1

    def _came(self, path: str) -> None:
        """The material has it."""
        place, now, before = self._at(path), self._now[path], self._before.get(path)
        if not os.path.lexists(place):
            self._write(path, now)
            self.counts["new" if before is None else "back"] += 1
        elif now == before or self._is(place, now):
            return
        elif before is None:
            self._rename(place)
            self._write(path, now)
            self.counts["new"] += 1
        elif self._is(place, before):
            self._write(path, now)
            self.counts["updated"] += 1
        else:
            self._both_changed(path, before, now)

    def _both_changed(self, path: str, before: tuple[str, str], now: tuple[str, str]) -> None:
        place = self._at(path)
        merged = self._merged(place, before, now)
        if merged is None or not _sound(path, merged):
            self.counts["kept"] += 1
            return
        mode = stat.S_IMODE(os.lstat(place).st_mode)
        self._replace(place, [merged], mode)
        self.counts["merged"] += 1

    def _merged(self, place: bytes, before: tuple[str, str], now: tuple[str, str]) -> bytes | None:
        about = os.lstat(place)
        small = about.st_size <= _MOST_MERGED
        if not stat.S_ISREG(about.st_mode) or not small or _LINK in (before[0], now[0]):
            return None
        try:
            old = self._objects.read(before[1])
        except CannotError:
            return None  # the history of the material was begun anew
        new = self._objects.read(now[1])
        if max(len(old), len(new)) > _MOST_MERGED:
            return None
        with open(place, "rb") as file:
            return self._objects.merged(file.read(), old, new)

    def _write(self, path: str, what: tuple[str, str]) -> None:
        """As the material has it. Whatever is in the way of its folders is renamed."""
        place = self._at(path)
        self._make_way(os.path.dirname(path))
        if what[0] == _LINK:
            fresh = self._fresh(place)
            os.symlink(self._objects.read(what[1]), fresh)
            os.replace(fresh, place)
        else:
            self._replace(place, self._objects.stream(what[1]), _FILES[what[0]])

    def _replace(self, place: bytes, pieces: Any, mode: int) -> None:
        fresh = self._fresh(place)
        try:
            fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(fd, "wb") as file:
                for piece in pieces:
                    file.write(piece)
                os.fchmod(file.fileno(), mode)
            os.replace(fresh, place)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(fresh)
            raise

    def _make_way(self, folder: str) -> None:
        parts = folder.split("/") if folder else []
        for count in range(1, len(parts) + 1):
            place = self._at("/".join(parts[:count]))
            if os.path.lexists(place) and not os.path.isdir(place):
                self._rename(place)
            with contextlib.suppress(FileExistsError):
                os.mkdir(place, 0o755)

    def _rename(self, place: bytes) -> None:
        """``answers.txt`` of the student's becomes ``answers__20261121103000.txt``."""
        stem, suffix = os.path.splitext(place)
        stamp = time.strftime("__%Y%m%d%H%M%S").encode()
        name, count = stem + stamp + suffix, 1
        while os.path.lexists(name):
            count += 1
            name = stem + stamp + b"_%d" % count + suffix
        os.rename(place, name)
        self.counts["renamed"] += 1

    def _is(self, place: bytes, what: tuple[str, str]) -> bool:
        """Whether this is what is there, modes aside."""
        about = os.lstat(place)
        if stat.S_ISLNK(about.st_mode):
            target = os.readlink(place)
            return what[0] == _LINK and _object_id([target], len(target), what[1]) == what[1]
        if not stat.S_ISREG(about.st_mode) or what[0] == _LINK:
            return False
        with open(place, "rb") as file:
            pieces = iter(lambda: file.read(_CHUNK), b"")
            return _object_id(pieces, about.st_size, what[1]) == what[1]

    def _through_link(self, path: str) -> bool:
        """Whether a folder on the way is a link that the student made: what is there is theirs."""
        parts = path.split("/")[:-1]
        return any(os.path.islink(self._at("/".join(parts[:n]))) for n in range(1, len(parts) + 1))

    def _drop_empty(self, folder: bytes) -> None:
        while folder != self._top:
            try:
                os.rmdir(folder)
            except OSError:
                return
            folder = os.path.dirname(folder)

    def _at(self, path: str) -> bytes:
        return os.path.join(self._top, path.encode())

    @staticmethod
    def _fresh(place: bytes) -> bytes:
        return os.path.join(os.path.dirname(place), b".perijove-%d" % os.getpid())


def _object_id(pieces: Any, size: int, like: str) -> str:
    """As git names a blob."""
    digest = hashlib.sha1 if len(like) == 40 else hashlib.sha256
    found = digest(b"blob %d\0" % size)
    for piece in pieces:
        found.update(piece)
    return found.hexdigest()


def _sound(path: str, merged: bytes) -> bool:
    """A notebook that was merged by line must still be one."""
    if not path.endswith(".ipynb"):
        return True
    try:
        return isinstance(json.loads(merged), dict)
    except ValueError:
        return False


class State:
    """What was brought last, in the student's home; held by one run at a time."""

    def __init__(self, home: str, course: str) -> None:
        folder = os.path.join(home, ".local", "share", "perijove", "material")
        os.makedirs(folder, mode=0o700, exist_ok=True)
        self._path = os.path.join(folder, f"{course}.json")
        self._lock = os.open(self._path + ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self.commit, self.files = self._read()

    def close(self) -> None:
        os.close(self._lock)

    def _read(self) -> tuple[str, Tree]:
        try:
            with open(self._path, encoding="utf-8") as file:
                found = json.load(file)
            files = {str(p): (str(m), str(i)) for p, (m, i) in found["files"].items()}
            return str(found["commit"]), files
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return "", {}  # as if nothing had been brought yet: what is there is the student's

    def save(self, commit: str, files: Tree) -> None:
        fresh = f"{self._path}.{os.getpid()}"
        with open(fresh, "w", encoding="utf-8") as file:
            json.dump({"commit": commit, "files": files}, file)
        os.replace(fresh, self._path)


def bring(plan: dict[str, str], home: str) -> dict[str, int]:
    """Do it; answers what happened. Raises CannotError or OSError."""
    state = State(home, plan["course"])
    try:
        return _brought(plan, home, state)
    finally:
        state.close()


def _brought(plan: dict[str, str], home: str, state: State) -> dict[str, int]:
    folder = os.path.join(home, plan["folder"])
    try:
        os.makedirs(folder, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise CannotError("in-the-way") from error
    objects = Objects(plan)
    try:
        known = state.commit == plan["commit"]
        files = state.files if known else objects.tree(plan["commit"])
        merge = Merge(folder, objects, state.files, files)
        merge.run()
    finally:
        objects.close()
    if not known:
        state.save(plan["commit"], files)
    return merge.counts


def main() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (_MOST_WRITTEN, _MOST_WRITTEN))
    signal.alarm(GIVE_UP_S)
    os.umask(0o022)
    plan = json.loads(os.environ["PERIJOVE_MATERIAL"])
    said: dict[str, Any] = {"code": "done"}
    try:
        said |= bring(plan, os.environ["HOME"])
    except CannotError as error:
        said["code"] = str(error)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        said["code"] = "no-room" if full else "not-writable"
    # One write: the server beside it prints too.
    sys.stdout.write(SAYS + json.dumps(said) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
