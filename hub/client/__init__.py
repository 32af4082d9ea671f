"""A client of the REST API: for the command line, for scripts and for anybody's Python.

::

    from hub.client import Client

    with Client() as perijove:                     # finds address and token like the CLI does
        workload = perijove.launch("notebook-gpu-1-4", set={"duration": "2h"})
"""

from hub.client.api import Client, Page
from hub.client.errors import Denied, EndedInstead, TimedOut
from hub.client.waiting import Patience, has_ended, wait_until_ended, wait_until_running

__all__ = [
    "Client",
    "Denied",
    "EndedInstead",
    "Page",
    "Patience",
    "TimedOut",
    "has_ended",
    "wait_until_ended",
    "wait_until_running",
]
