"""What is forked from a template is what `python -P -c` would have been, and somebody's own."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from spawners.engine import EndCause, Phase
from spawners.local.processes import marked
from tests.contract.engines import wait_until
from tests.proc import found_in_memory
from tests.unit.forking.conftest import SOMEBODY, Forks

pytestmark = pytest.mark.slow

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user")
WAITS = "print('ready', flush=True); import time; time.sleep(600)"


def command_of(forks: Forks, attempt_id: str) -> int:
    """The pid of a command that waits."""
    wait_until(lambda: forks.engine.log(attempt_id) == b"ready\n")
    folder = forks.folder / "state" / "runs" / attempt_id
    return int(re.findall(r'"pid": (\d+)', (folder / "started.json").read_text())[0])


@root_only
def test_no_secret_of_one_is_in_the_memory_of_the_next(forks: Forks) -> None:
    names = ("mem1", "mem2", "mem3")
    ours = {name: f"the-token-of-{name}-{os.urandom(8).hex()}".encode() for name in names}
    for name, token in ours.items():
        env = {"LANG": "C.UTF-8", "TOKEN": token.decode()}
        forks.launch(forks.python(name, WAITS, env=env))
    for name, token in ours.items():
        assert found_in_memory(command_of(forks, name), *ours.values()) == {token}
    template = forks.engine.templates.pid(forks.template)
    assert found_in_memory(template, *ours.values()) == set()


def test_the_environment_is_its_own_alone(forks: Forks) -> None:
    env = {"ONE": "1", "USER": "ada", "LOGNAME": "ada"}
    code = 'import subprocess; told = [dict(os.environ), subprocess.check_output(["env", "-0"]).decode()]'
    python, child = forks.tell("env", code, env)
    assert {"ONE": "1", "USER": "ada", "HOME": "/home/env"}.items() <= python.items()
    assert not [name for name in python if "NUM_THREADS" in name or "PADDING" in name]
    assert dict(line.split("=", 1) for line in child.split(chr(0))[:-1]) == python


def test_what_imports_kept_of_the_environment_is_the_persons_own(forks: Forks) -> None:
    told = forks.tell("kept", "import kept_from_import as k; told = k.everything()")
    assert len(told) == 13
    assert set(told) == {"/home/kept"}


def test_no_mark_is_left_anywhere(forks: Forks) -> None:
    code = """
import gc
marks = ["perijove-" + "template-" + word for word in ("home", "user", "logname")]
told = [str(one)[:200] for one in gc.get_objects() if isinstance(one, (dict, list, tuple, set))
        and one is not marks
        and any(m in v for v in (one.values() if isinstance(one, dict) else one)
                if isinstance(v, str) for m in marks)]
"""
    assert forks.tell("marks", code) == []


def test_chance_is_its_own(forks: Forks) -> None:
    code = """
import multiprocessing.process, random, tempfile, uuid, numpy
told = [random.random(), numpy.random.random(), next(tempfile._get_candidate_names()), str(uuid.uuid4()),
    bytes(multiprocessing.process.current_process().authkey).hex(), os.urandom(8).hex(),
    numpy.random.default_rng().random(), uuid.uuid1().hex[16:20], tempfile.mkdtemp()]
os.rmdir(told[-1])
"""
    first, second = forks.tell("chance1", code), forks.tell("chance2", code)
    assert not set(first) & set(second)


def test_temporary_files_go_where_its_environment_says(forks: Forks, tmp_path: Path) -> None:
    code = "import tempfile; told = tempfile.gettempdir()"
    assert forks.tell("tmp", code, {"TMPDIR": str(tmp_path)}) == str(tmp_path)


def test_the_time_zone_is_its_own(forks: Forks) -> None:
    code = "import time; told = [time.strftime('%H', time.gmtime(0)), time.localtime(0).tm_hour]"
    assert forks.tell("zone", code, {"TZ": "XXX-5"}) == ["00", 5]


def test_nothing_is_open_but_input_and_output(forks: Forks) -> None:
    code = (
        "told = [fd for fd in os.listdir('/proc/self/fd') if os.path.exists('/proc/self/fd/' + fd)]"
    )
    assert sorted(forks.tell("files", code)) == ["0", "1", "2"]


@root_only
def test_it_is_that_user_and_nothing_else(forks: Forks) -> None:
    code = """
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
told = [os.getresuid(), os.getresgid(), os.getgroups(), os.umask(0), os.stat("/proc/self/mem").st_uid,
    [status[k].strip() for k in ("CapInh", "CapPrm", "CapEff", "CapAmb")], status["NoNewPrivs"].strip(),
    os.getsid(0) == os.getpid(), os.getcwd()]
try: os.setuid(0)
except PermissionError: told.append("refused")
"""
    told = forks.tell("user", code, uid=SOMEBODY)
    nothing = "0" * 16
    three = [SOMEBODY] * 3
    assert told == [three, three, [], 0o22, SOMEBODY, [nothing] * 4, "1", True, "/", "refused"]


@root_only
def test_it_cannot_read_its_keeper_or_the_template(forks: Forks) -> None:
    template = forks.engine.templates.pid(forks.template)
    code = f"""
