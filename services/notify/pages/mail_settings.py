"""How mail gets through, for administrators: what failed, what is dead, what must be mended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.notify import store
from services.notify.domain.deliveries import State
from services.notify.handlers.endpoints import Notify, resend
from services.notify.handlers.resting import resume_mail
from services.notify.handlers.undelivered import lift_suppression
from services.notify.pages.site import pages
from services.notify.store import MAIL_LANE, Delivery, Pause, Suppression
from shared.i18n import Reader, marked
from shared.identity.principal import Principal, Scope
from shared.web.access import resources, web
from shared.web.auth import requires_page
from shared.web.templating import done_of, reader_of

router = APIRouter(include_in_schema=False)

Looker = Annotated[Principal, Depends(requires_page(Scope.MAIL_READ))]
Keeper = Annotated[Principal, Depends(requires_page(Scope.SETTINGS_WRITE))]

_HERE: Final = "/settings/mail"
_SHOWN: Final = 50

DONE: Final[Mapping[str, str]] = {
    "resumed": marked("Mail is sent again. Look here in a minute whether it gets through."),
    "lifted": marked("Mail is sent to this address again."),
    "resent": marked("The mail is sent once more."),
}

REASONS: Final[Mapping[str, str]] = {
    "address_dead": marked("The mailbox does not exist."),
    "address_suppressed": marked("The address is on the list of dead ones."),
    "address_unusable": marked("The address is none that mail can be sent to."),
    "refused_by_policy": marked("The mail server refuses the mail by its rules."),
    "refused": marked("The mail server refuses the mail."),
    "mailbox_full": marked("The mailbox is full."),
    "mail_server_said_later": marked("The mail server asked to try later."),
    "no_reply_after_the_mail": marked("The mail server took the mail and did not answer."),
    "reply_not_understood": marked("The mail server's answer could not be understood."),
    "mail_server_unreachable": marked(
        "The mail server could not be reached. Look at the host and port in"
        " CLOSED_LOOP_SMTP_URL, and whether the server is up."
    ),
    "mail_server_unavailable": marked("The mail server takes no mail at the moment."),
    "connect_refused": marked("The mail server takes no mail at the moment."),
    "hello_refused": marked("The mail server takes no mail at the moment."),
    "mail_server_refuses_us": marked(
        "The mail server refuses our user name or password. Correct CLOSED_LOOP_SMTP_URL."
    ),
    "login_refused": marked(
        "The mail server refuses our user name or password. Correct CLOSED_LOOP_SMTP_URL."
    ),
    "login_not_offered": marked(
        "The mail server lets nobody log in this way. Correct CLOSED_LOOP_SMTP_URL."
    ),
    "tls_not_offered": marked(
        "The mail server does not encrypt. Use another port or server in CLOSED_LOOP_SMTP_URL."
    ),
    "tls_refused": marked(
        "The mail server does not encrypt. Use another port or server in CLOSED_LOOP_SMTP_URL."
    ),
    "certificate_invalid": marked(
        "The mail server's certificate is not valid for its name. Correct the name in"
        " CLOSED_LOOP_SMTP_URL, or name the authority that signed it in SSL_CERT_FILE."
    ),
    "sender_refused": marked(
        "The mail server does not let us send as CLOSED_LOOP_MAIL_FROM, or as the address in"
        " CLOSED_LOOP_MAIL_RETURN_PATH."
    ),
    "worker_lost": marked("The program ended while the mail was on its way."),
    "tries_used_up": marked("It was tried for three days."),
}
"""What the reasons of mails say to a person."""


@dataclass(frozen=True, kw_only=True)
class MailLine:
    """One mail that did not simply arrive."""

    id: str
    to: str
    task_id: str | None
    created_at: datetime
    next_attempt_at: datetime | None
    tries: int
    state: str
    reason: str
    in_doubt: bool
    in_place: bool
    can_resend: bool


@dataclass(frozen=True, kw_only=True)
class DeadLine:
    """One address that nothing is sent to."""

    id: str
    address: str
    reason: str
    since: datetime


@dataclass(frozen=True, kw_only=True)
class MailSettingsPage:
    """How mail gets through."""

    is_capturing: bool
    pause: Pause | None
    why: str
    mails: Sequence[MailLine]
    dead: Sequence[DeadLine]
    may_change: bool
    done: str
    now: datetime


@router.get(_HERE)
async def show(request: Request, caller: Looker) -> Response:
    """Show whether mail is paused, which mails are in trouble, and which addresses are dead."""
    notify = resources(request, Notify)
    reader = reader_of(request)
    async with notify.database.reading() as view:
        pause = await store.pause_of(view, MAIL_LANE)
        mails = await store.mails_in_trouble(view, limit=_SHOWN)
        dead = await store.list_suppressions(view, limit=_SHOWN)
    return pages.render(
        request,
        "mail_settings.html",
        MailSettingsPage(
            is_capturing=web(request).settings.smtp_url.get_secret_value() == "capture:",
            pause=pause,
            why=_reason(reader, pause.reason) if pause else "",
            mails=[_line(reader, one) for one in mails],
            dead=[_dead(reader, one) for one in dead],
            may_change=caller.may(Scope.SETTINGS_WRITE),
            done=done_of(request, DONE, reader),
            now=notify.clock.now(),
        ),
    )


@router.post(f"{_HERE}/resume")
async def resume(request: Request, caller: Keeper) -> Response:
    """Send mail again that was paused."""
    notify = resources(request, Notify)
    async with notify.database.transaction() as tx:
        await resume_mail(tx, by=caller, why="asked", now=notify.clock.now())
        tx.after_commit(notify.wake)
    return _back("resumed")


@router.post(f"{_HERE}/suppressions/{{suppression_id}}/lift")
async def lift(request: Request, suppression_id: str, caller: Keeper) -> Response:
    """Take an address off the list."""
    notify = resources(request, Notify)
    async with notify.database.transaction() as tx:
        await lift_suppression(tx, suppression_id, by=caller, now=notify.clock.now())
    return _back("lifted")


@router.post(f"{_HERE}/deliveries/{{delivery_id}}/resend")
async def send_again(request: Request, delivery_id: str, caller: Keeper) -> Response:
    """Send one mail once more."""
    notify = resources(request, Notify)
    async with notify.database.transaction() as tx:
        await resend(tx, delivery_id, notify=notify, by=caller, now=notify.clock.now())
        tx.after_commit(notify.wake)
    return _back("resent")


def _back(done: str) -> Response:
    return RedirectResponse(f"{_HERE}?done={done}", status_code=303)


def _line(reader: Reader, one: Delivery) -> MailLine:
    return MailLine(
        id=one.id,
        to=one.recipient.email if one.recipient else "",
        task_id=one.task_id,
        created_at=one.created_at,
        next_attempt_at=one.next_attempt_at if one.state is State.DUE else None,
        tries=one.attempts,
        state=one.state.value,
        reason=_reason(reader, one.reason) if one.reason else "",
        in_doubt=one.in_doubt,
        in_place=one.instead_of is not None,
        can_resend=one.state is State.FAILED,
    )


def _dead(reader: Reader, one: Suppression) -> DeadLine:
    return DeadLine(
        id=one.id,
        address=one.address,
        reason=_reason(reader, one.reason),
        since=one.created_at,
    )


def _reason(reader: Reader, code: str) -> str:
    text = REASONS.get(code)
    return reader.gettext(text) if text else code
