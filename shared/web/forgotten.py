"""A forgotten password: ask for a mail, open its link, choose a new one.

Whoever asks reads the same answer, whether there is such an account or not. The link's token
goes out of the address at once and into a cookie, so that no page is ever shown under it: it
can neither stay in a history of addresses nor be passed on as where somebody came from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from shared.errors import Gone, Invalid, NotFound, Refused, TooMany
from shared.i18n import marked
from shared.identity.password_resets import LASTS, ask_for_reset, person_of, use_reset
from shared.identity.passwords import check_password, hash_password
from shared.web.access import web
from shared.web.auth import client_address, cookie_name
from shared.web.forms import Fields, Form, read_form
from shared.web.sign_in import set_cookie
from shared.web.templating import reader_of, render

router = APIRouter(include_in_schema=False)

NEW_PASSWORD: Final = ("new", "again")
"""The fields of a new password, to be read as they were typed."""
LENGTH: Final = marked("Choose 12 to 200 characters; a few words will do.")
NOT_TWICE: Final = marked("The two do not match. Type the new password twice.")
_TOO_MANY: Final = marked("This was asked for too often. Wait a quarter of an hour.")
_ENDED: Final = marked(
    "This link was used already, or its hour is over. Ask for a new one if you still need it."
)
_COOKIE: Final = "reset"


@dataclass(frozen=True, kw_only=True)
class ForgottenPage:
    """What the page shows that asks for a mail."""

    form: Form
    sent: bool
    """Whether the form was taken: that is all anybody learns."""
    ended: str
    """Why a link did not lead on, where somebody comes from one."""


@dataclass(frozen=True, kw_only=True)
class NewPasswordPage:
    """What the page shows that the link of the mail leads to."""

    form: Form


@router.get("/sign-in/forgot")
async def ask(request: Request) -> Response:
    """Show the form that asks for a mail, or that one is on its way."""
    return _asking(request, sent=request.query_params.get("done") == "sent")


@router.post("/sign-in/forgot")
async def send(request: Request) -> Response:
    """Have a mail sent if the address is somebody's; answer the same if it is not."""
    here = web(request)
    fields = Fields(await read_form(request), reader_of(request))
    email = fields.text("email", most=254)
    if fields.errors:
        return _asking(request, form=fields.form("forgot"), status=422)
    try:
        async with here.database.transaction() as tx:
            await ask_for_reset(
                tx,
                here.keyring,
                email=email,
                address=client_address(request),
                now=here.clock.now(),
            )
    except TooMany as refusal:
        form = fields.form("forgot", refusal=reader_of(request).gettext(_TOO_MANY))
        answer = _asking(request, form=form, status=refusal.status)
        answer.headers["Retry-After"] = str(refusal.retry_after)
        return answer
    return RedirectResponse("/sign-in/forgot?done=sent", 303)


@router.get("/sign-in/reset/{token}")
async def open_link(request: Request, token: str) -> Response:
    """Take the token out of the address; nothing changes, for machines open links too."""
    try:
        await _check(request, token)
    except (NotFound, Gone) as refusal:
        return _asking(request, ended=reader_of(request).gettext(_ENDED), status=refusal.status)
    answer = RedirectResponse("/sign-in/reset", 303)
    lasts = int(LASTS.total_seconds())
    set_cookie(answer, web(request).settings, _COOKIE, token, lasts=lasts)
    return answer


@router.get("/sign-in/reset")
async def choose(request: Request) -> Response:
    """Show the form for the new password."""
    try:
        await _check(request, _token(request))
    except (NotFound, Gone) as refusal:
        return _ended(request, refusal)
    page = NewPasswordPage(form=Form(name="reset"))
    return render(request, "new_password.html", page)


@router.post("/sign-in/reset")
async def save(request: Request) -> Response:
    """Set the new password; its person is signed out everywhere, and signs in with it."""
    here, reader = web(request), reader_of(request)
    fields = Fields(await read_form(request, as_typed=NEW_PASSWORD), reader)
    try:
        await _check(request, _token(request))
        hashed = await chosen(fields)
        if hashed is None:
            page = NewPasswordPage(form=fields.form("reset"))
            return render(request, "new_password.html", page, status=422)
        async with here.database.transaction() as tx:
            await use_reset(tx, here.keyring, _token(request), hashed, now=here.clock.now())
    except (NotFound, Gone) as refusal:
        return _ended(request, refusal)
    answer = RedirectResponse("/sign-in?done=reset", 303)
    set_cookie(answer, here.settings, _COOKIE, "", lasts=0)
    return answer


async def chosen(fields: Fields) -> str | None:
    """Return the hash of a new password that was typed twice; None with what is wrong noted."""
    password, again = fields.values.get("new", ""), fields.values.get("again", "")
    try:
        check_password(password)
    except Invalid:
        fields.wrong("new", LENGTH)
        return None
    if password != again:
        fields.wrong("again", NOT_TWICE)
        return None
    return await hash_password(password)


def _asking(
    request: Request,
    *,
    form: Form | None = None,
    sent: bool = False,
    ended: str = "",
    status: int = 200,
) -> Response:
    page = ForgottenPage(form=form or Form(name="forgot"), sent=sent, ended=ended)
    return render(request, "forgotten.html", page, status=status)


def _ended(request: Request, refusal: Refused) -> Response:
    answer = _asking(request, ended=reader_of(request).gettext(_ENDED), status=refusal.status)
    set_cookie(answer, web(request).settings, _COOKIE, "", lasts=0)
    return answer


async def _check(request: Request, token: str) -> None:
    here = web(request)
    async with here.database.reading() as view:
        await person_of(view, here.keyring, token, now=here.clock.now())


def _token(request: Request) -> str:
    return request.cookies.get(cookie_name(web(request).settings, _COOKIE), "")
