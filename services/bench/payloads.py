"""What is posted while measuring: distinct responses of about 300 bytes, words and a person.

Both sides of a row get the same bytes.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_WORDS: Final = (
    "I waited forty minutes on the telephone and nobody called me back.",
    "Der Techniker war freundlich, aber die Rechnung stimmt schon wieder nicht.",
    "Fast delivery, friendly driver, everything arrived in one piece.",
    "Konsultantka była miła, lecz na odpowiedź czekałem cztery dni.",
    "The website logged me out twice before I could finish the order.",
    "Appen er nem at bruge, men prisen er steget for meget.",
    "Nothing to complain about. The shop was clean and the staff knew their job.",
)
_TOUCHPOINTS: Final = ("phone-support", "delivery", "web-shop", "invoice", "store")


def response(tag: str, number: int) -> dict[str, Any]:
    """Return one posted document; ``tag`` and ``number`` make it unlike any other."""
    return {
        "external_id": f"{tag}-{number:06}",
        "score": number % 11,
        "comment": f"{_WORDS[number % len(_WORDS)]} ({tag} {number})",
        "touchpoint": _TOUCHPOINTS[number % len(_TOUCHPOINTS)],
        "answered_at": f"2026-03-02T09:{number // 60 % 60:02}:{number % 60:02}+01:00",
        "customer": {
            "id": f"C-{tag}-{number}",
            "name": "Anna Example",
            "email": f"anna.{number}@example.com",
        },
    }


def body(tag: str, number: int) -> bytes:
    """Return one document as it is posted."""
    return json.dumps(response(tag, number), ensure_ascii=False).encode()


def lines(tag: str, numbers: Sequence[int]) -> bytes:
    """Return many documents as one NDJSON body."""
    return b"".join(body(tag, number) + b"\n" for number in numbers)
