"""Captured mail, for administrators: what would have been sent, as it would have looked.

The HTML part is shown in a frame that may run nothing, load nothing and reach nothing; the text
part stands beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from services.notify import store
from services.notify.channels.capture import opened
from services.notify.handlers.endpoints import Notify
from services.notify.pages.site import pages
from services.notify.store import CapturedMail
from shared.errors import NotFound
from shared.identity.principal import Principal, Scope
from shared.identity.views import note_opening, note_views
from shared.web.access import resources, web
from shared.web.auth import requires_page
from shared.web.paging import Paged, encode_cursor

router = APIRouter(include_in_schema=False)

Reader = Annotated[Principal, Depends(requires_page(Scope.MAIL_READ))]

_LIST: Final = "mail"
_FRAMING_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " frame-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_FRAMED_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none';"
    " frame-ancestors 'self'; sandbox allow-popups allow-popups-to-escape-sandbox"
)


@dataclass(frozen=True, kw_only=True)
class MailList:
    """One part of the list."""

    mails: Sequence[CapturedMail]
    is_first: bool
    older: str | None
    is_capturing: bool
    now: datetime


@dataclass(frozen=True, kw_only=True)
class MailPage:
    """One captured mail."""

    mail: CapturedMail
    headers: Sequence[tuple[str, str]]
    text: str | None = field(repr=False)
    frame_path: str
    now: datetime


@router.get("/mail")
async def show_list(request: Request, caller: Reader, page: Paged) -> Response:  # noqa: ARG001 - guards
    """Show captured mails, newest first."""
    notify = resources(request, Notify)
    after = page.after(notify.keyring, of=_LIST)
    async with notify.database.reading() as view:
        found = await store.list_captured(
            view, limit=page.limit + 1, before=str(after[0]) if after else None
        )
    shown = found[: page.limit]
    older = None
    if len(found) > page.limit:
        cursor = encode_cursor(notify.keyring, [shown[-1].id], of=_LIST)
        older = f"/mail?{urlencode({'limit': page.limit, 'cursor': cursor})}"
    return pages.render(
        request,
        "mails.html",
        MailList(
            mails=shown,
            is_first=after is None,
            older=older,
            is_capturing=web(request).settings.smtp_url.get_secret_value() == "capture:",
            now=notify.clock.now(),
        ),
    )


@router.get("/mail/{mail_id}")
async def show_mail(request: Request, mail_id: str, caller: Reader) -> Response:
    """Show one mail: its head, its text, and its HTML part in a frame."""
    notify = resources(request, Notify)
    mail, message = await _opened(notify, mail_id, by=caller)
    response = pages.render(
        request,
        "mail.html",
        MailPage(
            mail=mail,
            headers=[
                (name, str(message[name]))
                for name in ("From", "To", "Date", "Subject", "Message-ID")
            ]
            if message is not None
            else [],
            text=_part(message, "text/plain") if message is not None else None,
            frame_path=f"/mail/{mail.id}/html",
            now=notify.clock.now(),
        ),
    )
    response.headers["Content-Security-Policy"] = _FRAMING_POLICY
    return response


@router.get("/mail/{mail_id}/html")
async def show_html(request: Request, mail_id: str, caller: Reader) -> Response:
    """Return the HTML part alone, for the frame."""
    notify = resources(request, Notify)
    _, message = await _opened(notify, mail_id, by=caller)
    if message is None:
        raise NotFound("The content of this mail has been erased.")
    return HTMLResponse(
        _part(message, "text/html"),
        headers={
            "Content-Security-Policy": _FRAMED_POLICY,
            "X-Frame-Options": "SAMEORIGIN",
            "Cache-Control": "no-store",
        },
    )


async def _opened(
    notify: Notify, mail_id: str, *, by: Principal
) -> tuple[CapturedMail, EmailMessage | None]:
    """Return a mail and what it says; who looks is written down, once an hour."""
    async with notify.database.reading() as view:
        found = await opened(
            view, mail_id, keyring=notify.keyring, person_keys=notify.person_keys
        )
    if found is None:
        raise NotFound("There is no such mail.")
    mail, raw = found
    now = notify.clock.now()
    await note_opening(notify.database, "mail.opened", mail.id, by=by, now=now)
    if raw is not None and mail.person_ref:
        seen = {mail.person_ref: None}
        await note_views(notify.database, seen, by=by, via="mail", now=now)
    return mail, None if raw is None else message_from_bytes(raw, policy=policy.default)


def _part(message: EmailMessage, kind: str) -> str:
    for part in message.walk():
        if part.get_content_type() == kind:
            return str(part.get_content())
    return ""
