"""wapiti in its own environment: ``python run.py`` with wapiti's arguments.

Its reader of Flash needs a package that has no wheel. We serve no Flash, so nothing stands for it.
"""

import sys
from importlib import import_module
from types import ModuleType

if __name__ == "__main__":
    flash = ModuleType("yaswfp")
    flash.__dict__["swfparser"] = ModuleType("yaswfp.swfparser")
    sys.modules["yaswfp"] = flash
    import_module("wapitiCore.main.wapiti").wapiti_asyncio_wrapper()
