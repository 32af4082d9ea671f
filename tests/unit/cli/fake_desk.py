"""The stand-in's quota desk: one tenant, one change, one request."""

from typing import Any

from fastapi import FastAPI

from hub.api.desk_schema import (
    ChangesBody,
    DecideBody,
    PreviewView,
    QuotaChangeView,
    RequestBody,
    RequestView,
    TreeLine,
    UndoBody,
)

V1 = "/services/control/v1"
CELL = {
    "limit": 4000, "guaranteed": 1000, "period": "", "used": 500, "borrowed": 0, "used_in": "",
    "written": "4", "guaranteed_written": "1", "version": "4000.1000.",
    "text": "1/2 GPU used, 4 GPUs, 1 GPU guaranteed",
}  # fmt: skip
TREE = {
    "tenant": "physics", "name": "Physics", "kind": "group", "parent": "main", "path": ["Main"],
    "children": 2, "may_set": True, "may_set_people": True,
    "dimensions": {"gpu": CELL, "cpu": CELL},
}  # fmt: skip
CHANGE = {
    "id": 7, "tenant": "physics", "person": "", "dimension": "gpu", "name": "GPU of Physics",
    "before": "no limit", "after": "4 GPUs", "by": "ada", "at": "2026-11-21T08:00:00Z",
    "undoes": None, "undone_by": None,
}  # fmt: skip
REQUEST = {
    "id": "q-7k2m9q4t1x", "person": "grace", "name": "Grace Hopper", "tenant": "physics",
    "tenant_name": "Physics", "dimension": "gpu", "period": "", "amount": "2", "text": "2 GPUs",
    "now": "1 GPU", "reason": "my thesis", "state": "open", "asked_at": "2026-11-21T08:00:00Z",
    "decided_at": None, "decided_by": "", "granted": None, "answer": "", "may_decide": True,
    "mine": False,
}  # fmt: skip
PREVIEW = {
    "refused": False, "problems": [],
    "lines": [{"name": "GPU of Physics", "before": "no limit", "after": "4 GPUs", "changes": True}],
    "consequences": [{"kind": "starts", "text": "lab of grace would start now", "workload": "w1"}],
}  # fmt: skip


def add(app: FastAPI) -> None:
    """Its routes, in the API's own shapes."""

    @app.get(f"{V1}/quotas/tree")
    async def _() -> Any:
        return {"items": [TreeLine.model_validate(TREE)], "next": None}

    @app.post(f"{V1}/quotas/preview", response_model=PreviewView)
    async def _(body: ChangesBody) -> Any:
        return PREVIEW

    @app.get(f"{V1}/quotas/changes")
    async def _() -> Any:
        return {"items": [QuotaChangeView.model_validate(CHANGE)], "next": None}

    @app.post(f"{V1}/quotas/changes/undo")
    async def _(body: UndoBody) -> Any:
        undone = CHANGE | {"id": 8, "undoes": 7, "before": "4 GPUs", "after": "no limit"}
        return {"items": [QuotaChangeView.model_validate(undone)], "next": None}

    @app.get(f"{V1}/quota-requests")
    async def _() -> Any:
        return {"items": [RequestView.model_validate(REQUEST)], "next": None}

    @app.post(f"{V1}/quota-requests", status_code=201, response_model=RequestView)
    async def _(body: RequestBody) -> Any:
        return REQUEST

    @app.post(f"{V1}/quota-requests/{{id}}/decide", response_model=RequestView)
    async def _(id: str, body: DecideBody) -> Any:
        granted = "1.5 GPU" if body.amount else "2 GPUs"
        if not body.approve:
            return REQUEST | {"state": "denied", "answer": body.answer}
        return REQUEST | {"state": "approved", "granted": granted}

    @app.post(f"{V1}/quota-requests/{{id}}/withdraw", response_model=RequestView)
    async def _(id: str) -> Any:
        return REQUEST | {"state": "withdrawn"}
