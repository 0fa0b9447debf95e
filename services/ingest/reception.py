"""Receiving a hook's call: by which mapping it is read, what it says, what became of it.

The steps are those of every other way in: read, understand, record. One call is recorded whole
or not at all, and its counts and its sample lie in the same transaction as its responses.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Literal

from services.ingest import store
from services.ingest.domain.fitting import fit
from services.ingest.domain.mappings import (
    Document,
    HookMapping,
    Ignored,
    Read,
    Rejected,
)
from services.ingest.domain.own_format import is_own, read_own
from services.ingest.domain.payloads import read_payload
from services.ingest.domain.reading import Warned, identifier_in
from services.ingest.domain.sources import TEST, Source
from services.ingest.domain.sources import Outcome as Became
from services.ingest.handlers import (
    Ingest,
    Outcome,
    RecordResponse,
    count,
    record_many,
    refusal_reason,
    source_named,
    try_many,
)
from services.ingest.handlers import mapping_of as declared
from services.ingest.schemas import understand
from services.ingest.senders import GENERIC, ready_mapping, ready_senders
from services.ingest.store import Sample
from shared.errors import Finding, Invalid, NotFound, Refused, TryLater
from shared.faults import fault_point
from shared.identity import audit
from shared.logs import correlation_id

if TYPE_CHECKING:
    from datetime import datetime

    from shared.db.transaction import Transaction
    from shared.identity.principal import Principal

OWN: Final = "own"
"""What reads a payload that is our own format already."""

_AT_ONCE: Final = 2_000
"""Bytes of a body that may be read on the event loop; what is longer is read beside it."""

_SECRET_HEADERS: Final = frozenset({"authorization", "cookie", "proxy-authorization"})


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call of a sender: its payload, and what came beside it.

    ``headers`` go by their lower-case names; those with credentials are hidden from mappings.
    """

    payload: Any = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    query: Mapping[str, Any] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)
    content_type: str = "application/json"


@dataclass(frozen=True, kw_only=True)
class Interpreted:
    """What a call says; ``by`` names the ready mapping, ``own``, or is empty for one's own."""

    by: str
    items: Sequence[Read]


@dataclass(frozen=True, kw_only=True)
class Result:
    """What became of one answer of a call."""

    status: Literal["accepted", "duplicate", "ignored", "rejected"]
    id: str | None = None
    reason: str | None = None
    pointer: str | None = None
    path: str | None = None
    detail: str | None = None
    revision: int | None = None
    warnings: Sequence[Warned] = ()

    def shown(self) -> dict[str, Any]:
        """Return it as it goes over the wire."""
        named = {
            "id": self.id,
            "revision": self.revision,
            "reason": self.reason,
            "pointer": self.pointer,
            "path": self.path,
            "detail": self.detail,
        }
        told: dict[str, Any] = {"status": self.status}
        told |= {name: value for name, value in named.items() if value is not None}
        if self.warnings:
            told["warnings"] = [{"pointer": w.pointer, "code": w.code} for w in self.warnings]
        return told


def mapping_of(source: Source) -> HookMapping | None:
    """Return how a source's calls are read; None where nothing is declared.

    Raises ``TryLater``: a mapping that was saved once but cannot be used any more must not
    cost an answer.
    """
    if source.mapping is None and source.sender is None:
        return None
    own = None if source.mapping is None else json.dumps(source.mapping, sort_keys=True)
    try:
        return _compiled(source.sender, own)
    except Invalid:
        raise TryLater(
            "the mapping of this source cannot be used; correct it under Settings, Sources",
            retry_after=300,
        ) from None


@lru_cache(maxsize=256)
def _compiled(sender: str | None, own: str | None) -> HookMapping | None:
    return declared(sender, None if own is None else json.loads(own))


