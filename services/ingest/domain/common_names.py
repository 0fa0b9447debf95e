"""Payloads that nobody declared: names in one spelling, answers wherever they lie.

One system writes ``responseId``, another ``RESPONSE_ID`` or ``Response_Id__c``; one wraps an
answer in an event, another in a list of them; one lists questions and another names members
after them. Which names count stands in the mapping that asks; here is only how they are found.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Any, Final

from services.ingest.domain.headings import (
    EFFORT,
    MEMBERS,
    RECOMMEND,
    SATISFACTION,
    SCORE,
    plain,
)
from services.ingest.domain.spelling import BETWEEN, alike

_ABOUT: Final = {
    "comment": MEMBERS["comment"], "email": MEMBERS["customer.email"], "nps": RECOMMEND,
    "csat": SATISFACTION, "ces": EFFORT, "score": SCORE,
}  # fmt: skip
_TELLING: Final = 2
_IN_FULL: Final = 3
# Of a column many values tell what these are; of one call nothing does.
_TOO_VAGUE: Final = frozenset(
    {"points", "grade", "mark", "body", "note", "nota", "wert", "wynik", "punkte", "punkty"}
)
_NUMBER: Final = re.compile(r"\s*[+-]?\d{1,18}(?:\.\d{1,18})?\s*", re.ASCII)
_MOMENT: Final = re.compile(r"20\d\d-\d\d-\d\d|\d{9,13}$", re.ASCII)
_THIS_CENTURY: Final = 946_684_800
_EMPTY: Final[tuple[Any, ...]] = (None, "", [], {})

# The words of a question, and the answer to it, in a list of both.
_ASKED: Final = (
    "question", "question_text", "question_title", "title", "label", "heading", "name", "key",
    "field_name", "question_id", "id", "question_type", "block_type", "metric", "type", "ref",
    "field", "text", "body", "prompt",
)  # fmt: skip
_SAID: Final = (
    "score", "value", "answer", "answers", "text_answers", "number", "response", "responses",
    "rating", "choice", "field_value", "content", "message", "email",
)  # fmt: skip
# Where no other name is there, these are what was said; else they are the question's words.
_LESS: Final = ("text", "body")
_LABELS: Final = ("label", "name")
# A list whose items each have one of both is one of questions, whatever it is called.
_ASKING: Final = frozenset(
    {"question", "question_text", "question_title", "question_id", "field_name", "title",
     "label", "heading", "prompt"}
)  # fmt: skip
_ANSWERING: Final = frozenset(
    {"answer", "answers", "response", "value", "choice", "field_value", "text_answers"}
)
# By which an answer that is one to a single question names it.
_ONE_QUESTION: Final = ("question", "question_text", "question_title", "prompt")
_REMARKS: Final = ("comment", "remark", "follow_up_answer")
# Of these the number, and what else is said with it, may lie in an object of its own.
_RATED: Final = ("nps", "csat", "ces", "score", "rating", "comment", "feedback")
_IN_RATED: Final = ("value", "score", "rating", "stars", "number", "text", "body", "message")


_IN_ORDER: Final = frozenset({"within", "questions", "people", "best"})


@dataclass(frozen=True, slots=True)
class Names:
    """By which names an answer is known in a payload whose names are spelt alike."""

    own_id: frozenset[str]
    """Names that only an answer's id has."""
    id: frozenset[str]
    """Names that any id has."""
    says: frozenset[str]
    """Names of which a plain value makes an object with an id an answer."""
    holds: frozenset[str]
    """Names of which any value does, such as a list of questions."""
    may_say: frozenset[str]
    """Names that do where no other answer is found."""
    within: Sequence[str]
    """Names under which an answer lies, whatever it says."""
    questions: Sequence[str]
    """Names under which an answer's questions lie."""
    asks: frozenset[str]
    """Names that show that an item of a list is a question of an answer."""
    event: frozenset[str]
    """Names that tell an event: its id is not the id of what it holds."""
    skip: frozenset[str]
    """Names under which no answers lie; those of ``people`` are among them."""
    around: frozenset[str]
    """Names that hold for the answers within an object too; those of ``people`` are among
    them."""
    people: Sequence[str]
    """Names of whoever answered, the surest first."""
    best: Sequence[str]
    """Names of the upper end of the scale that a score is on."""

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Names:
        """Return the names that a mapping lists; what it leaves out is empty."""
        found: dict[str, Any] = {}
        for name in cls.__slots__:
            listed = given.get(name)
            words = (
                [one for one in listed if isinstance(one, str)]
                if isinstance(listed, list)
                else []
            )
            found[name] = words if name in _IN_ORDER else frozenset(words)
        for name in ("skip", "around"):
            found[name] |= {*found["people"]}
        return cls(**found)


