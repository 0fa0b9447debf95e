"""What posting one response and posting many have in common: who, under which key, how long."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

from services.ingest.domain.reading import Warned
from services.ingest.handlers import RecordResponse
from services.ingest.schemas import understand
from shared.errors import Forbidden, TryLater, Unreadable
from shared.identity.principal import Principal
from shared.logs import correlation_id

if TYPE_CHECKING:
    from datetime import datetime

    from starlette.requests import Request

    from shared.identity.principal import Principal

T = TypeVar("T")

STATUS_PATH: Final = "/v1/responses/"
REPLAYED: Final = "Idempotency-Replayed"
_QUOTED: Final = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])*)"')
_BARE: Final = re.compile(r"[!-~](?:[ -~]*[!-~])?")
_LONGEST_KEY: Final = 255

IDEMPOTENCY_PARAMETER: Final[dict[str, Any]] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "up to 255 printable characters; the same key with the same meaning gets"
    f" the same answer for seven days, with the header {REPLAYED}: true",
    "schema": {"type": "string", "minLength": 1, "maxLength": 257},
}


def source_of(caller: Principal) -> str:
    """Return the source that this caller posts for."""
    if caller.source is None:
        raise Forbidden("Responses are posted with an API key that belongs to a source.")
    return caller.source


def idempotency_key(request: Request) -> str | None:
    """Return the Idempotency-Key, quoted or bare; raise ``Unreadable`` for one that is none."""
    sent = request.headers.getlist("idempotency-key")
    if not sent:
        return None
    if len(sent) > 1:
        raise Unreadable("The header Idempotency-Key was sent more than once.")
    text = sent[0].strip()
    if (quoted := _QUOTED.fullmatch(text)) is not None:
        key = re.sub(r"\\(.)", r"\1", quoted[1])
    else:
        key = text if _BARE.fullmatch(text) and not text.startswith('"') else ""
    if not 1 <= len(key) <= _LONGEST_KEY:
        raise Unreadable(
            f"The header Idempotency-Key must hold 1 to {_LONGEST_KEY} printable ASCII"
            " characters, quoted or bare."
        )
    return key


def to_command(
    document: object, *, source: str, now: datetime, key: str | None = None
) -> tuple[RecordResponse, Sequence[Warned]]:
    """Return the command in a posted document; raise ``Invalid`` with every finding."""
    read = understand(document, now=now)
    return (
        RecordResponse(
            source=source,
            external_id=read.external_id,
            part=read.part,
            correlation_id=correlation_id.get(),
            idempotency_key=key,
        ),
        read.warnings,
    )


async def within(seconds: float, work: Awaitable[T]) -> T:
    """Await ``work`` for so long; it goes on by itself, and a retry finds what it did."""
    try:
        async with asyncio.timeout(seconds):
            return await work
    except TimeoutError:
        raise TryLater(
            "this takes longer than it should; send the same request again", retry_after=2
        ) from None


def shown(warnings: Sequence[Warned]) -> list[dict[str, str]]:
    """Return warnings as they go over the wire."""
    return [{"pointer": warned.pointer, "code": warned.code} for warned in warnings]
