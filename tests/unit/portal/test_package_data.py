"""What is read at run time and is no Python is in the package too."""

import tomllib

from tests.live import ROOT

PARTS = ("blueprints", "catalog", "hub", "portal", "quotas", "spawners")
SOURCE = ROOT / "blueprints" / "library" / "notebook" / "labextension"
"""From which the extension of JupyterLab is built; the built one lies beside it."""


def test_every_file_that_is_read_at_run_time_is_packaged() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    there = {
        path
        for part in PARTS
        for path in (ROOT / part).rglob("*")
        if path.is_file()
        and path.suffix not in {".py", ".pyc"}
        and not path.is_relative_to(SOURCE)
        and path.name != "py.typed"
    }
    packaged = {
        path
        for part, patterns in declared["package-data"].items()
        for pattern in patterns
        for path in (ROOT / part).glob(pattern)
        if path.is_file()
    }
    assert not {str(path.relative_to(ROOT)) for path in there - packaged}
