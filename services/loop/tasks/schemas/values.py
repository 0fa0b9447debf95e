"""What the members of acts are made of: times, words, owners and amounts, read strictly."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

_MOMENT = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?([Zz]|[+-]\d{2}:\d{2})"
)
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def _moment(value: object) -> datetime:
    if isinstance(value, str) and _MOMENT.fullmatch(value):
        try:
            return datetime.fromisoformat(value.upper()).astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    raise PydanticCustomError("not_a_moment", "not a time")


def _words(value: object) -> object:
    if not isinstance(value, str):
        return value
    if _CONTROLS.search(value):
        raise PydanticCustomError("control_character", "a control character")
    return value.strip()


def _none_if_blank(value: object) -> object:
    words = _words(value)
    return None if words == "" else words


Moment = Annotated[datetime, BeforeValidator(_moment)]
Words = Annotated[str, Field(min_length=1, max_length=10_000), BeforeValidator(_words)]
MaybeWords = Annotated[
    Annotated[str, Field(max_length=10_000)] | None, BeforeValidator(_none_if_blank)
]
Feeling = Annotated[
    Annotated[str, Field(max_length=200)] | None, BeforeValidator(_none_if_blank)
]


def _owner_id(value: object) -> object:
    """Take an owner's id, or an owner as the task's document shows it."""
    return value.get("id") if isinstance(value, dict) else value


OwnerId = Annotated[str, Field(min_length=1, max_length=40), BeforeValidator(_owner_id)]


def _amount(value: object) -> object:
    """Take a number as it is written, or as text, to the cent."""
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        try:
            amount = Decimal(str(value))
        except InvalidOperation:
            amount = Decimal(-1)
        if amount.is_finite() and 0 <= amount < 10**12:
            return amount
    raise PydanticCustomError("not_an_amount", "not an amount")


class Value(BaseModel):
    """An amount and its currency."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    amount: Annotated[Decimal, BeforeValidator(_amount)]
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")]
