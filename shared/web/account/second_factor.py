"""The second factor of one's own account: set up, switched off, and codes for its loss.

Every step asks for the password: who finds an open browser can neither lock its person out nor
take the lock away. What an app is told and the recovery codes stand in no address and in no
page but the one that is meant to show them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import segno
from fastapi import APIRouter
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from shared.db.transaction import Reading
from shared.errors import Conflict, TooMany, Unauthenticated
from shared.i18n import marked
from shared.identity import second_factor, sessions, throttle
from shared.identity.people import password_hash_of
from shared.identity.principal import Principal
from shared.identity.second_factor import SecondFactor
from shared.identity.sign_in import CODES_PER_ACCOUNT
from shared.web.access import web
from shared.web.account.page import PATH, TOO_MANY, Person, proven
from shared.web.auth import SECOND_FACTOR, session_cookie
from shared.web.forms import Fields, Form, read_form
from shared.web.templating import reader_of, render

router = APIRouter(include_in_schema=False)

_TYPED: Final = ("password",)
_WRONG_CODE: Final = marked(
    "This code does not fit. Is the clock of your telephone right? Wait for the next code."
)


@dataclass(frozen=True, kw_only=True)
class SecondFactorPage:
    """What the page of one's second factor shows."""

    factor: SecondFactor | None
    """The one in use."""
    secret: str | None = field(repr=False)
    """What the app is to be told, while one is being set up."""
    picture: Markup | None = field(repr=False)
    """The same, for the app to look at."""
    confirm: Form
    off: Form
    codes: Form
    is_needed: bool
    """Whether the person's role must have one."""
    has_password: bool


@dataclass(frozen=True, kw_only=True)
class CodesShownPage:
    """The answer to making recovery codes: the only page that ever holds them."""

    codes: Sequence[str] = field(repr=False)


@router.get("/account/second-factor")
async def show(request: Request, caller: Person) -> Response:
    """Show how one's second factor stands, and the step that comes next."""
    return await _page(request, caller)


@router.post("/account/second-factor/begin")
async def begin(request: Request, caller: Person) -> Response:
    """Make what an app is to be told; nothing is asked for before it has proved itself."""
    here = web(request)
    async with here.database.transaction() as tx:
        if not await _has_password(tx, caller):
            raise Conflict(
                "Your account has no password here. Your provider asks for a second factor."
            )
        await second_factor.begin(tx, here.keyring, caller.id, now=here.clock.now())
    return RedirectResponse(SECOND_FACTOR, 303)


@router.post("/account/second-factor/confirm")
async def confirm(request: Request, caller: Person) -> Response:
    """Take it into use once its app shows the right code; other sessions end."""
    here = web(request)
    fields = Fields(await read_form(request, as_typed=_TYPED), reader_of(request))
    code = fields.text("code", most=20)
    account = here.keyring.mac("sign-in", "code", caller.id)
    token = request.cookies.get(session_cookie(here.settings), "")
    if not fields.errors and await proven(request, caller, fields):
        now = here.clock.now()
        try:
            async with here.database.transaction() as tx:
                await throttle.write_down(tx, {account: CODES_PER_ACCOUNT}, now=now)
            async with here.database.transaction() as tx:
                codes = await second_factor.confirm(tx, here.keyring, caller, code, now=now)
                await throttle.forget(tx, account)
                await sessions.end_all(tx, caller.id, but=token)
            return render(request, "recovery_codes.html", CodesShownPage(codes=codes))
        except Unauthenticated:
            fields.wrong("code", _WRONG_CODE)
        except TooMany:
            fields.wrong("code", TOO_MANY)
    return await _page(request, caller, confirm=fields.form("confirm"), status=422)


@router.post("/account/second-factor/codes")
async def renew(request: Request, caller: Person) -> Response:
    """Make new recovery codes and show them, this once."""
    here = web(request)
    fields = Fields(await read_form(request, as_typed=_TYPED), reader_of(request))
    if not await proven(request, caller, fields):
        return await _page(request, caller, codes=fields.form("codes"), status=422)
    async with here.database.transaction() as tx:
        codes = await second_factor.renew_codes(tx, caller, now=here.clock.now())
    return render(request, "recovery_codes.html", CodesShownPage(codes=codes))


@router.post("/account/second-factor/off")
async def switch_off(request: Request, caller: Person) -> Response:
    """Ask for no code any more, or give up setting one up."""
    here = web(request)
    fields = Fields(await read_form(request, as_typed=_TYPED), reader_of(request))
    if not await proven(request, caller, fields):
        return await _page(request, caller, off=fields.form("off"), status=422)
    async with here.database.transaction() as tx:
        await second_factor.switch_off(tx, caller.id, by=caller, now=here.clock.now())
    return RedirectResponse(f"{PATH}?done=off", 303)


async def _has_password(view: Reading, caller: Principal) -> bool:
    known = await password_hash_of(view, caller.email or "")
    return known is not None and known[1] is not None


def _picture(secret: str, caller: Principal, title: str) -> Markup:
    """Return the QR code of what an app reads, as a drawing that stands in the page itself."""
    address = second_factor.address_for_app(secret, caller.email or "")
    drawn = segno.make(address, error="m").svg_inline(
        scale=5, light="#fff", dark="#000", title=title, svgclass=None, lineclass=None
    )
    return Markup(drawn)  # noqa: S704 - made of an address of ours; the title is escaped


async def _page(
    request: Request,
    caller: Principal,
    *,
    confirm: Form | None = None,
    off: Form | None = None,
    codes: Form | None = None,
    status: int = 200,
) -> Response:
    here, reader = web(request), reader_of(request)
    async with here.database.reading() as view:
        factor = await second_factor.second_factor(view, caller.id)
        secret = await second_factor.being_set_up(view, here.keyring, caller.id)
        needed = caller.role in await second_factor.roles_that_need_it(view)
        has_password = await _has_password(view, caller)
    title = reader.gettext(marked("Picture for your authenticator app"))
    context = SecondFactorPage(
        factor=factor if factor is not None and factor.confirmed_at else None,
        secret=secret,
        picture=_picture(secret, caller, title) if secret is not None else None,
        confirm=confirm or Form(name="confirm"),
        off=off or Form(name="off"),
        codes=codes or Form(name="codes"),
        is_needed=needed,
        has_password=has_password,
    )
    return render(request, "second_factor.html", context, status=status)
