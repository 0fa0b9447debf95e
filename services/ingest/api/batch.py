"""``POST /v1/responses/batch``: many responses in one body, each with its own result.

A JSON array, one JSON object a line, CSV with a header row, or a batch of CloudEvents. A bad
row is named by its index and its line and costs nobody else; only a body that cannot be read at
all is refused.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import JSONResponse

from services.ingest.api.counting import CountedRoute
from services.ingest.api.posting import (
    shown,
    source_of,
    to_command,
    within,
)
from services.ingest.domain import cloudevents
from services.ingest.domain.reading import KNOWN, Warned
from services.ingest.domain.sheets import read_sheet
from services.ingest.handlers import (
    AGAIN,
    Ingest,
    Outcome,
    Recorded,
    RecordResponse,
    count,
    key_digest,
    meanings,
    opened,
    record_many,
    refusal_reason,
    sealed,
    try_many,
)
from services.ingest.schemas import BatchOut, ResponseIn, schema_of
from shared.db import requests
from shared.errors import Forbidden, Invalid, Refused, TooLarge, Unreadable
from shared.faults import fault_point
from shared.identity.principal import Principal, Scope
from shared.tasks import spawn
from shared.web.access import resources, web
from shared.web.auth import requires
from shared.web.bodies import (
    CSV,
    JSON,
    NDJSON,
    SINGLE_LIMIT,
    decode,
    flaw,
    media_type,
    parse_json,
    parse_leniently,
    read_body,
    refusal_of,
)
from shared.web.idempotency import REPLAYED, Key

if TYPE_CHECKING:
    from datetime import datetime

    from shared.db.transaction import Transaction

router = APIRouter(tags=["responses"], route_class=CountedRoute)

MOST_ITEMS: Final = 10_000
LIMIT: Final = 16_000_000
DEADLINE: Final = 50.0
_ROUTE: Final = "POST /v1/responses/batch"
_BOM: Final = "\ufeff"

_AS_NEW: Final = "treat old answers as if they were given today; needs settings:write"
_DRY_RUN: Final = "check every item against what is stored, record nothing"

_IMPORT_ID: Final = (
    "the import that these belong to: each owner gets one mail about its tasks;"
    " needs settings:write"
)
_IMPORT: Final = "^imp_[0-9a-z]{26}$"

_ROW_FLAWS: Final = {
    "not_csv": "This row cannot be read as CSV.",
    "wrong_number_of_cells": "This row has more or fewer cells than the header row.",
    "not_json": "This line is not valid JSON.",
    "too_large": f"This item is longer than {SINGLE_LIMIT:,} bytes.",
}


@dataclass(slots=True)
class _Item:
    """One row of a batch: what was read of it, or why it could not be."""

    line: int | None = None
    document: Any = field(default=None, repr=False)
    error: Refused | None = None
    command: RecordResponse | None = None
    warnings: Sequence[Warned] = ()


@router.post(
    "/v1/responses/batch",
    status_code=202,
    summary="Post many responses",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                JSON: {
                    "schema": {
                        "type": "array",
                        "maxItems": MOST_ITEMS,
                        "items": schema_of(ResponseIn),
                    },
                    "example": [
                        {"external_id": "A-1", "score": 9},
                        {"external_id": "A-2", "score": 3, "comment": "Too slow."},
                    ],
                },
                cloudevents.BATCH: {
                    "schema": {"type": "array", "maxItems": MOST_ITEMS},
                    "example": [
                        {
                            "specversion": "1.0",
                            "type": cloudevents.TYPE,
                            "source": "https://crm.example.com",
                            "id": "A-1",
                            "data": {"score": 9},
                        }
                    ],
                },
                NDJSON: {
                    "schema": {"type": "string"},
                    "example": '{"external_id":"A-1","score":9}\n'
                    '{"external_id":"A-2","score":3}\n',
                },
                CSV: {
                    "schema": {"type": "string"},
                    "example": "external_id,score,comment,customer.id,attributes.shop\n"
                    "A-1,9,,C-1,Odense\n",
                },
            },
        },
    },
    responses={
        202: {
            "description": "Every accepted item is durable; the others are named.",
            "content": {JSON: {"schema": schema_of(BatchOut)}},
        }
    },
)
async def post_batch(
    request: Request,
    caller: Annotated[Principal, Depends(requires(Scope.RESPONSES_WRITE))],
    *,
    key: Key,
    as_new: Annotated[bool, Query(description=_AS_NEW)] = False,
    dry_run: Annotated[bool, Query(description=_DRY_RUN)] = False,
    import_id: Annotated[str | None, Query(pattern=_IMPORT, description=_IMPORT_ID)] = None,
) -> JSONResponse:
    """Take up to 10,000 responses in; one result for each, in order."""
    if as_new and not caller.may(Scope.SETTINGS_WRITE):
        raise Forbidden("as_new opens tasks for old answers; it needs scope settings:write.")
    if import_id is not None and not caller.may(Scope.SETTINGS_WRITE):
        raise Forbidden("import_id keeps single mails back; it needs scope settings:write.")
    ingest = resources(request, Ingest)
    source = source_of(caller)
    kind = media_type(request, tuple(_READERS))
    body = await read_body(request, limit=LIMIT)
    # In a thread: ten thousand rows take a good part of a second, and others wait for the loop.
    namespace = await ingest.namespaces.of(source)
    items = await asyncio.to_thread(
        _understood, kind, body, source, namespace, ingest.clock.now()
    )
    fault_point("ingest.validated")
    public_url = web(request).settings.public_url
    if as_new or import_id is not None:
        for item in items:
            if item.command is not None:
                item.command = replace(item.command, as_new=as_new, import_id=import_id)
    if dry_run:
        return JSONResponse(await _tried(ingest, items, public_url), status_code=202)
    work = spawn(_recorded(ingest, items, source, key, public_url), name="record-batch")
    answer, replayed = await within(DEADLINE, asyncio.shield(work))
    fault_point("ingest.answering")
    return JSONResponse(
        answer, status_code=202, headers={REPLAYED: "true"} if replayed else None
    )


def _understood(
    kind: str, body: bytes, source: str, namespace: str | None, now: datetime
) -> list[_Item]:
    items: list[_Item] = []
    for item in _READERS[kind](body):
        if len(items) == MOST_ITEMS:
            raise TooLarge(
                f"A batch has at most {MOST_ITEMS:,} items. Send the rest in another one.",
                extra={"limit": MOST_ITEMS},
            )
        items.append(item)
    for item in items:
        if item.error is None:
            try:
                item.command, item.warnings = to_command(
                    item.document, source=source, namespace=namespace, now=now
                )
            except Invalid as error:
                item.error = error
    return items


def _from_json(body: bytes) -> Iterator[_Item]:
    documents, suspect = parse_leniently(body)
    if not isinstance(documents, list):
        raise Unreadable("A batch in JSON is an array of responses.")
    for document in documents:
        code = flaw(document, suspect=suspect)
        yield _Item(
            document=document if code is None else None,
            error=None if code is None else refusal_of(code, document, KNOWN),
        )


def _from_lines(body: bytes) -> Iterator[_Item]:
    decode(body[:4])  # a mark at the beginning, or nothing at all, spoils the whole body
    for number, line in enumerate(body.split(b"\n"), start=1):
        if not line or line.isspace():
            continue
        item = _Item(line=number)
        if len(line) > SINGLE_LIMIT:
            item.error = _unreadable("too_large")
        else:
            try:
                item.document = parse_json(line, members=KNOWN)
            except Invalid as error:
                item.error = error
            except Unreadable as error:
                item.error = error if error.extra else _unreadable("not_json")
        yield item


def _from_sheet(body: bytes) -> Iterator[_Item]:
    text = decode(body.removeprefix(_BOM.encode()))
    nul = "\x00" in text
    for row in read_sheet(text):
        item = _Item(line=row.line, document=row.document)
        if row.flaw is not None:
            item.error = _unreadable(row.flaw)
        elif nul and (code := flaw(row.document, suspect=True)) is not None:
            item.error = refusal_of(code, row.document, KNOWN)
        yield item


def _unreadable(code: str) -> Unreadable:
    return Unreadable(_ROW_FLAWS[code], extra={"code": code})


def _from_events(body: bytes) -> Iterator[_Item]:
    """Yield the responses of a batch of CloudEvents, each with its own verdict."""
    for item in _from_json(body):
        if item.error is None:
            try:
                item.document = cloudevents.read_structured(item.document)
            except Refused as error:
                item.error = error
        yield item


_READERS: Final = {
    JSON: _from_json,
    NDJSON: _from_lines,
    CSV: _from_sheet,
    cloudevents.BATCH: _from_events,
}


async def _tried(ingest: Ingest, items: Sequence[_Item], public_url: str) -> dict[str, Any]:
    """Record for trial and take it back; the answer is the true one, without ids."""
    commands = [item.command for item in items if item.command is not None]
    outcomes = await try_many(ingest, commands)
    answer = _answer(items, outcomes, public_url)
    for result in answer["results"]:
        result["id"] = None
    return answer


async def _recorded(
    ingest: Ingest, items: Sequence[_Item], source: str, key: str | None, public_url: str
) -> tuple[dict[str, Any], bool]:
    """Record what can be recorded; return the answer and whether it was given before."""
    commands = [item.command for item in items if item.command is not None]
    besides = [
        (source, *refusal_reason(item.error), 1) for item in items if item.error is not None
    ]
    if key is None:
        outcomes = await record_many(ingest, commands, besides=besides)
        return _answer(items, outcomes, public_url), False

    digest = key_digest(ingest.keyring, source, _ROUTE, key)
    prints = meanings(ingest.keyring, "batch-meanings", source, *_said(items))
    answer: dict[str, Any] = {}
    replayed = False

    async def promise(tx: Transaction, outcomes: Sequence[Outcome]) -> None:
        nonlocal answer, replayed
        given = await requests.claim(tx, {digest: prints[0]}, now=ingest.clock.now())
        if digest in given:
            answer, replayed = opened(ingest.keyring, given[digest], prints), True
            return
        answer = _answer(items, outcomes, public_url)
        await requests.keep(tx, {digest: sealed(ingest.keyring, digest, answer)})

    table = ingest.database.plumbing.requests
    async with ingest.database.reading() as view:
        given = await requests.find(view, table, [digest], now=ingest.clock.now())
    if digest in given:
        answer = opened(ingest.keyring, given[digest], prints)
        await count(ingest, source, [("duplicate", AGAIN, len(items))])
        return answer, True
    await record_many(ingest, commands, besides=besides, finally_=promise)
    return answer, replayed


def _said(items: Iterable[_Item]) -> Iterator[str]:
    """Yield the meaning of each item; of one that cannot be used, what there was to read."""
    for item in items:
        if item.command is not None:
            yield json.dumps([item.command.external_id, item.command.part.meaning()])
        else:
            yield json.dumps(item.document, sort_keys=True, default=str)


def _answer(
    items: Sequence[_Item], outcomes: Sequence[Outcome], public_url: str
) -> dict[str, Any]:
    left = iter(outcomes)
    results = [
        _result(n, item, next(left) if item.command is not None else item.error, public_url)
        for n, item in enumerate(items)
    ]
    counts = {"accepted": 0, "duplicate": 0, "rejected": 0}
    for result in results:
        counts[result["status"]] += 1
    return {
        "accepted": counts["accepted"],
        "duplicates": counts["duplicate"],
        "rejected": counts["rejected"],
        "results": results,
    }


def _result(
    index: int, item: _Item, outcome: Outcome | None, public_url: str
) -> dict[str, Any]:
    result: dict[str, Any] = {"index": index}
    if item.line is not None:
        result["line"] = item.line
    if isinstance(outcome, Recorded):
        result |= {
            "id": outcome.id,
            "status": "duplicate" if outcome.duplicate else "accepted",
            "revision": outcome.revision,
        }
        if item.warnings:
            result["warnings"] = shown(item.warnings)
    elif outcome is not None:
        result |= {"id": None, "status": "rejected", "error": _problem(outcome, public_url)}
    return result


def _problem(error: Refused, public_url: str) -> dict[str, Any]:
    problem: dict[str, Any] = {
        **error.extra,
        "type": f"{public_url}/errors/{error.slug}",
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
    }
    if isinstance(error, Invalid):
        problem["errors"] = [
            {
                "pointer": finding.pointer,
                "code": finding.code,
                "detail": finding.detail,
                "fix": finding.fix,
            }
            for finding in error.findings
        ]
    return problem
