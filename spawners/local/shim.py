"""Keeps one attempt alive, apart from every daemon, and writes down how it ended.

Run as ``python -I -S shim.py RUNDIR LOCK_FD``; standard library only, so that it starts in about
20 ms and runs no code of the product. The descriptor LOCK_FD holds an exclusive ``flock`` for as
long as the shim lives: whoever can take that lock knows that the shim is gone.

==================  =========  ==================================================================
file in RUNDIR      written by  means
==================  =========  ==================================================================
``run.json``        engine     what to run, with its secrets; 0600, removed once the command runs
``deadline``        engine     seconds since 1970; replaced to extend
``stop``            engine     grace in seconds; its presence asks for the end
``shim.json``       shim       this process: pid, start time, boot id
``started.json``    shim       the command's process: pid, start time, when
``log``, ``log.1``  shim       output of the command, 20 MiB in all, the oldest dropped
``exit.json``       shim       how it ended; written once, after the last process is gone
==================  =========  ==================================================================

Nothing outlives the attempt: the command dies with the shim (PR_SET_PDEATHSIG), its descendants
are found in their cgroup or, as this is their subreaper, by parentage.
"""

import contextlib
import ctypes
import errno
import json
import os
import pwd
import resource
import select
import signal
import sys
import time
from collections.abc import Callable
from typing import Any, NoReturn

LOG_FILE_BYTES = 10 * 2**20
"""``log`` moves to ``log.1`` at this size, so 20 MiB are kept at the most."""
TICK_S = 0.5
_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS = 1, 36, 38
_OF_THE_KERNEL = (signal.SIGKILL, signal.SIGSTOP)
_FROM_OUTSIDE = {signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP}


class NotStartedError(Exception):
    """The command could not be run; the text is for a person."""


