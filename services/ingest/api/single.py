"""``POST /v1/responses``: one response, durable before it is answered.

It comes as our own JSON or as a CloudEvent, in binary or in structured mode.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import JSONResponse

from services.ingest.api.counting import CountedRoute, already_counted, posted
from services.ingest.api.posting import (
    STATUS_PATH,
    shown,
    source_of,
    to_command,
    within,
)
from services.ingest.domain import cloudevents
from services.ingest.domain.reading import KNOWN
from services.ingest.handlers import Ingest, Recorded
from services.ingest.schemas import AcceptedOut, ResponseIn, schema_of
from shared.errors import Invalid
from shared.faults import fault_point
from shared.identity.principal import Principal, Scope
from shared.web.access import resources
from shared.web.auth import requires
from shared.web.bodies import JSON, media_type, parse_json, read_body
from shared.web.idempotency import REPLAYED, Key

router = APIRouter(tags=["responses"], route_class=CountedRoute)

DEADLINE: Final = 10.0

_EXAMPLES: Final[dict[str, Any]] = {
    "detractor": {
        "summary": "A detractor with a comment",
        "value": {
            "external_id": "survey-4711",
            "score": 2,
            "comment": "I waited forty minutes and nobody called back.",
            "touchpoint": "phone-support",
            "answered_at": "2026-03-02T09:30:00+01:00",
            "customer": {"id": "C-1001", "name": "Anna Example", "email": "anna@example.com"},
        },
    },
    "unsolicited": {
        "summary": "Unsolicited feedback without a score",
        "value": {
            "external_id": "review-88",
            "measurement": "unsolicited",
            "sentiment": "negative",
            "comment": "The parcel lay in the rain.",
            "channel": "review_site",
        },
    },
}


_EVENT_EXAMPLE: Final[dict[str, Any]] = {
    "specversion": "1.0",
    "type": cloudevents.TYPE,
    "source": "https://crm.example.com",
    "id": "survey-4711",
    "time": "2026-03-02T09:30:00+01:00",
    "data": {"score": 2, "comment": "I waited forty minutes."},
}
_EVENT: Final[dict[str, Any]] = {
    "type": "object",
    "description": "CloudEvents 1.0; external_id is the event's id unless data has one",
    "required": ["specversion", "type", "source", "id", "data"],
    "properties": {
        "specversion": {"const": "1.0"},
        "type": {"const": cloudevents.TYPE},
        "source": {"type": "string"},
        "id": {"type": "string"},
        "time": {"type": "string", "format": "date-time"},
        "data": schema_of(ResponseIn),
    },
}


@router.post(
    "/v1/responses",
    status_code=202,
    summary="Post one response",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                JSON: {"schema": schema_of(ResponseIn), "examples": _EXAMPLES},
                cloudevents.STRUCTURED: {"schema": _EVENT, "example": _EVENT_EXAMPLE},
            },
        },
    },
    responses={
        202: {
            "description": "The response is durable. Posting it again changes nothing.",
            "content": {"application/json": {"schema": schema_of(AcceptedOut)}},
        }
    },
)
async def post_response(
    request: Request,
    caller: Annotated[Principal, Depends(requires(Scope.RESPONSES_WRITE))],
    key: Key,
) -> JSONResponse:
    """Take a response in; the same one again is a duplicate, another meaning a revision."""
    ingest = resources(request, Ingest)
    source = source_of(caller)
    kind = media_type(request, (JSON, cloudevents.STRUCTURED))
    body = posted(request, await read_body(request))
    document = parse_json(body, members=KNOWN)
    in_event = kind == cloudevents.STRUCTURED
    if in_event:
        document = cloudevents.read_structured(document)
    elif cloudevents.is_binary(request.headers):
        document = cloudevents.read_binary(request.headers, document)
    namespace = await ingest.namespaces.of(source)
    try:
        command, warnings = to_command(
            document, source=source, namespace=namespace, now=ingest.clock.now(), key=key
        )
    except Invalid as error:
        raise cloudevents.in_data(error) if in_event else error from None
    fault_point("ingest.validated")
    outcome = await within(DEADLINE, ingest.record.submit(command))
    if not isinstance(outcome, Recorded):
        already_counted(request)
        raise outcome
    status_url = STATUS_PATH + outcome.id
    answer: dict[str, Any] = {
        "id": outcome.id,
        "status": "accepted",
        "duplicate": outcome.duplicate,
        "revision": outcome.revision,
        "status_url": status_url,
    }
    if warnings:
        answer["warnings"] = shown(warnings)
    headers = {"Location": status_url}
    if outcome.replayed:
        headers[REPLAYED] = "true"
    fault_point("ingest.answering")
    return JSONResponse(answer, status_code=202, headers=headers)
