"""What ``/v1/scores`` gives."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class ScoreOut(BaseModel):
    """One group's score; ``enough`` says whether it may be compared with another."""

    group: dict[str, str]
    score: float | None
    n: int
    promoters: int
    passives: int
    detractors: int
    ci95: tuple[float, float] | None
    enough: bool


class ScoreList(BaseModel):
    """Scores of one metric and one kind of measurement; these two are never mixed."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    metric: Literal["nps", "csat", "ces"]
    measurement: Literal["transactional", "periodic", "unsolicited"]
    first: date = Field(alias="from")
    last: date = Field(alias="to")
    data: list[ScoreOut]
    next_cursor: str | None
    has_more: bool
