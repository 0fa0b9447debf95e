"""``/v1/sources/{name}/payloads``: what a source sent last, and what a mapping makes of it.

A sample may hold anything that a customer said. Whoever lists them sees none of it; opening one
is a right of its own and stands in the trail.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from typing_extensions import TypedDict

from services.ingest import store
from services.ingest.api.hooks import HookOut
from services.ingest.api.keys import Keeper, Looker, OfTheTwin, answers, time_out
from services.ingest.domain.sources import TEST, Outcome, Source
from services.ingest.handlers import Ingest, mapping_of, open_payload, source_named
from services.ingest.reception import Call, call_of, receive, receive_again
from services.ingest.schemas import TryIn
from services.ingest.store import Kept
from shared.errors import Finding, Invalid
from shared.identity.keys import source_name
from shared.identity.principal import Principal
from shared.web.access import resources
from shared.web.documents import body_of, read_as
from shared.web.idempotency import Answer, Once
from shared.web.paging import Paged, listed
from shared.web.query import EachOnce

router = APIRouter(tags=["sources"])


class PayloadOut(TypedDict):
    """A sample as it is listed."""

    id: str
    source: str
    at: datetime
    content_type: str
    outcome: Outcome
    reason: str | None
    path: Annotated[str | None, Field(description="where something was missing or wrong")]


class PayloadOpenOut(PayloadOut):
    """A sample opened."""

    headers: dict[str, str]
    query: dict[str, Any]
    body: str


class PayloadListOut(TypedDict):
    """A page of samples, the latest first."""

    data: list[PayloadOut]
    next_cursor: str | None
    has_more: bool


@router.get(
    "/v1/sources/{name}/payloads",
    dependencies=[EachOnce],
    summary="List what a source sent last, without its content",
    responses=answers(PayloadListOut),
)
async def get_payloads(
    request: Request,
    name: str,
    _caller: Looker,
    page: Paged,
    *,
    test: OfTheTwin = False,
) -> JSONResponse:
    """Return the samples that are kept, the latest first: fifty at most, for seven days."""
    ingest = resources(request, Ingest)
    name = f"{name}{TEST}" if test else name
    of = f"payloads {name!r}"
    after = page.after(ingest.keyring, of=of)
    found: list[Kept] = []
    if name.isprintable():
        async with ingest.database.reading() as view:
            found = await store.payloads_of(
                view, name, limit=page.limit + 1, before=after[0] if after else None
            )
    return JSONResponse(
        listed(
            found,
            page,
            show=payload_out,
            key=lambda one: [one.id],
            keyring=ingest.keyring,
            of=of,
        )
    )


@router.get(
    "/v1/sources/{name}/payloads/{payload_id}",
    dependencies=[EachOnce],
    summary="Open one payload; the audit trail says who did",
    responses=answers(PayloadOpenOut),
)
async def get_payload(
    request: Request, name: str, payload_id: str, caller: Keeper
) -> JSONResponse:
    """Return what was sent, as it came."""
    ingest = resources(request, Ingest)
    async with ingest.database.transaction() as tx:
        kept, sample = await open_payload(
            tx, name, payload_id, keyring=ingest.keyring, by=caller, now=ingest.clock.now()
        )
    return JSONResponse(
        payload_out(kept)
        | {
            "headers": dict(sample.headers),
            "query": dict(sample.query),
            "body": sample.body.decode("utf-8", "replace"),
        }
    )


@router.post(
    "/v1/sources/{name}/payloads/{payload_id}/receive",
    status_code=202,
    summary="Take a payload in again",
    responses=answers(HookOut, status=202),
)
async def post_receive(
    request: Request, name: str, payload_id: str, caller: Keeper, once: Once
) -> Response:
    """Read a sample with the mapping as it is now; what was recorded before is a duplicate."""
    ingest = resources(request, Ingest)

    async def take_in() -> Answer:
        results = await receive_again(ingest, name, payload_id, by=caller)
        return Answer(body={"results": [one.shown() for one in results]}, status=202)

    return await once.work(ingest.database, take_in, by=caller)


@router.post(
    "/v1/sources/{name}/try",
    summary="See what a mapping makes of a payload, without recording anything",
    openapi_extra=body_of(TryIn),
    responses=answers(HookOut),
)
async def post_try(request: Request, name: str, caller: Keeper, once: Once) -> Response:
    """Read a payload, or a sample that was kept, with the source's mapping or another one."""
    ingest = resources(request, Ingest)
    name = source_name(name, pointer="/name")
    sent = await read_as(request, TryIn)
    if (sent.payload_id is None) is (sent.payload is None):
        raise Invalid(
            "Send either a payload or the id of one that was kept.",
            [
                Finding(
                    pointer="/payload",
                    code="one_of_two",
                    detail="needs exactly one of payload and payload_id",
                    fix="send payload, or payload_id of GET …/payloads",
                )
            ],
        )

    async def attempt() -> Answer:
        call = await _call(ingest, name, sent, by=caller)
        source = await source_named(ingest, name)
        results = await receive(ingest, _tried(source, sent), call, test=False, dry_run=True)
        return Answer(body={"results": [replace(one, id=None).shown() for one in results]})

    return await once.work(ingest.database, attempt, by=caller, meaning=sent)


async def _call(ingest: Ingest, name: str, sent: TryIn, *, by: Principal) -> Call:
    """Return the call that is to be tried: the one that was sent along, or a sample."""
    if sent.payload_id is None:
        return Call(
            payload=sent.payload,
            headers={name.lower(): value for name, value in sent.headers.items()},
            query=sent.query,
            body=json.dumps(sent.payload).encode(),
        )
    async with ingest.database.transaction() as tx:
        _, sample = await open_payload(
            tx, name, sent.payload_id, keyring=ingest.keyring, by=by, now=ingest.clock.now()
        )
    return call_of(sample)


def _tried(source: Source, sent: TryIn) -> Source:
    """Return the source with the settings that are to be tried."""
    if "sender" not in sent.model_fields_set and "mapping" not in sent.model_fields_set:
        return source
    mapping_of(sent.sender, sent.mapping)
    return replace(source, sender=sent.sender, mapping=sent.mapping)


def payload_out(kept: Kept) -> dict[str, Any]:
    """Return a sample as it is listed."""
    return {
        "id": kept.id,
        "source": kept.source,
        "at": time_out(kept.at),
        "content_type": kept.content_type,
        "outcome": kept.outcome,
        "reason": kept.reason,
        "path": kept.path,
    }
