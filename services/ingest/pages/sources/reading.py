"""How the pages of sources are filled."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final
from urllib.parse import urlencode

from services.ingest import store
from services.ingest.domain.mappings import HookMapping
from services.ingest.domain.sources import TEST, Outcome, Source, Tally, is_test
from services.ingest.handlers import Figures, Standing, list_standing, source_names, standing_of
from services.ingest.pages.calls import PLACEHOLDER, calls, hook_address
from services.ingest.pages.keys.page import line_of
from services.ingest.pages.reasons import became
from services.ingest.pages.site import source_path
from services.ingest.pages.sources.page import (
    Numbers,
    PayloadLine,
    ReasonLine,
    SecretLine,
    SourceLine,
    SourcePage,
    TouchpointLine,
)
from services.ingest.pages.sources.written import mapping_text, shortened
from services.ingest.senders import GENERIC, ready_senders
from shared.db.transaction import Reading
from shared.i18n import Reader, marked
from shared.identity.audit import SYSTEM
from shared.identity.keys import find_key, list_keys
from shared.identity.people import staff_member
from shared.identity.principal import Principal, Scope
from shared.sealing import Keyring
from shared.web.forms import Form, Option

_TOUCHPOINT: Final = "/settings/touchpoints/one"
_OWN_FORMAT: Final = marked("our own format, or recognised")
_OWN_MAPPING: Final = marked("read by a mapping of its own")
_ANY_SYSTEM: Final = marked("Any other system")
_ORDER: Final[Sequence[Outcome]] = (
    "accepted", "revised", "rejected", "refused", "ignored", "duplicate",
)  # fmt: skip


async def source_lines(
    view: Reading, reader: Reader, *, keyring: Keyring, now: datetime
) -> Sequence[SourceLine]:
    """Return every source as it is listed."""
    found: list[Standing] = []
    for _ in range(0, len(await source_names(view)), 200):
        after = found[-1].source.name if found else None
        found += await list_standing(view, keyring=keyring, now=now, after=after)
    return [
        SourceLine(
            name=one.source.name,
            href=source_path(one.source.name),
            sender=sender_label(one.source, reader),
            last_at=one.figures.last_response_at,
            today=_numbers(one.figures),
            tests=one.trial.accepted_today,
            silent_since=one.source.silent_since,
        )
        for one in found
    ]


async def read_source(
    view: Reading,
    name: str,
    reader: Reader,
    caller: Principal,
    *,
    mapping: HookMapping | None,
    public_url: str,
    keyring: Keyring,
    now: datetime,
    form: Form | None = None,
    secret: Form | None = None,
    done: str = "",
) -> SourcePage:
    """Return what a source's page shows; raise ``NotFound``."""
    standing = await standing_of(view, name, keyring=keyring, now=now)
    source = standing.source
    before = _before(source)
    keys = await list_keys(view, source=name, with_revoked=False)
    secrets = [one for one in standing.secrets if one.counts(now)]
    kept = [
        one
        for twin in (name, f"{name}{TEST}")
        for one in await store.payloads_of(view, twin, limit=store.KEPT_OF_A_SOURCE)
    ]
    return SourcePage(
        now=now,
        done=done,
        name=name,
        path=source_path(name),
        sender=sender_label(source, reader),
        system=_system(source),
        last_at=standing.figures.last_response_at,
        silent_since=source.silent_since,
        today=_numbers(standing.figures),
        tests=standing.trial.accepted_today,
        hook=hook_address(public_url, name),
        hook_with_key=hook_address(public_url, name, PLACEHOLDER),
        own=f"{public_url}/v1/responses",
        documentation=list(mapping.documentation) if mapping else [],
        signs=mapping is not None and mapping.signature is not None,
        secrets=[
            SecretLine(id=one.id, made_at=one.made_at, until=one.until) for one in secrets
        ],
        newest_secret=secrets[0].id if secrets else "",
        secret=secret or Form(name="secret"),
        keys=[line_of(key, reader, now=now) for key in keys],
        new_key=f"/settings/keys?{urlencode({'source': name})}#new",
        calls=calls(public_url),
        reasons=[
            *_reasons(standing.figures, reader),
            *_reasons(standing.trial, reader, test=True),
        ],
        payloads=[
            PayloadLine(
                href=source_path(name, "payloads", one.id),
                at=one.at,
                test=is_test(one.source),
                became=became(one.outcome, one.reason, reader, path=shortened(one.path or "")),
            )
            for one in sorted(kept, key=lambda one: one.id, reverse=True)
        ],
        may_open=may_open(caller),
        touchpoints=[
            TouchpointLine(code=code, n=n, href=f"{_TOUCHPOINT}?{urlencode({'code': code})}")
            for code, n in await store.touchpoints_of(view, name)
        ],
        form=form or settings_form(source),
        senders=sender_options(reader),
        changed_at=source.changed_at,
        changed_by=await _named(view, reader, source.changed_by),
        former=settings_form(before) if before else None,
        former_sender=sender_label(before, reader) if before else "",
        former_until=source.former.until if source.former else None,
        may_write=caller.may(Scope.SETTINGS_WRITE),
    )


