"""How a mapping that cannot be is refused, for touchpoints and lists of codes alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from services.loop.journey.domain.aliases import WhyNot
from shared.errors import Finding, Invalid

_REASONS: Final[Mapping[WhyNot, tuple[str, str]]] = {
    "itself": ("a code cannot stand for itself", "send another code, or null"),
    "reserved": ("“unknown” and “other” keep their meaning", "send another code"),
    "unknown_code": (
        "nobody has described the code that it is to stand for",
        "describe that one first, or send one that is described",
    ),
    "stands_for_another": (
        "the code that it is to stand for stands for another itself",
        "send the code that this one stands for",
    ),
    "others_stand_for": (
        "other codes stand for this one",
        "map those to another code first, or send null for them",
    ),
}


def refuse_alias(why: WhyNot | None) -> None:
    """Raise ``Invalid`` where a code cannot stand for another."""
    if why is None:
        return
    detail, fix = _REASONS[why]
    raise Invalid(
        "This code cannot stand for the other one.",
        [Finding(pointer="/alias_of", code=why, detail=detail, fix=fix)],
    )
