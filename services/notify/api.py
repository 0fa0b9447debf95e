"""The routes of notify: webhooks, and deliveries with every try.

A change is answered after its commit. Secrets are shown once, when they are made.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from services.notify import store
from services.notify.domain.alerts import rfc3339
from services.notify.domain.deliveries import State
from services.notify.handlers import endpoints as handlers
from services.notify.handlers.endpoints import ChangeWebhook, CreateWebhook, Notify
from services.notify.handlers.undelivered import lift_suppression
from services.notify.schemas import (
    RecoverIn,
    RotateIn,
    WebhookChange,
    WebhookIn,
    checked_patterns,
    delivery_out,
    suppression_out,
    webhook_out,
)
from shared.db.transaction import Transaction
from shared.errors import Finding, Invalid, NotFound
from shared.identity.principal import Principal, Scope
from shared.web.access import resources
from shared.web.auth import requires
from shared.web.documents import body_of, read_as
from shared.web.idempotency import Answer, Once
from shared.web.paging import Paged, listed

router = APIRouter()

Integrator = Annotated[Principal, Depends(requires(Scope.WEBHOOKS))]
Watcher = Annotated[Principal, Depends(requires(Scope.DELIVERIES_READ))]
MailReader = Annotated[Principal, Depends(requires(Scope.MAIL_READ))]
MailKeeper = Annotated[Principal, Depends(requires(Scope.SETTINGS_WRITE))]
Repairer = Annotated[Principal, Depends(requires(Scope.DELIVERIES_WRITE))]

_STATES = [state.value for state in State]


def _parameter(name: str, description: str, **schema: object) -> dict[str, Any]:
    return {
        "name": name,
        "in": "query",
        "required": False,
        "description": description,
        "schema": {"type": "string", **schema},
    }


# ---------------------------------------------------------------- webhooks


@router.post(
    "/v1/webhooks",
    status_code=201,
    tags=["webhooks"],
    summary="Add a webhook; its secret is shown this once",
    openapi_extra=body_of(WebhookIn),
)
async def post_webhook(request: Request, caller: Integrator, once: Once) -> Response:
    """Add an endpoint that is called from now on."""
    notify = resources(request, Notify)
    posted = await read_as(request, WebhookIn)
    command = CreateWebhook(
        url=posted.url, events=checked_patterns(posted.events), detail=posted.detail
    )

    async def create(tx: Transaction) -> Answer:
        webhook, secret = await handlers.create_webhook(
            tx, command, notify=notify, by=caller, now=notify.clock.now()
        )
        tx.after_commit(notify.wake)
        return Answer(
            body=webhook_out(webhook, secret=secret),
            status=201,
            headers={"Location": f"/v1/webhooks/{webhook.id}"},
        )

    return await once.act(notify.database, create, by=caller, meaning=posted)


@router.get("/v1/webhooks", tags=["webhooks"], summary="List webhooks")
async def get_webhooks(request: Request, caller: Integrator, page: Paged) -> JSONResponse:  # noqa: ARG001 - guards
    """Return the endpoints in the order of their making, without their secrets."""
    notify = resources(request, Notify)
    after = page.after(notify.keyring, of="webhooks")
    async with notify.database.reading() as view:
        found = await store.list_webhooks(
            view,
            notify.keyring,
            limit=page.limit + 1,
            after=str(after[0]) if after else None,
        )
    return JSONResponse(
        listed(
            found,
            page,
            show=webhook_out,
            key=lambda webhook: [webhook.id],
            keyring=notify.keyring,
            of="webhooks",
        )
    )


@router.get("/v1/webhooks/{webhook_id}", tags=["webhooks"], summary="Read a webhook")
async def get_webhook(request: Request, webhook_id: str, caller: Integrator) -> JSONResponse:  # noqa: ARG001 - guards
    """Return one endpoint, without its secret."""
    notify = resources(request, Notify)
    async with notify.database.reading() as view:
        webhook = await handlers.webhook_of(view, webhook_id, notify=notify)
    return JSONResponse(webhook_out(webhook))


@router.patch(
    "/v1/webhooks/{webhook_id}",
    tags=["webhooks"],
    summary="Change a webhook",
    openapi_extra=body_of(WebhookChange),
)
async def patch_webhook(request: Request, webhook_id: str, caller: Integrator) -> JSONResponse:
    """Change what was sent; members left out stay as they are."""
    notify = resources(request, Notify)
    posted = await read_as(request, WebhookChange)
    command = ChangeWebhook(
        webhook_id=webhook_id,
        url=posted.url,
        events=None if posted.events is None else checked_patterns(posted.events),
        detail=posted.detail,
        is_enabled=None if posted.state is None else posted.state == "enabled",
    )
    async with notify.database.transaction() as tx:
        webhook = await handlers.change_webhook(
            tx, command, notify=notify, by=caller, now=notify.clock.now()
        )
        tx.after_commit(notify.wake)
    return JSONResponse(webhook_out(webhook))


@router.delete(
    "/v1/webhooks/{webhook_id}",
    status_code=204,
    tags=["webhooks"],
    summary="Delete a webhook",
)
async def delete_webhook(request: Request, webhook_id: str, caller: Integrator) -> Response:
    """Forget the endpoint; what waited for it is given up."""
    notify = resources(request, Notify)
    async with notify.database.transaction() as tx:
        await handlers.delete_webhook(
            tx, webhook_id, notify=notify, by=caller, now=notify.clock.now()
        )
    return Response(status_code=204)


@router.post(
    "/v1/webhooks/{webhook_id}/test",
    status_code=202,
    tags=["webhooks"],
    summary="Send a test event",
)
async def post_test(
    request: Request, webhook_id: str, caller: Integrator, once: Once
) -> Response:
    """Send an event of type ``webhook.test``; the delivery tells how it went."""
    notify = resources(request, Notify)

    async def test(tx: Transaction) -> Answer:
        delivery_id = await handlers.send_test(
            tx, webhook_id, notify=notify, now=notify.clock.now()
        )
        tx.after_commit(notify.wake)
        there = f"/v1/deliveries/{delivery_id}"
        return Answer(
            body={"delivery_id": delivery_id, "status_url": there},
            status=202,
            headers={"Location": there},
        )

    return await once.act(notify.database, test, by=caller)


@router.post(
    "/v1/webhooks/{webhook_id}/rotate",
    tags=["webhooks"],
    summary="Make a new secret; the former ones sign for a while",
    openapi_extra=body_of(RotateIn, required=False),
)
async def post_rotate(
    request: Request, webhook_id: str, caller: Integrator, once: Once
) -> Response:
    """Return the endpoint with its new secret, which is shown this once."""
    notify = resources(request, Notify)
    posted = await read_as(request, RotateIn) if _has_body(request) else RotateIn()

    async def rotate(tx: Transaction) -> Answer:
        webhook, secret = await handlers.rotate_secret(
            tx,
            webhook_id,
            overlap=timedelta(hours=posted.overlap_hours),
            notify=notify,
            by=caller,
            now=notify.clock.now(),
        )
        return Answer(body=webhook_out(webhook, secret=secret))

    return await once.act(notify.database, rotate, by=caller, meaning=posted)


@router.post(
    "/v1/webhooks/{webhook_id}/enable",
    tags=["webhooks"],
    summary="Switch a webhook on again",
)
async def post_enable(
    request: Request, webhook_id: str, caller: Integrator, once: Once
) -> Response:
    """Return the endpoint, enabled; what was held is sent by ``recover``."""
    notify = resources(request, Notify)

    async def enable(tx: Transaction) -> Answer:
        webhook = await handlers.enable_webhook(
            tx, webhook_id, notify=notify, by=caller, now=notify.clock.now()
        )
        tx.after_commit(notify.wake)
        return Answer(body=webhook_out(webhook))

    return await once.act(notify.database, enable, by=caller)


@router.post(
    "/v1/webhooks/{webhook_id}/recover",
    status_code=202,
    tags=["webhooks"],
    summary="Send what was held or failed since a moment, or skip what was held",
    openapi_extra=body_of(RecoverIn),
)
async def post_recover(
    request: Request, webhook_id: str, caller: Repairer, once: Once
) -> Response:
    """Return how many deliveries that were; asking again changes nothing more."""
    notify = resources(request, Notify)
    posted = await read_as(request, RecoverIn)

    async def recover(tx: Transaction) -> Answer:
        count = await handlers.recover(
            tx,
            webhook_id,
            since=posted.since,
            skip=posted.skip,
            notify=notify,
            by=caller,
            now=notify.clock.now(),
        )
        tx.after_commit(notify.wake)
        return Answer(
            body={
                "since": rfc3339(posted.since),
                "recovered": 0 if posted.skip else count,
                "skipped": count if posted.skip else 0,
                "deliveries_url": f"/v1/deliveries?webhook={webhook_id}",
            },
            status=202,
        )

    return await once.act(notify.database, recover, by=caller, meaning=posted)


# ---------------------------------------------------------------- deliveries


@router.get(
    "/v1/deliveries",
    tags=["deliveries"],
    summary="List deliveries, newest first",
    openapi_extra={
        "parameters": [
            _parameter("state", "only deliveries in this state", enum=_STATES),
            _parameter("webhook", "only deliveries to this webhook"),
            _parameter("import_id", "only deliveries about tasks of this import"),
        ]
    },
)
async def get_deliveries(request: Request, caller: Watcher, page: Paged) -> JSONResponse:  # noqa: ARG001 - guards
    """Return mails and webhook calls alike."""
    notify = resources(request, Notify)
    state = request.query_params.get("state")
    webhook = request.query_params.get("webhook") or None
    import_id = request.query_params.get("import_id") or None
    if state is not None and state not in _STATES:
        raise Invalid(
            "There is no such state.",
            [
                Finding(
                    pointer="/state",
                    code="not_a_choice",
                    detail="not a state of a delivery",
                    fix=f"send one of {', '.join(_STATES)}",
                )
            ],
        )
    name = f"deliveries?state={state or ''}&webhook={webhook or ''}&import={import_id or ''}"
    after = page.after(notify.keyring, of=name)
    async with notify.database.reading() as view:
        found = await store.list_deliveries(
            view,
            limit=page.limit + 1,
            before=str(after[0]) if after else None,
            state=State(state) if state else None,
            target=_plain(webhook),
            import_id=_plain(import_id),
        )
    return JSONResponse(
        listed(
            found,
            page,
            show=delivery_out,
            key=lambda one: [one.id],
            keyring=notify.keyring,
            of=name,
        )
    )


@router.get(
    "/v1/deliveries/{delivery_id}",
    tags=["deliveries"],
    summary="Read a delivery with every try",
)
async def get_delivery(request: Request, delivery_id: str, caller: Watcher) -> JSONResponse:  # noqa: ARG001 - guards
    """Return one delivery, its body and its tries."""
    notify = resources(request, Notify)
    async with notify.database.reading() as view:
        one = await store.delivery_of(view, delivery_id)
        if one is None:
            raise NotFound("There is no such delivery.")
        tries = await store.attempts_of(view, delivery_id)
    return JSONResponse(delivery_out(one, tries))


@router.post(
    "/v1/deliveries/{delivery_id}/resend",
    status_code=202,
    tags=["deliveries"],
    summary="Send a settled delivery once more",
)
async def post_resend(
    request: Request, delivery_id: str, caller: Repairer, once: Once
) -> Response:
    """Make it due again, under the same id; a receiver can tell that it is the same."""
    notify = resources(request, Notify)

    async def resend(tx: Transaction) -> Answer:
        one = await handlers.resend(
            tx, delivery_id, notify=notify, by=caller, now=notify.clock.now()
        )
        tx.after_commit(notify.wake)
        return Answer(body=delivery_out(one), status=202)

    return await once.act(notify.database, resend, by=caller)


def _has_body(request: Request) -> bool:
    """Tell whether anything is sent along."""
    stated = request.headers.get("content-length", "0")
    return stated != "0" or "transfer-encoding" in request.headers


# ---------------------------------------------------------------- dead mailboxes


@router.get(
    "/v1/suppressions", tags=["deliveries"], summary="List mailboxes that nothing is sent to"
)
async def get_suppressions(request: Request, caller: MailReader, page: Paged) -> JSONResponse:  # noqa: ARG001 - guards
    """Return addresses that a mail server has called dead, newest first."""
    notify = resources(request, Notify)
    after = page.after(notify.keyring, of="suppressions")
    async with notify.database.reading() as view:
        found = await store.list_suppressions(
            view, limit=page.limit + 1, before=str(after[0]) if after else None
        )
    return JSONResponse(
        listed(
            found,
            page,
            show=suppression_out,
            key=lambda one: [one.id],
            keyring=notify.keyring,
            of="suppressions",
        )
    )


@router.delete(
    "/v1/suppressions/{suppression_id}",
    status_code=204,
    tags=["deliveries"],
    summary="Send mail to a mailbox again",
)
async def delete_suppression(
    request: Request, suppression_id: str, caller: MailKeeper
) -> Response:
    """Take an address off the list; what failed meanwhile can be sent again one by one."""
    notify = resources(request, Notify)
    async with notify.database.transaction() as tx:
        await lift_suppression(tx, suppression_id, by=caller, now=notify.clock.now())
    return Response(status_code=204)


def _plain(text: str | None) -> str | None:
    """Return a filter that a database can compare: one that holds NUL matches nothing."""
    return text if text is None or "\0" not in text else "-"
