"""The page behind the link in a customer's mail: is it settled, yes or no?

Nobody signs in here; the token in the address is the right. Showing the page changes nothing,
so that what opens links by itself (scanners, previews) answers for nobody.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.loop.pages.site import pages
from services.loop.resources import Loop
from services.loop.tasks.handlers import Question, read_question, take_answer
from shared.errors import Gone, NotFound
from shared.i18n import Reader, supported
from shared.web.access import resources
from shared.web.forms import Fields, Form, read_form
from shared.web.templating import reader_of

router = APIRouter(include_in_schema=False)

_ANSWERS: Final = ("yes", "no")
_MOST: Final = 5_000


@dataclass(frozen=True, kw_only=True)
class SettledPage:
    """What a customer is shown: the question, or how the matter stands."""

    standing: str
    touchpoint: str | None
    answered_at: datetime | None
    person: str | None
    address: str | None
    form: Form


@router.get("/settled/{token}")
async def show(request: Request, token: str) -> Response:
    """Ask the customer, or say kindly that the link has done its duty."""
    return await _page(request, token)


@router.post("/settled/{token}")
async def answer(request: Request, token: str) -> Response:
    """Take a yes or a no, then show what follows from it."""
    loop = resources(request, Loop)
    fields = Fields(await read_form(request), reader_of(request))
    given = fields.choice("answer", _ANSWERS)
    words = fields.optional("words", most=_MOST) or ""
    if fields.errors:
        return await _page(request, token, form=fields.form("settled"), status=422)
    try:
        async with loop.database.transaction() as tx:
            await take_answer(
                tx,
                token,
                settled=given == "yes",
                words=words,
                keyring=loop.keyring,
                person_keys=loop.person_keys,
                now=loop.clock.now(),
            )
    except (Gone, NotFound) as refusal:
        return _over(request, refusal)
    return RedirectResponse(f"/settled/{token}", 303)


async def _page(
    request: Request, token: str, *, form: Form | None = None, status: int = 200
) -> Response:
    loop = resources(request, Loop)
    try:
        async with loop.database.reading() as view:
            question = await read_question(
                view,
                token,
                keyring=loop.keyring,
                person_keys=loop.person_keys,
                now=loop.clock.now(),
            )
    except (Gone, NotFound) as refusal:
        return _over(request, refusal)
    context = SettledPage(
        standing=question.standing,
        touchpoint=question.touchpoint,
        answered_at=question.answered_at,
        person=question.contact.name if question.contact else None,
        address=question.contact.email if question.contact else None,
        form=form or Form(name="settled"),
    )
    reader = _reader(question)
    return pages.render(request, "settled.html", context, status=status, reader=reader)


def _over(request: Request, refusal: Gone | NotFound) -> Response:
    context = SettledPage(
        standing="expired" if isinstance(refusal, Gone) else "unknown",
        touchpoint=None,
        answered_at=None,
        person=None,
        address=None,
        form=Form(name="settled"),
    )
    return pages.render(request, "settled.html", context, status=refusal.status)


def _reader(question: Question) -> Reader | None:
    """Return who reads: the customer, in the language of the mail where it is known."""
    known = supported(question.language)
    return Reader(language=known) if known else None
