"""The pages of dead letters: one list for each service, because each has its own.

``letter_pages`` makes the routes of one service; the composition adds them to it, and the front
door sends each list to the role that has it. What stands in a record is shown to whoever may
read responses and change settings, and each opening is in the audit trail.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from shared.db.dead_letter import DeadLetter, LetterState, OpenLetter
from shared.errors import Conflict, Invalid
from shared.i18n import Reader, marked
from shared.identity.principal import Principal, Scope
from shared.letters import EFFECTIVE, LONGEST_REASON, Fate, LetterDesk, reason_of
from shared.web.auth import requires_page
from shared.web.forms import Fields, Form, Option, read_form
from shared.web.paging import Page, Paged, encode_cursor
from shared.web.templating import Area, Pages, done_of, reader_of

PATH: Final = "/settings/dead-letters"
OWNERS: Final[Mapping[str, str]] = {
    "ingest": marked("Intake"),
    "loop": marked("Tasks"),
    "notify": marked("Mail and webhooks"),
}
FIRST: Final = "loop"
"""The list that ``/settings/dead-letters`` itself leads to."""
AT_ONCE: Final = 200
"""So many letters a page replays in one go; the command line takes them all."""

_MOST_SHOWN: Final = 100_000
_STATES: Final[Mapping[LetterState, str]] = {
    LetterState.PARKED: marked("waiting"),
    LetterState.REPLAYED: marked("replayed"),
    LetterState.DISCARDED: marked("discarded"),
}
_FATES: Final[Mapping[Fate, str]] = {
    Fate.HANDLED: marked("It takes effect."),
    Fate.KNOWN: marked("It has been handled meanwhile; nothing is done twice."),
    Fate.PUBLISHED: marked("It is published again."),
    Fate.FAILED: marked("It fails again."),
    Fate.HELD: marked(
        "The database or the bus cannot answer right now. Try again in a minute."
    ),
    Fate.NOBODY: marked("Nobody here handles records of this kind any more."),
    Fate.SETTLED: marked("Somebody has settled it meanwhile."),
}
_DONE: Final[Mapping[str, str]] = {
    **{fate.value: text for fate, text in _FATES.items()},
    "discarded": marked("It is discarded."),
}
_REASON: Final = marked("Please say why in at most 200 characters, without anybody's name.")

pages = Pages()

_Looker = Annotated[Principal, Depends(requires_page(Scope.SETTINGS_READ))]
_Keeper = Annotated[Principal, Depends(requires_page(Scope.SETTINGS_WRITE))]
_Opener = Annotated[
    Principal, Depends(requires_page(Scope.RESPONSES_READ, Scope.SETTINGS_WRITE))
]


@dataclass(frozen=True, kw_only=True)
class LetterLine:
    """One letter, as it is listed."""

    id: str
    href: str
    kind: str
    topic: str
    consumer: str
    error: str
    tries: int
    state: str
    waits: bool
    parked_at: datetime


@dataclass(frozen=True, kw_only=True)
class DeadLettersPage:
    """The letters of one service."""

    now: datetime
    done: str
    owner: str
    at: str
    tabs: Sequence[Area]
    count: int
    oldest: datetime | None
    lines: Sequence[LetterLine]
    settled: bool
    newer: str | None
    older: str | None
    may_write: bool
    form: Form
    rehearsed: Sequence[str]
    at_once: int


@dataclass(frozen=True, kw_only=True)
class DeadLetterPage:
    """One letter, and what may be done about it."""

    letter: LetterLine
    back: str
    owner: str
    done: str
    origin: str
    event_id: str | None
    digest: str
    settled_at: datetime | None
    may_write: bool
    may_open: bool
    content: str | None = field(repr=False)
    rehearsed: str
    replay: Form
    discard: Form
    sure: Sequence[Option]


def letter_pages(desk: LetterDesk) -> APIRouter:
    """Return the routes of one service's letters."""
    router = APIRouter(include_in_schema=False)
    doors = _Doors(desk)
    at, one = doors.at, f"{doors.at}/{{letter_id}}"
    if desk.owner == FIRST:
        router.add_api_route(PATH, doors.show_first, methods=["GET"])
    router.add_api_route(at, doors.show_all, methods=["GET"])
    router.add_api_route(f"{at}/rehearse", doors.rehearse_all, methods=["POST"])
    router.add_api_route(f"{at}/replay", doors.replay_all, methods=["POST"])
    router.add_api_route(one, doors.show, methods=["GET"])
    router.add_api_route(f"{one}/open", doors.open_one, methods=["POST"])
    router.add_api_route(f"{one}/rehearse", doors.rehearse, methods=["POST"])
    router.add_api_route(f"{one}/replay", doors.replay, methods=["POST"])
    router.add_api_route(f"{one}/discard", doors.discard, methods=["POST"])
    return router


