"""Replaying the taxonomy over history, with a bar that says how far it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.loop.pages.rules.reading import names_of
from services.loop.pages.site import done_of, pages
from services.loop.resources import Loop
from services.loop.themes.handlers import current_taxonomy
from services.loop.themes.handlers.replaying import (
    Act,
    act_on_replay,
    list_replays,
    start_replay,
)
from services.loop.themes.store import UNDER_WAY, Replay
from shared.errors import Conflict, NotFound
from shared.i18n import Reader, marked
from shared.identity.principal import Principal, Scope
from shared.web.access import resources
from shared.web.auth import requires_page
from shared.web.forms import Fields, read_form
from shared.web.templating import reader_of

router = APIRouter(include_in_schema=False)

PATH: Final = "/settings/taxonomy/replay"
_SHOWN: Final = 20
_MOVED: Final = 20

_Reader = Annotated[Principal, Depends(requires_page(Scope.THEMES_READ))]
_Writer = Annotated[Principal, Depends(requires_page(Scope.TAXONOMY_WRITE))]
_ACTS: Final[Mapping[str, Act]] = {"pause": "pause", "resume": "resume", "stop": "stop"}
STATES: Final[Mapping[str, str]] = {
    "running": marked("running"),
    "paused": marked("paused"),
    "done": marked("done"),
    "stopped": marked("stopped"),
}
_DONE: Final[Mapping[str, str]] = {
    "started": marked("The replay has begun. It goes on by itself, also after a restart."),
    "pause": marked("The replay is paused."),
    "resume": marked("The replay goes on."),
    "stop": marked("The replay was stopped. What it has read again stays so."),
    "other": marked("A replay is under way already."),
    "over": marked("This replay has ended."),
}


@dataclass(frozen=True, kw_only=True)
class Moved:
    """How many comments a theme gained and lost."""

    theme: str
    gained: int
    lost: int


@dataclass(frozen=True, kw_only=True)
class ReplayLine:
    """One replay."""

    id: str
    state: str
    is_paused: bool
    is_over: bool
    version: int
    total: int
    done: int
    changed: int
    unread: int
    restarts: int
    moved: Sequence[Moved]
    fingerprint: str
    by: str
    started_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class ReplayPage:
    """What the page of replays shows."""

    version: int
    now: ReplayLine | None
    """The replay that is under way."""
    lines: Sequence[ReplayLine]
    may_write: bool
    done: str


@router.get(PATH)
async def show(request: Request, caller: _Reader) -> Response:
    """Show how far a replay is, and the earlier ones."""
    loop, reader = resources(request, Loop), reader_of(request)
    async with loop.database.reading() as view:
        found = await list_replays(view, most=_SHOWN)
        current = await current_taxonomy(view)
        people = await names_of(view, {one.started_by for one in found})
    names = {each.id: each.name_in(reader.catalogue) for each in current.taxonomy.themes}
    lines = [
        _line(one, people.get(one.started_by, one.started_by), names, reader) for one in found
    ]
    context = ReplayPage(
        version=current.version,
        now=next((line for line in lines if not line.is_over), None),
        lines=[line for line in lines if line.is_over],
        may_write=caller.may(Scope.TAXONOMY_WRITE),
        done=done_of(request, _DONE, reader),
    )
    return pages.render(request, "replay.html", context)


@router.post(PATH)
async def start(request: Request, caller: _Writer) -> Response:
    """Start a replay."""
    loop = resources(request, Loop)
    await read_form(request)
    done = "started"
    try:
        async with loop.database.transaction() as tx:
            await start_replay(tx, by=caller, now=loop.clock.now())
    except Conflict:
        done = "other"
    return RedirectResponse(f"{PATH}?done={done}", 303)


@router.post(PATH + "/{act}")
async def act_on(request: Request, act: str, caller: _Writer) -> Response:
    """Pause, resume or stop a replay."""
    loop = resources(request, Loop)
    if act not in _ACTS:
        raise NotFound("There is nothing at this address.")
    fields = Fields(await read_form(request), reader_of(request))
    done = act
    try:
        async with loop.database.transaction() as tx:
            replay_id = fields.values.get("id", "")[:40]
            await act_on_replay(tx, replay_id, _ACTS[act], by=caller, now=loop.clock.now())
    except Conflict:
        done = "over"
    return RedirectResponse(f"{PATH}?done={done}", 303)


def _line(replay: Replay, by: str, names: Mapping[str, str], reader: Reader) -> ReplayLine:
    moved = sorted(replay.themes.items(), key=lambda one: (-sum(one[1]), one[0]))
    return ReplayLine(
        id=replay.id,
        state=reader.gettext(STATES[replay.state]),
        is_paused=replay.state == "paused",
        is_over=replay.state not in UNDER_WAY,
        version=replay.taxonomy_version,
        total=max(replay.total, replay.done),
        done=replay.done,
        changed=replay.changed,
        unread=replay.unread,
        restarts=replay.restarts,
        moved=[
            Moved(theme=names.get(theme_id, theme_id), gained=gained, lost=lost)
            for theme_id, (gained, lost) in moved[:_MOVED]
        ],
        fingerprint=replay.fingerprint[:8] if replay.state == "done" else "",
        by=by,
        started_at=replay.started_at,
        ended_at=replay.ended_at,
    )