def may_open(caller: Principal) -> bool:
    """Tell whether somebody may see what customers wrote into a payload, and mend it."""
    return caller.may(Scope.RESPONSES_READ) and caller.may(Scope.SETTINGS_WRITE)


def _before(source: Source) -> Source | None:
    """Return the source as it was before its settings were changed last."""
    former = source.former
    if former is None:
        return None
    return replace(
        source,
        sender=former.sender,
        mapping=former.mapping,
        namespace=former.namespace,
        silent_after_hours=former.silent_after_hours,
    )


def settings_form(source: Source) -> Form:
    """Return the settings of a source as its form shows them."""
    hours = source.silent_after_hours
    return Form(
        name="settings",
        values={
            "version": str(source.version),
            "sender": source.sender or "",
            "namespace": source.namespace or "",
            "silent": "" if hours is None else str(hours),
            "mapping": mapping_text(source.mapping),
        },
    )


def sender_options(reader: Reader) -> Sequence[Option]:
    """Return the senders with a ready mapping, by their names."""
    found = [Option(value=name, label=name_of(name, reader)) for name in ready_senders()]
    return sorted(found, key=lambda option: option.label.casefold())


def sender_label(source: Source, reader: Reader) -> str:
    """Return what a source's sender is called."""
    if source.sender is not None:
        return name_of(source.sender, reader)
    if source.mapping is not None:
        return _system(source) or reader.gettext(_OWN_MAPPING)
    return reader.gettext(_OWN_FORMAT)


def name_of(sender: str, reader: Reader) -> str:
    """Return what a sender is called."""
    return reader.gettext(_ANY_SYSTEM) if sender == GENERIC else _ready_name(sender)


def _system(source: Source) -> str:
    if source.sender is not None:
        return "" if source.sender == GENERIC else _ready_name(source.sender)
    return str((source.mapping or {}).get("name") or "")


def _ready_name(sender: str) -> str:
    return str(ready_senders().get(sender, {}).get("name") or sender)


def _numbers(figures: Figures) -> Numbers:
    sums = dict.fromkeys(_ORDER, 0)
    for tally in figures.today:
        sums[tally.outcome] += tally.n
    return Numbers(
        taken=figures.accepted_today,
        repeated=sums["duplicate"],
        ignored=sums["ignored"],
        rejected=sums["rejected"],
        refused=sums["refused"],
    )


def _reasons(figures: Figures, reader: Reader, *, test: bool = False) -> Iterable[ReasonLine]:
    """Return what became of a week: outcome by outcome, the most frequent reason first."""
    counted = [*figures.week]
    if figures.accepted_week:
        counted.append(Tally(outcome="accepted", reason="", n=figures.accepted_week))
    counted.sort(key=lambda one: (_ORDER.index(one.outcome), -one.n, one.reason))
    return [
        ReasonLine(n=one.n, test=test, became=became(one.outcome, one.reason, reader))
        for one in counted
    ]


async def _named(view: Reading, reader: Reader, changed_by: str | None) -> str:
    """Return the name of whoever changed something: a person, a key, or the command line."""
    if changed_by is None:
        return ""
    if changed_by == SYSTEM.id:
        return SYSTEM.name
    if (person := await staff_member(view, changed_by)) is not None:
        return person.name
    key = await find_key(view, changed_by)
    return reader.gettext("Key “%(name)s”", name=key.name) if key is not None else changed_by
