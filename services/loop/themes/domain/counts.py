"""What mentions add up to per day, in sums that can be moved when an answer is revised."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import date
from typing import Final, NamedTuple

from services.loop.journey.domain import UNKNOWN
from services.loop.responses.domain import Response
from shared.stats.categories import Category
from shared.stats.impact import Answers

EVERY_COMMENT: Final = ""
"""Stands where a theme would, in the cell that counts comments with and without a theme."""

NO_THEME: Final = " "
"""Stands where a theme would, in the cell that counts comments that touch none."""


class ThemeCell(NamedTuple):
    """What one roll-up of mentions is about."""

    day: date
    theme_id: str
    touchpoint: str
    segment: str
    product: str
    source: str
    measurement: str


@dataclass(slots=True)
class Counts:
    """How many mentions, how many of them rated, and by whom: the unhappy, the happy.

    The last three count Net Promoter answers alone.
    """

    mentions: int = 0
    rated: int = 0
    low: int = 0
    high: int = 0
    promoters: int = 0
    passives: int = 0
    detractors: int = 0

    def count(self, response: Response, sign: int) -> None:
        """Count one mention in, or with ``sign`` -1 out again."""
        self.mentions += sign
        if response.is_rated:
            self.rated += sign
        if response.is_low:
            self.low += sign
        elif response.is_high:
            self.high += sign
        match response.category:
            case Category.PROMOTER:
                self.promoters += sign
            case Category.PASSIVE:
                self.passives += sign
            case Category.DETRACTOR:
                self.detractors += sign
            case _:
                pass

    @property
    def answers(self) -> Answers:
        """Return the Net Promoter answers among the mentions.

        A revision takes out of the sums what rows of before had never counted in; until those
        are counted again, a sum may lie below nothing.
        """
        return Answers(
            promoters=max(0, self.promoters),
            passives=max(0, self.passives),
            detractors=max(0, self.detractors),
        )

    def merge(self, other: Counts) -> None:
        """Take in what another cell counted."""
        for name in COUNTED:
            setattr(self, name, getattr(self, name) + getattr(other, name))


COUNTED: Final = tuple(member.name for member in fields(Counts))

Mentioned = tuple[Response, Collection[str]]
"""A response with the ids of the themes that it touches."""


def moves(
    counted: Iterable[Mentioned], uncounted: Iterable[Mentioned] = ()
) -> Mapping[ThemeCell, Counts]:
    """Return by how much each roll-up changes; those that stay as they are do not appear."""
    changes: dict[ThemeCell, Counts] = {}
    for sign, mentioned in ((1, counted), (-1, uncounted)):
        for response, theme_ids in mentioned:
            if not response.has_comment:
                continue
            where = (
                response.touchpoint or UNKNOWN,
                response.segment or UNKNOWN,
                response.product or UNKNOWN,
                response.source,
                response.measurement,
            )
            for theme_id in (EVERY_COMMENT, *(theme_ids or (NO_THEME,))):
                cell = ThemeCell(response.day, theme_id, *where)
                changes.setdefault(cell, Counts()).count(response, sign)
    nothing = Counts()
    return {cell: change for cell, change in changes.items() if change != nothing}
