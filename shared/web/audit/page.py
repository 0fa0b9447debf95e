"""The trail as a page with filters, and its files; whoever takes a file stands in it too."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Final
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from shared.i18n import Reader, marked
from shared.identity import audit, trail
from shared.identity.principal import Principal, Scope
from shared.identity.trail import Entry, Sought
from shared.web.access import web
from shared.web.audit.files import Kind, file_of, size_of
from shared.web.audit.words import ACTIONS, KINDS
from shared.web.auth import requires_page
from shared.web.forms import Form, Option
from shared.web.paging import Paged, encode_cursor
from shared.web.templating import Pages, reader_of

router = APIRouter(include_in_schema=False)
pages = Pages()

AT: Final = "/settings/audit"
_FILTERS: Final = ("actor", "action", "subject", "since", "until")
_LONGEST: Final = 80
_NO_DAY: Final = marked("Please give a day such as 2026-03-31.")
_NO_WORD: Final = marked("Nothing in the trail is called that.")
_PLACES: Final = {
    "per_": "/customers/{}",
    "tsk_": "/tasks/{}",
    "stf_": "/settings/people/{}",
    "key_": "/settings/keys/{}",
}
"""Where what the trail names can be looked at, by how its id begins."""

_Auditor = Annotated[Principal, Depends(requires_page(Scope.AUDIT_READ))]


@dataclass(frozen=True, kw_only=True)
class EntryLine:
    """One line of the trail, as it is read."""

    at: datetime
    who: str
    kind: str
    deed: str
    subject: str
    named: str
    """What the subject is called, where that is known."""
    href: str
    detail: Sequence[tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class AuditPage:
    """What the page of the trail shows."""

    form: Form
    people: Sequence[Option]
    actions: Sequence[Option]
    narrowed: bool
    lines: Sequence[EntryLine]
    newer: str | None
    older: str | None
    csv: str
    json: str


@router.get(AT)
async def show(request: Request, _caller: _Auditor, page: Paged) -> Response:
    """Show the trail, the latest first."""
    here, reader = web(request), reader_of(request)
    given = _given(request)
    sought, errors = _sought(given, reader)
    of = f"page{AT}?{urlencode(given)}"
    after = page.after(here.keyring, of=of)
    async with here.database.reading() as view:
        people = await trail.actors(view)
        found = (
            []
            if errors
            else await trail.entries(
                view, sought, before=after[0] if after else None, limit=page.limit + 1
            )
        )
        shown = found[: page.limit]
        names = await trail.names_of(
            view, [named for entry in shown for named in (entry.actor_id, entry.subject)]
        )
    older = None
    if len(found) > page.limit:
        cursor = encode_cursor(here.keyring, [shown[-1].n], of=of)
        older = _href("", {**given, "cursor": cursor})
    context = AuditPage(
        form=Form(name="filter", values=given, errors=errors),
        people=[Option(value=one, label=name) for one, name in people],
        actions=sorted(
            (Option(value=one, label=reader.gettext(text)) for one, text in ACTIONS.items()),
            key=lambda option: option.label.casefold(),
        ),
        narrowed=bool(given),
        lines=[_line(entry, names, reader) for entry in shown],
        newer=_href("", given) if after is not None else None,
        older=older,
        csv=_href("/entries.csv", given),
        json=_href("/entries.json", given),
    )
    return pages.render(request, "audit.html", context, status=422 if errors else 200)


@router.get(f"{AT}/entries.csv")
async def as_csv(request: Request, caller: _Auditor) -> Response:
    """Return the lines that match for a spreadsheet."""
    return await _file(request, caller, "csv", "text/csv; charset=utf-8")


@router.get(f"{AT}/entries.json")
async def as_json(request: Request, caller: _Auditor) -> Response:
    """Return the lines that match as one JSON document."""
    return await _file(request, caller, "json", "application/json")


async def _file(request: Request, caller: Principal, kind: Kind, media: str) -> Response:
    here = web(request)
    sought, errors = _sought(_given(request), reader_of(request))
    if errors:
        # The page says what is wrong.
        return RedirectResponse(_href("", _given(request)), 303)
    upto, lines = await size_of(here.database, sought)
    detail = {"format": kind, "lines": lines, "filters": sought.names()}
    async with here.database.transaction() as tx:
        await audit.record(tx, caller, "audit.exported", "audit", detail, now=here.clock.now())
    return StreamingResponse(
        file_of(here.database, sought, kind, upto=upto),
        media_type=media,
        headers={
            "Cache-Control": "no-store",
            "Content-Disposition": f'attachment; filename="audit.{kind}"',
        },
    )


def _given(request: Request) -> dict[str, str]:
    """Return the filters that the address names."""
    asked = request.query_params
    return {name: text for name in _FILTERS if (text := asked.get(name, "").strip())}


def _sought(given: Mapping[str, str], reader: Reader) -> tuple[Sought, dict[str, str]]:
    """Return what is sought, and what cannot be understood of it."""
    errors: dict[str, str] = {}

    def midnight(name: str, *, plus: timedelta = timedelta()) -> datetime | None:
        text = given.get(name)
        if text is None:
            return None
        try:
            day = date.fromisoformat(text) + plus
            local = datetime(day.year, day.month, day.day, tzinfo=reader.zone)
            return local.astimezone(UTC)
        except (ValueError, OverflowError):
            errors[name] = reader.gettext(_NO_DAY)
            return None

    def word(name: str) -> str | None:
        text = given.get(name)
        if text is not None and (len(text) > _LONGEST or not text.isprintable()):
            errors[name] = reader.gettext(_NO_WORD)
        return text

    sought = Sought(
        actor=word("actor"),
        action=word("action"),
        subject=word("subject"),
        since=midnight("since"),
        until=midnight("until", plus=timedelta(days=1)),
    )
    return sought, errors


def _href(path: str, given: Mapping[str, str]) -> str:
    return f"{AT}{path}?{urlencode(given)}" if given else f"{AT}{path}"


def _line(entry: Entry, names: Mapping[str, str], reader: Reader) -> EntryLine:
    label = ACTIONS.get(entry.action)
    place = next((to for how, to in _PLACES.items() if entry.subject.startswith(how)), "")
    return EntryLine(
        at=entry.at,
        who=names.get(entry.actor_id, entry.actor_id),
        kind=reader.gettext(KINDS[entry.actor_kind]) if entry.actor_kind in KINDS else "",
        deed=reader.gettext(label) if label else entry.action,
        subject=entry.subject,
        named=names.get(entry.subject, ""),
        href=place.format(quote(entry.subject)) if place else "",
        detail=[(name, _plain(value)) for name, value in entry.detail.items()],
    )


def _plain(value: object) -> str:
    """Return a member of the details as short text."""
    if isinstance(value, list):
        return ", ".join(map(_plain, value))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
