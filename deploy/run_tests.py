"""Runs all tests and ends with one line that counts them.

Whole sites come after the rest, two at a time at most: each is several processes that start Python.
Tests of one file share theirs. What is marked ``alone`` comes last: it measures, or takes all of the
machine. Arguments are handed on to pytest (``python -m deploy.run_tests -k menu``).
"""

import os
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree as ET

_NOTHING_COLLECTED = 5


@dataclass
class Tally:
    """Counts over several runs of pytest, and why tests were skipped."""

    passed: int = 0
    failed: int = 0
    skipped: Counter[str] = field(default_factory=Counter[str])

    def add(self, report: Path, status: int) -> None:
        """Add pytest's JUnit report; a run that failed without a failed test counts as one."""
        failed_before = self.failed
        for case in ET.parse(report).iter("testcase") if report.exists() else ():  # noqa: S314 (written just now by pytest)
            if case.find("failure") is not None or case.find("error") is not None:
                self.failed += 1
            elif (skip := case.find("skipped")) is not None:
                self.skipped[skip.get("message", "")] += 1
            else:
                self.passed += 1
        if status not in (0, _NOTHING_COLLECTED) and self.failed == failed_before:
            self.failed += 1

    def lines(self) -> list[str]:
        """What was skipped and why, then the counts, which are the last line."""
        reasons = [f"skipped {count}: {why}" for why, count in sorted(self.skipped.items())]
        counts = f"{self.passed} passed, {self.failed} failed, {self.skipped.total()} skipped"
        return [*reasons, counts]


def main(arguments: list[str]) -> int:
    """0 when every test that could run passed."""
    tally = Tally()
    workers = min(4, os.cpu_count() or 1)
    sites = min(2, workers)
    with tempfile.TemporaryDirectory(prefix="perijove-tests-") as folder:
        for name, choice in (
            ("rest", ["-m", "not e2e", "-n", str(workers)]),
            ("sites", ["-m", "e2e and not alone", "-n", str(sites), "--dist", "loadfile"]),
            ("alone", ["-m", "e2e and alone"]),
        ):
            report = Path(folder, f"{name}.xml")
            status = subprocess.run(
                [sys.executable, "-m", "pytest", "-q", *choice, f"--junitxml={report}", *arguments],
                check=False,
            ).returncode
            tally.add(report, status)
    print("\n".join(["", *tally.lines()]))
    return 1 if tally.failed or not tally.passed else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
