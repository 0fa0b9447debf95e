"""The page of one delivery to a webhook: every try, what was sent, and sending it again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Final

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.notify import store
from services.notify.channels.webhook import message_id
from services.notify.domain.deliveries import Channel, State
from services.notify.domain.urls import host_of
from services.notify.handlers import endpoints as handlers
from services.notify.handlers.endpoints import Notify
from services.notify.handlers.showing import body_as_sent
from services.notify.pages.site import pages
from services.notify.pages.webhooks.page import DeliveryPage
from services.notify.pages.webhooks.reading import delivery_line, path_of, try_lines
from services.notify.store import Delivery
from shared.db.transaction import Reading
from shared.errors import Conflict, NotFound
from shared.i18n import marked
from shared.identity.principal import Principal, Scope
from shared.web.access import resources
from shared.web.auth import requires_page
from shared.web.forms import Form, read_form
from shared.web.templating import done_of, reader_of

router = APIRouter(include_in_schema=False)

_Looker = Annotated[Principal, Depends(requires_page(Scope.DELIVERIES_READ))]
_Sender = Annotated[Principal, Depends(requires_page(Scope.DELIVERIES_WRITE))]

_DONE: Final[Mapping[str, str]] = {
    "tested": marked("The test event is on its way. Load this page again to see its tries."),
    "resent": marked("It is sent once more, under the same id."),
}
_SETTLED: Final = (State.DELIVERED, State.FAILED, State.HELD)
_BUSY: Final = marked("It is on its way already.")
_OFF: Final = marked("The webhook is switched off or deleted. Switch it on first.")


@router.get("/settings/webhooks/{webhook_id}/deliveries/{delivery_id}")
async def show(
    request: Request, webhook_id: str, delivery_id: str, caller: _Looker
) -> Response:
    """Show one delivery: how it stands, every try, and its body as it was sent."""
    return await _page(request, webhook_id, delivery_id, caller)


@router.post("/settings/webhooks/{webhook_id}/deliveries/{delivery_id}/resend")
async def resend(
    request: Request, webhook_id: str, delivery_id: str, caller: _Sender
) -> Response:
    """Send a settled delivery once more."""
    notify = resources(request, Notify)
    reader = reader_of(request)
    await read_form(request)
    try:
        async with notify.database.transaction() as tx:
            await _wanted(tx, webhook_id, delivery_id)
            await handlers.resend(
                tx, delivery_id, notify=notify, by=caller, now=notify.clock.now()
            )
            tx.after_commit(notify.wake)
    except Conflict as refusal:
        text = _OFF if refusal.slug == "webhook-disabled" else _BUSY
        form = Form(name="resend", refusal=reader.gettext(text))
        return await _page(
            request, webhook_id, delivery_id, caller, form=form, status=refusal.status
        )
    there = path_of(webhook_id, "deliveries", delivery_id)
    return RedirectResponse(f"{there}?done=resent", 303)


async def _wanted(view: Reading, webhook_id: str, delivery_id: str) -> Delivery:
    found = await store.delivery_of(view, delivery_id)
    if found is None or found.channel is not Channel.WEBHOOK or found.target != webhook_id:
        raise NotFound("There is no such delivery.")
    return found


async def _page(
    request: Request,
    webhook_id: str,
    delivery_id: str,
    caller: Principal,
    *,
    form: Form | None = None,
    status: int = 200,
) -> Response:
    notify = resources(request, Notify)
    reader = reader_of(request)
    may_see = caller.may(Scope.RESPONSES_READ)
    async with notify.database.reading() as view:
        one = await _wanted(view, webhook_id, delivery_id)
        tries = await store.attempts_of(view, delivery_id)
        webhook = await store.webhook_of(view, webhook_id, notify.keyring)
    body = one.payload
    if may_see and one.sealed_person:
        async with notify.database.transaction() as tx:
            body = await body_as_sent(
                tx, one, person_keys=notify.person_keys, by=caller, now=notify.clock.now()
            )
    note = ""
    if one.sealed_person and not may_see:
        note = reader.gettext("The customer was named too; you may not see that.")
    elif one.sealed_person and body == one.payload:
        note = reader.gettext("The data of the customer have been erased; the rest is shown.")
    elif one.sealed_person:
        note = reader.gettext("This is personal. That you looked is in the audit trail.")
    context = DeliveryPage(
        done=done_of(request, _DONE, reader) if status == 200 else "",
        webhook_href=path_of(webhook_id),
        webhook_name=host_of(webhook.url) if webhook else webhook_id,
        delivery=delivery_line(one, reader),
        settled_at=one.settled_at,
        task_href=f"/tasks/{one.task_id}"
        if one.task_id and caller.may(Scope.TASKS_READ)
        else "",
        message_id=message_id(one.id),
        body=json.dumps(json.loads(body), ensure_ascii=False, indent=2),
        body_note=note,
        tries=try_lines(tries, reader),
        may_resend=caller.may(Scope.DELIVERIES_WRITE) and one.state in _SETTLED,
        form=form or Form(name="resend"),
    )
    return pages.render(request, "delivery.html", context, status=status)
