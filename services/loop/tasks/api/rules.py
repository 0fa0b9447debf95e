"""``/v1/routing-rules``: which response opens a task, under which scheme, and for whom."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from services.loop.resources import Loop
from services.loop.tasks.domain.rulebooks import changed, position_of, with_rule, without
from services.loop.tasks.handlers.ruling import (
    change_book,
    change_draft,
    discard_draft,
    drafted_book,
    list_books,
    no_draft,
    publish_draft,
    published_book,
    restore_book,
)
from services.loop.tasks.schemas.rules import (
    BookIn,
    BookList,
    BookOut,
    DraftOut,
    NewRule,
    RuleChange,
    RuleList,
    RuleOut,
    shown_book,
    shown_draft,
    shown_rule,
)
from services.loop.tasks.store.rulebooks import Draft, Published
from shared.db.transaction import Reading, Transaction
from shared.identity.keys import find_key
from shared.identity.owners import owners
from shared.identity.principal import Principal, Scope
from shared.web.access import resources
from shared.web.auth import requires
from shared.web.documents import body_of, read_as
from shared.web.idempotency import Answer, Once
from shared.web.paging import Paged, listed
from shared.web.query import EachOnce
from shared.web.versions import etag, expected_version

router = APIRouter(prefix="/v1/routing-rules", tags=["routing-rules"], dependencies=[EachOnce])

_Reader = Annotated[Principal, Depends(requires(Scope.SETTINGS_READ))]
_LAST_VERSION = 2**31 - 1
"""What a version can count up to in either database."""
_Writer = Annotated[Principal, Depends(requires(Scope.POLICIES_WRITE))]


@router.get("", response_model=RuleList, summary="List the routing rules in their order")
async def get_rules(request: Request, _caller: _Reader, page: Paged) -> dict[str, object]:
    """List the rules that apply: of those that match a response, the first one counts."""
    loop = resources(request, Loop)
    async with loop.database.reading() as view:
        book = (await published_book(view)).document
    of = f"routing-rules?{book['version']}"
    after = page.after(loop.keyring, of=of)
    first = int(after[0]) if after else 0
    rows = range(first, min(len(book["rules"]), first + page.limit + 1))
    return {
        "version": book["version"],
        **listed(
            rows,
            page,
            show=lambda n: shown_rule(book, n),
            key=lambda n: [n + 1],
            keyring=loop.keyring,
            of=of,
        ),
    }


@router.post(
    "",
    status_code=201,
    summary="Add a routing rule",
    openapi_extra=body_of(NewRule),
    responses={201: {"model": RuleOut}},
)
async def post_rule(request: Request, caller: _Writer, once: Once) -> Response:
    """Add a rule to those that apply, at the end or where it is wanted."""
    sent = await read_as(request, NewRule)
    loop = resources(request, Loop)
    expected = expected_version(request)

    async def add(tx: Transaction) -> Answer:
        book = await change_book(
            tx,
            lambda document: with_rule(document, sent.rule(), sent.at),
            expected=expected,
            by=caller,
            now=loop.clock.now(),
        )
        return _shown(book, sent.id, status=201)

    return await once.act(loop.database, add, by=caller, meaning=sent)


@router.get(
    "/versions", response_model=BookList, summary="List the versions of the routing rules"
)
async def get_versions(request: Request, _caller: _Reader, page: Paged) -> dict[str, object]:
    """List who published which rules when, the latest first."""
    loop = resources(request, Loop)
    of = "routing-rules/versions"
    after = page.after(loop.keyring, of=of)
    async with loop.database.reading() as view:
        rows = await list_books(view, before=after[0] if after else None, most=page.limit + 1)
        names = await _names(view, *(row.published_by for row in rows))
    return listed(
        rows,
        page,
        show=lambda book: shown_book(book, names),
        key=lambda book: [book.version],
        keyring=loop.keyring,
        of=of,
    )


@router.post(
    "/versions/{version}/restore",
    status_code=201,
    summary="Put an earlier version of the routing rules back",
    responses={201: {"model": BookOut}},
)
async def post_restore(
    request: Request,
    version: Annotated[int, Path(ge=1, le=_LAST_VERSION)],
    caller: _Writer,
    once: Once,
) -> Response:
    """Publish the rules of an earlier version once more, as the newest one."""
    loop = resources(request, Loop)

    async def restore(tx: Transaction) -> Answer:
        book = await restore_book(tx, version, by=caller, now=loop.clock.now())
        return await _whole(tx, book)

    return await once.act(loop.database, restore, by=caller)


@router.get(
    "/draft",
    summary="Read the draft of the routing rules",
    responses={200: {"model": DraftOut}},
)
async def get_draft(request: Request, _caller: _Reader) -> JSONResponse:
    """Return the rules that somebody works on; nothing goes by them yet."""
    loop = resources(request, Loop)
    async with loop.database.reading() as view:
        draft = await drafted_book(view)
        if draft is None:
            raise no_draft()
        return await _draft(view, draft)


@router.put(
    "/draft",
    summary="Write the draft of the routing rules",
    openapi_extra=body_of(BookIn),
    responses={200: {"model": DraftOut}},
)
async def put_draft(request: Request, caller: _Writer) -> JSONResponse:
    """Replace the draft as a whole, or begin one."""
    sent = await read_as(request, BookIn)
    loop = resources(request, Loop)
    async with loop.database.transaction() as tx:
        draft = await change_draft(
            tx,
            lambda document: {"version": document["version"], **sent.document()},
            expected=expected_version(request),
            by=caller,
            now=loop.clock.now(),
        )
        return await _draft(tx, draft)


@router.delete("/draft", status_code=204, summary="Drop the draft of the routing rules")
async def delete_draft(request: Request, caller: _Writer) -> Response:
    """Forget the draft; the rules that apply stay as they are."""
    loop = resources(request, Loop)
    async with loop.database.transaction() as tx:
        await discard_draft(tx, by=caller, now=loop.clock.now())
    return Response(status_code=204)


@router.post(
    "/draft/publish",
    status_code=201,
    summary="Publish the draft of the routing rules",
    responses={201: {"model": BookOut}},
)
async def post_publish(request: Request, caller: _Writer, once: Once) -> Response:
    """Let the draft apply from now on; If-Match takes the draft's version."""
    loop = resources(request, Loop)
    expected = expected_version(request)

    async def publish(tx: Transaction) -> Answer:
        book = await publish_draft(tx, expected=expected, by=caller, now=loop.clock.now())
        return await _whole(tx, book)

    return await once.act(loop.database, publish, by=caller)


