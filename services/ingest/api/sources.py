"""``/v1/sources``: how what systems send is read, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Any, NotRequired
from urllib.parse import quote

from fastapi import APIRouter, Depends
from pydantic import Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from typing_extensions import TypedDict

from services.ingest import store
from services.ingest.api.keys import Keeper, Looker, OfTheTwin, answers, time_out
from services.ingest.domain.sources import TEST, Outcome, Tally
from services.ingest.handlers import (
    Figures,
    Ingest,
    SourceChange,
    Standing,
    add_secret,
    change_source,
    drop_secret,
    list_standing,
    standing_of,
)
from services.ingest.schemas import SecretIn, SourceIn
from services.ingest.senders import ready_senders
from shared.db.transaction import Transaction
from shared.identity.principal import Principal, Scope
from shared.web.access import resources, web
from shared.web.auth import requires
from shared.web.documents import body_of, read_as
from shared.web.idempotency import Answer, Once
from shared.web.paging import Paged, listed
from shared.web.query import EachOnce, Period
from shared.web.versions import etag, expected_version

router = APIRouter(tags=["sources"])


class TallyOut(TypedDict):
    """How often something became of what a source sent."""

    outcome: Outcome
    reason: Annotated[str, Field(description="a stable code; empty where there is none")]
    n: int


class DayTallyOut(TallyOut):
    """The same for one day."""

    day: date


class CountsOut(TypedDict):
    """What became of what a source sent in a time."""

    accepted: int
    others: list[TallyOut]


class FiguresOut(TypedDict):
    """What a source sent lately; days are UTC."""

    last_response_at: datetime | None
    today: CountsOut
    last_7_days: CountsOut
    unread_payloads: int


class SecretOut(TypedDict):
    """A secret that signatures are checked with, never itself."""

    id: str
    made_at: datetime
    until: datetime | None


class SecretMadeOut(SecretOut):
    """A secret that was just added."""

    secret: NotRequired[Annotated[str, Field(description="one that we made, shown this once")]]


class SourceOut(FiguresOut):
    """A source with its settings and figures."""

    name: str
    sender: str | None
    mapping: dict[str, Any] | None
    namespace: str | None
    silent_after_hours: int | None
    silent_since: datetime | None
    secrets: list[SecretOut]
    hook_url: str
    version: int
    changed_at: datetime | None
    test: Annotated[FiguresOut | None, Field(description="of what its test keys posted")]


class SourceListOut(TypedDict):
    """A page of sources, by name."""

    data: list[SourceOut]
    next_cursor: str | None
    has_more: bool


class TalliesOut(TypedDict):
    """Counts by day; ``from`` and ``to`` are the days asked for."""

    data: list[DayTallyOut]


class SenderOut(TypedDict):
    """A system whose hooks are read without a mapping of one's own."""

    sender: str
    name: str
    documentation: list[str]
    signature: str | None


class SenderListOut(TypedDict):
    """All of them."""

    data: list[SenderOut]
    next_cursor: None
    has_more: bool


@router.get(
    "/v1/senders",
    dependencies=[EachOnce],
    summary="List the ready mappings",
    responses=answers(SenderListOut),
)
async def get_senders(
    _caller: Annotated[Principal, Depends(requires(Scope.SETTINGS_READ))],
) -> JSONResponse:
    """Return every system whose hooks are read without a mapping of one's own."""
    return JSONResponse(
        {
            "data": [
                {
                    "sender": name,
                    "name": document.get("name", name),
                    "documentation": list(document.get("documentation") or ()),
                    "signature": (document.get("signature") or {}).get("scheme"),
                }
                for name, document in ready_senders().items()
            ],
            "next_cursor": None,
            "has_more": False,
        }
    )


@router.get(
    "/v1/sources",
    dependencies=[EachOnce],
    summary="List sources and how they stand",
    responses=answers(SourceListOut),
)
async def get_sources(request: Request, _caller: Looker, page: Paged) -> JSONResponse:
    """Return every source that has settings, a key or responses, by name."""
    ingest = resources(request, Ingest)
    after = page.after(ingest.keyring, of="sources")
    async with ingest.database.reading() as view:
        found = await list_standing(
            view,
            keyring=ingest.keyring,
            now=ingest.clock.now(),
            limit=page.limit + 1,
            after=after[0] if after else None,
        )
    return JSONResponse(
        listed(
            found,
            page,
            show=lambda one: source_out(one, public_url=web(request).settings.public_url),
            key=lambda one: [one.source.name],
            keyring=ingest.keyring,
            of="sources",
        )
    )


@router.get(
    "/v1/sources/{name}",
    dependencies=[EachOnce],
    summary="How one source stands",
    responses=answers(SourceOut),
)
async def get_source(request: Request, name: str, _caller: Looker) -> JSONResponse:
    """Return a source's settings and figures."""
    ingest = resources(request, Ingest)
    async with ingest.database.reading() as view:
        found = await standing_of(view, name, keyring=ingest.keyring, now=ingest.clock.now())
    return _answer(request, found)