def answers_in(payload: Any, names: Names) -> list[Any]:  # noqa: ANN401 - any JSON value
    """Return the answers of a payload, the outermost ones, with what holds for all of them.

    Of a list in which one is an answer all are returned: what is wrong with the others is to
    be told, not left out. Where nothing looks like an answer, the payload itself is it. Each
    has its questions under ``pairs``.
    """
    spelt = alike(payload)
    less = replace(names, says=names.may_say, holds=names.holds | names.may_say)
    found = list(_answers(spelt, names, {}, {}, listed=False))
    found = found or list(_answers(spelt, less, {}, {}, listed=False))
    found = found or [_innermost(spelt, names)]
    return [
        {**one, **_made_of(one, names)} if isinstance(one, dict) else one
        for one in ([] if found == [[]] else found)
    ]


def _made_of(one: Mapping[str, Any], names: Names) -> dict[str, Any]:
    """Return what is made of an answer.

    Its questions; those and its members; which of them are numbers, and which moments; who
    answered; the end of the scale.
    """
    asked = asked_in(one, names)
    said = {n: part["value"] if _is_said(part, names) else part for n, part in one.items()}
    members = [
        {"key": _words(name), "value": part}
        for name, part in said.items()
        if isinstance(part, str | int | float)
    ]
    pairs = [{**pair, "about": _about(pair["key"])} for pair in asked + members]
    people = (one.get(name) for name in names.people)
    return {
        "asked": asked,
        "pairs": pairs,
        "rated": [pair for pair in pairs if _is_number(pair["value"])],
        "moments": [pair for pair in members if _is_moment(pair["value"])],
        # Of one person only: the name of one and the address of another are nobody's.
        "who": next((person for person in people if isinstance(person, dict) and person), None),
        "best_score": next((end for end in _ends(one, names.best)), None),
    }


def _about(key: str) -> str | None:
    """Return what a question or a name asks for, by the words that files know as well."""
    words = plain(key)
    strength, about = max(
        ((names.strength(words), about) for about, names in _ABOUT.items()), key=itemgetter(0)
    )
    if about == "score" and (strength < _IN_FULL or words in _TOO_VAGUE):
        return None
    return about if strength >= _TELLING else None


def _is_number(value: object) -> bool:
    if isinstance(value, str):
        return _NUMBER.fullmatch(value) is not None
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_moment(value: object) -> bool:
    if isinstance(value, str):
        return _MOMENT.match(value) is not None
    return _is_number(value) and isinstance(value, int | float) and value > _THIS_CENTURY


def _ends(one: Mapping[str, Any], best: Sequence[str]) -> Iterator[int]:
    """Yield the upper ends of scales that an answer, its question or its survey names."""
    for holder in (one, one.get("question"), one.get("survey")):
        if not isinstance(holder, dict):
            continue
        for name in best:
            text = str(holder.get(name)).rpartition("-")[2].strip()
            if text.isdecimal() and len(text) <= 3 and int(text) > 1:
                yield int(text)


def _innermost(value: Any, names: Names) -> Any:  # noqa: ANN401 - any JSON value
    """Return what is wrapped, by the names alone under which answers lie."""
    while isinstance(value, dict):
        inner = next((value[n] for n in names.within if isinstance(value.get(n), dict)), None)
        ids = _ids(value, names)
        if inner is None:
            return {n: part for n, part in value.items() if n not in names.id or n in ids}
        around = {n: part for n, part in value.items() if n in names.around}
        value = {**around, **({} if _ids(inner, names) else ids), **inner}
    return value


def _answers(
    value: Any,  # noqa: ANN401 - any JSON value
    names: Names,
    around: Mapping[str, Any],
    handed: Mapping[str, Any],
    *,
    listed: bool,
) -> Iterator[Any]:
    """Yield the answers in a value; ``handed`` is the id of the object that it lies in."""
    if isinstance(value, list):
        each = [
            (one, list(_answers(one, names, around, {}, listed=True)) if one else [])
            for one in value
        ]
        if any(found for _, found in each):
            for one, found in each:
                yield from found or [{**around, **one} if isinstance(one, dict) else one]
        return
    if not isinstance(value, dict):
        return
    ids = _ids(value, names, also_of_event=True)
    if (ids or handed) and _says(value, names) and not (listed and names.asks & value.keys()):
        yield {**around, **({} if ids else handed), **_unwrapped(value)}
        return
    inner = {**around, **{n: part for n, part in value.items() if n in names.around}}
    ids = _ids(value, names)
    for name, part in value.items():
        if name not in names.skip and isinstance(part, dict | list):
            # Some number their questions instead of listing them.
            yield from _answers(part, names, inner, ids, listed=name.isdecimal())


