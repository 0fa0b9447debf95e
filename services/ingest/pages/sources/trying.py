"""A mapping tried on a payload: what it finds, what comes out, what is wrong. Nothing stays."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from services.ingest.domain.explaining import MOST_EXPLAINED, Seen, explain
from services.ingest.domain.mappings import Document, HookMapping, Read
from services.ingest.domain.sources import Outcome, Source
from services.ingest.handlers import Ingest, refusal_reason
from services.ingest.pages.reasons import Became, became
from services.ingest.pages.sources.page import AnswerLine, FieldLine, Trial
from services.ingest.pages.sources.reading import name_of
from services.ingest.pages.sources.written import brief, pretty, shortened
from services.ingest.reception import (
    OWN,
    Call,
    Interpreted,
    Result,
    call_of,
    interpret,
    mapping_of,
    receive,
)
from services.ingest.schemas import understand
from services.ingest.senders import GENERIC, ready_mapping
from services.ingest.store import Sample
from shared.errors import Finding, Invalid, Refused
from shared.i18n import Reader, marked

_TRIED: Final[Mapping[Outcome, str]] = {
    "accepted": marked("would be taken in"),
    "revised": marked("would be a revision"),
    "duplicate": marked("is known already"),
    "ignored": marked("would be ignored"),
    "rejected": marked("would be rejected"),
}
_ON_THE_LOOP: Final = 32_000
"""Bytes of a body that may be read on the event loop; what is longer is read beside it."""


async def tried(
    ingest: Ingest, source: Source, sample: Sample, reader: Reader, *, test: bool
) -> Trial:
    """Return what the settings of a source make of a payload; they need not be saved ones."""
    try:
        call = call_of(sample)
        if len(sample.body) > _ON_THE_LOOP:
            found, seen = await asyncio.to_thread(_read, source, call)
        else:
            found, seen = _read(source, call)
        results = await receive(ingest, source, call, test=test, dry_run=True)
    except Refused as refusal:
        outcome, reason = refusal_reason(refusal)
        return Trial(by="", unread=became(outcome, reason, reader).why)
    now = ingest.clock.now()
    shown = list(zip(found.items, results, strict=True))[:MOST_EXPLAINED]
    return Trial(
        by=_by(source, found.by, reader),
        answers=[_answer(item, result, reader, now=now) for item, result in shown],
        more=len(found.items) - len(shown),
        # What was found comes first; a mapping for any system looks in many places.
        fields=[
            [_field(one, reader) for one in sorted(fields, key=_is_nothing)] for fields in seen
        ],
    )


def _read(source: Source, call: Call) -> tuple[Interpreted, Sequence[Sequence[Seen]]]:
    found = interpret(source, call)
    if found.by == OWN:
        return found, ()
    mapping: HookMapping = mapping_of(source) or ready_mapping(found.by)
    return found, explain(mapping, call.payload, call.headers, call.query)


def _by(source: Source, by: str, reader: Reader) -> str:
    if by == OWN:
        return reader.gettext("Read as our own format.")
    if source.mapping is not None:
        return reader.gettext("Read by the mapping of its own.")
    if by == GENERIC and source.sender is not None:
        return reader.gettext("Read by the names that systems commonly use.")
    name = name_of(by, reader)
    if source.sender is not None:
        return reader.gettext("Read by the ready mapping for %(sender)s.", sender=name)
    if by == GENERIC:
        return reader.gettext("Not recognised: read by the names that systems commonly use.")
    return reader.gettext("Recognised as %(sender)s.", sender=name)


def _answer(item: Read, result: Result, reader: Reader, *, now: datetime) -> AnswerLine:
    members = item.members if isinstance(item, Document) else None
    return AnswerLine(
        became=_became(result, reader),
        findings=[] if members is None else _findings(members, now),
        document="" if members is None else pretty(members),
    )


def _became(result: Result, reader: Reader) -> Became:
    outcome: Outcome = result.status
    if outcome == "accepted" and result.revision not in {None, 1}:
        outcome = "revised"
    found = became(outcome, result.reason, reader, path=shortened(result.path or ""))
    return replace(found, outcome=reader.gettext(_TRIED[outcome]))


def _findings(members: Mapping[str, object], now: datetime) -> Sequence[Finding]:
    """Return everything that is wrong with a document, not only what was found first."""
    try:
        understand(members, now=now)
    except Invalid as error:
        return error.findings
    return ()


def _is_nothing(seen: Seen) -> bool:
    return seen.value is None and not seen.wrong


def _field(seen: Seen, reader: Reader) -> FieldLine:
    wrong = became("rejected", seen.wrong, reader).why if seen.wrong else ""
    return FieldLine(
        member=seen.member,
        path=shortened(seen.path) or reader.gettext("(always the same)"),
        found=None if seen.value is None else brief(seen.value),
        wrong=wrong,
    )
