"""What is rendered for a notebook from the record of its environment."""

import json
from pathlib import Path
from typing import Any

import pytest

from blueprints.notebook import Environment, render_notebook
from catalog.errors import BadSetup


def recorded(folder: Path, **more: Any) -> Environment:
    record = {"python": "/env/bin/python", "bin": "/env/bin", **more}
    (folder / "perijove-env.json").write_text(json.dumps(record))
    return Environment.load(folder)


def rendered(environment: Environment) -> dict[str, str]:
    command = render_notebook(
        environment, {}, (), home=Path("/home/ada"), user="ada", port=1, facts={}
    )
    return dict(command.env)


def test_kernels_are_told_what_to_import_ahead(tmp_path: Path) -> None:
    assert "PERIJOVE_PRELOAD" not in rendered(recorded(tmp_path))
    told = rendered(recorded(tmp_path, preload=["torch", "pandas"]))
    assert told["PERIJOVE_PRELOAD"] == "torch,pandas"


def test_one_name_is_no_list_of_modules(tmp_path: Path) -> None:
    with pytest.raises(BadSetup, match="preload is 'torch', not a list"):
        recorded(tmp_path, preload="torch")


@pytest.mark.parametrize("preload", [3, None])
def test_a_record_that_makes_no_sense_is_not_complete(tmp_path: Path, preload: Any) -> None:
    with pytest.raises(BadSetup, match="not complete"):
        recorded(tmp_path, preload=preload)
