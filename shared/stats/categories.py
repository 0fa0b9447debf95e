"""The one band function: what a score says about the customer (S-01).

Ingest, loop and every report use it, so that no service has thresholds of its own.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

Metric = Literal["nps", "csat", "ces"]

RANGES: dict[Metric, tuple[int, int]] = {"nps": (0, 10), "csat": (1, 5), "ces": (1, 7)}
"""The lowest and the highest score of each metric, both included."""


class Category(StrEnum):
    """The first three for NPS, the others for CSAT and CES."""

    DETRACTOR = "detractor"
    PASSIVE = "passive"
    PROMOTER = "promoter"
    DISSATISFIED = "dissatisfied"
    NEUTRAL = "neutral"
    SATISFIED = "satisfied"


_BANDS: dict[Metric, tuple[tuple[int, Category], ...]] = {
    "nps": ((6, Category.DETRACTOR), (8, Category.PASSIVE), (10, Category.PROMOTER)),
    "csat": ((2, Category.DISSATISFIED), (3, Category.NEUTRAL), (5, Category.SATISFIED)),
    "ces": ((3, Category.DISSATISFIED), (4, Category.NEUTRAL), (7, Category.SATISFIED)),
}


def category_of(metric: Metric, score: int | None) -> Category | None:
    """Return the band that ``score`` falls into, or None without a score."""
    if score is None:
        return None
    lowest, _ = RANGES[metric]
    for upper, category in _BANDS[metric]:
        if lowest <= score <= upper:
            return category
    message = f"{score} is no {metric} score"
    raise ValueError(message)
