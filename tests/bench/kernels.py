"""``make bench-kernels``: how long a notebook waits for its first output.

One notebook server with Perijove's part and one without, of the same environment, on one machine, in
turn. The clock runs from the request for a kernel to the first output of a line of code, over the
websocket that a page would use.

``N`` is how many of each (default 10). ``HEAVY`` names modules, separated by spaces: a second line of
code imports them, and Perijove's kernels have them imported ahead. ``PYTHONPATH`` may lead to them.
"""

import asyncio
import contextlib
import json
import os
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from tests.bench.memory import mib_of
from tests.bench.report import RESULTS, machine, versions
from tests.notebook_server import NotebookServer, notebook_server

_PLAIN_HAS_NOT = {"JUPYTER_CONFIG_PATH": ""}
"""Without the configuration nothing of Perijove is loaded."""


@dataclass
class Times:
    """Of one line of code on one server."""

    server: str
    code: str
    seconds: list[float] = field(default_factory=list[float])
    processor: list[float] = field(default_factory=list[float])

    def row(self) -> dict[str, Any]:
        return {
            "server": self.server, "code": self.code, "n": len(self.seconds),
            "median_s": round(statistics.median(self.seconds), 3),
            "worst_s": round(max(self.seconds), 3),
            "processor_s": round(statistics.median(self.processor), 3),
        }  # fmt: skip


async def first_output(server: NotebookServer, code: str) -> tuple[float, float]:
    """Seconds until it is there, and processor seconds that the kernel had taken by then."""
    begun = time.perf_counter()
    kernel = server.create()
    async with server.page(kernel) as page:
        await page.send("kernel_info_request", {})
        await page.next("kernel_info_reply")
        await page.run(code)
        message = await page.next("stream", "error")
        took = time.perf_counter() - begun
    if message["msg_type"] == "error":
        raise RuntimeError(f"{code}: {message['content']['evalue']}")
    used = server.process_of(kernel).cpu_times()
    server.remove(kernel)
    return took, used.user + used.system


def memory_of(server: NotebookServer, kernels: int) -> float:
    """MiB of proportional set size that so many idle kernels add to a server that has one page open."""
    made = [server.create_forked() if server.zygotes() else server.create() for _ in range(kernels)]
    for kernel in made:
        server.process_of(kernel)
    asyncio.run(_settle(server, made))
    below = psutil.Process(server.process.pid).children(recursive=True)
    total = mib_of({process.pid for process in below})
    for kernel in made:
        server.remove(kernel)
    return round(total, 1)


async def _settle(server: NotebookServer, kernels: list[str]) -> None:
    for kernel in kernels:
        async with server.page(kernel) as page:
            await page.tell("told = 1")


def main() -> int:
    """0 when every kernel answered."""
    n, heavy = int(os.environ.get("N", "10")), os.environ.get("HEAVY", "").split()
    codes = ["print(1)", *([f"import {', '.join(heavy)}; print(1)"] if heavy else [])]
    shared = {name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ}
    with contextlib.ExitStack() as stack:
        folders = [Path(stack.enter_context(tempfile.TemporaryDirectory())) for _ in range(2)]
        ours = {**shared, "PERIJOVE_PRELOAD": ",".join(heavy)}
        servers = {
            "plain": stack.enter_context(notebook_server(folders[0], shared | _PLAIN_HAS_NOT)),
            "perijove": stack.enter_context(notebook_server(folders[1], ours)),
        }
        before = machine()
        servers["perijove"].remove(servers["perijove"].create_forked())
        servers["plain"].remove(servers["plain"].create())
        rows = asyncio.run(_measure(servers, codes, n))
        memory = {
            name: {str(count): memory_of(server, count) for count in (1, 2, 4)}
            for name, server in servers.items()
        }
    result = {"rows": [one.row() for one in rows], "pss_mib_of_kernels": memory,
              "versions": versions(), "before": before, "after": machine()}  # fmt: skip
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "kernels.json").write_text(json.dumps(result, indent=1) + "\n")
    for row in result["rows"]:
        sys.stdout.write("  ".join(f"{key} {value}" for key, value in row.items()) + "\n")
    sys.stdout.write(f"MiB of 1, 2, 4 kernels, with what they are forked from: {memory}\n")
    return 0


async def _measure(servers: dict[str, NotebookServer], codes: list[str], n: int) -> list[Times]:
    rows = [Times(name, code) for code in codes for name in servers]
    for _ in range(n):
        for one in rows:
            took, used = await first_output(servers[one.server], one.code)
            one.seconds.append(took)
            one.processor.append(used)
    return rows


if __name__ == "__main__":
    sys.exit(main())
