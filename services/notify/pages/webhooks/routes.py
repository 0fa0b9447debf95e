"""The addresses of the pages of webhooks: listed, made, changed, rotated, tried, deleted.

A secret that was just made is shown in the answer to the form and nowhere else. Sending such a
form again makes no second one: no two endpoints made here have one URL, and an endpoint that
was changed meanwhile is not rotated.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.notify import store
from services.notify.handlers import endpoints as handlers
from services.notify.handlers.endpoints import ChangeWebhook, CreateWebhook, Notify
from services.notify.pages.site import pages
from services.notify.pages.webhooks.one import page_of
from services.notify.pages.webhooks.page import WebhookShownPage, WebhooksPage
from services.notify.pages.webhooks.reading import (
    EVENT,
    SHARE_OVER,
    detail_options,
    event_options,
    line_of,
    path_of,
)
from services.notify.schemas import checked_patterns
from services.notify.store import Detail, Webhook
from shared.errors import Conflict, Invalid, Stale
from shared.i18n import Reader, marked
from shared.identity.principal import Principal, Scope
from shared.web.access import resources
from shared.web.auth import requires_page
from shared.web.forms import Fields, Form, read_form
from shared.web.paging import Page, Paged, encode_cursor
from shared.web.templating import done_of, reader_of

router = APIRouter(include_in_schema=False)

_Looker = Annotated[Principal, Depends(requires_page(Scope.DELIVERIES_READ))]
_Keeper = Annotated[Principal, Depends(requires_page(Scope.WEBHOOKS))]
_Sender = Annotated[Principal, Depends(requires_page(Scope.DELIVERIES_WRITE))]

_LIST: Final = "page/webhooks"
_ALL: Final[Mapping[str, str]] = {"deleted": marked("The webhook is deleted.")}
_OVERLAPS: Final = ("0", "1", "24", "168")
_LONGEST_URL: Final = 2_048


@router.get("/settings/webhooks")
async def show_all(request: Request, caller: _Looker, page: Paged) -> Response:
    """Show the webhooks, and the form that makes one."""
    form = Form(name="new", values={f"{EVENT}task.*": "yes", "detail": "thin"})
    return await _list(request, caller, form, page=page)


@router.post("/settings/webhooks")
async def make(request: Request, caller: _Keeper) -> Response:
    """Make a webhook and show its secret, this once."""
    notify = resources(request, Notify)
    reader = reader_of(request)
    fields = Fields(await read_form(request), reader)
    url, events, detail = _asked(fields, reader)
    made: tuple[Webhook, str] | None = None
    if not fields.errors:
        async with notify.database.transaction() as tx:
            if await store.is_called(tx, url):
                fields.errors["url"] = reader.gettext("There is a webhook to this URL already.")
            else:
                command = CreateWebhook(url=url, events=events, detail=detail)
                try:
                    made = await handlers.create_webhook(
                        tx, command, notify=notify, by=caller, now=notify.clock.now()
                    )
                except Invalid as refusal:
                    fields.errors["url"] = _refused(refusal, reader)
    if made is None:
        return await _list(request, caller, fields.form("new"), status=422)
    return _shown(request, caller, *made)


@router.get("/settings/webhooks/{webhook_id}")
async def show(request: Request, webhook_id: str, caller: _Looker, page: Paged) -> Response:
    """Show one webhook: how it does, what it was sent, and what may be done about it."""
    return await page_of(request, webhook_id, caller, page=page)


@router.post("/settings/webhooks/{webhook_id}")
async def change(request: Request, webhook_id: str, caller: _Keeper) -> Response:
    """Change where a webhook goes and what it is told."""
    notify = resources(request, Notify)
    reader = reader_of(request)
    fields = Fields(await read_form(request), reader)
    url, events, detail = _asked(fields, reader)
    if not fields.errors:
        command = ChangeWebhook(webhook_id=webhook_id, url=url, events=events, detail=detail)
        try:
            async with notify.database.transaction() as tx:
                await handlers.change_webhook(
                    tx, command, notify=notify, by=caller, now=notify.clock.now()
                )
        except Invalid as refusal:
            fields.errors["url"] = _refused(refusal, reader)
    if fields.errors:
        form = fields.form("settings")
        return await page_of(request, webhook_id, caller, form=form, status=422)
    return RedirectResponse(f"{path_of(webhook_id)}?done=saved", 303)


@router.post("/settings/webhooks/{webhook_id}/enable")
async def enable(request: Request, webhook_id: str, caller: _Keeper) -> Response:
    """Switch a webhook on again; what was held waits for a decision."""
    return await _switch(request, webhook_id, caller, on=True)


@router.post("/settings/webhooks/{webhook_id}/disable")
async def disable(request: Request, webhook_id: str, caller: _Keeper) -> Response:
    """Switch a webhook off; what waits for it is held."""
    return await _switch(request, webhook_id, caller, on=False)


@router.post("/settings/webhooks/{webhook_id}/rotate")
async def rotate(request: Request, webhook_id: str, caller: _Keeper) -> Response:
    """Make a new secret and show it, this once; the former ones go on for a while."""
    notify = resources(request, Notify)
    reader = reader_of(request)
    fields = Fields(await read_form(request), reader)
    overlap = fields.choice("overlap", _OVERLAPS)
    if fields.errors:
        form = fields.form("rotate")
        return await page_of(request, webhook_id, caller, rotate=form, status=422)
    now = notify.clock.now()
    hours = timedelta(hours=int(overlap))
    try:
        async with notify.database.transaction() as tx:
            webhook, secret = await handlers.rotate_secret(
                tx,
                webhook_id,
                overlap=hours,
                notify=notify,
                by=caller,
                now=now,
                expected=_moment(fields.values.get("changed", "")),
            )
    except (Conflict, Stale) as refusal:
        text = _CHANGED if isinstance(refusal, Stale) else _ENOUGH
        form = fields.form("rotate", refusal=reader.gettext(text))
        return await page_of(request, webhook_id, caller, rotate=form, status=refusal.status)
    until = now + hours if len(webhook.secrets) > 1 else None
    return _shown(request, caller, webhook, secret, former_until=until)


@router.post("/settings/webhooks/{webhook_id}/test")
async def test(request: Request, webhook_id: str, caller: _Keeper) -> Response:
    """Send a test event, and lead to what became of it."""
    notify = resources(request, Notify)
    reader = reader_of(request)
    await read_form(request)
    try:
        async with notify.database.transaction() as tx:
            delivery_id = await handlers.send_test(
                tx, webhook_id, notify=notify, now=notify.clock.now()
            )
            tx.after_commit(notify.wake)
    except Conflict as refusal:
        form = Form(name="act", refusal=reader.gettext(_OFF))
        return await page_of(request, webhook_id, caller, act=form, status=refusal.status)
    there = path_of(webhook_id, "deliveries", delivery_id)
    return RedirectResponse(f"{there}?done=tested", 303)


@router.post("/settings/webhooks/{webhook_id}/recover")
async def recover(request: Request, webhook_id: str, caller: _Sender) -> Response:
    """Send what was held or failed since a moment, or skip what was held."""
    notify = resources(request, Notify)
    reader = reader_of(request)
    fields = Fields(await read_form(request), reader)
    since = fields.moment("since", required=True)
    what = fields.choice("what", ("send", "skip"))
    refusal = ""
    status = 422
    if since is not None and not fields.errors:
        try:
            async with notify.database.transaction() as tx:
                count = await handlers.recover(
                    tx,
                    webhook_id,
                    since=since,
                    skip=what == "skip",
                    notify=notify,
                    by=caller,
                    now=notify.clock.now(),
                )
                tx.after_commit(notify.wake)
        except Invalid:
            fields.errors["since"] = reader.gettext("Please give a moment that has passed.")
        except Conflict as conflict:
            refusal, status = reader.gettext(_OFF), conflict.status
        else:
            done = ("skipped" if what == "skip" else "recovered") if count else "nothing"
            return RedirectResponse(f"{path_of(webhook_id)}?done={done}", 303)
    form = fields.form("recover", refusal=refusal)
    return await page_of(request, webhook_id, caller, recover=form, status=status)


@router.post("/settings/webhooks/{webhook_id}/delete")
async def delete(request: Request, webhook_id: str, caller: _Keeper) -> Response:
    """Delete a webhook, once somebody has said that they are sure."""
    notify = resources(request, Notify)
    reader = reader_of(request)
    fields = Fields(await read_form(request), reader)
    if not fields.values.get("sure"):
        fields.errors["sure"] = reader.gettext("Please tick this: it cannot be undone.")
        form = fields.form("delete")
        return await page_of(request, webhook_id, caller, delete=form, status=422)
    async with notify.database.transaction() as tx:
        await handlers.delete_webhook(
            tx, webhook_id, notify=notify, by=caller, now=notify.clock.now()
        )
    return RedirectResponse("/settings/webhooks?done=deleted", 303)


_OFF: Final = marked("The webhook is switched off. Switch it on first.")
_CHANGED: Final = marked("The webhook was changed meanwhile, or a secret was made already.")
_ENOUGH: Final = marked(
    "Ten former secrets still sign. Wait until one has ended, or end all of them at once."
)
_REFUSED: Final[Mapping[str, str]] = {
    "scheme": marked("Please use https."),
    "port": marked("Please use port 443 or 8443."),
    "userinfo": marked("Please leave out user name and password."),
    "fragment": marked("Please leave out everything from # on."),
    "address": marked("Please use an address of the public internet."),
    "inner_name": marked("Please use a name that the public internet knows."),
    "single_label": marked("Please use the full name of the host."),
    "own_origin": marked("Please choose a receiver other than this service."),
}
_UNUSABLE: Final = marked("Please give a URL such as https://example.com/hook.")


def _refused(refusal: Invalid, reader: Reader) -> str:
    code = refusal.findings[0].code if refusal.findings else ""
    return reader.gettext(_REFUSED.get(code, _UNUSABLE))


def _asked(fields: Fields, reader: Reader) -> tuple[str, tuple[str, ...], Detail]:
    """Return what a form says a webhook is to be; what is wrong is noted."""
    url = fields.text("url", most=_LONGEST_URL)
    chosen = [name.removeprefix(EVENT) for name in fields.values if name.startswith(EVENT)]
    events = tuple(one for one in chosen if fields.values[f"{EVENT}{one}"])
    if not events or len(events) > 20:
        fields.errors["events"] = reader.gettext("Please choose at least one.")
    try:
        checked_patterns(events)
    except Invalid:
        fields.errors["events"] = reader.gettext("Please choose from the list.")
    detail: Detail = "full" if fields.choice("detail", ("thin", "full")) == "full" else "thin"
    return url, events, detail


def _moment(text: str) -> datetime:
    """Return when the page says that a webhook was changed; what is no moment is long ago."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return datetime.fromtimestamp(0, UTC)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


