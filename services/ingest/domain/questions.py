"""Answers that hold several scores: each scored question is a response of its own.

A survey may ask for a recommendation and for satisfaction at once. A mapping says where the
questions of an answer lie and how each is scored; everything else is read once and shared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from services.ingest.domain.expressions import Call, Expression

if TYPE_CHECKING:
    from services.ingest.domain.hook_parts import Rule

KEY: Final = "key"
VALUE: Final = "value"
"""Under what a question that is no object, but the score itself, is found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Where questions of one kind lie in an answer, and how they are read."""

    each: Expression | None = None
    """One question or a list of them; without it the answer itself is the question."""
    names: Mapping[str, Expression] = field(default_factory=dict)
    """What is looked up once, in this order, and then stands beside the question's members."""
    key: Sequence[Rule] = ()
    """What tells it from other questions, should it not be the first that has a score."""
    fields: Mapping[str, Sequence[Rule]] = field(default_factory=dict)
    """Members that this question says otherwise than the answer, its score above all."""


def asked(
    call: Call, questions: Sequence[Question], answer: Mapping[str, Any]
) -> Iterator[tuple[Question, Mapping[str, Any]]]:
    """Yield the questions of an answer, scored or not, in their order."""
    for question in questions:
        found = answer if question.each is None else call.find(question.each, answer)
        for one in found if isinstance(found, list) else [found]:
            if one is None or one is False:
                continue
            item = dict(one) if isinstance(one, dict) else {VALUE: one}
            for name, path in question.names.items():
                item[name] = call.find(path, item)
            yield question, item