told = []
for pid in (os.getppid(), {template}):
    for name in ("mem", "environ"):
        try: open(f"/proc/{{pid}}/{{name}}", "rb").read(1)
        except PermissionError: told.append("refused")
try: os.kill(os.getppid(), 9)
except PermissionError: told.append("refused")
"""
    assert forks.tell("keeper", code, uid=SOMEBODY) == ["refused"] * 5


def test_signals_are_those_of_a_fresh_python(forks: Forks) -> None:
    code = (
        "import signal; told = [str(signal.getsignal(n)) for n in sorted(signal.valid_signals())]"
    )
    fresh = subprocess.run(
        # Whoever runs the tests may ignore some (nohup, a shell's background): a fresh one does not.
        ["env", "--default-signal", sys.executable, "-P", "-c",
         f"import json\n{code}\nprint(json.dumps(told))"],
        capture_output=True, check=True, start_new_session=True,
    ).stdout  # fmt: skip
    told = forks.tell("signals", code)
    assert [re.sub(r"0x\w+", "", one) for one in told] == [
        re.sub(r"0x\w+", "", one) for one in json.loads(fresh)
    ]


def test_python_looks_as_it_does_with_the_same_command(forks: Forks) -> None:
    code = """
told = [sys.argv, sys.path, sys.flags.safe_path, __name__, sys.stdout.encoding, sys.stdout.errors,
    sys.stderr.errors, sys.stdin.errors, sys.stdout.line_buffering, sys.stderr.line_buffering,
    sys.getfilesystemencoding(), sorted(sys.modules["__main__"].__dict__), sys.dont_write_bytecode,
    [name for name in sys.modules if name.startswith("spawners")], __import__("gc").isenabled()]
"""
    assert forks.tell("looks", code) == forks.tell_anew("plain", code)


def test_ps_and_a_sweep_see_what_it_is(forks: Forks) -> None:
    env = {"LANG": "C.UTF-8", "JUPYTERHUB_SERVICE_PREFIX": "/user/ada/x/", "LAST": "x" * 100}
    spec = forks.python("title", WAITS, env=env)
    forks.launch(spec)
    pid = command_of(forks, "title")
    words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    assert words[:4] == [sys.executable.encode(), b"-P", b"-c", b"(forked)"]
    lines = set(Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"))
    assert {f"{name}={value}".encode() for name, value in env.items()} <= lines
    keeper = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    assert Path(f"/proc/{keeper}/cmdline").read_bytes().startswith(b"perijove-shim\0title\0")
    assert marked(forks.engine._marker("title")) == {pid, keeper}


@pytest.mark.parametrize(
    ("code", "expected", "said"),
    [
        ("pass", 0, ""),
        ("raise SystemExit", 0, ""),
        ("raise SystemExit(7)", 7, ""),
        ("raise SystemExit(-1)", 255, ""),
        ("raise SystemExit('no')", 1, "no\n"),
        ("import os; os._exit(9)", 9, ""),
        ("import os; os.abort()", -signal.SIGABRT, ""),
        ("import atexit; atexit.register(print, 'bye')", 0, "bye\n"),
        ("import threading; threading.Timer(0.05, print, ['late']).start()", 0, "late\n"),
        ("import os; os.kill(os.getpid(), 2)", -signal.SIGINT, None),
        ("1/0", 1, ('Traceback (most recent call last):\n  File "<string>", line 1, in <module>\n'
                    "ZeroDivisionError: division by zero\n")),
        ("def", 1, None),
    ],
)  # fmt: skip
def test_it_ends_as_python_does(forks: Forks, code: str, expected: int, said: str | None) -> None:
    name = f"end{abs(hash(code))}"
    forks.launch(forks.python(name, code))
    end = forks.wait_for(name, Phase.ENDED).exit
    assert end
    assert end.exit_code == expected
    if said is not None:
        assert forks.engine.log(name).decode() == said


def test_loggers_that_were_made_by_imports_speak_to_its_output(forks: Forks) -> None:
    forks.launch(forks.python("logs", "import kept_from_import as k; k.LOG.warning('heard')"))
    forks.wait_for("logs", Phase.ENDED)
    assert forks.engine.log("logs") == b"heard\n"


def test_the_code_runs_as_main_and_may_start_processes(forks: Forks) -> None:
    code = """
import multiprocessing
def double(n): return 2 * n
with multiprocessing.get_context("fork").Pool(2) as pool: told = pool.map(double, [1, 2])
"""
    assert forks.tell("pool", code) == [2, 4]


@root_only
def test_a_command_that_cannot_begin_says_why(forks: Forks) -> None:
    forks.launch(forks.python("lost", "pass", cwd="/nowhere-at-all"))
    end = forks.wait_for("lost", Phase.ENDED).exit
    assert end
    assert (end.cause, end.message[:40]) == (
        EndCause.NOT_STARTED, "could not enter the folder /nowhere-at-a",
    )  # fmt: skip
