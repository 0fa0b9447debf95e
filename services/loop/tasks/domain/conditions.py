"""What a rule may ask of a response beyond its score, and whether it holds.

A condition names a field, how to compare, and with what. Fields of one kind are compared in the
same way, so that a form, a document and this file agree on what makes sense.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from services.loop.journey.domain import OwnerRef
from services.loop.responses.domain import Response

Field = Literal[
    "metric",
    "score",
    "category",
    "segment",
    "product",
    "touchpoint",
    "channel",
    "language",
    "reason",
    "source",
    "emotion",
    "theme",
    "annual_value",
    "repeat",
    "has_comment",
]
Op = Literal["is", "is_not", "in", "not_in", "at_least", "at_most", "exists"]

NUMBERS: Final[frozenset[Field]] = frozenset({"score", "annual_value"})
FLAGS: Final[frozenset[Field]] = frozenset({"repeat", "has_comment"})
FOLDED: Final[tuple[Field, ...]] = ("touchpoint", "segment", "product", "reason")
"""Fields whose codes may stand for another one."""
_BOUNDS: Final = frozenset({"at_least", "at_most"})
_SETS: Final = frozenset({"in", "not_in"})


@dataclass(frozen=True, kw_only=True)
class Condition:
    """One thing that has to hold for a rule to match."""

    field: Field
    op: Op
    value: Any = None


@dataclass(frozen=True, kw_only=True)
class Circumstances:
    """What is known when a rule is looked for, besides the response itself."""

    themes: frozenset[str] = frozenset()
    annual_value: float | None = field(default=None, repr=False)
    contact: OwnerRef | None = None
    """The fixed contact person of the customer, if it is somebody who works here."""
    repeat: bool = False
    """Whether this customer was unhappy shortly before."""
    codes: Mapping[str, str] = field(default_factory=dict)
    """By code of a touchpoint, segment, product or reason the one that it stands for."""


NOTHING_KNOWN: Final = Circumstances()


def why_not(condition: Condition) -> str | None:
    """Return what is wrong with a condition in itself, as a stable word, or None."""
    value = condition.value
    if condition.op == "exists":
        return None if isinstance(value, bool) and condition.field not in FLAGS else "op"
    if condition.field in FLAGS:
        return None if condition.op == "is" and isinstance(value, bool) else "op"
    if condition.op in _BOUNDS and condition.field not in NUMBERS:
        return "op"
    if condition.op in _SETS:
        if not isinstance(value, list | tuple) or not value:
            return "value"
        return None if all(_fits(condition.field, one) for one in value) else "value"
    return None if _fits(condition.field, value) else "value"


def _fits(name: Field, value: object) -> bool:
    if name in NUMBERS:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, str) and bool(value)


def holds(condition: Condition, response: Response, around: Circumstances) -> bool:
    """Tell whether a condition holds; what is not known is never like a value."""
    found = _values(condition.field, response, around)
    wanted = condition.value
    match condition.op:
        case "exists":
            return bool(found) is wanted
        case "at_least":
            return any(one >= wanted for one in found)
        case "at_most":
            return any(one <= wanted for one in found)
        case "is" | "in":
            return bool(found & _wanted(condition, around))
        case "is_not" | "not_in":
            return not found & _wanted(condition, around)


def _wanted(condition: Condition, around: Circumstances) -> frozenset[Any]:
    value = condition.value
    several = value if isinstance(value, list | tuple) else (value,)
    return frozenset(_plain(condition.field, one, around) for one in several)


def _values(name: Field, response: Response, around: Circumstances) -> frozenset[Any]:
    """Return what a response has in a field: nothing, one value, or several themes."""
    found: Any
    match name:
        case "theme":
            return frozenset(_plain(name, theme, around) for theme in around.themes)
        case "annual_value" | "repeat":
            found = getattr(around, name)
        case "language":
            # Whoever asks for German means Austrian German too.
            tag = (response.language or "").replace("_", "-").casefold()
            return frozenset({tag, tag.partition("-")[0]}) if tag else frozenset()
        case "category":
            found = response.category.value if response.category else None
        case _:
            found = getattr(response, name)
    return frozenset() if found is None else frozenset({_plain(name, found, around)})


def _plain(name: Field, value: Any, around: Circumstances) -> Any:  # noqa: ANN401 - as it is
    """Return a value as it is compared: texts without case, codes as what they stand for."""
    if not isinstance(value, str):
        return value
    folded = around.codes.get(f"{name}/{value}", value) if name in FOLDED else value
    return folded.casefold()
