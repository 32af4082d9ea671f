"""The stand-in's reservations: one of two windows, whatever is asked."""

from typing import Any

from fastapi import FastAPI

from hub.api.schema import ReservationBody, ReservationCheck, ReservationView

PATH = "/services/control/v1/reservations"
WINDOW = {
    "id": "20300204T0800Z", "starts_at": "2030-02-04T08:00:00Z",
    "ends_at": "2030-02-04T10:00:00Z", "text": "Mon 4 Feb 2030 09:00-11:00 CET",
}  # fmt: skip
HELD = WINDOW | {
    "state": "used", "reason": "3 of 4 places are in use", "held": 1, "used": 3, "short": 0,
    "lent_until": "2030-02-04T07:45:00Z",
}  # fmt: skip
RESERVATION = {
    "id": "r-7k2m9q4t1x", "tenant": "blue", "tenant_name": "Blue", "name": "Lab A", "count": 4,
    "unit": "1/8 GPU, 0.5 CPU, 1 GiB", "gpu_milli": 125, "time_zone": "Europe/Berlin",
    "first_day": "2030-02-04", "last_day": "2030-05-20", "weekdays": ["mon", "thu"],
    "starts": "09:00", "length": "2h", "lend_margin": "15m", "no_show": "15m",
    "created_by": "ian", "created_at": "2030-01-01T08:00:00Z", "cancelled_at": None,
    "can_change": True, "windows": [HELD], "ahead": 30,
}  # fmt: skip
NAMED = "the reservation 'Lab B'"


def add(app: FastAPI) -> None:
    """Its routes. More than four places are a conflict."""

    @app.get(PATH)
    async def _() -> Any:
        return {"items": [RESERVATION], "next": None}

    @app.post(f"{PATH}/check", response_model=ReservationCheck)
    async def _(body: ReservationBody) -> Any:
        conflict = {
            "window": WINDOW, "text": f"{WINDOW['text']}: 2 of 6 places are missing, because of {NAMED}",
            "reservations": [NAMED], "nearest": WINDOW | {"text": "Mon 4 Feb 2030 11:00-13:00 CET"},
        }  # fmt: skip
        taken = body.count > 4
        return {
            "possible": not taken, "count": body.count, "unit": RESERVATION["unit"],
            "windows": [WINDOW], "conflicts": [conflict] if taken else [],
        }  # fmt: skip

    @app.post(PATH, status_code=201, response_model=ReservationView)
    async def _(body: ReservationBody) -> Any:
        return RESERVATION

    @app.get(f"{PATH}/{{id}}", response_model=ReservationView)
    async def _(id: str) -> Any:
        return RESERVATION | {"id": id}

    @app.delete(f"{PATH}/{{id}}", response_model=ReservationView)
    async def _(id: str) -> Any:
        return RESERVATION | {"id": id, "cancelled_at": "2030-01-02T08:00:00Z"}

    @app.post(f"{PATH}/{{id}}/windows/{{start}}/release", response_model=ReservationView)
    async def _(id: str, start: str) -> Any:
        return RESERVATION | {"id": id, "windows": [HELD | {"id": start, "state": "released"}]}
