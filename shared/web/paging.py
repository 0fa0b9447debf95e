"""Lists: how many, from where, and the cursor that leads to the next part.

A cursor is opaque and signed. It carries the sort key of the last row and the name of the list
with its filters, so that it cannot be made up, nor used on another list.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from fastapi import Depends
from starlette.requests import Request

from shared.errors import Finding, Invalid, Unreadable
from shared.web.query import whole_number

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from shared.sealing import Keyring

T = TypeVar("T")
DEFAULT_LIMIT = 50
MOST = 200
_PURPOSE = "cursors"


@dataclass(frozen=True, kw_only=True)
class Page:
    """Which part of a list the caller wants."""

    limit: int = DEFAULT_LIMIT
    cursor: str | None = None

    def after(self, keyring: Keyring, *, of: str = "") -> list[Any] | None:
        """Return the sort key behind which to go on; None at the beginning.

        ``of`` names the list and its filters; raises ``Invalid`` on a foreign cursor.
        """
        return None if self.cursor is None else decode_cursor(keyring, self.cursor, of=of)


def page_of(request: Request) -> Page:
    """Read ``limit`` (1 to 200) and ``cursor`` from the query."""
    for name in ("limit", "cursor"):
        if len(request.query_params.getlist(name)) > 1:
            raise Unreadable(f"The query parameter {name} stands there twice. Send it once.")
    text = request.query_params.get("limit", str(DEFAULT_LIMIT))
    limit = whole_number(text, digits=4) or 0
    if not 1 <= limit <= MOST:
        raise Invalid(
            f"limit must be a whole number from 1 to {MOST}.",
            [
                Finding(
                    pointer="/limit",
                    code="out_of_range",
                    detail="not a whole number in the range",
                    fix=f"send 1 to {MOST}",
                )
            ],
        )
    return Page(limit=limit, cursor=request.query_params.get("cursor") or None)


Paged = Annotated[Page, Depends(page_of)]
"""In a route: ``page: Paged``."""


def encode_cursor(keyring: Keyring, values: Sequence[object], *, of: str = "") -> str:
    """Return an opaque, signed text for a sort key of JSON scalars."""
    body = json.dumps([of, *values], separators=(",", ":"), ensure_ascii=False).encode()
    mark = hmac.digest(keyring.subkey(_PURPOSE), body, sha256)[:12]
    return base64.urlsafe_b64encode(mark + body).decode().rstrip("=")


def decode_cursor(keyring: Keyring, cursor: str, *, of: str = "") -> list[Any]:
    """Return the sort key; raise ``Invalid`` for one that we did not make for this list."""
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    except (binascii.Error, ValueError):
        raw = b""
    mark, body = raw[:12], raw[12:]
    if len(cursor) <= 4_000 and any(
        hmac.compare_digest(mark, hmac.digest(key, body, sha256)[:12])
        for key in keyring.subkeys(_PURPOSE)
    ):
        made_for, *values = json.loads(body)
        if made_for == of:
            return list(values)
    raise Invalid(
        "This cursor does not belong to this list.",
        [
            Finding(
                pointer="/cursor",
                code="bad_cursor",
                detail="not a cursor of this list and these filters",
                fix="send next_cursor of the previous answer unchanged, or leave it out",
            )
        ],
    )


def listed(
    rows: Sequence[T],
    page: Page,
    *,
    show: Callable[[T], Mapping[str, object]],
    key: Callable[[T], Sequence[object]],
    keyring: Keyring,
    of: str = "",
) -> dict[str, object]:
    """Return the answer of a list from up to ``page.limit + 1`` rows.

    Fetch one row more than asked for: it is not shown, it tells that there is more.
    """
    shown = rows[: page.limit]
    more = len(rows) > page.limit
    return {
        "data": [show(row) for row in shown],
        "next_cursor": encode_cursor(keyring, key(shown[-1]), of=of) if more else None,
        "has_more": more,
    }
