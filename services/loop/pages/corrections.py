"""The doors through which somebody corrects a theme where its voices are shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final, get_args
from urllib.parse import urlencode

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.loop.resources import Loop
from services.loop.themes.domain.corrections import Verdict
from services.loop.themes.handlers.corrections import correct, take_back
from shared.i18n import Reader, marked
from shared.identity.principal import Principal, Scope
from shared.web.access import resources
from shared.web.auth import requires_any_page
from shared.web.forms import Fields, read_form
from shared.web.templating import reader_of

router = APIRouter(include_in_schema=False)

_Caller = Annotated[
    Principal, Depends(requires_any_page(Scope.TASKS_WRITE, Scope.TAXONOMY_WRITE))
]
_LONGEST_QUERY: Final = 1_000
DONE: Final[Mapping[str, str]] = {
    "not": marked("The theme was taken off this comment. The correction stays."),
    "also": marked("The theme was added to this comment. The correction stays."),
    "right": marked("The theme was confirmed."),
    "undone": marked("The correction was taken back."),
}


def may_correct(person: Principal) -> bool:
    """Tell whether somebody may correct themes, and so is shown the buttons."""
    return person.may(Scope.TASKS_WRITE) or person.may(Scope.TAXONOMY_WRITE)


@dataclass(frozen=True, kw_only=True)
class Done:
    """What was corrected just now, as the address says, and what takes it back."""

    text: str
    response_id: str
    theme_id: str
    action: str
    """Where a form with ``response_id`` and ``theme_id`` undoes it; empty after an undoing."""


def done_just_now(request: Request, theme_id: str, reader: Reader) -> Done | None:
    """Return what the form before this page of a theme did, or None."""
    query = request.query_params
    text = DONE.get(query.get("corrected", ""))
    if text is None:
        return None
    undone = query["corrected"] == "undone"
    return Done(
        text=reader.gettext(text),
        response_id=query.get("response", "")[:40],
        theme_id=query.get("about", theme_id)[:100],
        action="" if undone else f"/themes/{theme_id}/corrections/undo",
    )


@router.post("/themes/{theme_id}/corrections")
async def post(request: Request, theme_id: str, caller: _Caller) -> Response:
    """Correct a theme of one comment: this one, or the one that is chosen to be added.

    Fields: ``response_id``; ``verdict`` (not, also, right); ``also``, the other theme; and
    ``back``, the query of the page to return to.
    """
    loop = resources(request, Loop)
    fields = Fields(await read_form(request), reader_of(request))
    verdict: Verdict = fields.choice("verdict", get_args(Verdict))  # type: ignore[assignment] # or an error
    about = fields.values.get("also", "") if verdict == "also" else ""
    about = about[:100] or theme_id
    if not fields.errors:
        async with loop.database.transaction() as tx:
            await correct(
                tx,
                fields.values.get("response_id", "")[:40],
                about,
                verdict,
                by=caller,
                person_keys=loop.person_keys,
                now=loop.clock.now(),
            )
    return _back(theme_id, fields, "" if fields.errors else verdict, about)


@router.post("/themes/{theme_id}/corrections/undo")
async def undo(request: Request, theme_id: str, caller: _Caller) -> Response:
    """Take a correction back; fields: ``response_id``, ``theme_id``, ``back``."""
    loop = resources(request, Loop)
    fields = Fields(await read_form(request), reader_of(request))
    about = fields.values.get("theme_id", "")[:100] or theme_id
    async with loop.database.transaction() as tx:
        await take_back(
            tx,
            fields.values.get("response_id", "")[:40],
            about,
            by=caller,
            now=loop.clock.now(),
        )
    return _back(theme_id, fields, "undone", about)


def _back(theme_id: str, fields: Fields, done: str, about: str) -> Response:
    """Return to the page of the theme as it was filtered, and say there what was done."""
    kept = fields.values.get("back", "").partition("?")[2]
    said = {
        "corrected": done,
        "response": fields.values.get("response_id", "")[:40],
        "about": about if about != theme_id else "",
    }
    query = urlencode({name: value for name, value in said.items() if value})
    if kept.isascii() and kept.isprintable() and len(kept) <= _LONGEST_QUERY:
        earlier = [
            part
            for part in kept.split("&")
            if part and part.partition("=")[0] not in {"corrected", "response", "about"}
        ]
        query = "&".join([*earlier, query])
    return RedirectResponse(f"/themes/{theme_id}?{query}", 303)
