"""The header Idempotency-Key: how a caller says that a request is the same one again."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from shared.errors import Unreadable

if TYPE_CHECKING:
    from starlette.requests import Request

REPLAYED: Final = "Idempotency-Replayed"
LONGEST_KEY: Final = 255

_QUOTED: Final = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])*)"')
_BARE: Final = re.compile(r"[!-~](?:[ -~]*[!-~])?")

PARAMETER: Final[dict[str, Any]] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "up to 255 printable characters; the same key with the same meaning acts"
    f" once in seven days, and is answered with the header {REPLAYED}: true after that",
    "schema": {"type": "string", "minLength": 1, "maxLength": 257},
}


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
    if not 1 <= len(key) <= LONGEST_KEY:
        raise Unreadable(
            f"The header Idempotency-Key must hold 1 to {LONGEST_KEY} printable ASCII"
            " characters, quoted or bare."
        )
    return key
