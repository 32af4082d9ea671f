"""``python …/rescue``: makes the folder importable by its name, behind everything installed."""

import importlib
import sys
from pathlib import Path

if __name__ == "__main__":
    # First in the path is this folder itself, whose modules have names that others may use.
    sys.path.pop(0)
    sys.path.append(str(Path(__file__).resolve().parents[1]))
    importlib.import_module("rescue.app").main()