class Log:
    """Bounded output: two files of `limit` bytes. A full disk loses output, never the attempt."""

    def __init__(self, path: str, limit: int = LOG_FILE_BYTES) -> None:
        self._path = path
        self._limit = limit
        self._fd = -1
        self._size = limit

    def write(self, data: bytes) -> None:
        with contextlib.suppress(OSError):
            if self._size + len(data) > self._limit or self._fd < 0:
                self._turn()
            self._size += os.write(self._fd, data)

    def _turn(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        with contextlib.suppress(FileNotFoundError):
            os.replace(self._path, self._path + ".1")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        self._fd = os.open(self._path, flags, 0o600)
        self._size = 0


class Shim:
    """The life of one attempt: start, watch, end, record."""

    def __init__(
        self, folder: str, run: dict[str, Any], enter: Callable[[dict[str, Any], int], None]
    ) -> None:
        self._folder = folder
        self._run = run
        self._enter = enter
        self._log = Log(self._at("log"))
        self._output, self._output_end = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._wake, self._wake_end = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._deadline = float(run["deadline"])
        self._child = 0
        self._status: int | None = None
        self._cause = ""
        self._kill_at = 0.0
        self._terminated = False
        self._catch_signals()

    def live(self) -> None:
        """Everything from the first look for a stop to ``exit.json``."""
        message = ""
        try:
            if self._end_is_wanted():
                self._kill_all()
            else:
                self._start()
                self._watch()
        except NotStartedError as error:
            self._cause, message = "not-started", str(error)
        except Exception as error:  # noqa: BLE001 (whatever broke, nothing may be left running)
            self._cause, message = "lost", f"the keeper of this attempt failed: {error!r}"
        self._kill_all()
        self._record(message)

    def _at(self, name: str) -> str:
        return f"{self._folder}/{name}"

    def _catch_signals(self) -> None:
        signal.set_wakeup_fd(self._wake_end, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self._on_term)
        for ignored in (signal.SIGHUP, signal.SIGINT, signal.SIGPIPE):
            signal.signal(ignored, signal.SIG_IGN)

    def _on_term(self, *_: object) -> None:
        self._terminated = True

    def _start(self) -> None:
        if self._run.get("mps"):
            start_mps(self._run["mps"])
        # Only now, so that the MPS daemon is not taken for a descendant of the command.
        _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        error, error_end = os.pipe2(os.O_CLOEXEC)
        keeper = os.getpid()
        self._child = os.fork()
        if self._child == 0:
            become(self._run, keeper, self._output_end, error_end, self._enter)
        os.close(error_end)
        os.close(self._output_end)
        reason = read_all(error)
        if reason:
            raise NotStartedError(reason)
        started = {"pid": self._child, "start": start_time(self._child), "at": time.time()}
        write_once(self._at("started.json"), started)
        unlink(self._at("run.json"))

    def _watch(self) -> None:
        while True:
            self._wait(TICK_S)
            self._reap()
            if self._status is not None and not self._cause:
                self._cause = "out-of-memory" if self._oom_kills() else ""
                return
            if self._end_is_wanted() and (self._over() or self._is_empty()):
                return

    def _wait(self, seconds: float) -> None:
        if self._cause:
            seconds = min(seconds, 0.05)
        wanted = [fd for fd in (self._output, self._wake) if fd >= 0]
        ready = select.select(wanted, [], [], seconds)[0]
        if self._wake in ready:
            read_some(self._wake)
        if self._output in ready:
            self._copy_output()

    def _copy_output(self) -> None:
        data = read_some(self._output)
        if data:
            self._log.write(data)
        elif data is not None:
            os.close(self._output)
            self._output = -1

    def _reap(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while (found := os.waitpid(-1, os.WNOHANG))[0]:
                if found[0] == self._child:
                    self._status = found[1]

    def _end_is_wanted(self) -> bool:
        """Look at every reason to end; the first one found is the cause."""
        stop_grace = self._stop_grace()
        if stop_grace is not None:
            self._begin_end("stopped", stop_grace)
        if time.time() >= self._read_deadline():
            self._begin_end("deadline", self._run["grace_s"])
        # On cgroup v1 the kernel kills one process; half an attempt is worse than none.
        if self._oom_kills():
            self._begin_end("out-of-memory", 0)
        return bool(self._cause)

    def _begin_end(self, cause: str, grace_s: float) -> None:
        kill_at = time.monotonic() + grace_s
        if self._cause:
            self._kill_at = min(self._kill_at, kill_at) if cause == "stopped" else self._kill_at
            return
        self._cause, self._kill_at = cause, kill_at
        if grace_s > 0:
            self._signal_all(signal.SIGTERM)

    def _over(self) -> bool:
        return time.monotonic() >= self._kill_at

    def _stop_grace(self) -> float | None:
        text = read_text(self._at("stop"))
        if text is None:
            # The engine's TERM only wakes; from anybody else it asks for the end by itself.
            return self._run["grace_s"] if self._terminated and not self._cause else None
        unlink(self._at("stop"))
        try:
            return max(0.0, float(text))
        except ValueError:
            return self._run["grace_s"]

    def _read_deadline(self) -> float:
        with contextlib.suppress(TypeError, ValueError):
            self._deadline = float(read_text(self._at("deadline")) or "")
        return self._deadline

    def _oom_kills(self) -> int:
        path = self._run.get("oom_file")
        for line in (read_text(path) or "").splitlines() if path else ():
            name, _, count = line.partition(" ")
            if name == "oom_kill":
                return int(count)
        return 0

    def _members(self) -> set[int]:
        """Live processes of the attempt: those of its groups, and every descendant."""
        return members(self._run["groups"]) | descendants(os.getpid())

    def _is_empty(self) -> bool:
        """Whether no member is left. While the command or a group lives, that is known without a look
        at all processes of the machine: many attempts that end at once would look at each other."""
        runs = self._child and self._status is None
        return not runs and not members(self._run["groups"]) and not self._members()

    def _signal_all(self, number: int) -> None:
        for pid in self._members():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)

    def _kill_all(self) -> None:
        """Return when no process is left. One stuck in the kernel is waited for, however long."""
        pause = 0.005
        while self._members():
            kill_group(self._run.get("kill_file"))
            self._signal_all(signal.SIGKILL)
            self._wait(pause)
            pause = min(TICK_S, pause * 1.5)
            self._reap()
        self._reap()
        while self._output >= 0 and select.select([self._output], [], [], 0)[0]:
            self._copy_output()

    def _record(self, message: str) -> None:
        oom_kills = self._oom_kills()
        code = None if self._status is None else os.waitstatus_to_exitcode(self._status)
        cause = self._cause or cause_of(code)
        if not message and cause in {"lost", "exited"} and code is not None and code < 0:
            message = f"ended by signal {-code} ({signal.strsignal(-code)})"
        record = {
            "cause": cause,
            "exit_code": code,
            "memory_peak_bytes": self._peak(),
            "oom_kills": oom_kills,
            "ended_at": time.time(),
            "message": message,
        }
        if self._run.get("mps"):
            quit_mps(self._run["mps"])
        remove_groups(self._run["groups"])
        unlink(self._at("run.json"))
        try:
            write_once(self._at("exit.json"), record)
        except OSError:
            # The disk is full: how it ended matters more than what it printed.
            unlink(self._at("log.1"))
            unlink(self._at("log"))
            write_once(self._at("exit.json"), record)

    def _peak(self) -> int:
        """The group's peak; without a group, that of the largest process. 0 if nothing ran."""
        if path := self._run.get("peak_file"):
            with contextlib.suppress(ValueError):
                return int(read_text(path) or "")
        return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 if self._child else 0


def cause_of(code: int | None) -> str:
    """Why a command ended that nobody here ended."""
    return "lost" if code is None or -code in _FROM_OUTSIDE else "exited"


def become(
    run: dict[str, Any], keeper: int, output: int, error: int,
    enter: Callable[[dict[str, Any], int], None],
) -> NoReturn:  # fmt: skip
    """In the forked child: join the groups, give up privileges, run the command.

    `enter` begins the command and does not return; it closes `error` when nothing can go wrong any
    more before the command's own first line, as an exec does by itself.
    """
    step = "join its resource groups"
    try:
        for group in run["groups"]:
            write_file(f"{group}/cgroup.procs", str(os.getpid()))
        step = "set up its input and output"
        reset_process(output, error)
        step = f"become user {run['uid']}"
        if run["uid"] is not None:
            give_up_privileges(run["uid"], run["gid"])
        # After the change of user, which clears it.
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != keeper:
            os._exit(1)
        step = f"enter the folder {run['cwd']}"
        os.chdir(run["cwd"])
        step = f"run {run['argv'][0]}"
        enter(run, error)
        raise RuntimeError("it returned")
    except BaseException as problem:  # noqa: BLE001 (a forked child must never return)
        reason = getattr(problem, "strerror", None) or str(problem)
        os.write(error, f"could not {step}: {reason}".encode(errors="replace"))
        os._exit(127)


def enter_by_exec(run: dict[str, Any], error: int) -> None:
    """Run the command in the place of this program."""
    del error  # closed by the exec itself
    os.execvpe(run["argv"][0], run["argv"], run["env"])  # noqa: S606 (that is its purpose)


def reset_process(output: int, error: int) -> None:
    """A plain process: own session, default signals, umask 0022, no descriptor but 0, 1, 2."""
    os.setsid()
    # By number: to name each of them costs a fork more memory than all the rest here.
    for number in range(1, signal.NSIG):
        if number not in _OF_THE_KERNEL:
            with contextlib.suppress(OSError, ValueError):
                signal.signal(number, signal.SIG_DFL)
    signal.set_wakeup_fd(-1)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    os.umask(0o022)
    nothing = os.open("/dev/null", os.O_RDONLY)
    for source, target in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    for fd in (0, 1, 2):
        os.set_blocking(fd, True)
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2 and int(name) != error:
            with contextlib.suppress(OSError):
                os.close(int(name))


def give_up_privileges(uid: int, gid: int | None) -> None:
    """Become `uid` for good; a set-uid program cannot give anything back."""
    group = uid if gid is None else gid
    try:
        os.initgroups(pwd.getpwuid(uid).pw_name, group)
    except KeyError:
        os.setgroups([])
    os.setresgid(group, group, group)
    os.setresuid(uid, uid, uid)
    _LIBC.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def start_mps(mps: dict[str, Any]) -> None:
    """Start the attempt's MPS control daemon, which carries the limits in its environment."""
    import subprocess

    try:
        subprocess.run(
            [mps["command"], "-d"],
            env=mps["env"],
            timeout=mps["timeout_s"],
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    except (OSError, subprocess.SubprocessError) as error:
        text = f"could not start the MPS daemon that limits this GPU share: {error}"
        raise NotStartedError(text) from error


def quit_mps(mps: dict[str, Any]) -> None:
    """Tell the MPS control daemon to quit; one that does not answer is left to the engine."""
    import subprocess

    with contextlib.suppress(OSError, subprocess.SubprocessError):
        subprocess.run(
            [mps["command"]],
            env=mps["env"],
            input=b"quit\n",
            timeout=mps["timeout_s"],
            check=False,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )


def members(groups: list[str]) -> set[int]:
    """Live processes in any of these control groups."""
    found = {
        int(word)
        for group in groups
        for word in (read_text(f"{group}/cgroup.procs") or "").split()
        if word.isdigit()
    }
    return {pid for pid in found if pid > 1 and stat_fields(pid)[:1] not in ([], ["Z"])}


def descendants(ancestor: int) -> set[int]:
    """Live processes below `ancestor`, by parentage."""
    parents: dict[int, int] = {}
    for name in os.listdir("/proc"):
        fields = stat_fields(int(name)) if name.isdigit() else []
        if fields and fields[0] != "Z":
            parents[int(name)] = int(fields[1])
    found = {ancestor}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {ancestor}


def kill_group(kill_file: str | None) -> None:
    if kill_file:
        with contextlib.suppress(OSError):
            write_file(kill_file, "1")


def remove_groups(groups: list[str]) -> None:
    """Remove empty control groups, within a second; what resists is left to the engine."""
    last = time.monotonic() + 1
    for group in groups:
        while True:
            try:
                os.rmdir(group)
            except OSError as error:
                # Busy: the kernel still lets go of the last process.
                if error.errno == errno.EBUSY and time.monotonic() < last:
                    time.sleep(0.01)
                    continue
            break


def stat_fields(pid: int) -> list[str]:
    """``/proc/PID/stat`` from field 3 (state) on; empty when there is no such process."""
    text = read_text(f"/proc/{pid}/stat")
    return text.rpartition(")")[2].split() if text else []


def start_time(pid: int) -> int:
    """Field 22 of ``/proc/PID/stat``: with the pid it names a process for good. 0 if gone."""
    fields = stat_fields(pid)
    return int(fields[19]) if fields else 0


def write_once(path: str, record: dict[str, Any]) -> None:
    """Appear whole or not at all; the first writer wins."""
    temporary = f"{path}.{os.getpid()}"
    with open(temporary, "w", encoding="utf-8") as file:
        json.dump(record, file)
        file.flush()
        os.fsync(file.fileno())
    with contextlib.suppress(FileExistsError):
        os.link(temporary, path)
    os.unlink(temporary)


def write_file(path: str, text: str) -> None:
    # Not as ASCII: a fork would have to import that encoding.
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def read_text(path: str) -> str | None:
    """None when it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return None


def read_some(fd: int) -> bytes | None:
    """What is there; empty at the end, None when there is nothing now."""
    try:
        return os.read(fd, 65536)
    except BlockingIOError:
        return None


def read_all(fd: int) -> str:
    with os.fdopen(fd, "rb") as file:
        return file.read().decode(errors="replace")


def unlink(path: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)


def detach() -> None:
    """Go on as a process of nobody; the caller waits until ``shim.json`` is written."""
    ready, ready_end = os.pipe2(os.O_CLOEXEC)
    if os.fork():
        os.close(ready_end)
        os._exit(0 if os.read(ready, 1) else 1)
    os.close(ready)
    announce()
    os.write(ready_end, b"1")
    os.close(ready_end)


def announce(**facts: bool) -> None:
    """Write ``shim.json``, with `facts`, in a session of its own. Where an attempt was begun twice,
    the first one keeps it and this process ends."""
    os.setsid()
    me = {
        **facts,
        "pid": os.getpid(),
        "start": start_time(os.getpid()),
        "boot": (read_text("/proc/sys/kernel/random/boot_id") or "").strip(),
    }
    write_once("shim.json", me)
    if json.loads(read_text("shim.json") or "{}") != me:
        os._exit(1)


def main(folder: str, lock: int) -> None:
    os.set_inheritable(lock, False)
    os.umask(0o077)
    os.chdir(folder)
    with open("run.json", "rb") as file:
        run = json.load(file)
    shim = Shim(os.getcwd(), run, enter_by_exec)
    detach()
    shim.live()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
