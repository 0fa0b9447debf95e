"""Touchpoints: where customers meet the company, and who keeps the promises made there.

A code that nobody has described yet is a touchpoint all the same; it stands on a list until
somebody maps it, and its responses are never dropped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from services.loop.journey.domain.ownership import OwnerRef

if TYPE_CHECKING:
    from datetime import date, datetime


@dataclass(frozen=True, kw_only=True)
class Touchpoint:
    """A place where the customer meets the company, known by the code that sources send.

    ``owner`` and ``department_id`` are those of the moment it was read; their periods are kept
    beside it. A code with ``alias_of`` stands for that other touchpoint in everything.
    """

    code: str
    name: str | None
    macro: str | None
    owner: OwnerRef | None
    department_id: str | None
    mapped: bool
    """Whether somebody has described it; what stands for another needs no description."""
    first_seen_at: datetime
    version: int
    key: bool = False
    """Whether it is one of the most important ones, where enough customers must be asked."""
    alias_of: str | None = None
    owner_able: bool = True
    """Whether the owner can be given work; an account may be disabled within its period."""
    answers: int = 0
    """The responses of the last twelve weeks, with those of the codes that stand for it."""
    last_answer_on: date | None = None

    @property
    def is_mapped(self) -> bool:
        """Tell whether it is known what this code means."""
        return self.mapped or self.alias_of is not None

    @property
    def is_owned(self) -> bool:
        """Tell whether somebody gets its tasks who can be given work."""
        return self.owner is not None and self.owner_able
