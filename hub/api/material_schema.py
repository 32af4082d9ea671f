"""Shapes of notebook environments."""

from datetime import datetime

from pydantic import BaseModel


class EnvironmentView(BaseModel):
    """What labs can run in. `packages` are counted; `python` is like ``3.11``."""

    name: str
    python: str
    packages: int
    made_at: datetime
