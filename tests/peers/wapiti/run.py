"""wapiti in its own environment: ``python run.py`` with wapiti's arguments.

Its reader of Flash needs a package that has no wheel. We serve no Flash, so nothing stands for it.
"""

import sys
from types import ModuleType

for name in ("yaswfp", "yaswfp.swfparser"):
    sys.modules[name] = ModuleType(name)
sys.modules["yaswfp"].swfparser = sys.modules["yaswfp.swfparser"]  # pyright: ignore[reportAttributeAccessIssue]

from wapitiCore.main.wapiti import wapiti_asyncio_wrapper  # noqa: E402

if __name__ == "__main__":
    wapiti_asyncio_wrapper()
