"""The page of one webhook, with what it was sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from services.notify import store
from services.notify.domain.deliveries import State
from services.notify.handlers import endpoints as handlers
from services.notify.handlers.endpoints import Notify
from services.notify.pages.site import pages
from services.notify.pages.webhooks.page import SecretLine, WebhookPage
from services.notify.pages.webhooks.reading import (
    EVENT,
    SHARE_OVER,
    delivery_line,
    detail_options,
    event_options,
    line_of,
    on_the_readers_clock,
    overlap_options,
    path_of,
)
from services.notify.pages.webhooks.words import STATES
from shared.i18n import marked
from shared.identity.principal import Principal, Scope
from shared.web.access import resources
from shared.web.forms import Form, Option
from shared.web.paging import Page, encode_cursor
from shared.web.templating import done_of, reader_of

DONE: Final[Mapping[str, str]] = {
    "saved": marked("The webhook is saved."),
    "enabled": marked("The webhook is on: what happens from now on is sent."),
    "disabled": marked("The webhook is off. What waits for it is held."),
    "recovered": marked("What was held or failed since then is on its way."),
    "skipped": marked("What was held since then will not be sent."),
    "nothing": marked("There was nothing to send since then."),
}
_NOTHING: Final = Form(name="none")


async def page_of(
    request: Request,
    webhook_id: str,
    caller: Principal,
    *,
    page: Page | None = None,
    form: Form | None = None,
    rotate: Form | None = None,
    recover: Form | None = None,
    delete: Form | None = None,
    act: Form | None = None,
    status: int = 200,
) -> Response:
    """Answer with the page of a webhook."""
    notify = resources(request, Notify)
    reader = reader_of(request)
    page = page or Page(limit=25)
    asked = request.query_params.get("state", "")
    state = State(asked) if asked in {one.value for one in State} else None
    of = f"page/webhooks/{webhook_id}?state={state or ''}"
    after = page.after(notify.keyring, of=of)
    now = notify.clock.now()
    async with notify.database.reading() as view:
        webhook = await handlers.webhook_of(view, webhook_id, notify=notify)
        tallies = await store.tallies_of(view, [webhook_id], since=now - SHARE_OVER)
        held, held_since = await store.held_of(view, webhook_id)
        found = await store.list_deliveries(
            view,
            limit=page.limit + 1,
            before=str(after[0]) if after else None,
            state=state,
            target=webhook_id,
        )
    shown = found[: page.limit]
    older = None
    if len(found) > page.limit:
        cursor = encode_cursor(notify.keyring, [shown[-1].id], of=of)
        older = _href(webhook_id, state=asked if state else "", cursor=cursor)
    line = line_of(webhook, tallies.get(webhook_id), reader, caller)
    since = held_since or webhook.disabled_at or webhook.health.failing_since
    values = {"what": "send", "since": on_the_readers_clock(since, reader) if since else ""}
    context = WebhookPage(
        now=now,
        done=done_of(request, DONE, reader) if status == 200 else "",
        webhook=line,
        secrets=[
            SecretLine(until=one.until)
            for one in webhook.secrets
            if one.until is None or one.until > now
        ],
        changed=webhook.changed_at.isoformat(),
        held=held,
        held_since=held_since,
        deliveries=[delivery_line(one, reader) for one in shown],
        state=state.value if state else "",
        states=[
            Option(value=one.value, label=reader.gettext(text))
            for one, (text, _) in STATES.items()
        ],
        newer=_href(webhook_id, state=asked if state else "") if after is not None else None,
        older=older,
        may_write=caller.may(Scope.WEBHOOKS),
        may_send=caller.may(Scope.DELIVERIES_WRITE),
        form=form
        or Form(
            name="settings",
            values={
                "url": webhook.url,
                "detail": webhook.detail,
                **{f"{EVENT}{one}": "yes" for one in webhook.events},
            },
        ),
        events=event_options(reader, webhook.events),
        details=detail_options(reader),
        rotate=rotate or Form(name="rotate", values={"overlap": "24"}),
        overlaps=overlap_options(reader),
        recover=recover or Form(name="recover", values=values),
        recoveries=[
            Option(value="send", label=reader.gettext("Send what was held or given up")),
            Option(value="skip", label=reader.gettext("Do not send what was held")),
        ],
        delete=delete or Form(name="delete"),
        sure=[Option(value="sure", label=reader.gettext("Yes: nobody needs it any more"))],
        act=act or _NOTHING,
    )
    return pages.render(request, "webhook.html", context, status=status)


def _href(webhook_id: str, **asked: str) -> str:
    query = urlencode({name: value for name, value in asked.items() if value})
    return f"{path_of(webhook_id)}?{query}#deliveries" if query else path_of(webhook_id)