@router.put(
    "/v1/sources/{name}",
    summary="Set how a source is read, whole",
    openapi_extra=body_of(SourceIn),
    responses=answers(SourceOut),
)
async def put_source(request: Request, name: str, caller: Keeper) -> JSONResponse:
    """Give a source its settings; what is left out has its default again."""
    ingest = resources(request, Ingest)
    sent = await read_as(request, SourceIn)
    now = ingest.clock.now()
    async with ingest.database.transaction() as tx:
        changed = await change_source(
            tx,
            name,
            SourceChange(**sent.model_dump()),
            keyring=ingest.keyring,
            expected=expected_version(request),
            by=caller,
            now=now,
        )
        found = await standing_of(tx, changed.name, keyring=ingest.keyring, now=now)
    return _answer(request, found)


@router.post(
    "/v1/sources/{name}/secrets",
    status_code=201,
    summary="Add a secret that signatures are checked with",
    openapi_extra=body_of(SecretIn),
    responses=answers(
        SecretMadeOut,
        status=201,
        description="The secret; one that we made is shown this once.",
    ),
)
async def post_secret(request: Request, name: str, caller: Keeper, once: Once) -> Response:
    """Add the sender's secret, or have one made; the former ones go on as long as you say."""
    ingest = resources(request, Ingest)
    sent = await read_as(request, SecretIn)

    async def add(tx: Transaction) -> Answer:
        secret = await add_secret(
            tx,
            name,
            keyring=ingest.keyring,
            value=sent.secret,
            former_until=sent.former_until,
            by=caller,
            now=ingest.clock.now(),
        )
        shown = secret_out(secret)
        if sent.secret is None:
            shown["secret"] = secret.value
        return Answer(body=shown, status=201)

    return await once.act(ingest.database, add, by=caller, meaning=sent)


@router.delete(
    "/v1/sources/{name}/secrets/{secret_id}",
    status_code=204,
    summary="Take no signature made with this secret any more",
)
async def delete_secret(
    request: Request, name: str, secret_id: str, caller: Keeper
) -> Response:
    """Forget a secret at once."""
    ingest = resources(request, Ingest)
    async with ingest.database.transaction() as tx:
        await drop_secret(
            tx, name, secret_id, keyring=ingest.keyring, by=caller, now=ingest.clock.now()
        )
    return Response(status_code=204)


@router.get(
    "/v1/sources/{name}/tallies",
    dependencies=[EachOnce],
    summary="What became of what a source sent, day by day",
    responses=answers(TalliesOut),
)
async def get_tallies(
    request: Request,
    name: str,
    _caller: Looker,
    days: Period,
    *,
    test: OfTheTwin = False,
) -> JSONResponse:
    """Return counts by UTC day, outcome and reason; accepted responses are not among them."""
    ingest = resources(request, Ingest)
    first, last = days
    async with ingest.database.reading() as view:
        await standing_of(view, name, keyring=ingest.keyring, now=ingest.clock.now())
        of = f"{name}{TEST}" if test else name
        found = await store.tallies_of(view, of, first, last)
    return JSONResponse(
        {
            "from": first.isoformat(),
            "to": last.isoformat(),
            "data": [{"day": day.isoformat(), **_tally_out(tally)} for day, tally in found],
        }
    )


def _answer(request: Request, found: Standing) -> JSONResponse:
    return JSONResponse(
        source_out(found, public_url=web(request).settings.public_url),
        headers={"ETag": etag(found.source.version)},
    )


def source_out(one: Standing, *, public_url: str) -> dict[str, Any]:
    """Return a source as it is shown; what its signatures are checked with stays inside."""
    source = one.source
    return {
        "name": source.name,
        "sender": source.sender,
        "mapping": source.mapping,
        "namespace": source.namespace,
        "silent_after_hours": source.silent_after_hours,
        "silent_since": time_out(source.silent_since),
        "secrets": [secret_out(secret) for secret in one.secrets],
        "hook_url": hook_url(public_url, source.name),
        "version": source.version,
        "changed_at": time_out(source.changed_at),
        **_figures_out(one.figures),
        "test": None if one.trial.is_empty else _figures_out(one.trial),
    }


def hook_url(public_url: str, name: str) -> str:
    """Return where the hooks of a source are posted."""
    return f"{public_url}/v1/hooks/{quote(name, safe='')}"


def secret_out(secret: store.Secret) -> dict[str, Any]:
    """Return a secret as it is shown: never itself."""
    return {
        "id": secret.id,
        "made_at": time_out(secret.made_at),
        "until": time_out(secret.until),
    }


def _figures_out(figures: Figures) -> dict[str, Any]:
    return {
        "last_response_at": time_out(figures.last_response_at),
        "today": _counts_out(figures.accepted_today, figures.today),
        "last_7_days": _counts_out(figures.accepted_week, figures.week),
        "unread_payloads": figures.unread_payloads,
    }


def _counts_out(accepted: int, tallies: Sequence[Tally]) -> dict[str, Any]:
    return {"accepted": accepted, "others": [_tally_out(tally) for tally in tallies]}


def _tally_out(tally: Tally) -> dict[str, Any]:
    return {"outcome": tally.outcome, "reason": tally.reason, "n": tally.n}
