"""The fake NVML, compiled once, and a process that discovers through it.

NVML is loaded once per process and never let go, so each machine that a test plays is a process of
its own, told what to do through its standard input.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
DEADLINE_S = 60


@dataclass
class Machine:
    """A machine whose NVIDIA driver says what the test writes."""

    library: Path
    folder: Path
    _process: subprocess.Popen[str] | None = field(default=None, init=False)

    def says(self, *facts: str) -> None:
        """From now on the driver says this; see nvml.c for the words."""
        fresh = self.folder / "state.new"
        fresh.write_text("\n".join(facts) + "\n", encoding="utf-8")
        fresh.replace(self.folder / "state")

    def has_mps(self) -> None:
        """Installs something called nvidia-cuda-mps-control."""
        program = self.folder / "nvidia-cuda-mps-control"
        program.write_text("#!/bin/sh\n", encoding="utf-8")
        program.chmod(0o755)

    @property
    def env(self) -> dict[str, str]:
        """The environment in which a process finds this driver."""
        return {
            **os.environ,
            "FAKE_NVML_STATE": str(self.folder / "state"),
            "LD_LIBRARY_PATH": str(self.library.parent),
            "PATH": f"{self.folder}:/usr/bin:/bin",
            "PYTHONPATH": str(ROOT),
        }

    def read(self, minutes_later: float = 0) -> dict[str, Any]:
        """One more reading by the same `Discovery`: ``{"devices": {id: …}, "warnings": […]}``."""
        process = self._process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{minutes_later}\n")
        process.stdin.flush()
        return json.loads(process.stdout.readline())

    def end(self) -> None:
        if self._process is not None:
            self._process.communicate(timeout=DEADLINE_S)

    def _start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, HERE / "reader.py"],
            env=self.env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )


@pytest.fixture(scope="session")
def fake_nvml_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """libnvidia-ml.so.1, compiled from nvml.c; skips where there is no compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler for the fake NVML; install gcc")
    library = tmp_path_factory.mktemp("fake-nvml") / "libnvidia-ml.so.1"
    subprocess.run(
        [
            compiler,
            "-Wall",
            "-Wextra",
            "-Werror",
            "-shared",
            "-fPIC",
            "-o",
            library,
            HERE / "nvml.c",
        ],
        check=True,
        timeout=DEADLINE_S,
    )
    return library


@pytest.fixture
def machine(fake_nvml_library: Path, tmp_path: Path) -> Iterator[Machine]:
    """A machine with the fake driver; its process ends with the test."""
    machine = Machine(fake_nvml_library, tmp_path)
    yield machine
    machine.end()
