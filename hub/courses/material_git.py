"""Runs git on what strangers wrote: a clean environment, a user without rights, bounds on all.

Nothing of a repository is ever run: no hook, no filter, no submodule, no helper. As root, git runs
as a user of its own that owns the mirrors and nothing else.
"""

import contextlib
import ipaddress
import math
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import IO

from catalog.errors import PerijoveError, Refused, TooLarge, Unavailable
from catalog.units import GIB, MIB, format_bytes, format_duration
from hub.courses.material_source import Source

_LOOK_EVERY_S = 0.1
_PATH = f"{os.defpath}:/usr/local/bin"
_SAID_BYTES = 64 * 1024
_MEMORY_BYTES = 3 * GIB
"""Of address space; git itself needs a few MiB, and a crafted pack must not get more than this."""
_LIMITED = 'ulimit -c 0 && ulimit -v "$1" && ulimit -f "$2" && shift 2 && exec "$@"'
_CONFIG = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.protectHFS": "true",
    "core.protectNTFS": "true",
    "core.bigFileThreshold": "16m",
    "core.packedGitWindowSize": "32m",
    "core.packedGitLimit": "256m",
    "credential.helper": "",
    "fetch.recurseSubmodules": "false",
    "fetch.writeCommitGraph": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "http.followRedirects": "false",
    "http.proxy": "",
    "http.lowSpeedLimit": "1000",
    "http.lowSpeedTime": "30",
    "pack.threads": "1",
    "protocol.allow": "never",
    "submodule.recurse": "false",
    "transfer.bundleURI": "false",
    "transfer.fsckObjects": "true",
    "transfer.unpackLimit": "1",
    # Old and harmless faults of many a repository; what could do harm stays an error.
    "fetch.fsck.missingSpaceBeforeDate": "ignore",
    "fetch.fsck.badTimezone": "ignore",
    "fetch.fsck.zeroPaddedFilemode": "ignore",
    "fetch.fsck.badEmail": "ignore",
    "fetch.fsck.missingEmail": "ignore",
}
_PASSED_ON = ("GIT_SSL_CAINFO", "GIT_SSL_CAPATH", "SSL_CERT_FILE", "SSL_CERT_DIR")
"""How the operator says whose certificates hold."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one fetch may take."""

    size_bytes: int = 2 * GIB
    objects: int = 100_000
    time_s: float = 300.0