@router.get("/{rule_id}", summary="Read a routing rule", responses={200: {"model": RuleOut}})
async def get_rule(request: Request, rule_id: str, _caller: _Reader) -> JSONResponse:
    """Return one rule of those that apply; the ETag is the version of all rules."""
    loop = resources(request, Loop)
    async with loop.database.reading() as view:
        book = await published_book(view)
    answer = _shown(book, rule_id)
    return JSONResponse(answer.body, headers=dict(answer.headers))


@router.patch(
    "/{rule_id}",
    summary="Change a routing rule, or its place",
    openapi_extra=body_of(RuleChange),
    responses={200: {"model": RuleOut}},
)
async def patch_rule(request: Request, rule_id: str, caller: _Writer) -> JSONResponse:
    """Change what was sent: members left out stay."""
    sent = await read_as(request, RuleChange)
    loop = resources(request, Loop)
    async with loop.database.transaction() as tx:
        book = await change_book(
            tx,
            lambda document: changed(document, rule_id, sent.changes(), sent.at),
            expected=expected_version(request),
            by=caller,
            now=loop.clock.now(),
        )
    answer = _shown(book, rule_id)
    return JSONResponse(answer.body, headers=dict(answer.headers))


@router.delete("/{rule_id}", status_code=204, summary="Remove a routing rule")
async def delete_rule(request: Request, rule_id: str, caller: _Writer) -> Response:
    """Remove a rule from those that apply; its tasks stay."""
    loop = resources(request, Loop)
    async with loop.database.transaction() as tx:
        await change_book(
            tx,
            lambda document: without(document, rule_id),
            expected=expected_version(request),
            by=caller,
            now=loop.clock.now(),
        )
    return Response(status_code=204)


def _shown(book: Published, rule_id: str, *, status: int = 200) -> Answer:
    return Answer(
        body=shown_rule(book.document, position_of(book.document, rule_id)),
        status=status,
        headers={"ETag": etag(book.version)},
    )


async def _whole(view: Reading, book: Published) -> Answer:
    names = await _names(view, book.published_by)
    return Answer(
        body=shown_book(book, names), status=201, headers={"ETag": etag(book.version)}
    )


async def _draft(view: Reading, draft: Draft) -> JSONResponse:
    names = await _names(view, draft.changed_by)
    return JSONResponse(shown_draft(draft, names), headers={"ETag": etag(draft.version)})


async def _names(view: Reading, *ids: str | None) -> dict[str, str]:
    """Return the names of staff and keys."""
    wanted = {one for one in ids if one is not None}
    names = {owner.id: owner.name for owner in (await owners(view, wanted)).values()}
    for one in wanted - set(names):
        if (key := await find_key(view, one)) is not None:
            names[key.id] = key.name
    return names
