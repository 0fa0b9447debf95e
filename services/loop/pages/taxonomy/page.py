"""What the pages of the taxonomy show: the names that their templates may use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from services.loop.pages.shapes import Piece
from services.loop.pages.taxonomy.fields import Tongue
from shared.web.forms import Form, Option


@dataclass(frozen=True, kw_only=True)
class Line:
    """One theme of the tree; ``depth`` counts the themes above it in its department."""

    id: str
    href: str
    name: str
    depth: int
    above: str
    need: str
    words: int
    examples: int
    languages: str
    intent: bool


@dataclass(frozen=True, kw_only=True)
class Branch:
    """The themes of one department; without a name, those that belong to none."""

    name: str
    lines: Sequence[Line]


@dataclass(frozen=True, kw_only=True)
class Gone:
    """A theme that is looked for no more, and the one that it became a part of."""

    id: str
    href: str
    name: str
    into: str


@dataclass(frozen=True, kw_only=True)
class VersionLine:
    """One version of the taxonomy."""

    version: int
    by: str
    at: datetime
    themes: int
    changes: Sequence[str]
    more: int
    """Changes that are not named."""
    applies: bool


@dataclass(frozen=True, kw_only=True)
class DraftCard:
    """The draft: who changed it last, what it changes, and what was published meanwhile."""

    by: str
    at: datetime
    changes: Sequence[str]
    overtaken: bool
    meanwhile: Sequence[str]
    in_both: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class Match:
    """A theme found in a pasted text, the words that decided, and the keyword they fit."""

    theme: str
    evidence: str = field(repr=False)
    keyword: str
    by_example: bool


@dataclass(frozen=True, kw_only=True)
class Tried:
    """What is found in a pasted text; nothing of it is kept."""

    pieces: Sequence[Piece] = field(repr=False)
    matches: Sequence[Match]


@dataclass(frozen=True, kw_only=True)
class TaxonomyPage:
    """What the tree of themes shows."""

    version: int
    branches: Sequence[Branch]
    gone: Sequence[Gone]
    draft: DraftCard | None
    draft_version: int
    best_only: bool
    form: Form
    tried: Tried | None
    versions: Sequence[VersionLine]
    newer: str | None
    older: str | None
    done: str
    may_write: bool


@dataclass(frozen=True, kw_only=True)
class Section:
    """The words of one language in the form of a theme."""

    tongue: Tongue
    label: str


@dataclass(frozen=True, kw_only=True)
class ThemePage:
    """What the form of one theme shows."""

    id: str
    title: str
    form: Form
    acts: Form
    sections: Sequence[Section]
    departments: Sequence[Option]
    parents: Sequence[Option]
    needs: Sequence[Option]
    others: Sequence[Option]
    retired: bool
    into: str
    draft_version: int
    tried: Tried | None
    done: str
    may_write: bool


@dataclass(frozen=True, kw_only=True)
class Shift:
    """What would be different for one theme, with a few of the comments."""

    name: str
    before: int
    after: int
    gained: int
    lost: int
    gained_words: Sequence[str] = field(repr=False)
    lost_words: Sequence[str] = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Way:
    """Responses that would go from one theme to another."""

    name: str
    to: str
    responses: int


@dataclass(frozen=True, kw_only=True)
class PreviewPage:
    """What the draft would find in the comments of the last 90 days."""

    of_draft: bool
    whole: bool
    first: datetime
    responses: int
    changed: int
    unreadable: int
    without_before: int
    without_after: int
    shifts: Sequence[Shift]
    same: int
    """Themes of which nothing would change."""
    ways: Sequence[Way]
    may_read: bool
