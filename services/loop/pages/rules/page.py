"""What the pages of the routing rules show: the names that their templates may use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from services.loop.tasks.domain.trial import Pair, Trial
from shared.web.forms import Form, Option


@dataclass(frozen=True, kw_only=True)
class Line:
    """One rule of the list."""

    id: str
    name: str
    enabled: bool
    when: Sequence[str]
    """What it asks for, a sentence each."""
    owner: str
    gone: Sequence[Option]
    """Whom it names although they left: others stand in until somebody takes their place."""
    scheme: str
    href: str
    is_first: bool
    is_last: bool


@dataclass(frozen=True, kw_only=True)
class VersionLine:
    """One version of the rules."""

    version: int
    by: str
    at: datetime | None
    rules: int
    applies: bool


@dataclass(frozen=True, kw_only=True)
class DraftLine:
    """The draft: who changed it last, and whether it can be published."""

    version: int
    by: str
    at: datetime
    overtaken: bool
    changes: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class RulesPage:
    """What the list of rules shows."""

    version: int
    lines: Sequence[Line]
    draft: DraftLine | None
    draft_version: int
    common: Form
    refusal: Form
    versions: Sequence[VersionLine]
    newer: str | None
    older: str | None
    done: str
    may_write: bool


@dataclass(frozen=True, kw_only=True)
class RulePage:
    """What the form of one rule shows."""

    id: str
    title: str
    form: Form
    draft_version: int
    metrics: Sequence[Option]
    measurements: Sequence[Option]
    sentiments: Sequence[Option]
    rows: Sequence[int]
    """The numbers of the conditions that can be filled in."""
    fields: Sequence[Option]
    ops: Sequence[Option]
    kinds: Sequence[Option]
    owners: Sequence[Option]
    schemes: Sequence[Option]
    may_write: bool


@dataclass(frozen=True, kw_only=True)
class PairLine:
    """The figures of one owner or rule, tried beside live."""

    name: str
    pair: Pair


@dataclass(frozen=True, kw_only=True)
class TrialPage:
    """What a trial of the draft, or of the rules that apply, shows."""

    of_draft: bool
    trial: Trial
    owners: Sequence[PairLine]
    rules: Sequence[PairLine]