class _Doors:
    """What the addresses of one service's letters answer."""

    def __init__(self, desk: LetterDesk) -> None:
        self._desk = desk
        self.at = f"{PATH}/{desk.owner}"

    async def show_first(self, _caller: _Looker) -> Response:
        """Lead to the first list."""
        return RedirectResponse(self.at, 303)

    async def show_all(self, request: Request, caller: _Looker, page: Paged) -> Response:
        """Show what waits, or everything, and the form that replays it."""
        return await _list(request, self._desk, caller, page=page)

    async def rehearse_all(self, request: Request, caller: _Keeper) -> Response:
        """Say what replaying them would come to; nothing is changed."""
        await read_form(request)
        oldest = await _oldest(self._desk)
        fates = [(await self._desk.rehearse(letter)).fate for letter in oldest]
        return await _list(request, self._desk, caller, fates=fates)

    async def replay_all(self, request: Request, caller: _Keeper) -> Response:
        """Replay the oldest ones."""
        fields = Fields(await read_form(request), reader_of(request))
        reason = _reason(fields, reader_of(request))
        if fields.errors:
            form = fields.form("replay")
            return await _list(request, self._desk, caller, form=form, status=422)
        done = [
            await self._desk.replay(letter, by=caller, reason=reason)
            for letter in await _oldest(self._desk)
        ]
        went = sum(each.fate in EFFECTIVE for each in done)
        query = urlencode({"done": "all", "went": went, "failed": len(done) - went})
        return RedirectResponse(f"{self.at}?{query}", 303)

    async def show(self, request: Request, letter_id: str, caller: _Looker) -> Response:
        """Show one letter without its content."""
        return await _page(request, self._desk, await self._desk.get(letter_id), caller)

    async def open_one(self, request: Request, letter_id: str, caller: _Opener) -> Response:
        """Show the content of one letter; that is written down."""
        await read_form(request)
        letter = await self._desk.open(letter_id, by=caller)
        return await _page(request, self._desk, letter, caller, content=_readable(letter))

    async def rehearse(self, request: Request, letter_id: str, caller: _Keeper) -> Response:
        """Say what replaying it would come to; nothing is changed."""
        await read_form(request)
        letter = await self._desk.get(letter_id)
        came = await self._desk.rehearse(letter)
        said = _told(reader_of(request), came.fate, came.why)
        return await _page(request, self._desk, letter, caller, rehearsed=said)

    async def replay(self, request: Request, letter_id: str, caller: _Keeper) -> Response:
        """Hand it over again; it takes effect once."""
        reader = reader_of(request)
        fields = Fields(await read_form(request), reader)
        letter = await self._desk.get(letter_id)
        reason = _reason(fields, reader)
        if fields.errors:
            form = fields.form("replay")
            return await _page(request, self._desk, letter, caller, replay=form, status=422)
        came = await self._desk.replay(letter, by=caller, reason=reason)
        if came.fate in EFFECTIVE:
            return RedirectResponse(f"{self.at}/{letter_id}?done={came.fate}", 303)
        form = fields.form("replay", refusal=_told(reader, came.fate, came.why))
        letter = await self._desk.get(letter_id)
        status = Conflict.status
        return await _page(request, self._desk, letter, caller, replay=form, status=status)

    async def discard(self, request: Request, letter_id: str, caller: _Keeper) -> Response:
        """Give it up for good, once somebody has said why and that they are sure."""
        reader = reader_of(request)
        fields = Fields(await read_form(request), reader)
        letter = await self._desk.get(letter_id)
        reason = _reason(fields, reader)
        if not fields.values.get("sure"):
            fields.errors["sure"] = reader.gettext("Please tick this: it cannot be undone.")
        if fields.errors:
            form = fields.form("discard")
            return await _page(request, self._desk, letter, caller, discard=form, status=422)
        await self._desk.discard(letter_id, by=caller, reason=reason)
        return RedirectResponse(f"{self.at}?done=discarded", 303)


async def _oldest(desk: LetterDesk) -> Sequence[DeadLetter]:
    """Return the letters that one go takes, the oldest first."""
    return await desk.list(limit=AT_ONCE, oldest_first=True)


def _reason(fields: Fields, reader: Reader) -> str:
    text = fields.text("reason", most=LONGEST_REASON)
    if "reason" in fields.errors:
        return ""
    try:
        return reason_of(text)
    except Invalid:
        fields.errors["reason"] = reader.gettext(_REASON)
        return ""


