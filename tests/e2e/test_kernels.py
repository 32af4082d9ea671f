"""A kernel that is forked is what a kernel that is started would be, and where it cannot be, one is
started. With the notebook environment's own server and kernels."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.live import wait_for
from tests.notebook_server import NotebookServer, notebook_server

STARTED = "started-anew"
"""A kernelspec of the same Python with a variable of its own: such a kernel is not forked."""
FACTS = """
import contextlib, gc, os, resource, signal, sys, threading
files = set()
for fd in os.listdir("/proc/self/fd"):
    with contextlib.suppress(OSError):
        files |= {path for path in [os.readlink(f"/proc/self/fd/{fd}")] if path.startswith("/")}
told = dict(
    argv0=sys.argv[0], options=len(sys.argv), orig=sys.orig_argv[:4], path=sys.path,
    flags=list(sys.flags), cwd=os.getcwd(), leads=[os.getsid(0) == os.getpid(), os.getpgrp() == os.getpid()],
    signals={n.name: str(signal.getsignal(n)) for n in signal.valid_signals() if hasattr(n, "name")},
    umask=os.umask(0o022), threads=threading.active_count(), encoding=sys.stdout.encoding,
    limits=[resource.getrlimit(n) for n in range(16)], executable=sys.executable, collects=gc.isenabled(),
    main=sorted(vars(sys.modules["__main__"]).keys() - {"_i1"}), input=os.read(0, 1).decode(),
    env={k: v for k, v in os.environ.items() if not k.startswith("JPY_")},
    files=sorted(path for path in files - {"/dev/null"} if ".ipython" not in path),
    modules=sorted(sys.modules), parent=os.environ["JPY_PARENT_PID"] == str(os.getppid()),
)
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NotebookServer]:
    folder = tmp_path_factory.mktemp("server")
    add_kernel(folder, STARTED, {"env": {"OF_ITS_OWN": "1"}})
    add_kernel(folder, "provisioned", {
        "metadata": {"kernel_provisioner": {"provisioner_name": "local-provisioner"}}
    })  # fmt: skip
    with notebook_server(folder) as found:
        yield found


