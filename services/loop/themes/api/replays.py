"""``/v1/taxonomy/replays``: reading every stored comment again by the taxonomy in use."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends
from pydantic import AwareDatetime, BaseModel
from starlette.requests import Request
from starlette.responses import Response

from services.loop.resources import Loop
from services.loop.themes.handlers.replaying import (
    Act,
    act_on_replay,
    find_replay,
    list_replays,
    start_replay,
)
from services.loop.themes.store import Replay
from shared.db.transaction import Transaction
from shared.identity.principal import Principal, Scope
from shared.web.access import resources
from shared.web.auth import requires
from shared.web.idempotency import Answer, Once
from shared.web.paging import Paged, listed
from shared.web.query import EachOnce

router = APIRouter(prefix="/v1/taxonomy/replays", tags=["themes"], dependencies=[EachOnce])

_Reader = Annotated[Principal, Depends(requires(Scope.THEMES_READ))]
_Writer = Annotated[Principal, Depends(requires(Scope.TAXONOMY_WRITE))]
_NAME = "replays"


class MovedOut(BaseModel):
    """How many responses gained and lost a theme."""

    id: str
    gained: int
    lost: int


class ReplayOut(BaseModel):
    """A replay: ``done`` of ``total`` comments are read again, ``changed`` touch other themes.

    ``unread`` comments are of customers who were forgotten; what was found in them before
    stays. ``restarts`` counts the versions of the taxonomy that came into use meanwhile: with
    each it began anew. Two replays by one version over the same responses end with the same
    ``fingerprint`` of every theme, score and evidence.
    """

    id: str
    state: Literal["running", "paused", "done", "stopped"]
    taxonomy_version: int
    total: int
    done: int
    changed: int
    unread: int
    restarts: int
    themes: list[MovedOut]
    fingerprint: str | None
    started_at: AwareDatetime
    started_by: str
    ended_at: AwareDatetime | None


class ReplayList(BaseModel):
    """Replays, the latest first."""

    data: list[ReplayOut]
    next_cursor: str | None
    has_more: bool


def shown_replay(replay: Replay) -> dict[str, object]:
    """Return a replay as ``/v1/taxonomy/replays`` shows it."""
    return ReplayOut(
        id=replay.id,
        state=replay.state,
        taxonomy_version=replay.taxonomy_version,
        total=max(replay.total, replay.done),
        done=replay.done,
        changed=replay.changed,
        unread=replay.unread,
        restarts=replay.restarts,
        themes=[
            MovedOut(id=theme_id, gained=gained, lost=lost)
            for theme_id, (gained, lost) in replay.themes.items()
        ],
        fingerprint=replay.fingerprint if replay.state == "done" else None,
        started_at=replay.started_at,
        started_by=replay.started_by,
        ended_at=replay.ended_at,
    ).model_dump(mode="json")


@router.get("", response_model=ReplayList, summary="List replays of the taxonomy")
async def get_replays(request: Request, _caller: _Reader, page: Paged) -> dict[str, object]:
    """List replays, the latest first."""
    loop = resources(request, Loop)
    after = page.after(loop.keyring, of=_NAME)
    before = (datetime.fromisoformat(after[0]), after[1]) if after else None
    async with loop.database.reading() as view:
        rows = await list_replays(view, before=before, most=page.limit + 1)
    return listed(
        rows,
        page,
        show=shown_replay,
        key=lambda row: [row.started_at.isoformat(), row.id],
        keyring=loop.keyring,
        of=_NAME,
    )


@router.post(
    "",
    status_code=202,
    summary="Read every stored comment again by the taxonomy in use",
    responses={202: {"model": ReplayOut}},
)
async def post_replay(request: Request, caller: _Writer, once: Once) -> Response:
    """Start a replay; it goes on by itself, also after a restart.

    Themes stay right while it runs: what is not read again yet counts as it was found. There is
    one at a time; where another version of the taxonomy comes into use it begins anew.
    """
    loop = resources(request, Loop)

    async def start(tx: Transaction) -> Answer:
        replay = await start_replay(tx, by=caller, now=loop.clock.now())
        return Answer(
            body=shown_replay(replay),
            status=202,
            headers={"Location": f"/v1/taxonomy/replays/{replay.id}"},
        )

    return await once.act(loop.database, start, by=caller)


@router.get("/{replay_id}", response_model=ReplayOut, summary="Read how far a replay is")
async def get_replay(request: Request, replay_id: str, _caller: _Reader) -> dict[str, object]:
    """Return one replay."""
    async with resources(request, Loop).database.reading() as view:
        return shown_replay(await find_replay(view, replay_id))


async def _act(
    request: Request, replay_id: str, act: Act, caller: Principal, once: Once
) -> Response:
    loop = resources(request, Loop)

    async def work(tx: Transaction) -> Answer:
        replay = await act_on_replay(tx, replay_id, act, by=caller, now=loop.clock.now())
        return Answer(body=shown_replay(replay))

    return await once.act(loop.database, work, by=caller)


@router.post(
    "/{replay_id}/pause",
    summary="Pause a replay",
    responses={200: {"model": ReplayOut}},
)
async def post_pause(request: Request, replay_id: str, caller: _Writer, once: Once) -> Response:
    """Let a replay rest where it is; what it has read again stays so."""
    return await _act(request, replay_id, "pause", caller, once)


@router.post(
    "/{replay_id}/resume",
    summary="Resume a paused replay",
    responses={200: {"model": ReplayOut}},
)
async def post_resume(
    request: Request, replay_id: str, caller: _Writer, once: Once
) -> Response:
    """Let a replay go on where it was paused."""
    return await _act(request, replay_id, "resume", caller, once)


@router.post(
    "/{replay_id}/stop",
    summary="Stop a replay for good",
    responses={200: {"model": ReplayOut}},
)
async def post_stop(request: Request, replay_id: str, caller: _Writer, once: Once) -> Response:
    """End a replay before its time; what it has read again stays so."""
    return await _act(request, replay_id, "stop", caller, once)
