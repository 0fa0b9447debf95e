"""What posting one response and posting many have in common: who, under which key, how long."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import TYPE_CHECKING, Final, TypeVar

from services.ingest.domain.reading import Warned
from services.ingest.handlers import RecordResponse
from services.ingest.schemas import understand
from shared.errors import Forbidden, TryLater
from shared.identity.principal import Principal
from shared.logs import correlation_id

if TYPE_CHECKING:
    from datetime import datetime

T = TypeVar("T")

STATUS_PATH: Final = "/v1/responses/"


def source_of(caller: Principal) -> str:
    """Return the source that this caller posts for."""
    if caller.source is None:
        raise Forbidden("Responses are posted with an API key that belongs to a source.")
    return caller.source


def to_command(
    document: object,
    *,
    source: str,
    namespace: str | None = None,
    now: datetime,
    key: str | None = None,
) -> tuple[RecordResponse, Sequence[Warned]]:
    """Return the command in a posted document; raise ``Invalid`` with every finding."""
    read = understand(document, now=now)
    return (
        RecordResponse(
            source=source,
            external_id=read.external_id,
            part=read.part,
            namespace=namespace,
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
