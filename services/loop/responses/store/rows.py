"""A response as a row of the database, and back."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, Final

from sqlalchemy import Row

from services.loop.responses.domain import Response
from shared.stats.categories import Category

MEMBERS: Final = tuple(member.name for member in fields(Response))
"""The members of a response, which are its columns."""


def row_of(response: Response) -> dict[str, Any]:
    """Return a response as it is written."""
    return {name: getattr(response, name) for name in MEMBERS}


def response_of(row: Row[Any]) -> Response:
    """Return the response that a row holds."""
    members = {name: getattr(row, name) for name in MEMBERS}
    if members["category"] is not None:
        members["category"] = Category(members["category"])
    return Response(**members)
