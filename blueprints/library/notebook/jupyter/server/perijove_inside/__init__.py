"""Jupyter server extension: passes what a page asks of its own workload on to Perijove.

It runs in the notebooks' environment, not in ours, and imports nothing of Perijove. The page never
sees the server's token, and the token is good for this workload only.
"""

import logging
import os
from typing import Any

_NEEDED = ("PERIJOVE_API_URL", "PERIJOVE_WORKLOAD", "JUPYTERHUB_API_TOKEN")


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "perijove_inside"}]


def _load_jupyter_server_extension(app: Any) -> None:
    """Add the handlers; a server that Perijove did not start is left as it is."""
    logging.disable(logging.NOTSET)  # as `single_user` found it
    from .lab_assets import point_page_at_them

    point_page_at_them(app)
    if not all(os.environ.get(name) for name in _NEEDED):
        return
    from . import kernel_connection, kernels
    from .activity import Activity
    from .handlers import NoLanguageServers, routes
    from .reporter import Reporter
    from .upstream import Upstream
    from .watch import Watch

    upstream = Upstream(
        os.environ["PERIJOVE_API_URL"], os.environ["PERIJOVE_WORKLOAD"],
        os.environ["JUPYTERHUB_API_TOKEN"],
    )  # fmt: skip
    owner = os.environ.get("JUPYTERHUB_USER", "")
    settings = app.web_app.settings
    base_url = settings["base_url"]
    activity = Activity(settings, owner)
    reporter = Reporter(activity, upstream)
    table = routes(base_url, Watch(upstream), upstream, owner, activity, reporter)
    if not app.jpserver_extensions.get("jupyter_lsp"):
        table.append((f"{base_url}lsp/status", NoLanguageServers))
    app.web_app.add_handlers(".*$", table)
    kernels.offer(app)
    kernel_connection.be_prompt(app)
    reporter.begin(activity.watch_requests)
    # That page would lead a browser of this machine here, with the token in it: there is none.
    app.no_browser_open_file = True
