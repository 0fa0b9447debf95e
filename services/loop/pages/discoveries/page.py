"""What the page of new words shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from services.loop.pages.themes.page import Said
from services.loop.themes.domain.discoveries import Discovery
from services.loop.themes.handlers.discoveries import Nights, OtherWatch
from shared.stats.intervals import Estimate
from shared.web.forms import Form, Option


@dataclass(frozen=True, kw_only=True)
class Group:
    """One group, and the form that makes a theme of it."""

    found: Discovery
    unhappy: Estimate
    keywords: Sequence[str]
    said: Sequence[Said] = field(repr=False)
    form: Form


@dataclass(frozen=True, kw_only=True)
class Decided:
    """One group about which somebody has decided."""

    found: Discovery
    theme: str
    """The name of the theme that it became."""


@dataclass(frozen=True, kw_only=True)
class DiscoveriesPage:
    """What the page of new words shows."""

    groups: Sequence[Group]
    older: str | None
    newer: str | None
    dismissed: Sequence[Decided]
    adopted: Sequence[Decided]
    departments: Sequence[Option]
    nights: Nights
    watch: OtherWatch
    may_read: bool
    may_write: bool
    now: datetime
    done: str
    just_adopted: bool
    json: str
