"""``/v1/segments``, ``/v1/products`` and ``/v1/reasons``: the same routes for each list."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query
from fastapi.responses import JSONResponse
from starlette.requests import Request
from starlette.responses import Response

from services.loop.journey.domain import KINDS, UNKNOWN, Code, ListKind
from services.loop.journey.handlers import (
    add_bank_reasons,
    add_code,
    change_code,
    find_code,
    list_codes,
    reason_emotions,
    retire_code,
)
from services.loop.journey.schemas.lists import (
    CodeChange,
    CodeList,
    CodeOut,
    NewCode,
    ReasonList,
    StarterSet,
    shown_code,
)
from services.loop.journey.store import CodeFilter
from services.loop.resources import Loop
from shared.db.transaction import Transaction
from shared.i18n import supported
from shared.identity.principal import Principal, Scope
from shared.web.access import resources
from shared.web.auth import requires
from shared.web.documents import body_of, read_as
from shared.web.idempotency import Answer, Once
from shared.web.paging import Page, Paged, listed
from shared.web.query import EachOnce, Period
from shared.web.versions import etag, expected_version

_Reader = Annotated[Principal, Depends(requires(Scope.SETTINGS_READ))]
_Writer = Annotated[Principal, Depends(requires(Scope.POLICIES_WRITE))]
_Mapped = Annotated[
    bool | None, Query(description="false: what responses name and nobody has described")
]
_ARTICLES: Final = {
    "segment": "a segment",
    "product": "a product",
    "reason": "a contact reason",
}


def _routes(kind: ListKind) -> APIRouter:
    """Return the routes of one list; the list of reasons has one of its own besides."""
    router = APIRouter(prefix=f"/v1/{kind}s", tags=[f"{kind}s"], dependencies=[EachOnce])
    one = _ARTICLES[kind]

    async def get_list(
        request: Request, caller: _Reader, page: Paged, *, mapped: _Mapped = None
    ) -> dict[str, object]:
        """List the codes by their order, also those that nobody has described."""
        loop = resources(request, Loop)
        of = f"{kind}s?{mapped}"
        rows = await _rows(loop, kind, page, mapped=mapped, of=of)
        return listed(
            rows,
            page,
            show=lambda code: shown_code(code, _language(caller)),
            key=lambda code: [code.code],
            keyring=loop.keyring,
            of=of,
        )

    async def get_one(request: Request, code: str, caller: _Reader) -> JSONResponse:
        """Return one code."""
        loop = resources(request, Loop)
        async with loop.database.reading() as view:
            found = await find_code(view, kind, code, now=loop.clock.now())
        return _answer(found, caller)

    async def post(request: Request, caller: _Writer, once: Once) -> Response:
        """Describe a code, whether responses have named it already or not."""
        sent = await read_as(request, NewCode)
        loop = resources(request, Loop)
        now = loop.clock.now()
        new = Code(
            kind=kind,
            code=sent.code,
            labels=sent.labels,
            described=True,
            first_seen_at=now,
            version=1,
        )

        async def describe(tx: Transaction) -> Answer:
            added = await add_code(tx, new, by=caller, now=now)
            return Answer(
                body=shown_code(added, _language(caller)),
                status=201,
                headers={"ETag": etag(added.version)},
            )

        return await once.act(loop.database, describe, by=caller, meaning=sent)

    async def patch(request: Request, code: str, caller: _Writer) -> JSONResponse:
        """Change labels, or what the code stands for: members left out stay."""
        sent = await read_as(request, CodeChange)
        loop = resources(request, Loop)
        async with loop.database.transaction() as tx:
            saved = await change_code(
                tx,
                kind,
                code,
                sent.members(),
                expected=expected_version(request),
                by=caller,
                now=loop.clock.now(),
            )
        return _answer(saved, caller)

    async def delete(request: Request, code: str, caller: _Writer) -> Response:
        """Offer the code no longer; what came with it still counts. POST offers it again."""
        loop = resources(request, Loop)
        async with loop.database.transaction() as tx:
            await retire_code(
                tx,
                kind,
                code,
                expected=expected_version(request),
                by=caller,
                now=loop.clock.now(),
            )
        return Response(status_code=204)

    if kind != "reason":
        router.add_api_route(
            "",
            get_list,
            response_model=CodeList,
            operation_id=f"get_{kind}s",
            summary=f"List {kind}s, also those that nobody has described",
        )
    router.add_api_route(
        "",
        post,
        methods=["POST"],
        status_code=201,
        operation_id=f"post_{kind}",
        summary=f"Describe {one}",
        openapi_extra=body_of(NewCode),
        responses={201: {"model": CodeOut}},
    )
    router.add_api_route(
        "/{code:path}",
        get_one,
        operation_id=f"get_{kind}",
        summary=f"Read {one}",
        responses={200: {"model": CodeOut}},
    )
    router.add_api_route(
        "/{code:path}",
        patch,
        methods=["PATCH"],
        operation_id=f"patch_{kind}",
        summary=f"Change the names of {one}, or what it stands for",
        openapi_extra=body_of(CodeChange),
        responses={200: {"model": CodeOut}},
    )
    router.add_api_route(
        "/{code:path}",
        delete,
        methods=["DELETE"],
        status_code=204,
        operation_id=f"delete_{kind}",
        summary=f"Retire {one}",
    )
    return router


reasons = APIRouter(prefix="/v1/reasons", tags=["reasons"], dependencies=[EachOnce])


@reasons.get(
    "",
    response_model=ReasonList,
    summary="List contact reasons with how many responses and which emotions came with them",
)
async def get_reasons(
    request: Request, caller: _Reader, page: Paged, days: Period, *, mapped: _Mapped = None
) -> dict[str, object]:
    """List contact reasons; ``n`` and ``emotions`` count the answers of a period.

    Days are UTC; the default is the last twelve weeks. Emotions are those that senders named,
    by the day of the answer, together with those that staff heard before they helped, by the
    day of the contact.
    """
    loop = resources(request, Loop)
    first, last = days
    of = f"reasons?{mapped}&{first}&{last}"
    rows = await _rows(loop, "reason", page, mapped=mapped, of=of)
    async with loop.database.reading() as view:
        numbers, emotions = await reason_emotions(view, first=first, last=last)

    def counted(code: str) -> dict[str, object]:
        return {"n": numbers.get(code, 0), "emotions": emotions.get(code, {})}

    return {
        "from": first,
        "to": last,
        "unknown": counted(UNKNOWN),
        **listed(
            rows,
            page,
            show=lambda one: {**shown_code(one, _language(caller)), **counted(one.code)},
            key=lambda one: [one.code],
            keyring=loop.keyring,
            of=of,
        ),
    }


@reasons.post(
    "/starter",
    status_code=201,
    response_model=CodeList,
    summary="Add the ready contact reasons of a bank",
    openapi_extra=body_of(StarterSet),
)
async def post_starter(request: Request, caller: _Writer, once: Once) -> Response:
    """Add those of the set that are not described yet; return what was added."""
    sent = await read_as(request, StarterSet)
    loop = resources(request, Loop)

    async def add(tx: Transaction) -> Answer:
        added = await add_bank_reasons(tx, by=caller, now=loop.clock.now())
        return Answer(
            body={
                "data": [shown_code(code, _language(caller)) for code in added],
                "next_cursor": None,
                "has_more": False,
            },
            status=201,
        )

    return await once.act(loop.database, add, by=caller, meaning=sent)


ROUTERS: Final = (reasons, *map(_routes, KINDS))


async def _rows(
    loop: Loop, kind: ListKind, page: Page, *, mapped: bool | None, of: str
) -> list[Code]:
    async with loop.database.reading() as view:
        return list(
            await list_codes(
                view,
                CodeFilter(kind=kind, mapped=mapped),
                now=loop.clock.now(),
                after=page.after(loop.keyring, of=of),
                most=page.limit + 1,
            )
        )


def _language(caller: Principal) -> str:
    return supported(caller.language) or "en"


def _answer(code: Code, caller: Principal) -> JSONResponse:
    return JSONResponse(
        shown_code(code, _language(caller)), headers={"ETag": etag(code.version)}
    )
