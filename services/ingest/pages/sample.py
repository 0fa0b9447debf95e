"""A test response: posted through the door that every system uses, and followed to its task.

It comes from the installation's own source, so that it opens a task and counts in no figure.
Its key is made for the one call and revoked after it: nothing has to be kept.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.ingest import store
from services.ingest.handlers import Ingest
from services.ingest.handlers.sample import has_sample, remove_sample
from services.ingest.pages.site import pages
from shared.errors import TryLater
from shared.i18n import marked
from shared.identity.keys import SAMPLE_SOURCE, create_key, revoke_key
from shared.identity.principal import Principal, Scope
from shared.ids import new_token
from shared.tasks import spawn
from shared.web.access import resources
from shared.web.auth import requires_page
from shared.web.bodies import JSON
from shared.web.forms import read_form
from shared.web.templating import done_of, reader_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from starlette.types import Message

    from services.ingest.store import StoredResponse

router = APIRouter(include_in_schema=False)

_Looker = Annotated[Principal, Depends(requires_page(Scope.SETTINGS_READ))]
_Keeper = Annotated[Principal, Depends(requires_page(Scope.SETTINGS_WRITE))]

_PATH: Final = "/settings/test-response"
_WELCOME: Final = "/welcome"
_DOOR: Final = "/v1/responses"
_TICKET: Final = re.compile(r"[A-Za-z0-9_-]{8,40}")
_KEY_NAME: Final = "Test response"
_LIVES: Final = timedelta(minutes=10)
_COMMENT: Final = marked(
    "This is a test. I waited for forty minutes, and nobody called me back."
)
_CUSTOMER: Final = marked("Test customer")

DONE: Final[Mapping[str, str]] = {
    "removed": marked("The sample data is removed. What you posted or changed stays."),
}

Stage = Literal["none", "waiting", "task", "no_task"]


@dataclass(frozen=True, kw_only=True)
class SamplePage:
    """What the page of the test response shows."""

    stage: Stage
    sent_at: datetime | None
    task: str | None
    ticket: str
    """Goes with the form, so that sending it twice posts one response."""
    may_write: bool
    has_sample: bool
    now: datetime
    done: str


@router.get("/settings/test-response")
async def show(request: Request, caller: _Looker) -> Response:
    """Show what became of the latest test response, and the button that sends one."""
    ingest = resources(request, Ingest)
    async with ingest.database.reading() as view:
        found = await store.list_responses(
            view, state=None, source=SAMPLE_SOURCE, before=None, limit=1
        )
        is_there = await has_sample(view)
    latest = found[0] if found else None
    context = SamplePage(
        stage=_stage(latest),
        sent_at=latest.received_at if latest else None,
        task=f"/tasks/{latest.task_id}" if latest and latest.task_id else None,
        ticket=new_token(12),
        may_write=caller.may(Scope.SETTINGS_WRITE),
        has_sample=is_there,
        now=ingest.clock.now(),
        done=done_of(request, DONE, reader_of(request)),
    )
    return pages.render(request, "sample.html", context)


@router.post("/settings/test-response")
async def send(request: Request, caller: _Keeper) -> Response:
    """Post the test response with a key of its own."""
    ingest, reader = resources(request, Ingest), reader_of(request)
    ticket = (await read_form(request)).get("ticket", "")
    if not _TICKET.fullmatch(ticket):
        ticket = new_token(12)
    document = {
        "external_id": ticket,
        "score": 2,
        "comment": reader.gettext(_COMMENT),
        "language": reader.catalogue,
        "customer": {"name": reader.gettext(_CUSTOMER)},
    }
    now = ingest.clock.now()
    async with ingest.database.transaction() as tx:
        key, plain = await create_key(
            tx,
            source=SAMPLE_SOURCE,
            name=_KEY_NAME,
            scopes=[Scope.RESPONSES_WRITE],
            expires_at=now + _LIVES,
            by=caller,
            now=now,
        )
    try:
        # On its own, for what a request notes about itself must not meet what ours does.
        status = await spawn(_post(request, document, plain), name="test response")
    finally:
        async with ingest.database.transaction() as tx:
            await revoke_key(tx, key.id, by=caller, now=ingest.clock.now())
    if status not in {HTTPStatus.OK, HTTPStatus.ACCEPTED}:
        raise TryLater(
            f"the door answered {status} to the test response; see what the log says of it"
        )
    return RedirectResponse(_PATH, 303)


@router.post("/settings/sample/remove")
async def remove(request: Request, caller: _Keeper) -> Response:
    """Remove test responses, and what the demo brought."""
    ingest = resources(request, Ingest)
    fields = await read_form(request)
    async with ingest.database.transaction() as tx:
        await remove_sample(tx, by=caller, now=ingest.clock.now())
    back = _WELCOME if fields.get("next") == _WELCOME else _PATH
    return RedirectResponse(f"{back}?done=removed", 303)


async def _post(request: Request, document: dict[str, Any], key: str) -> int:
    """Knock at our own door as any system does, without the way through the network.

    What answers is the whole application: the key is checked, the body counted and read.
    """
    body = json.dumps(document, ensure_ascii=False).encode()
    headers = {
        "host": request.headers["host"],
        "authorization": f"Bearer {key}",
        "content-type": JSON,
        "content-length": str(len(body)),
    }
    known = ("asgi", "http_version", "scheme", "server", "client")
    call = {
        **{name: request.scope[name] for name in known if name in request.scope},
        "type": "http",
        "method": "POST",
        "path": _DOOR,
        "raw_path": _DOOR.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    statuses: list[int] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    await request.app(call, receive, send)
    return statuses[0]


def _stage(latest: StoredResponse | None) -> Stage:
    if latest is None:
        return "none"
    if latest.task_id is not None:
        return "task"
    return "waiting" if latest.state == "received" else "no_task"