@dataclass(frozen=True, slots=True)
class Git:
    """git as one user. `config` is a file that says which folders may be read; see `write_config`."""

    config: Path
    uid: int | None = None

    def run(
        self, folder: Path, *args: str, asked: bytes = b"", time_s: float = 30.0,
        most: int = 64 * MIB,
    ) -> bytes:  # fmt: skip
        """A local command in a repository, told `asked`; what it printed. Raises Unavailable,
        TooLarge."""
        with (
            tempfile.TemporaryFile() as given,
            tempfile.TemporaryFile() as out,
            tempfile.TemporaryFile() as said,
        ):
            given.write(asked)
            given.seek(0)
            process = self._start(folder, args, {}, (given, out, said), most)
            _wait(process, time_s, lambda: None)
            if os.fstat(out.fileno()).st_size > most:
                raise TooLarge("the repository names too much")
            if process.returncode:
                raise Unavailable(f"git: {_first_line(said)}")
            out.seek(0)
            return out.read()

    def make(self, mirror: Path) -> None:
        """An empty mirror, unless it is there. `mirror` is a folder that git's user owns."""
        if not (mirror / "HEAD").exists():
            self._remove(_locks(mirror, older_than_s=Bounds().time_s))
            self.run(mirror, "init", "--quiet", "--bare", "--template=", "--", str(mirror))

    def fetch(
        self, mirror: Path, source: Source, addresses: Sequence[str], ref: str, bounds: Bounds
    ) -> None:
        """The newest commit of the source's branch, with what it names, as `ref` of the mirror.

        Connects to `addresses` only. Raises PerijoveError in words for the instructor; the mirror
        then still has what it had.
        """
        scheme = source.url.partition(":")[0] if source.host else "file"
        settings = {f"protocol.{scheme}.allow": "always"}
        if source.host and not _is_address(source.host):
            where = ",".join(f"[{a}]" if ":" in a else a for a in addresses)
            settings["http.curloptResolve"] = f"{source.host}:{source.port}:{where}"
        url = source.url if source.host else f"file://{source.url}"
        args = (
            "fetch", "--quiet", "--depth=1", "--no-tags", "--no-recurse-submodules", "--force",
            "--no-write-fetch-head", "--no-auto-maintenance", "--", url,
            f"+{source.branch or 'HEAD'}:{ref}",
        )  # fmt: skip
        # Left by a git whose control was killed: no fetch may take longer.
        self._remove(_locks(mirror, older_than_s=bounds.time_s))
        before = _Before.of(mirror)
        try:
            with tempfile.TemporaryFile() as said, Path(os.devnull).open("rb") as nothing:
                process = self._start(
                    mirror, args, settings, (nothing, said, said), bounds.size_bytes
                )
                _wait(process, bounds.time_s, lambda: before.check(mirror, bounds))
                # A file over the limit kills git: what lies there says it more plainly than git.
                before.check(mirror, bounds)
                if process.returncode:
                    raise _in_words(_said(said), source, bounds)
        except PerijoveError:
            self._remove([*before.added(mirror), mirror / ref])
            raise

    def _start(
        self, folder: Path, args: Sequence[str], settings: dict[str, str],
        files: tuple[IO[bytes], IO[bytes], IO[bytes]], most: int,
    ) -> subprocess.Popen[bytes]:  # fmt: skip
        binary = git_binary()
        if not binary:
            raise Unavailable("git is not installed here", next="tell the administrator")
        options = [f"{name}={value}" for name, value in {**_CONFIG, **settings}.items()]
        flags = [part for option in options for part in ("-c", option)]
        limits = [str(_MEMORY_BYTES // 1024), str((most + MIB) // 512)]
        limited = ["/bin/sh", "-c", _LIMITED, "sh", *limits]
        return self._as_user([*limited, binary, *flags, "--git-dir", str(folder), *args], files)

    def _as_user(
        self, command: Sequence[str], files: tuple[IO[bytes], IO[bytes], IO[bytes]]
    ) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command, cwd="/", env=self._environment(), stdin=files[0], stdout=files[1],
            stderr=files[2], start_new_session=True, umask=0o022, user=self.uid, group=self.uid,
            extra_groups=None if self.uid is None else [],
        )  # fmt: skip

    def _remove(self, paths: list[Path]) -> None:
        """As git's user: what a crafted repository may have made of a folder leads nowhere."""
        if not paths:
            return
        with tempfile.TemporaryFile() as said:
            command = ["/bin/rm", "-rf", "--", *map(str, paths)]
            self._as_user(command, (said, said, said)).wait()

    def _environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        return {
            "PATH": _PATH,
            "LC_ALL": "C",
            "HOME": "/nonexistent",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": str(self.config),
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ASKPASS": "/bin/false",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_ATTR_NOSYSTEM": "1",
            **kept,
        }


def git_binary() -> str:
    """The git that everybody on this machine may run; empty when there is none."""
    return shutil.which("git", path=_PATH) or ""


def write_config(path: Path) -> None:
    """What both git here and git as a student read: repositories of another user may be read."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.write_text("[safe]\n\tdirectory = *\n", encoding="utf-8")
    fresh.chmod(0o644)
    fresh.replace(path)


def _is_address(host: str) -> bool:
    """Then nothing is looked up that could be answered in another way."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class _Before:
    """What lay in a mirror before a fetch."""

    size_bytes: int
    packs: frozenset[Path]
    locks: frozenset[Path]

    @classmethod
    def of(cls, mirror: Path) -> "_Before":
        return cls(_size(mirror), frozenset(_packs(mirror)), frozenset(_locks(mirror)))

    def added(self, mirror: Path) -> list[Path]:
        """Packs, parts of them, and the locks of a git that was killed while it wrote."""
        packs = [path for path in _packs(mirror) if path not in self.packs]
        return packs + [path for path in _locks(mirror) if path not in self.locks]

    def check(self, mirror: Path, bounds: Bounds) -> None:
        """Raises TooLarge."""
        if _size(mirror) - self.size_bytes > bounds.size_bytes:
            raise _larger_than(bounds)
        added = (pack for pack in _packs(mirror) if pack not in self.packs)
        if any(_objects_of(pack) > bounds.objects for pack in added):
            raise TooLarge(
                f"the repository has more than {bounds.objects:,} objects",
                next="keep only what is needed on this branch",
            )


def _wait(process: subprocess.Popen[bytes], time_s: float, look: Callable[[], None]) -> None:
    """Until it ends; `look` may raise meanwhile. Raises Unavailable when it takes too long. It and
    all that it started are dead then."""
    until = time.monotonic() + time_s
    try:
        while process.poll() is None:
            look()
            if time.monotonic() > until:
                raise Unavailable(
                    f"it took longer than {format_duration(timedelta(seconds=time_s))}",
                    next="try again later; a smaller repository is faster",
                )
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_LOOK_EVERY_S)
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _larger_than(bounds: Bounds) -> TooLarge:
    return TooLarge(
        f"the repository is larger than {format_bytes(bounds.size_bytes)}",
        next="keep large data elsewhere, and only what is needed on this branch",
    )