async def _switch(
    request: Request, webhook_id: str, caller: Principal, *, on: bool
) -> Response:
    notify = resources(request, Notify)
    await read_form(request)
    async with notify.database.transaction() as tx:
        await handlers.change_webhook(
            tx,
            ChangeWebhook(webhook_id=webhook_id, is_enabled=on),
            notify=notify,
            by=caller,
            now=notify.clock.now(),
        )
        held, _ = await store.held_of(tx, webhook_id)
        tx.after_commit(notify.wake)
    done = "enabled" if on else "disabled"
    return RedirectResponse(
        f"{path_of(webhook_id)}?done={done}{'#recover' if on and held else ''}", 303
    )


async def _list(
    request: Request,
    caller: Principal,
    form: Form,
    *,
    page: Page | None = None,
    status: int = 200,
) -> Response:
    notify = resources(request, Notify)
    reader = reader_of(request)
    page = page or Page()
    after = page.after(notify.keyring, of=_LIST)
    async with notify.database.reading() as view:
        found = await store.list_webhooks(
            view,
            notify.keyring,
            limit=page.limit + 1,
            after=str(after[0]) if after else None,
        )
        shown = found[: page.limit]
        since = notify.clock.now() - SHARE_OVER
        tallies = await store.tallies_of(view, [one.id for one in shown], since=since)
        troubled = await store.troubled_webhooks(view, notify.keyring)
    older = None
    if len(found) > page.limit:
        cursor = encode_cursor(notify.keyring, [shown[-1].id], of=_LIST)
        older = f"/settings/webhooks?{urlencode({'cursor': cursor})}"
    context = WebhooksPage(
        done=done_of(request, _ALL, reader) if status == 200 else "",
        lines=[line_of(one, tallies.get(one.id), reader, caller) for one in shown],
        troubled=[line_of(one, None, reader, caller) for one in troubled],
        newer="/settings/webhooks" if after is not None else None,
        older=older,
        may_write=caller.may(Scope.WEBHOOKS),
        form=form,
        events=event_options(reader),
        details=detail_options(reader),
    )
    return pages.render(request, "webhooks.html", context, status=status)


def _shown(
    request: Request,
    caller: Principal,
    webhook: Webhook,
    secret: str,
    *,
    former_until: datetime | None = None,
) -> Response:
    context = WebhookShownPage(
        webhook=line_of(webhook, None, reader_of(request), caller),
        plain=secret,
        former_until=former_until,
    )
    return pages.render(request, "webhook_shown.html", context)
