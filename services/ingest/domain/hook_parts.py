"""What a compiled mapping is made of, and what comes of reading with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from services.ingest.domain.expressions import Call, Expression
from services.ingest.domain.values import Conversion, Scalar
from shared.errors import TooLarge

MOST_ANSWERS: Final = 200

NO_ANSWER: Final = "no_answer"
"""Why a part without score and comment is ignored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """An answer as our own format has it; ``paths`` says where each member was found."""

    members: Mapping[str, Any] = field(repr=False)
    paths: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignored:
    """Nothing to record, and nothing wrong: a ping, a dismissal, another kind of event."""

    reason: str
    path: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """An answer that cannot be used: which member, and where in the payload."""

    reason: str
    pointer: str
    path: str
    detail: str


Read = Document | Ignored | Rejected


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One way to a member's value."""

    path: Expression | None = None
    value: Scalar = None
    when: Expression | None = None
    conversion: Conversion = field(default_factory=Conversion)
    ends: tuple[Expression, Expression] | None = None
    """Where the ends of the sender's scale lie, if they are not the same in every call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IgnoreRule:
    """What is nothing to us, and why; ``each`` looks at every answer by itself."""

    when: Expression
    reason: str
    each: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A sender's question whether the address is ours, and what it wants to hear."""

    method: str
    query: str | None = None
    header: str | None = None
    when: Expression | None = None
    status: int = 200
    text: str | None = None
    echo: bool = False
    path: Expression | None = None
    as_json: bool = False

    def answer(self, call: Call, headers: Mapping[str, str], query: Mapping[str, Any]) -> Any:  # noqa: ANN401 - JSON
        """Return what is to be answered: text, a JSON value if ``as_json``, or nothing."""
        if self.path is not None:
            return call.find(self.path, call.payload)
        if not self.echo:
            return self.text
        return query.get(self.query) if self.query else headers.get(self.header or "")

    def applies(
        self, method: str, call: Call, headers: Mapping[str, str], query: Mapping[str, Any]
    ) -> bool:
        """Tell whether this call is that question."""
        return (
            method == self.method
            and (self.query is None or self.query in query)
            and (self.header is None or self.header in headers)
            and (self.when is None or call.holds(self.when, call.payload))
        )


def within_limit(number: int) -> None:
    """Raise ``TooLarge`` for more answers than one call may bring."""
    if number > MOST_ANSWERS:
        raise TooLarge(
            f"One call may bring {MOST_ANSWERS} answers. Send fewer at once.",
            extra={"code": "too_many_answers", "limit": MOST_ANSWERS},
        )


def split(name: str) -> list[str]:
    """Return the parts of a member's name; the name of an attribute may have dots itself."""
    if name.startswith("attributes."):
        return ["attributes", name.removeprefix("attributes.")]
    return name.split(".")


def pointer_of(name: str) -> str:
    """Return the JSON Pointer to a member."""
    return "".join(f"/{part}" for part in split(name))
