"""Shapes of links to learning systems."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field

from hub.api.schema import Body


class LtiContextView(BaseModel):
    """A course of a learning system. `course` is ours that it leads into; `error` is why the last
    look at its roster failed, empty when it went well."""

    id: str
    platform: str
    title: str
    course: str | None
    roster: bool
    """It shares its roster."""
    grades: bool
    """It takes scores."""
    synced_at: datetime | None
    error: str


class LtiLinkBody(Body):
    """Which course of a learning system leads into this course."""

    context: Annotated[str, Field(min_length=1, max_length=60)]


class LtiSyncView(BaseModel):
    """What a look at the rosters of one learning system came to. `joined` are those whose place here
    changed; who has never been here is expected, and in the roster. `kept_out` are those whom the
    staff here had taken off the list: they stay off."""

    platform: str
    members: int
    joined: int
    left: int
    kept_out: int
    error: str


class LtiScoreBody(Body):
    """A student's score, of at most `max`; more than that is extra credit."""

    login: Annotated[str, Field(min_length=1, max_length=60)]
    score: Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)]
    max: Annotated[float, Field(gt=0, le=1_000_000, allow_inf_nan=False)]
    comment: Annotated[str, Field(max_length=1000)] = ""


class LtiScoreView(BaseModel):
    """Where the score is now."""

    platform_title: str
