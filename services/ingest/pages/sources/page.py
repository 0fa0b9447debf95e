"""What the pages of sources show: the names that their templates may use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from services.ingest.pages.calls import Call
from services.ingest.pages.keys.page import KeyLine
from services.ingest.pages.reasons import Became
from shared.errors import Finding
from shared.web.forms import Form, Option


@dataclass(frozen=True, kw_only=True)
class Numbers:
    """What became of what a source sent, by number."""

    taken: int = 0
    repeated: int = 0
    ignored: int = 0
    rejected: int = 0
    refused: int = 0


@dataclass(frozen=True, kw_only=True)
class SourceLine:
    """One source, as it is listed."""

    name: str
    href: str
    sender: str
    last_at: datetime | None
    today: Numbers
    tests: int
    """Responses that came with a test key today."""
    silent_since: datetime | None


@dataclass(frozen=True, kw_only=True)
class SourcesPage:
    """What the list of sources shows."""

    now: datetime
    lines: Sequence[SourceLine]
    may_write: bool
    form: Form
    senders: Sequence[Option]


@dataclass(frozen=True, kw_only=True)
class SecretLine:
    """One signing secret, never its value."""

    id: str
    made_at: datetime
    until: datetime | None


@dataclass(frozen=True, kw_only=True)
class ReasonLine:
    """What became of how many, and why."""

    n: int
    test: bool
    became: Became


@dataclass(frozen=True, kw_only=True)
class PayloadLine:
    """One kept payload, without its content."""

    href: str
    at: datetime
    test: bool
    became: Became


@dataclass(frozen=True, kw_only=True)
class TouchpointLine:
    """A touchpoint that a source names, how often, and where it is described."""

    code: str
    n: int
    href: str


@dataclass(frozen=True, kw_only=True)
class SourcePage:
    """What the page of one source shows."""

    now: datetime
    done: str
    name: str
    path: str
    sender: str
    system: str
    """What sends it, by its own name; empty where nothing says."""
    last_at: datetime | None
    silent_since: datetime | None
    today: Numbers
    tests: int
    hook: str
    hook_with_key: str
    own: str
    documentation: Sequence[str]
    signs: bool
    """Whether its sender signs what it sends."""
    secrets: Sequence[SecretLine]
    newest_secret: str
    secret: Form
    keys: Sequence[KeyLine]
    new_key: str
    calls: Sequence[Call]
    reasons: Sequence[ReasonLine]
    payloads: Sequence[PayloadLine]
    may_open: bool
    touchpoints: Sequence[TouchpointLine]
    form: Form
    senders: Sequence[Option]
    changed_at: datetime | None
    changed_by: str
    former: Form | None
    """The settings before the last change, as their form would send them."""
    former_sender: str
    former_until: datetime | None
    may_write: bool


@dataclass(frozen=True, kw_only=True)
class SecretShownPage:
    """The answer to making a secret: the only page that ever holds it."""

    name: str
    source_href: str
    plain: str = field(repr=False)
    hook: str
    former_until: datetime | None


@dataclass(frozen=True, kw_only=True)
class FieldLine:
    """One field of a mapping, tried on an answer."""

    member: str
    path: str
    found: str | None = field(repr=False)
    wrong: str


@dataclass(frozen=True, kw_only=True)
class AnswerLine:
    """What a mapping makes of one answer, or of one scored question of it."""

    became: Became
    findings: Sequence[Finding]
    document: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What a mapping makes of a payload."""

    by: str
    """By which mapping it was read."""
    unread: str = ""
    """Why it could not be read at all."""
    answers: Sequence[AnswerLine] = ()
    more: int = 0
    """How many further answers there are."""
    fields: Sequence[Sequence[FieldLine]] = field(default=(), repr=False)
    """What every field found, for each of the first answers in the payload."""


@dataclass(frozen=True, kw_only=True)
class PayloadPage:
    """What the page of one payload shows, kept or pasted."""

    name: str
    source_href: str
    action: str
    done: str
    at: datetime | None
    became: Became | None
    content_type: str
    payload: str | None = field(repr=False)
    trial: Trial | None
    form: Form
    example: str
    """A mapping to begin with."""
    content_types: Sequence[Option]
    can_take_in: bool