def interpret(source: Source, call: Call) -> Interpreted:
    """Return what a call says, read as the source's settings have it.

    Without settings it is read by the ready mapping that recognises it, else as our own
    format, else by the names that systems commonly use. Raises ``TooLarge``, ``TryLater``.
    """
    headers = {
        name: value for name, value in call.headers.items() if name not in _SECRET_HEADERS
    }
    mapping = mapping_of(source)
    by = "" if source.mapping is not None else source.sender or ""
    if mapping is None:
        by = _recognised(call.payload, headers, call.query)
        if by == OWN:
            return Interpreted(by=OWN, items=read_own(call.payload, headers))
        mapping = ready_mapping(by)
    items = mapping.read(call.payload, headers, call.query)
    return Interpreted(by=by, items=items)


def _recognised(payload: object, headers: Mapping[str, str], query: Mapping[str, Any]) -> str:
    for sender in ready_senders():
        if sender != GENERIC and ready_mapping(sender).recognises(payload, headers, query):
            return sender
    return OWN if is_own(payload, headers) else GENERIC


async def receive(
    ingest: Ingest,
    source: Source,
    call: Call,
    *,
    test: bool,
    dry_run: bool = False,
    keep: bool = True,
) -> Sequence[Result]:
    """Take in what a call says; one result for each answer, in their order.

    ``test`` records it for the source's twin for trials. ``dry_run`` tells what would become
    of it and leaves nothing behind. ``keep`` keeps the call as a sample. Raises ``TooLarge``
    and ``TryLater``; nothing was recorded then.
    """
    if len(call.body) > _AT_ONCE:
        found = await asyncio.to_thread(interpret, source, call)
    else:
        found = interpret(source, call)
    name = f"{source.name}{TEST}" if test else source.name
    namespace = None if test else source.namespace
    taken = [_taken(ingest, item, name, namespace) for item in found.items]
    commands = [one.command for one in taken if one.command is not None]
    if dry_run:
        tried = _results(taken, await try_many(ingest, commands))
        return [replace(one, id=None) for one in tried]

    def sample(outcomes: Sequence[Outcome]) -> Sample:
        results = _results(taken, outcomes)
        became, worst = _worst(results)
        return Sample(
            body=call.body,
            content_type=call.content_type,
            headers=call.headers,
            query=call.query,
            outcome=became,
            reason=worst.reason,
            path=worst.path,
            person_refs=[
                *(ref for one in taken for ref in one.refs),
                # Who is not named goes by the response's own id.
                *(result.id for result in results if result.id is not None),
            ],
        )

    async def keep_sample(tx: Transaction, outcomes: Sequence[Outcome]) -> None:
        await store.keep_payload(
            tx, name, sample(outcomes), keyring=ingest.keyring, at=ingest.clock.now()
        )

    counts = [
        (*named, n) for named, n in Counter(one.counted for one in taken if one.counted).items()
    ]
    if not commands:
        await count(ingest, name, counts, sample=sample(()) if keep else None)
        return _results(taken, ())
    outcomes = await record_many(
        ingest,
        commands,
        besides=[(name, *one) for one in counts],
        finally_=keep_sample if keep else None,
    )
    return _results(taken, outcomes)


def call_of(sample: Sample) -> Call:
    """Return the call that a sample was; raise ``Refused`` where its body cannot be read."""
    return Call(
        payload=read_payload(sample.body, sample.content_type),
        headers=sample.headers,
        query=sample.query,
        body=sample.body,
        content_type=sample.content_type,
    )


async def receive_again(
    ingest: Ingest, name: str, payload_id: str, *, by: Principal
) -> Sequence[Result]:
    """Take a sample in with the mapping that its source has now; safe to do twice."""
    async with ingest.database.reading() as view:
        found = await store.find_payload(view, payload_id, keyring=ingest.keyring)
    if found is None or found[0].source.removesuffix(TEST) != name:
        raise NotFound("There is no such payload; they are kept for seven days.")
    kept, sample = found
    results = await receive(
        ingest,
        await source_named(ingest, name),
        call_of(sample),
        test=kept.source.endswith(TEST),
        keep=False,
    )
    outcome, worst = _worst(results)
    fault_point("ingest.received_again")
    async with ingest.database.transaction() as tx:
        now = ingest.clock.now()
        await store.mark_payload(
            tx,
            payload_id,
            outcome=outcome,
            reason=worst.reason,
            path=worst.path,
            person_refs=[one.id for one in results if one.id is not None],
        )
        detail = {"source": kept.source, "outcome": outcome}
        await audit.record(tx, by, "payload.received", payload_id, detail, now=now)
    return results