def _unwrapped(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return an answer whose rating is no object of its own any more."""
    found = dict(value)
    for name in _RATED:
        if isinstance(inner := value.get(name), dict):
            said = (inner[other] for other in _IN_RATED if other in inner)
            found[name] = next(said, inner)
            beside = {n: part for n, part in inner.items() if n not in _IN_RATED}
            found = {**beside, **found} if found[name] is not inner else found
    return found


def _ids(
    value: Mapping[str, Any], names: Names, *, also_of_event: bool = False
) -> dict[str, Any]:
    """Return the ids of an object, as far as they may be those of an answer."""
    of_event = not also_of_event and (
        not names.event.isdisjoint(value) or "." in str(value.get("type"))
    )
    return {
        name: one
        for name, one in value.items()
        if (name in names.own_id or (name in names.id and not of_event)) and _is_id(one)
    }


def _is_id(value: object) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool) and value != ""


def _says(value: Mapping[str, Any], names: Names) -> bool:
    return _one_pair(value) is not None or any(
        part not in _EMPTY
        and (
            name in names.holds
            or (name in names.says and not isinstance(part, dict | list))
            or (name not in names.skip and (_are_questions(part) or _is_said(part, names)))
        )
        for name, part in value.items()
    )


def _is_said(part: object, names: Names) -> bool:
    """Tell whether a member, named after its question, holds what was said under ``value``."""
    return isinstance(part, dict) and "value" in part and names.id.isdisjoint(part)


def _are_questions(part: object) -> bool:
    return (
        isinstance(part, list)
        and bool(part)
        and all(
            isinstance(one, dict)
            and not _ASKING.isdisjoint(one)
            and not _ANSWERING.isdisjoint(one)
            for one in part
        )
    )


def asked_in(answer: Mapping[str, Any], names: Names) -> list[dict[str, Any]]:
    """Return the questions of an answer with what was said, wherever they lie.

    Each is ``{"key": words of the question, "value": …}``.
    """
    found = [pair for place in names.questions for pair in _pairs(answer.get(place))]
    for name, part in answer.items():
        if name not in names.questions and name not in names.skip and _are_questions(part):
            found += _pairs(part)
    return found if (own := _one_pair(answer)) is None else [*found, *own]


def _one_pair(answer: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """Return the question that a whole answer is one to, with what was said and remarked."""
    named = {name: answer[name] for name in _ONE_QUESTION if answer.get(name) not in _EMPTY}
    said = _said_in(answer, _SAID)
    if not named or said in _EMPTY:
        return None
    choice = answer.get("choice")
    remarks = [choice.get(name) for name in _REMARKS] if isinstance(choice, dict) else []
    return [
        {"key": " ".join(_asked(named)), "value": said},
        *({"key": "comment", "value": one} for one in remarks if isinstance(one, str)),
    ]


def _pairs(held: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401 - any JSON value
    """Yield the pairs of a list of questions, or of an object with one in each member."""
    named = held.items() if isinstance(held, dict) else ()
    listed = (("", one) for one in held) if isinstance(held, list) else named
    for name, one in listed:
        if not isinstance(one, dict):
            yield {"key": _words(name), "value": _said(one)}
            continue
        asked = [_words(name), *_asked(one)]
        yield {"key": " ".join(asked).strip(), "value": _said_in(one, (*_SAID, *_LESS))}
        for remark in _REMARKS:
            if isinstance(one.get(remark), str):
                yield {"key": "comment", "value": one[remark]}


def _asked(one: Mapping[str, Any]) -> Iterator[str]:
    for name in _ASKED:
        part = one.get(name)
        if isinstance(part, dict):
            yield from _asked(part)
        else:
            texts = part if isinstance(part, list) else [part]
            yield from (_words(text) for text in texts if isinstance(text, str))


def _said(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Return what was said: the only item of a list, the value in an object."""
    while isinstance(value, dict | list) and value:
        if isinstance(value, list):
            if len(value) > 1:
                return value
            value = value[0]
        else:
            value = _said_in(value, (*_SAID, *_LESS, *_LABELS))
    return value


def _said_in(one: Mapping[str, Any], names: Sequence[str]) -> Any:  # noqa: ANN401
    """Return the first that says something of the names; of those in doubt only if alone."""
    sure = any(name in one for name in _SAID)
    values = (_said(one[n]) for n in names if n in one and (not sure or n in _SAID))
    return next((value for value in values if value not in _EMPTY), None)


def _words(name: str) -> str:
    return BETWEEN.sub(" ", name).strip().lower()
