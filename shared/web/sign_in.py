"""Signing in and out: plain forms that need no script, and the first administrator.

Where to go afterwards is a path of this installation or nothing. While there is no
administrator, whoever sits at the machine itself is asked to become one; nobody else is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlsplit

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from shared.errors import Forbidden, Gone, Invalid, Refused, TooMany, Unauthenticated
from shared.i18n import marked
from shared.identity import audit, sessions
from shared.identity.people import first_administrator, plain_email
from shared.identity.sign_in import (
    TIME_FOR_CODE,
    CodeWanted,
    awaited,
    create_first_administrator,
    hash_for_first_administrator,
    show_code,
    sign_in,
)
from shared.web.access import web
from shared.web.auth import SESSION, client_address, cookie_name, session_cookie
from shared.web.browsers import browser_of
from shared.web.exposure import at_the_machine
from shared.web.templating import done_of, reader_of, render

if TYPE_CHECKING:
    from starlette.datastructures import FormData

    from shared.settings import Settings

router = APIRouter(include_in_schema=False)

_MOST_FIELDS: Final = 10
_FIRST_STEPS: Final = "/welcome"
"""Where whoever begins an installation is led, unless they wanted to go elsewhere."""
_WRONG: Final = marked("The e-mail address and the password do not fit together.")
_TOO_MANY: Final = marked(
    "Too many sign-ins have failed. Wait a quarter of an hour, or ask an administrator for a"
    " new password."
)
_UNUSABLE: Final = marked(
    "Give your name, an e-mail address, and a password of 12 to 200 characters."
)
_WRONG_CODE: Final = marked(
    "This code does not fit. A code of the app counts for half a minute, and once."
)
_TOO_MANY_CODES: Final = marked(
    "Too many wrong codes. Wait a quarter of an hour, or ask an administrator to switch your"
    " second factor off."
)
_TOO_LATE: Final = marked("That took too long. Sign in with your password again.")
DONE: Final[Mapping[str, str]] = {
    "reset": marked("Your new password is saved. Sign in with it."),
    "everywhere": marked("You are signed out everywhere."),
}
_CODE_COOKIE: Final = "sign-in-code"


@dataclass(frozen=True, kw_only=True)
class SignInPage:
    """What the sign-in page shows; ``form`` is the one that fits the situation."""

    form: str
    """``sign-in``, ``first`` (make the first administrator) or ``none`` (not from here)."""
    then: str
    email: str = ""
    name: str = ""
    error: str = ""
    done: str = ""
    single_sign_on: str = ""
    """What the other way in is called, where there is one."""


@dataclass(frozen=True, kw_only=True)
class CodePage:
    """What the second step of signing in shows."""

    then: str
    error: str = ""


@router.get("/sign-in")
async def show(request: Request) -> Response:
    """Show the form, or go on at once with a session that is one."""
    then = local_path(request.query_params.get("next"))
    here = web(request)
    token = request.cookies.get(session_cookie(here.settings), "")
    async with here.database.reading() as view:
        if token and await sessions.find(view, token, now=here.clock.now()):
            return RedirectResponse(then, 303)
        new = await first_administrator(view) is None
    return _page(request, _form_for(request, new=new), then=then)


@router.post("/sign-in")
async def enter(request: Request) -> Response:
    """Check what was typed; on success begin a new session and go where one wanted to go."""
    here = web(request)
    form = await _form(request)
    then = local_path(_text(form, "next"))
    email = _text(form, "email")
    try:
        found = await sign_in(
            here.database,
            here.keyring,
            email=email,
            password=_text(form, "password"),
            address=client_address(request),
            browser=browser_of(request),
            now=here.clock.now(),
        )
    except Unauthenticated as error:
        return _page(request, "sign-in", then=then, email=email, error=_WRONG, refusal=error)
    except TooMany as error:
        return _page(request, "sign-in", then=then, email=email, error=_TOO_MANY, refusal=error)
    if not isinstance(found, CodeWanted):
        return await entered(request, found.token, then)
    answer = RedirectResponse(f"/sign-in/code?next={quote(then, safe='')}", 303)
    lasts = int(TIME_FOR_CODE.total_seconds())
    set_cookie(answer, here.settings, _CODE_COOKIE, found.token, lasts=lasts)
    return answer


@router.get("/sign-in/code")
async def ask_for_code(request: Request) -> Response:
    """Show the second step to whoever has taken the first."""
    here = web(request)
    then = local_path(request.query_params.get("next"))
    try:
        async with here.database.reading() as view:
            await awaited(view, here.keyring, _first_step(request), now=here.clock.now())
    except Gone:
        return RedirectResponse(f"/sign-in?next={quote(then, safe='')}", 303)
    return render(request, "sign_in_code.html", CodePage(then=then))


@router.post("/sign-in/code")
async def take_code(request: Request) -> Response:
    """Take the second step; on success begin a new session."""
    here, reader = web(request), reader_of(request)
    form = await _form(request)
    then = local_path(_text(form, "next"))
    try:
        found = await show_code(
            here.database,
            here.keyring,
            token=_first_step(request),
            code=_text(form, "code"),
            browser=browser_of(request),
            now=here.clock.now(),
        )
    except Gone as error:
        return _page(request, "sign-in", then=then, error=_TOO_LATE, refusal=error)
    except (Unauthenticated, TooMany) as error:
        text = _TOO_MANY_CODES if isinstance(error, TooMany) else _WRONG_CODE
        page = CodePage(then=then, error=reader.gettext(text))
        shown = render(request, "sign_in_code.html", page, status=error.status)
        if isinstance(error, TooMany):
            shown.headers["Retry-After"] = str(error.retry_after)
        return shown
    answer = await entered(request, found.token, then)
    set_cookie(answer, here.settings, _CODE_COOKIE, "", lasts=0)
    return answer


@router.post("/sign-in/first")
async def begin(request: Request) -> Response:
    """Make the first administrator and sign them in; refused from anywhere but the machine."""
    here = web(request)
    if not at_the_machine(request):
        raise Forbidden(
            "The first administrator is made on the machine itself. Open this page there, or"
            " run: closed-loop user add EMAIL --role admin"
        )
    form = await _form(request)
    then = local_path(_text(form, "next"))
    email, name = _text(form, "email"), _text(form, "name")
    try:
        hashed = await hash_for_first_administrator(email, _text(form, "password"))
        async with here.database.transaction() as tx:
            now = here.clock.now()
            person = await create_first_administrator(
                tx, email=email, name=name, password_hash=hashed, now=now
            )
            token = await sessions.start(tx, person.id, browser=browser_of(request), now=now)
    except Invalid as error:
        return _page(
            request, "first", then=then, email=email, name=name, error=_UNUSABLE, refusal=error
        )
    return await entered(request, token, _FIRST_STEPS if then == "/" else then)


@router.post("/sign-out")
async def leave(request: Request) -> Response:
    """End the session on our side, whatever copies of the cookie there are."""
    here = web(request)
    name = session_cookie(here.settings)
    token = request.cookies.get(name, "")
    if token:
        now = here.clock.now()
        async with here.database.transaction() as tx:
            session = await sessions.find(tx, token, now=now)
            await sessions.end(tx, token)
            if session is not None:
                person = session.principal
                await audit.record(tx, person, "session.ended", person.id, now=now)
    answer = RedirectResponse("/sign-in", 303)
    set_cookie(answer, here.settings, SESSION, "", lasts=0)
    return answer


def local_path(given: str | None) -> str:
    """Return a path of this installation to go to; for anything else the start.

    From there everybody is sent on to the first page that is theirs.
    """
    path = given or ""
    parts = urlsplit(path) if path.isprintable() and len(path) <= 2_000 else None
    if (
        parts is None
        or not path.startswith("/")
        or path.startswith(("//", "/sign-in", "/sign-out"))
        or "\\" in path
        or parts.scheme
        or parts.netloc
    ):
        return "/"
    return path


async def entered(request: Request, token: str, then: str) -> Response:
    """Set the new session's cookie; a session that was there before ends."""
    here = web(request)
    name = session_cookie(here.settings)
    if former := request.cookies.get(name, ""):
        async with here.database.transaction() as tx:
            await sessions.end(tx, former)
    answer = RedirectResponse(then, 303)
    keep_session(request, answer, token)
    return answer


