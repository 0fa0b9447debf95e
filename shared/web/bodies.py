"""Reading request bodies strictly: size, media type, encoding, JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NoReturn

from shared.errors import TooLarge, Unreadable, UnsupportedType
from shared.faults import fault_point
from shared.strict_json import (
    MAX_DEPTH,
    MAX_MEMBERS,
    decode,
    flaw,
    parse_json,
    parse_leniently,
    refusal_of,
)

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from starlette.requests import Request

__all__ = [
    "CSV",
    "JSON",
    "MAX_DEPTH",
    "MAX_MEMBERS",
    "NDJSON",
    "SINGLE_LIMIT",
    "decode",
    "flaw",
    "media_type",
    "parse_json",
    "parse_leniently",
    "read_body",
    "read_json",
    "refusal_of",
]

JSON: Final = "application/json"
NDJSON: Final = "application/x-ndjson"
CSV: Final = "text/csv"

SINGLE_LIMIT: Final = 256_000


def media_type(request: Request, accepted: Sequence[str] = (JSON,)) -> str:
    """Return the body's media type; raise ``UnsupportedType`` for one not in ``accepted``."""
    encodings = request.headers.getlist("content-encoding")
    if any(e.strip().lower() not in {"", "identity"} for e in encodings):
        raise UnsupportedType(
            "Compressed bodies are not taken. Send the body without Content-Encoding."
        )
    stated = request.headers.getlist("content-type")
    if len(stated) > 1:
        raise Unreadable("The header Content-Type was sent more than once.")
    kind, _, parameters = (stated[0] if stated else "").partition(";")
    kind = kind.strip().lower()
    if kind not in accepted:
        raise UnsupportedType(f"Send the body with Content-Type {_either(accepted)}.")
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset" and value.strip().strip('"').lower() not in {
            "utf-8",
            "utf8",
        }:
            raise UnsupportedType("Send the body in UTF-8.")
    return kind


def _either(accepted: Sequence[str]) -> str:
    return (
        accepted[0] if len(accepted) == 1 else f"{', '.join(accepted[:-1])} or {accepted[-1]}"
    )


async def read_body(request: Request, *, limit: int = SINGLE_LIMIT) -> bytes:
    """Return the whole body; raise ``TooLarge`` as soon as it is longer than ``limit``."""
    stated = request.headers.get("content-length", "")
    if stated.isascii() and stated.isdigit() and int(stated[:20]) > limit:
        _too_large(limit)
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        fault_point("request.reading")
        size += len(chunk)
        if size > limit:
            _too_large(limit)
        chunks.append(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _too_large(limit: int) -> NoReturn:
    raise TooLarge(
        f"The body is longer than {limit:,} bytes. Send less at once.", extra={"limit": limit}
    )


async def read_json(
    request: Request, *, limit: int = SINGLE_LIMIT, members: Container[str] = ()
) -> Any:  # noqa: ANN401 - JSON
    """Return the request's JSON document, strictly read.

    Raises ``UnsupportedType``, ``TooLarge``, ``Unreadable`` or ``Invalid``.
    """
    media_type(request)
    return parse_json(await read_body(request, limit=limit), members=members)
