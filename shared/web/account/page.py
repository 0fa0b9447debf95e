"""The page of one's own account, and its forms: name and clock, password, sessions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from shared.errors import Invalid, NotFound, TooMany
from shared.i18n import LANGUAGE_NAMES, LANGUAGES, marked, zones
from shared.identity import audit, sessions
from shared.identity.passwords import LONGEST
from shared.identity.people import password_hash_of, set_password, update_staff
from shared.identity.principal import Principal
from shared.identity.second_factor import SecondFactor, second_factor
from shared.identity.sessions import OpenSession
from shared.identity.sign_in import proves
from shared.web.access import web
from shared.web.auth import requires_page, session_cookie
from shared.web.browsers import browser_of
from shared.web.forgotten import NEW_PASSWORD, chosen
from shared.web.forms import Fields, Form, Option, read_form
from shared.web.sign_in import keep_session
from shared.web.templating import done_of, reader_of, render

router = APIRouter(include_in_schema=False)

Person = Annotated[Principal, Depends(requires_page())]

PATH: Final = "/account"
ALL: Final = "all"
"""What the form calls all sessions; each one has a handle of its own."""
WRONG: Final = marked("This is not your password.")
TOO_MANY: Final = marked("Too many wrong passwords. Wait a quarter of an hour.")
DONE: Final[Mapping[str, str]] = {
    "saved": marked("Your account is saved."),
    "password": marked("Your new password is saved. You are signed out everywhere else."),
    "ended": marked("That session is ended."),
    "off": marked("Your second factor is switched off."),
}
_REFUSED: Final[Mapping[str, str]] = {
    "not_a_name": marked("Please use 1 to 200 printable characters."),
    "unknown_time_zone": marked("There is no such time zone. Write it like Europe/Berlin."),
}


@dataclass(frozen=True, kw_only=True)
class AccountPage:
    """What somebody sees of their own account."""

    email: str
    own: Form
    password: Form
    has_password: bool
    """Whether there is one here: who signs in elsewhere only needs none."""
    factor: SecondFactor | None
    languages: Sequence[Option]
    zones: Sequence[str]
    sessions: Sequence[OpenSession]
    now: datetime
    done: str


@router.get("/account")
async def show(request: Request, caller: Person) -> Response:
    """Show the account."""
    return await _page(request, caller)


@router.post("/account")
async def save(request: Request, caller: Person) -> Response:
    """Save one's own name, language and time zone."""
    here, reader = web(request), reader_of(request)
    fields = Fields(await read_form(request), reader)
    name, time_zone = fields.text("name", most=200), fields.text("time_zone", most=60)
    language = fields.choice("language", LANGUAGES)
    try:
        if not fields.errors:
            async with here.database.transaction() as tx:
                await update_staff(
                    tx,
                    caller.id,
                    name=None if name == caller.name else name,
                    language=None if language == caller.language else language,
                    time_zone=None if time_zone == caller.time_zone else time_zone,
                    by=caller,
                    now=here.clock.now(),
                )
    except Invalid as refusal:
        for finding in refusal.findings:
            fields.wrong(finding.pointer.removeprefix("/"), _REFUSED[finding.code])
    if fields.errors:
        return await _page(request, caller, own=fields.form("own"), status=422)
    return RedirectResponse(f"{PATH}?done=saved", 303)


@router.post("/account/password")
async def change_password(request: Request, caller: Person) -> Response:
    """Replace the password of whoever knows the old one; other sessions end."""
    here, reader = web(request), reader_of(request)
    typed = await read_form(request, as_typed=(*NEW_PASSWORD, "old"))
    fields = Fields(typed, reader)
    hashed = await chosen(fields)
    if hashed is not None and await proven(request, caller, fields, "old"):
        async with here.database.transaction() as tx:
            now = here.clock.now()
            await set_password(tx, caller.id, hashed, by=caller, now=now)
            token = await sessions.start(tx, caller.id, browser=browser_of(request), now=now)
        answer = RedirectResponse(f"{PATH}?done=password", 303)
        keep_session(request, answer, token)
        return answer
    return await _page(request, caller, password=fields.form("password"), status=422)


@router.post("/account/sessions/end")
async def end_session(request: Request, caller: Person) -> Response:
    """End the one of one's sessions that is named, or all of them, this one too."""
    here = web(request)
    named = (await read_form(request)).get("session", "")
    async with here.database.transaction() as tx:
        if named == ALL:
            await sessions.end_all(tx, caller.id)
        elif not await sessions.end_one(tx, caller.id, named):
            raise NotFound("There is no such session any more. Open the page again.")
        detail = {"all": True} if named == ALL else {}
        now = here.clock.now()
        await audit.record(tx, caller, "session.ended", caller.id, detail, now=now)
    if named == ALL:
        return RedirectResponse("/sign-in?done=everywhere", 303)
    return RedirectResponse(f"{PATH}?done=ended", 303)


async def proven(
    request: Request, caller: Principal, fields: Fields, name: str = "password"
) -> bool:
    """Tell whether somebody typed their password; what is wrong is noted with the field."""
    here = web(request)
    password = fields.text(name, most=LONGEST)
    if not password:
        return False
    try:
        fits = await proves(here.database, here.keyring, caller, password, now=here.clock.now())
    except TooMany:
        fields.wrong(name, TOO_MANY)
        return False
    if not fits:
        fields.wrong(name, WRONG)
    return fits


async def _page(
    request: Request,
    caller: Principal,
    *,
    own: Form | None = None,
    password: Form | None = None,
    status: int = 200,
) -> Response:
    here, reader = web(request), reader_of(request)
    now, email = here.clock.now(), caller.email or ""
    token = request.cookies.get(session_cookie(here.settings), "")
    async with here.database.reading() as view:
        known = await password_hash_of(view, email)
        factor = await second_factor(view, caller.id)
        signed_in = await sessions.open_sessions(view, caller.id, token=token, now=now)
    values = {
        "name": caller.name,
        "language": reader.catalogue,
        "time_zone": caller.time_zone,
    }
    context = AccountPage(
        email=email,
        own=own or Form(name="own", values=values),
        password=password or Form(name="password"),
        has_password=known is not None and known[1] is not None,
        factor=factor if factor is not None and factor.confirmed_at else None,
        languages=[Option(value=tag, label=LANGUAGE_NAMES[tag]) for tag in LANGUAGES],
        zones=zones(),
        sessions=signed_in,
        now=now,
        done=done_of(request, DONE, reader) if status == 200 else "",
    )
    return render(request, "account.html", context, status=status)