async def _list(
    request: Request,
    desk: LetterDesk,
    caller: Principal,
    *,
    page: Page | None = None,
    form: Form | None = None,
    fates: Sequence[Fate] | None = None,
    status: int = 200,
) -> Response:
    reader = reader_of(request)
    page = page or Page()
    at = f"{PATH}/{desk.owner}"
    settled = request.query_params.get("state") == "all"
    of = f"page{at}?{settled}"
    after = page.after(desk.keyring, of=of)
    found = await desk.list(
        state=None if settled else LetterState.PARKED,
        after=str(after[0]) if after else None,
        limit=page.limit + 1,
    )
    shown = found[: page.limit]
    asked = {"state": "all"} if settled else {}
    older = None
    if len(found) > page.limit:
        cursor = encode_cursor(desk.keyring, [shown[-1].id], of=of)
        older = f"{at}?{urlencode({**asked, 'cursor': cursor})}"
    pile = await desk.pile()
    context = DeadLettersPage(
        now=desk.clock.now(),
        done=_done(request, reader),
        owner=reader.gettext(OWNERS[desk.owner]),
        at=at,
        tabs=[
            Area(name=reader.gettext(text), path=f"{PATH}/{owner}", scope=Scope.SETTINGS_READ)
            for owner, text in OWNERS.items()
        ],
        count=pile.count,
        oldest=pile.oldest,
        lines=[_line(letter, at, reader) for letter in shown],
        settled=settled,
        newer=f"{at}?{urlencode(asked)}" if after is not None else None,
        older=older,
        may_write=caller.may(Scope.SETTINGS_WRITE),
        form=form or Form(name="replay"),
        rehearsed=[
            f"{n}: {reader.gettext(_FATES[fate])}"
            for fate, n in Counter(fates or ()).most_common()
        ],
        at_once=AT_ONCE,
    )
    return pages.render(request, "dead_letters.html", context, status=status)


def _done(request: Request, reader: Reader) -> str:
    asked = request.query_params
    if asked.get("done") != "all":
        return done_of(request, _DONE, reader)
    went, failed = (
        int(given) if (given := asked.get(name, "")).isdecimal() and len(given) < 7 else 0
        for name in ("went", "failed")
    )
    return " ".join(
        [
            reader.ngettext("%(n)s was replayed.", "%(n)s were replayed.", went),
            reader.ngettext("%(n)s failed again.", "%(n)s failed again.", failed)
            if failed
            else "",
        ]
    ).strip()


async def _page(
    request: Request,
    desk: LetterDesk,
    letter: DeadLetter,
    caller: Principal,
    *,
    content: str | None = None,
    rehearsed: str = "",
    replay: Form | None = None,
    discard: Form | None = None,
    status: int = 200,
) -> Response:
    reader = reader_of(request)
    at = f"{PATH}/{desk.owner}"
    sure = reader.gettext("Yes: nobody will ever need what it says")
    context = DeadLetterPage(
        letter=_line(letter, at, reader),
        back=at,
        owner=reader.gettext(OWNERS[desk.owner]),
        done=done_of(request, _DONE, reader) if status == 200 else "",
        origin=f"{letter.topic}/{letter.partition}/{letter.offset}",
        event_id=letter.event_id,
        digest=letter.digest[:12],
        settled_at=letter.settled_at,
        may_write=caller.may(Scope.SETTINGS_WRITE),
        may_open=caller.may(Scope.SETTINGS_WRITE) and caller.may(Scope.RESPONSES_READ),
        content=content,
        rehearsed=rehearsed,
        replay=replay or Form(name="replay"),
        discard=discard or Form(name="discard"),
        sure=[Option(value="sure", label=sure)],
    )
    return pages.render(request, "dead_letter.html", context, status=status)


def _line(letter: DeadLetter, at: str, reader: Reader) -> LetterLine:
    return LetterLine(
        id=letter.id,
        href=f"{at}/{letter.id}",
        kind=letter.event_type or reader.gettext(marked("unreadable")),
        topic=letter.topic,
        consumer=letter.consumer,
        error=letter.error,
        tries=letter.tries,
        state=reader.gettext(_STATES[letter.state]),
        waits=letter.state is LetterState.PARKED,
        parked_at=letter.parked_at,
    )


def _told(reader: Reader, fate: Fate, why: str) -> str:
    said = reader.gettext(_FATES[fate])
    return f"{said} {why}" if why else said


def _readable(letter: OpenLetter) -> str:
    """Return the bytes as text: JSON laid out, anything else as it is."""
    text = letter.body.decode("utf-8", errors="replace")[:_MOST_SHOWN]
    try:
        return json.dumps(json.loads(text), ensure_ascii=False, indent=2)
    except (ValueError, RecursionError):
        return text
