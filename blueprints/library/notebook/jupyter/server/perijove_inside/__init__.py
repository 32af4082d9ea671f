"""Jupyter server extension: passes what a page asks of its own workload on to Perijove.

It runs in the notebooks' environment, not in ours, and imports nothing of Perijove. The page never
sees the server's token, and the token is good for this workload only.
"""

import os
from typing import Any

_NEEDED = ("PERIJOVE_API_URL", "PERIJOVE_WORKLOAD", "JUPYTERHUB_API_TOKEN")


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "perijove_inside"}]


def _load_jupyter_server_extension(app: Any) -> None:
    """Add the handlers; a server that Perijove did not start is left as it is."""
    if not all(os.environ.get(name) for name in _NEEDED):
        return
    from .handlers import routes
    from .upstream import Upstream
    from .watch import Watch

    upstream = Upstream(
        os.environ["PERIJOVE_API_URL"], os.environ["PERIJOVE_WORKLOAD"],
        os.environ["JUPYTERHUB_API_TOKEN"],
    )  # fmt: skip
    owner = os.environ.get("JUPYTERHUB_USER", "")
    base_url = app.web_app.settings["base_url"]
    app.web_app.add_handlers(".*$", routes(base_url, Watch(upstream), upstream, owner))