@dataclass(frozen=True, kw_only=True)
class _Taken:
    """One answer on its way: what is to be recorded, or why nothing is."""

    command: RecordResponse | None = None
    result: Result | None = None
    warnings: Sequence[Warned] = ()
    paths: Mapping[str, str] = field(default_factory=dict)
    refs: Sequence[str] = ()

    @property
    def counted(self) -> tuple[Became, str] | None:
        """Return what is counted of it beside what was recorded."""
        if self.result is None or self.result.reason is None:
            return None
        outcome: Became = "ignored" if self.result.status == "ignored" else "rejected"
        return outcome, self.result.reason


def _taken(ingest: Ingest, item: Read, source: str, namespace: str | None) -> _Taken:
    match item:
        case Ignored():
            return _Taken(result=Result(status="ignored", reason=item.reason, path=item.path))
        case Rejected():
            return _Taken(
                result=Result(
                    status="rejected",
                    reason=item.reason,
                    pointer=item.pointer,
                    path=item.path,
                    detail=item.detail,
                )
            )
        case Document():
            return _understood(ingest, item, source, namespace, ingest.clock.now())


def _understood(
    ingest: Ingest, document: Document, source: str, namespace: str | None, now: datetime
) -> _Taken:
    customer = document.members.get("customer")
    refs = _refs(ingest, customer, namespace or source)
    members, cut = fit(document.members)
    try:
        read = understand(members, now=now)
    except Invalid as error:
        return _Taken(result=_rejected(error, document.paths), refs=refs)
    return _Taken(
        command=RecordResponse(
            source=source,
            external_id=read.external_id,
            part=read.part,
            namespace=namespace,
            may_lack_score=True,
            correlation_id=correlation_id.get(),
        ),
        warnings=(*cut, *read.warnings),
        paths=document.paths,
        refs=refs,
    )


def _refs(ingest: Ingest, customer: object, namespace: str) -> Sequence[str]:
    """Return whose words are in an answer, as far as it says so."""
    identifier = identifier_in(customer)
    return () if identifier is None else (ingest.person_keys.ref(namespace, identifier),)


def _results(taken: Sequence[_Taken], outcomes: Sequence[Outcome]) -> Sequence[Result]:
    left = iter(outcomes)
    return [one.result if one.result is not None else _became(next(left), one) for one in taken]


def _became(outcome: Outcome, taken: _Taken) -> Result:
    if isinstance(outcome, Refused):
        return _rejected(outcome, taken.paths)
    return Result(
        status="duplicate" if outcome.duplicate else "accepted",
        id=outcome.id,
        revision=outcome.revision,
        warnings=taken.warnings,
    )


def _rejected(error: Refused, paths: Mapping[str, str]) -> Result:
    """Return the refusal of an answer, with the path at which the mapping found the member."""
    found: Sequence[Finding] = error.findings if isinstance(error, Invalid) else ()
    if not found:
        return Result(status="rejected", reason=refusal_reason(error)[1], detail=error.detail)
    first = found[0]
    return Result(
        status="rejected",
        reason=first.code,
        pointer=first.pointer,
        path=paths.get(first.pointer) or None,
        detail=f"{first.detail} {first.fix}".strip(),
    )


_ORDER: Final[Sequence[Became]] = ("rejected", "accepted", "revised", "duplicate", "ignored")


def _worst(results: Sequence[Result]) -> tuple[Became, Result]:
    """Return what a call came to as a whole: what somebody has to look at comes first."""

    def became(result: Result) -> Became:
        revised = result.status == "accepted" and result.revision not in {None, 1}
        return "revised" if revised else result.status

    worst = min(results, key=lambda one: _ORDER.index(became(one)))
    return became(worst), worst
