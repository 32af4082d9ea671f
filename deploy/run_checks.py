"""Runs what `make check` promises within a minute: the linters beside the fast tests.

Each prints what it has to say when it has ended, in the order of the list; the tests come last. They
are those of the parts that are not marked slow, and properties are tried with an eighth of their
examples: `make test` runs all.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

QUICK = "quick"
"""Hypothesis' profile; see `tests.examples`."""
BIN = Path(sys.executable).parent
LINTERS: Sequence[Sequence[str | Path]] = (
    (sys.executable, "-m", "ruff", "check", "--quiet", "."),
    (sys.executable, "-m", "ruff", "format", "--check", "--quiet", "."),
    (BIN / "lint-imports", "--no-logo"),
    (sys.executable, "-m", "pyright"),
)
FAST = ("-m", "not slow", f"--hypothesis-profile={QUICK}", "tests/unit", "tests/architecture")


def main() -> int:
    """0 when everything is well."""
    workers = str(min(4, os.cpu_count() or 1))
    tests = (sys.executable, "-m", "pytest", "-q", "-n", workers, *FAST)
    with ThreadPoolExecutor(2) as pool:
        # pyright takes one core for as long as the tests take the other.
        linting = pool.submit(lambda: [_run(linter) for linter in LINTERS])
        testing = pool.submit(_run, tests)
        ended = [*linting.result(), testing.result()]
    for one in ended:
        print(one.stdout, end="")
    return int(any(one.returncode for one in ended))


def _run(command: Sequence[str | Path]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
