"""The quota desk over the REST API: the tree, previews, changes, requests for more."""

from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import quote

from hub.client.errors import Json
from hub.client.transport import Transport


class Desk:
    """The part of `hub.client.Client` that deals with quotas beyond setting one. Every method may
    raise a PerijoveError."""

    _transport: Transport

    def quota_tree(
        self, *, parent: str = "", search: str = "", dimension: str = "gpu", sort: str = "name",
        cursor: str = "", limit: int = 50,
    ) -> Any:  # fmt: skip
        """Tenants with what they are guaranteed, may hold, hold and have borrowed."""
        return self._transport.get(
            "/quotas/tree", parent=parent, search=search, dimension=dimension, sort=sort,
            cursor=cursor or None, limit=limit,
        )  # fmt: skip

    def quota_preview(self, changes: Iterable[Json]) -> Json:
        """What changes of limits would bring about."""
        return self._transport.post("/quotas/preview", {"changes": list(changes)})

    def quota_change(self, changes: Iterable[Json]) -> Any:
        """Change several limits: all, or none."""
        return self._transport.post("/quotas/changes", {"changes": list(changes)})

    def quota_changes(self, *, tenant: str = "", cursor: str = "") -> Any:
        """What was changed, the newest first."""
        return self._transport.get("/quotas/changes", tenant=tenant, cursor=cursor or None)

    def quota_undo(self, changes: Sequence[int]) -> Any:
        """Take changes back: all, or none. Raises Conflict when a limit was changed since."""
        return self._transport.post("/quotas/changes/undo", {"changes": list(changes)})

    def quota_requests(self, *, state: str = "", mine: bool = False, cursor: str = "") -> Any:
        """Requests for more: yours, and those that you may decide."""
        return self._transport.get(
            "/quota-requests", state=state, mine="true" if mine else None, cursor=cursor or None
        )

    def quota_ask(
        self, dimension: str, amount: str, reason: str, *, tenant: str = "", period: str = ""
    ) -> Json:
        """Ask for more."""
        body = {"tenant": tenant, "dimension": dimension, "amount": amount, "period": period}
        return self._transport.post("/quota-requests", body | {"reason": reason})

    def quota_decide(
        self, request: str, *, approve: bool, amount: str = "", answer: str = ""
    ) -> Json:
        """Approve or deny a request; what was decided stays."""
        body = {"approve": approve, "amount": amount, "answer": answer}
        return self._transport.post(f"/quota-requests/{quote(request, safe='')}/decide", body)

    def quota_withdraw(self, request: str) -> Json:
        """Ask no more."""
        return self._transport.post(f"/quota-requests/{quote(request, safe='')}/withdraw")
