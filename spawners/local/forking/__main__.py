"""``python -P …/forking/__main__.py OWNER_FD PADDING``: one template process, whose
folder is the one it is started in."""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path


def main() -> None:
    """The package is found by its place, so that nothing else of the product can be imported."""
    top = Path(__file__).resolve().parent.parent.parent
    spec = spec_from_file_location(
        "spawners", top / "__init__.py", submodule_search_locations=[str(top)]
    )
    if spec is None or spec.loader is None:
        sys.exit(f"{top} cannot be imported")
    sys.modules["spawners"] = package = module_from_spec(spec)
    spec.loader.exec_module(package)

    from spawners.local.forking import template

    template.main(int(sys.argv[1]))


if __name__ == "__main__":
    main()