def _packs(mirror: Path) -> list[Path]:
    return [path for path in (mirror / "objects").glob("*/*") if len(path.parent.name) > 2]


def _locks(mirror: Path, older_than_s: float | None = None) -> list[Path]:
    """What git makes for as long as it writes, made at least `older_than_s` ago. One that is left
    behind stops every later git."""
    found = [*mirror.glob("*.lock"), *mirror.glob("refs/**/*.lock")]
    if older_than_s is None:
        return found
    until = time.time() - older_than_s  # a file's time is the system's, not an injected clock's
    return [path for path in found if _written_at(path) < until]


def _written_at(path: Path) -> float:
    try:
        return path.lstat().st_mtime
    except FileNotFoundError:
        return math.inf


def _size(mirror: Path) -> int:
    total = 0
    for folder, _, names in os.walk(mirror):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(folder, name)).st_blocks * 512  # noqa: PTH118 (often)
    return total


def _objects_of(pack: Path) -> int:
    """What the header of a pack says, while it is received too; 0 for what is none."""
    with contextlib.suppress(OSError):
        fd = os.open(pack, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(fd, "rb") as file:
            head = file.read(12)
        if head[:4] == b"PACK" and len(head) == 12:
            return int.from_bytes(head[8:], "big")
    return 0


def _said(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read(_SAID_BYTES).decode(errors="replace")


def _first_line(file: IO[bytes]) -> str:
    lines = _said(file).strip().splitlines()
    return lines[0][:200] if lines else "it failed"


_REASONS: tuple[tuple[tuple[str, ...], str, str], ...] = (
    ((".lock': File exists",), "it is being fetched already", "try again in a few minutes"),
    (("couldn't find remote ref", "Remote branch"), "it has no branch {branch!r}",
     "check the name of the branch"),
    (("terminal prompts disabled", "Authentication failed", "could not read Username",
      "error: 401", "error: 403"),
     "it is not there, or not public", "the repository must be readable without a password"),
    (("not found", "error: 404", "does not appear to be a git repository", "not valid: is this a",
      "does not exist"),
     "there is no git repository", "check the address"),
    (("error: 30",), "the address leads to another one", "give the address it leads to"),
    (("SSL", "certificate"), "its certificate is not valid", "tell who runs that server"),
    (("Could not resolve", "Failed to connect", "Couldn't connect", "Connection refused",
      "timed out", "Operation too slow", "Connection reset", "Empty reply"),
     "its server does not answer", "try again later"),
    (("dumb http", "shallow"), "its server is too old: it only serves whole histories",
     "use a server that speaks git's own protocol"),
    (("fsck", "malformed", "corrupt", "unresolved deltas", "hasDot", "bad object", "index-pack"),
     "git finds objects in it that are broken or hostile", "run `git fsck` on it"),
    (("No space left",), "the disk is full here", "tell the administrator"),
)  # fmt: skip


def _in_words(said: str, source: Source, bounds: Bounds) -> PerijoveError:
    if "file too large" in said.lower() or "signal 25" in said:
        return _larger_than(bounds)
    for marks, words, next_ in _REASONS:
        if any(mark.lower() in said.lower() for mark in marks):
            return Refused(words.format(branch=source.branch), next=next_)
    lines = [line for line in said.strip().splitlines() if line.startswith(("fatal", "error"))]
    return Refused(f"git could not fetch it ({lines[0][:160] if lines else 'no reason given'})")
