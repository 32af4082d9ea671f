"""The stand-in's announcements: one, whatever is asked."""

from typing import Any

from fastapi import FastAPI

from hub.api.announcement_schema import AnnouncementBody, AnnouncementOfStaff

PATH = "/services/control/v1/announcements"
ANNOUNCEMENT = {
    "id": "m-7k2m9q4t1x", "tenant": "blue", "tenant_name": "Blue", "text": "The lab begins.",
    "level": "info", "by": "Ian", "starts_at": "2030-02-04T08:00:00Z",
    "ends_at": "2030-02-05T08:00:00Z", "seen": False,
}  # fmt: skip
OF_STAFF = ANNOUNCEMENT | {
    "state": "on", "created_at": "2030-02-04T08:00:00Z", "withdrawn_at": None, "seen_by": 3,
}  # fmt: skip


def add(app: FastAPI) -> None:
    """Its routes."""

    @app.get(PATH)
    async def _() -> Any:
        return {"items": [ANNOUNCEMENT], "next": None}

    @app.get(f"{PATH}/all")
    async def _(tenant: str = "", state: str = "all") -> Any:
        shown = OF_STAFF | {"tenant": tenant or "blue", "state": "on" if state == "all" else state}
        return {"items": [shown], "next": "m-next"}

    @app.post(PATH, status_code=201, response_model=AnnouncementOfStaff)
    async def _(body: AnnouncementBody) -> Any:
        return OF_STAFF | {"tenant": body.tenant, "text": body.text, "level": body.level}

    @app.delete(f"{PATH}/{{id}}", response_model=AnnouncementOfStaff)
    async def _(id: str) -> Any:
        return OF_STAFF | {"id": id, "state": "withdrawn", "withdrawn_at": "2030-02-04T09:00:00Z"}
