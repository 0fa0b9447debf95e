"""What the page of rising themes shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from services.loop.pages.themes.page import Said
from services.loop.themes.domain.outer_items import OuterItem
from services.loop.themes.domain.risers import Verdict
from shared.web.forms import Form, Option


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """Something to be looked into, and the forms that decide about it."""

    item: OuterItem
    theme: str
    department: str
    owner: str
    reason: str
    into: str
    """What it was merged into, by the name of its theme."""
    said: Sequence[Said] = field(repr=False)
    others: Sequence[Option]
    form: Form
    may_decide: bool


@dataclass(frozen=True, kw_only=True)
class Line:
    """One theme in the week."""

    id: str
    name: str
    department: str
    verdict: Verdict


@dataclass(frozen=True, kw_only=True)
class RisersPage:
    """What the page of rising themes shows."""

    first: date
    last: date
    earlier: str
    later: str | None
    lines: Sequence[Line]
    """The themes beyond what was to be expected, those that rise most first."""
    inside: int
    too_few: int
    proposed: Sequence[Proposal]
    accepted: Sequence[Proposal]
    decided: Sequence[Proposal]
    owners: Sequence[Option]
    reasons: Sequence[Option]
    may_read: bool
    now: datetime
    done: str
    json: str
