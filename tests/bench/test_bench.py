"""What the benchmark makes of its options and its measurements."""

import json
from pathlib import Path

import pytest

from tests.bench.report import Series, table, write
from tests.bench.start import Options


def test_options_have_defaults_and_name_what_is_wrong() -> None:
    plain = Options.read({})
    assert (plain.n, plain.offer, plain.crowds) == (
        10, "gpu-quarter", [(30, "plain"), (30, "perijove")],
    )  # fmt: skip
    assert plain.rounds == ("api", "click", "first-output", "return")
    some = Options.read({"CASES": "at-once-150 api at-once-2", "N": "3"})
    # A plain JupyterHub is not asked for 150, and no time is set aside for it.
    crowds = [(2, "plain"), (2, "perijove"), (150, "perijove")]
    assert (some.rounds, some.crowds, some.in_browser) == (("api",), crowds, False)
    assert some.crowds_s == 2 * 2.5 + 2 + 150
    for name, value in (
        ("N", "0"), ("N", "ten"), ("CASES", "clicks"), ("CASES", "at-once-0"),
        ("CASES", "at-once-200"), ("SERVERS", " "), ("SERVERS", "at-once-2"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=name):
            Options.read({name: value})


def test_a_failure_counts_and_is_in_no_figure(tmp_path: Path) -> None:
    some = Series("perijove", "api", "none", [1.0, 3.0, 1.2], [90.04, 91.0, 92.0], failures=1)
    none = Series("plain", "api", "none", failures=2)
    write([some, none], {"offer": "cpu"}, tmp_path)
    first, second = json.loads((tmp_path / "start.json").read_text())
    assert first == {
        "server": "perijove", "case": "api", "n": 4, "failures": 1, "median_s": 1.2,
        "worst_s": 3.0, "pss_mib_per_server": 91.0, "cache": "none",
    }  # fmt: skip
    assert (second["n"], second["failures"], second["median_s"]) == (2, 2, None)
    assert json.loads((tmp_path / "start-versions.json").read_text()) == {"offer": "cpu"}
    assert table([some, none]).splitlines()[2].split()[-3:] == ["-", "-", "-"]
    crowd = Series("plain", "at-once-2", "none", [1.0, 2.0], [95.0], last_s=2.25)
    assert crowd.row()["last_s"] == 2.25
    assert table([crowd]).splitlines()[1].split()[-2:] == ["2.25", "95.00"]
