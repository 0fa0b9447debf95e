"""What the pages of keys show, and what scopes and states are called there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final

from services.ingest.domain.sources import TEST
from services.ingest.pages.calls import Call
from services.ingest.pages.site import source_path
from shared.i18n import Reader, marked
from shared.identity.keys import ApiKey
from shared.identity.principal import Scope
from shared.web.forms import Form, Option

_EVERYTHING: Final = marked("everything")
SCOPES: Final[Mapping[Scope, str]] = {
    Scope.RESPONSES_WRITE: marked("send responses of its source"),
    Scope.RESPONSES_READ: marked("read responses"),
    Scope.TASKS_READ: marked("read tasks with their customers"),
    Scope.TASKS_WRITE: marked("act on tasks"),
    Scope.THEMES_READ: marked("read themes"),
    Scope.TAXONOMY_WRITE: marked("change the list of themes"),
    Scope.SCORES_READ: marked("read scores"),
    Scope.WEBHOOKS: marked("set up webhooks"),
    Scope.DELIVERIES_READ: marked("read deliveries"),
    Scope.DELIVERIES_WRITE: marked("send deliveries again"),
    Scope.MAIL_READ: marked("read captured mail"),
    Scope.SETTINGS_READ: marked("read settings"),
    Scope.POLICIES_WRITE: marked("change rules, schemes, calendars and touchpoints"),
    Scope.SETTINGS_WRITE: marked("change settings and make keys"),
    Scope.PERSONS_WRITE: marked("export and erase customers"),
    Scope.AUDIT_READ: marked("read who did what"),
}

_SOON: Final = timedelta(days=7)


@dataclass(frozen=True, kw_only=True)
class KeyLine:
    """One key, as it is listed: never its secret part."""

    id: str
    href: str
    name: str
    prefix: str
    source: str
    source_href: str
    may: Sequence[str]
    test: bool
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_on: date | None
    usable: bool
    state: str
    look: str
    """How the state's word is set off: a class of the stylesheet."""


@dataclass(frozen=True, kw_only=True)
class KeysPage:
    """What the list of keys shows."""

    now: datetime
    done: str
    source: str
    with_revoked: bool
    lines: Sequence[KeyLine]
    all_keys: str
    newer: str | None
    older: str | None
    may_write: bool
    form: Form
    scopes: Sequence[Option]
    expiries: Sequence[Option]
    kinds: Sequence[Option]


@dataclass(frozen=True, kw_only=True)
class KeyPage:
    """What the page of one key shows."""

    key: KeyLine
    replaced: bool
    may_write: bool
    rotate: Form
    revoke: Form
    overlaps: Sequence[Option]
    sure: Sequence[Option]


@dataclass(frozen=True, kw_only=True)
class KeyShownPage:
    """The answer to making a key: the only page that ever holds it."""

    key: KeyLine
    plain: str = field(repr=False)
    former_until: datetime | None
    posts: bool
    calls: Sequence[Call] = field(repr=False)
    hook: str
    hook_with_key: str = field(repr=False)


def _may(key: ApiKey, reader: Reader) -> Sequence[str]:
    """Return what a key may do, each right in words; one word where it may do all."""
    if SCOPES.keys() <= set(key.scopes):
        return [reader.gettext(_EVERYTHING)]
    return [reader.gettext(text) for scope, text in SCOPES.items() if scope in key.scopes]


def line_of(key: ApiKey, reader: Reader, *, now: datetime) -> KeyLine:
    """Return a key as it is listed."""
    state, look = _state(key, now)
    return KeyLine(
        id=key.id,
        href=f"/settings/keys/{key.id}",
        name=key.name,
        prefix=key.prefix,
        source=key.source,
        source_href=source_path(key.source.removesuffix(TEST)),
        may=_may(key, reader),
        test=key.test,
        created_at=key.created_at,
        expires_at=key.expires_at,
        revoked_at=key.revoked_at,
        last_used_on=key.last_used_on,
        usable=key.usable(now),
        state=reader.gettext(state),
        look=look,
    )


def _state(key: ApiKey, now: datetime) -> tuple[str, str]:
    if key.revoked_at is not None:
        return marked("revoked"), ""
    if key.expires_at is not None and key.expires_at <= now:
        return marked("ended"), "late"
    if key.expires_at is not None and key.expires_at - now <= _SOON:
        return marked("ends soon"), "soon"
    return marked("in use") if key.last_used_on else marked("not used yet"), "done"
