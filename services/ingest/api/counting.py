"""A route of which no refusal goes uncounted, whichever part of it refuses.

What a source's key or signature is shown at is counted under that source with a stable reason
before the answer leaves: a body that cannot be read, a missing right, too many requests, a key
that has ended. Of a body that was read and then refused a sealed sample is kept, so that
whoever looks after the source can see what was wrong with it.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final, Literal

from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import override

from services.ingest.domain.reading import identifier_in
from services.ingest.handlers import Ingest, count, refusal_reason
from services.ingest.store import Sample
from shared.errors import Refused, Unauthenticated
from shared.web.access import resources
from shared.web.auth import recognised
from shared.web.bodies import parse_leniently

if TYPE_CHECKING:
    from collections.abc import Sequence

KEY_REUSED: Final = "idempotency_key_reused"
"""A refusal that says nothing about the body."""

_STATUS: Final = {
    400: "unreadable",
    405: "method_not_allowed",
    408: "too_slow",
    413: "too_large",
    415: "unsupported_type",
}


class CountedRoute(APIRoute):
    """Counts what it refuses: ``APIRouter(route_class=CountedRoute)``."""

    @override
    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler, with the count around all of it: guards, body and route."""
        handle = super().get_route_handler()

        async def counted(request: Request) -> Response:
            try:
                return await handle(request)
            except (Refused, RequestValidationError, HTTPException) as error:
                await _note(request, error)
                raise

        return counted


def known_source(request: Request, source: str) -> None:
    """Say whose call this is, where no key tells."""
    request.state.source = source


def posted(request: Request, body: bytes) -> bytes:
    """Have a sample kept of this body if it is refused from here on."""
    request.state.posted = body
    return body


def already_counted(request: Request) -> None:
    """Say that the refusal which follows was counted where it was decided."""
    request.state.counted = True


async def _note(
    request: Request, error: Refused | RequestValidationError | HTTPException
) -> None:
    caller = recognised(request)
    source = getattr(request.state, "source", None) or (caller and caller.source)
    if not source:
        return
    outcome, reason = _reason(error, ended=caller is not None)
    counts = [] if getattr(request.state, "counted", False) else [(outcome, reason, 1)]
    body = getattr(request.state, "posted", None)
    ingest = resources(request, Ingest)
    sample = None
    if body is not None and reason != KEY_REUSED:
        sample = Sample(
            body=body,
            content_type=request.headers.get("content-type", ""),
            outcome=outcome,
            reason=reason,
            path=_pointer(error),
            person_refs=await _refs(ingest, source, body),
        )
    if counts or sample is not None:
        await count(ingest, source, counts, sample=sample)


def _reason(
    error: Refused | RequestValidationError | HTTPException, *, ended: bool
) -> tuple[Literal["rejected", "refused"], str]:
    match error:
        case Unauthenticated() if ended:
            return "refused", "key_ended"
        case Refused():
            return refusal_reason(error)
        case RequestValidationError():
            return "rejected", next((str(one["type"]) for one in error.errors()), "invalid")
        case HTTPException():
            return "refused", _STATUS.get(error.status_code, f"status_{error.status_code}")


def _pointer(error: Refused | RequestValidationError | HTTPException) -> str | None:
    findings = getattr(error, "findings", ())
    return findings[0].pointer or None if findings else None


async def _refs(ingest: Ingest, source: str, body: bytes) -> Sequence[str]:
    """Return whose words are in a body that was refused, as far as it can be read."""
    try:
        value, _ = parse_leniently(body)
    except Refused:
        return ()
    identifier = identifier_in(value.get("customer") if isinstance(value, dict) else None)
    if identifier is None:
        return ()
    namespace = await ingest.namespaces.of(source)
    return (ingest.person_keys.ref(namespace or source, identifier),)