def add_kernel(home: Path, name: str, more: dict[str, Any]) -> None:
    place = home / ".local/share/jupyter/kernels" / name
    place.mkdir(parents=True)
    argv = ["python", "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    told = {"argv": argv, "display_name": name, "language": "python", **more}
    (place / "kernel.json").write_text(json.dumps(told))


async def facts_of(server: NotebookServer, kernel: str) -> dict[str, Any]:
    async with server.page(kernel) as page:
        return await page.tell(FACTS)


async def test_it_looks_as_one_that_was_started(server: NotebookServer) -> None:
    (server.home / "lab").mkdir()
    forked = await facts_of(server, server.create_forked(path="lab/x.ipynb"))
    kernel = server.create(STARTED, path="lab/x.ipynb")
    assert not server.is_forked(kernel)
    started = await facts_of(server, kernel)
    assert started["env"].pop("OF_ITS_OWN") == "1"
    assert set(forked.pop("modules")) - set(started.pop("modules")) <= {"gc"}
    assert forked == started
    assert forked["cwd"] == str(server.home / "lab")


async def test_chance_is_its_own(server: NotebookServer) -> None:
    code = """
import multiprocessing, random, tempfile, uuid
key = multiprocessing.current_process().authkey.hex()
told = [random.random(), tempfile.mktemp(), str(uuid.uuid1()), key]
"""
    seen: list[Any] = []
    for _ in range(2):
        async with server.page(server.create_forked()) as page:
            seen += [await page.tell(code)]
    assert all(one != other for one, other in zip(*seen, strict=True))


async def test_it_is_interrupted_restarted_and_removed(server: NotebookServer) -> None:
    kernel = server.create_forked()
    first = server.process_of(kernel)
    async with server.page(kernel) as page:
        await page.run("print('begun', flush=True)\nimport time; time.sleep(60)")
        await page.next("stream")
        server.http.post(f"/api/kernels/{kernel}/interrupt")
        assert (await page.next("error"))["content"]["ename"] == "KeyboardInterrupt"
        assert server.http.post(f"/api/kernels/{kernel}/restart").status_code == 200
        assert await page.tell("told = 'begun' in globals()") is False
    second = server.process_of(kernel)
    assert second.pid != first.pid
    assert server.is_forked(kernel)
    server.remove(kernel)
    wait_for("both are gone", lambda: not (first.is_running() or second.is_running()), 20)


@pytest.mark.parametrize("end", ["import os; os.kill(os.getpid(), 9)", "import os; os._exit(3)"])
async def test_one_that_dies_is_begun_again(server: NotebookServer, end: str) -> None:
    kernel = server.create_forked()
    first = server.process_of(kernel)
    async with server.page(kernel) as page:
        await page.run(end)
        while (await page.next("status"))["content"]["execution_state"] != "restarting":
            pass
    wait_for("another runs", lambda: server.process_of(kernel).pid != first.pid, 20)


async def test_it_asks_its_page_and_runs_programs(server: NotebookServer) -> None:
    async with server.page(server.create_forked()) as page:
        await page.run("print(input('name? '))")
        assert (await page.next("input_request"))["content"]["prompt"] == "name? "
        await page.send("input_reply", {"value": "Ada"}, "stdin")
        assert "Ada" in (await page.next("stream"))["content"]["text"]
        code = "import subprocess; told = subprocess.run(['sh', '-c', 'exit 7']).returncode"
        assert await page.tell(code) == 7


async def test_its_debugger_answers(server: NotebookServer) -> None:
    async with server.page(server.create_forked()) as page:
        asked = {"seq": 1, "type": "request", "command": "initialize",
                 "arguments": {"clientID": "t", "adapterID": "", "pathFormat": "path"}}  # fmt: skip
        await page.send("debug_request", asked, "control")
        assert (await page.next("debug_reply"))["content"]["success"] is True


def test_a_kernel_with_a_provisioner_of_its_own_keeps_it(server: NotebookServer) -> None:
    server.remove(server.create_forked())
    assert not server.is_forked(server.create("provisioned"))


async def test_what_is_named_is_imported_ahead(tmp_path: Path) -> None:
    modules = tmp_path / "modules"
    modules.mkdir()
    (modules / "heavy.py").write_text("import os\nIN = os.getpid()\nSAYS = 'old'\n")
    (modules / "broken.py").write_text("raise ValueError('not today')\n")
    env = {"PERIJOVE_PRELOAD": "broken, heavy", "PYTHONPATH": str(modules)}
    with notebook_server(tmp_path, env) as server:
        code = (
            "import os, sys; told = ['heavy' in sys.modules]\n"
            "import heavy; told += [heavy.IN == os.getpid(), heavy.SAYS]"
        )
        async with server.page(server.create_forked()) as page:
            assert await page.tell(code) == [True, False, "old"]
        assert "broken is not imported ahead: ValueError('not today')" in log_of(server)
        # What is installed changes: a kernel sees that as it always did.
        (modules / "heavy.py").write_text("SAYS = 'something else'\nIN = 0\n")
        kernel = server.create()
        assert not server.is_forked(kernel)
        async with server.page(kernel) as page:
            assert await page.tell(code) == [False, False, "something else"]


def test_nothing_is_forked_from_what_runs_threads(tmp_path: Path) -> None:
    (tmp_path / "threaded.py").write_text(
        "import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
    )
    env = {"PERIJOVE_PRELOAD": "threaded", "PYTHONPATH": str(tmp_path)}
    with notebook_server(tmp_path, env) as server:
        assert not server.is_forked(server.create())
        said = "kernels are not forked: a module has started a thread"
        wait_for("the log says why", lambda: said in log_of(server))


async def test_without_a_zygote_kernels_are_started(tmp_path: Path) -> None:
    with notebook_server(tmp_path) as server:
        forked = server.create_forked()
        [zygote] = server.zygotes()
        os.kill(zygote.pid, signal.SIGKILL)
        kernel = server.create()
        assert not server.is_forked(kernel)
        async with server.page(kernel) as page:
            assert await page.tell("told = 1") == 1
        # As with the end of a server, a kernel does not outlive what it was forked from.
        wait_for("the other is started in its place", lambda: not server.is_forked(forked), 30)


def test_a_zygote_that_has_ended_is_taken_away_though_nobody_asks(tmp_path: Path) -> None:
    with notebook_server(tmp_path) as server:
        server.remove(server.create_forked())
        [zygote] = server.zygotes()
        zygote.kill()
        wait_for("it is gone", lambda: not psutil.pid_exists(zygote.pid), 20)


def test_nothing_outlives_the_server(tmp_path: Path) -> None:
    with notebook_server(tmp_path) as server:
        server.create_forked()
        left = psutil.Process(server.process.pid).children(recursive=True)
        assert len(left) == 2
        server.process.kill()
        wait_for("all are gone", lambda: not [one for one in left if one.is_running()], 20)


def log_of(server: NotebookServer) -> str:
    return (server.home / "server.log").read_text()