def keep_session(request: Request, answer: Response, token: str) -> None:
    """Have the browser keep the token of its new session."""
    lasts = int(sessions.ABSOLUTE.total_seconds())
    set_cookie(answer, web(request).settings, SESSION, token, lasts=lasts)


def refused(request: Request, error: str, refusal: Refused) -> Response:
    """Show the form again, with what came of another way in."""
    return _page(request, "sign-in", then="/", error=error, refusal=refusal)


def set_cookie(
    answer: Response, settings: Settings, name: str, value: str, *, lasts: int
) -> None:
    """Set a cookie that is as strict as our address allows; for 0 seconds: take it away."""
    answer.set_cookie(
        cookie_name(settings, name),
        value,
        max_age=lasts,
        path="/",
        httponly=True,
        secure=settings.public_url.startswith("https://"),
        samesite="lax",
    )


def _page(
    request: Request,
    form: str,
    *,
    then: str,
    email: str = "",
    name: str = "",
    error: str = "",
    refusal: Refused | None = None,
) -> Response:
    text = reader_of(request).gettext(error) if error else ""
    answer = render(
        request,
        "sign_in.html",
        SignInPage(
            form=form,
            then=then,
            email=plain_email(email),
            name=name,
            error=text,
            done="" if refusal else done_of(request, DONE, reader_of(request)),
            single_sign_on=(
                web(request).settings.oidc_name if request.app.state.single_sign_on else ""
            ),
        ),
        status=refusal.status if refusal is not None else 200,
    )
    if isinstance(refusal, TooMany):
        answer.headers["Retry-After"] = str(refusal.retry_after)
    return answer


def _form_for(request: Request, *, new: bool) -> str:
    if not new:
        return "sign-in"
    return "first" if at_the_machine(request) else "none"


def _first_step(request: Request) -> str:
    """Return what the first step left in the browser."""
    return request.cookies.get(cookie_name(web(request).settings, _CODE_COOKIE), "")


async def _form(request: Request) -> FormData:
    return await request.form(max_fields=_MOST_FIELDS, max_files=0)


def _text(form: FormData, name: str) -> str:
    value = form.get(name)
    return value[:2_000] if isinstance(value, str) else ""
