"""A request's JSON document, read strictly and then as one of our shapes."""

from __future__ import annotations

from typing import TypeVar

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from shared.web.bodies import SINGLE_LIMIT, read_json

M = TypeVar("M", bound=BaseModel)


async def read_as(request: Request, kind: type[M], *, limit: int = SINGLE_LIMIT) -> M:
    """Return the body as ``kind``; what does not fit is answered finding by finding."""
    document = await read_json(request, limit=limit)
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        found = error.errors(include_input=False, include_url=False, include_context=False)
        raise RequestValidationError(found) from None


def body_of(kind: type[BaseModel], *, required: bool = True) -> dict[str, object]:
    """Return what the description of a route says of a body that ``read_as`` reads."""
    schema = kind.model_json_schema(ref_template="#/components/schemas/{model}")
    schema.pop("$defs", None)
    return {
        "requestBody": {
            "required": required,
            "content": {"application/json": {"schema": schema}},
        }
    }
