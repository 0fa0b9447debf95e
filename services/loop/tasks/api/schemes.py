"""``/v1/schemes``: what is promised to customers and how it is kept, in versions."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path, Query
from fastapi.responses import JSONResponse
from starlette.requests import Request
from starlette.responses import Response

from services.loop.journey.store.versions import Published
from services.loop.resources import Loop
from services.loop.tasks.handlers.schemes import (
    change_scheme,
    find_scheme,
    list_schemes,
    publish_scheme,
)
from services.loop.tasks.schemas.schemes import (
    NewScheme,
    SchemeChange,
    SchemeList,
    SchemeOut,
    shown_scheme,
)
from shared.db.transaction import Transaction
from shared.identity.principal import Principal, Scope
from shared.web.access import resources
from shared.web.auth import requires
from shared.web.documents import body_of, read_as
from shared.web.idempotency import Answer, Once
from shared.web.paging import Paged, listed
from shared.web.query import EachOnce
from shared.web.versions import etag, expected_version

router = APIRouter(prefix="/v1/schemes", tags=["schemes"], dependencies=[EachOnce])

_Reader = Annotated[Principal, Depends(requires(Scope.SETTINGS_READ))]
_Writer = Annotated[Principal, Depends(requires(Scope.POLICIES_WRITE))]
_Id = Annotated[str, Path(max_length=40)]
_Version = Annotated[
    int | None, Query(ge=1, le=999_999_999, description="an earlier version of it")
]
_OF: Final = "schemes"


@router.get("", response_model=SchemeList, summary="List the recovery schemes")
async def get_list(request: Request, _: _Reader, page: Paged) -> dict[str, object]:
    """List the schemes in the versions that apply to new tasks, by id."""
    loop = resources(request, Loop)
    after = page.after(loop.keyring, of=_OF)
    async with loop.database.reading() as view:
        found = await list_schemes(view)
    rest = [one for one in found if after is None or one.id > after[0]]
    return listed(
        rest[: page.limit + 1],
        page,
        show=shown_scheme,
        key=lambda one: [one.id],
        keyring=loop.keyring,
        of=_OF,
    )


@router.get(
    "/{scheme_id}",
    summary="Read a recovery scheme",
    responses={200: {"model": SchemeOut}},
)
async def get_one(
    request: Request, scheme_id: _Id, _: _Reader, version: _Version = None
) -> JSONResponse:
    """Return a scheme as it applies, or with ``version`` as it stood then."""
    loop = resources(request, Loop)
    async with loop.database.reading() as view:
        return _answer(await find_scheme(view, scheme_id, version))


@router.post(
    "",
    status_code=201,
    summary="Publish a new recovery scheme",
    openapi_extra=body_of(NewScheme),
    responses={201: {"model": SchemeOut}},
)
async def post(request: Request, caller: _Writer, once: Once) -> Response:
    """Publish a scheme; rules name it by its id."""
    sent = await read_as(request, NewScheme)
    loop = resources(request, Loop)

    async def publish(tx: Transaction) -> Answer:
        new = await publish_scheme(tx, sent.document(), by=caller, now=loop.clock.now())
        return Answer(body=shown_scheme(new), status=201, headers={"ETag": etag(new.version)})

    return await once.act(loop.database, publish, by=caller, meaning=sent)


@router.patch(
    "/{scheme_id}",
    summary="Publish the next version of a recovery scheme",
    openapi_extra=body_of(SchemeChange),
    responses={200: {"model": SchemeOut}},
)
async def patch(request: Request, scheme_id: _Id, caller: _Writer) -> JSONResponse:
    """Publish what changes as the next version; tasks that are open keep theirs."""
    sent = await read_as(request, SchemeChange)
    loop = resources(request, Loop)
    async with loop.database.transaction() as tx:
        saved = await change_scheme(
            tx,
            scheme_id,
            sent.members(),
            expected=expected_version(request),
            by=caller,
            now=loop.clock.now(),
        )
    return _answer(saved)


def _answer(one: Published) -> JSONResponse:
    return JSONResponse(shown_scheme(one), headers={"ETag": etag(one.version)})
