"""What a call of a sender says: reading payloads through a compiled mapping.

A mapping knows where the answers of a call lie and, for each member of ``POST /v1/responses``,
where its value lies in an answer and how it is converted. What comes out is a document as a
system would post it, so that a hook passes the same checks as every other way in.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from services.ingest.domain.expressions import Call, Expression
from services.ingest.domain.hook_parts import (
    NO_ANSWER,
    Check,
    Document,
    Ignored,
    IgnoreRule,
    Read,
    Rejected,
    Rule,
    pointer_of,
    split,
    within_limit,
)
from services.ingest.domain.questions import KEY, Question, asked
from services.ingest.domain.values import CannotConvert, Conversion

if TYPE_CHECKING:
    from services.ingest.domain.signatures import Scheme

_LONGEST_PATH: Final = 400
# A place that can stand before a path, and a path that can stand behind one.
_PLAIN_PATH: Final = re.compile(r"[A-Za-z0-9_.\[\]*]+", re.ASCII)
_STEPS: Final = re.compile(r"[A-Za-z0-9_.\[\]*@]+", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class HookMapping:
    """A compiled mapping."""

    sender: str | None = None
    name: str = ""
    documentation: Sequence[str] = ()
    recognise: Expression | None = None
    signature: Scheme | None = None
    verification: Sequence[Check] = ()
    ignore: Sequence[IgnoreRule] = ()
    answers: Sequence[Expression] = ()
    """Where the answers may lie; without any, the payload is the answer or a list of them."""
    requires: Sequence[Expression] = ()
    answered: Expression | None = None
    """What finds something in an answer that says anything, understood or not."""
    fields: Mapping[str, Sequence[Rule]] = field(default_factory=dict)
    questions: Sequence[Question] = ()

    def recognises(
        self,
        payload: Any,  # noqa: ANN401 - any JSON value
        headers: Mapping[str, str],
        query: Mapping[str, Any],
    ) -> bool:
        """Tell whether this is what the sender sends."""
        if self.recognise is None:
            return False
        return Call(payload, headers, query).holds(self.recognise, payload)

    def check_of(
        self,
        method: str,
        headers: Mapping[str, str],
        query: Mapping[str, Any],
        payload: Any = None,  # noqa: ANN401 - any JSON value
    ) -> tuple[Check, Any] | None:
        """Return the question that a call asks about the address, and its answer."""
        call = Call(payload, headers, query)
        for check in self.verification:
            if check.applies(method, call, headers, query):
                return check, check.answer(call, headers, query)
        return None

    def read(
        self,
        payload: Any,  # noqa: ANN401 - any JSON value
        headers: Mapping[str, str],
        query: Mapping[str, Any],
    ) -> Sequence[Read]:
        """Return what a call says, in order: one item for each answer or scored question.

        ``headers`` go by their lower-case names. Raises ``TooLarge`` for more answers, or more
        work, than one call may bring.
        """
        call = Call(payload, headers, query)
        read: list[Read] = []
        for one in self.payloads(call):
            alone = one is call or isinstance(one.payload, dict)
            read.extend(self._read(one) if alone else [_no_object("@")])
            within_limit(len(read))
        return read

    def payloads(self, call: Call) -> Iterator[Call]:
        """Yield the payloads of a call: of a list each item, unless a place says otherwise.

        They share one budget, so that each has to be read before the next.
        """
        payload = call.payload
        _, found = self.answers_in(call)
        if not (isinstance(payload, list) and payload) or (
            found is not payload and _has_object(found)
        ):
            yield call
            return
        within_limit(len(payload))
        for item in payload:
            yield call.turned_to(item)

    def _read(self, call: Call) -> Sequence[Read]:
        if rule := self.ignored(call, call.payload, each=False):
            return [Ignored(reason=rule.reason)]
        where, found = self.answers_in(call)
        if found is None:
            return [_missing("", ", ".join(one.text for one in self.answers) or "@")]
        answers = found if isinstance(found, list) else [found]
        if not answers:
            return [Ignored(reason=NO_ANSWER, path=where or "@")]
        within_limit(len(answers))
        reader = _Reader(mapping=self, call=call, place=where)
        return [one for answer in answers for one in reader.read(answer)]

    def answers_in(self, call: Call) -> tuple[str, Any]:
        """Return where in a payload its answers lie, and what lies there.

        Of several places the first that has an object, or a list with one, is it.
        """
        if not self.answers:
            return "", call.payload
        for place in self.answers:
            found = call.find(place, call.payload)
            if _has_object(found) or (len(self.answers) == 1 and found is not None):
                plain = _PLAIN_PATH.fullmatch(place.text)
                return place.text if plain else "", found
        return "", None

    def ignored(self, call: Call, value: object, *, each: bool) -> IgnoreRule | None:
        """Return the first rule by which a payload, or ``each`` answer, is nothing to us."""
        return next(
            (
                rule
                for rule in self.ignore
                if rule.each is each and call.holds(rule.when, value)
            ),
            None,
        )


@dataclass(slots=True)
class _Found:
    """The members of a response as far as they are found, and where each was."""

    members: dict[str, Any] = field(default_factory=dict)
    paths: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reader:
    """Reads the answers of one call that lie at one place of its payload."""

    mapping: HookMapping
    call: Call
    place: str

    def read(self, answer: Any) -> Sequence[Read]:  # noqa: ANN401
        """Read one answer."""
        if not isinstance(answer, dict):
            return [_no_object(self._within("@"))]
        call = self.call
        call.look_at(answer)
        if ignored := self.mapping.ignored(call, answer, each=True):
            return [Ignored(reason=ignored.reason)]
        for required in self.mapping.requires:
            if call.find(required, answer) is None:
                return [_missing("", self._within(required.text))]
        found = _Found()
        for name, rules in self.mapping.fields.items():
            wrong = self._fill(name, rules, answer, found)
            if wrong is not None:
                return [wrong]
        if "external_id" not in found.members:
            rules = self.mapping.fields["external_id"]
            # Those that are meant for another kind of answer come last.
            rules = sorted(
                rules, key=lambda one: one.when is not None and not call.holds(one.when, answer)
            )
            return [_missing("/external_id", self._paths(rules))]
        return self._scored(answer, found) or [self._judged(answer, found)]

    def _scored(self, answer: Mapping[str, Any], shared: _Found) -> Sequence[Read]:
        """Return a response for each question with a score.

        The first has the answer's own id, whichever question it is, and the comment: a part
        without a score, sent before, belongs to it.
        """
        found: list[Read] = []
        used = {""}
        for question, item in asked(self.call, self.mapping.questions, answer):
            first = not any(isinstance(one, Document) for one in found)
            own = deepcopy(shared)
            if not first:
                own.members.pop("comment", None)
            rules = {KEY: question.key, **question.fields}
            wrongs = (
                self._fill(name, some, item, own, question) for name, some in rules.items()
            )
            wrong = next((one for one in wrongs if one is not None), None)
            if wrong is not None:
                found.append(wrong)
            elif own.members.get("score") is not None:
                key = own.members.pop(KEY, None)
                own.paths.pop(f"/{KEY}", None)
                own.members["external_id"] += "" if first else _suffix(key, used)
                found.append(Document(members=own.members, paths=own.paths))
        return found

    def _fill(
        self,
        name: str,
        rules: Sequence[Rule],
        answer: Mapping[str, Any],
        found: _Found,
        question: Question | None = None,
    ) -> Rejected | None:
        """Put a member in from the first rule that has something to say."""
        for rule in rules:
            try:
                value = _value(self.call, rule, answer)
                if value is not None:
                    _put(found.members, name, value)
                    found.paths[pointer_of(name)] = self._paths([rule], question)
                    break
            except CannotConvert as error:
                return Rejected(
                    reason=error.code,
                    pointer=pointer_of(name),
                    path=self._paths([rule], question),
                    detail=f"{error.detail[:1].upper()}{error.detail[1:]}.",
                )
        return None

    def _judged(self, answer: Mapping[str, Any], found: _Found) -> Read:
        """Return an answer without scored questions, if it says anything at all."""
        if "score" not in found.members and "comment" not in found.members:
            wanted: list[tuple[Question | None, Mapping[str, Sequence[Rule]]]] = [
                (None, self.mapping.fields),
                *((question, question.fields) for question in self.mapping.questions),
            ]
            sought = [
                path
                for name in ("score", "comment")
                for question, one in wanted
                for rule in one.get(name, ())
                if (path := self._paths([rule], question))
            ]
            path = ", ".join(dict.fromkeys(sought))[:_LONGEST_PATH]
            if (says := self.mapping.answered) and self.call.holds(says, answer):
                return _missing("/score", path)
            return Ignored(reason=NO_ANSWER, path=path)
        return Document(members=found.members, paths=found.paths)

    def _paths(self, rules: Sequence[Rule], question: Question | None = None) -> str:
        """Return where these rules look, in the words of the mapping."""
        texts = [rule.path.text for rule in rules if rule.path is not None]
        if question is None:
            found = [self._within(text) for text in texts]
        else:
            found = [self._asked_at(question, text) for text in texts]
        return ", ".join(dict.fromkeys(found))[:_LONGEST_PATH]

    def _asked_at(self, question: Question, path: str) -> str:
        """Return a path of a question as one of the payload."""
        path = question.names[path].text if path in question.names else path
        if question.each is None or path.startswith("_"):
            return self._within(path)
        return f"{self._within(question.each.text)}.{path}"

    def _within(self, path: str) -> str:
        """Return a path of an answer as one of the payload."""
        if not self.place or not _STEPS.fullmatch(path) or path.startswith("_"):
            return path
        return self.place if path == "@" else f"{self.place}.{path}"


def _has_object(found: object) -> bool:
    return isinstance(found, dict) or (
        isinstance(found, list) and any(isinstance(one, dict) for one in found)
    )


def _suffix(key: object, used: set[str]) -> str:
    """Return what tells the id of a further question; no two are the same."""
    first = suffix = "" if key is None else f":{key}"
    n = 1
    while suffix in used:
        n += 1
        suffix = f"{first}:{n}"
    used.add(suffix)
    return suffix


def _value(call: Call, rule: Rule, answer: Mapping[str, Any]) -> Any:  # noqa: ANN401
    """Return what a rule has to say; None for nothing. Raises ``CannotConvert``."""
    if rule.when is not None and not call.holds(rule.when, answer):
        return None
    if rule.path is None:
        return rule.value
    value = conversion_of(call, rule, answer).convert(call.find(rule.path, answer))
    return None if isinstance(value, str) and not value.strip() else value


def conversion_of(call: Call, rule: Rule, answer: Mapping[str, Any]) -> Conversion:
    """Return how a value is read, on the scale that the answer itself names."""
    scale = rule.conversion.scale
    if rule.ends is None or scale is None:
        return rule.conversion
    ends = [call.find(end, answer) for end in rule.ends]
    return replace(rule.conversion, scale=scale.between(*ends))


def _put(members: dict[str, Any], name: str, value: Any) -> None:  # noqa: ANN401
    """Put a value under a member's name; of a dotted one into the object before the dot."""
    holder = members
    *groups, last = split(name)
    for group in groups:
        holder = holder.setdefault(group, {})
    if name == "attributes":
        if not isinstance(value, dict):
            raise CannotConvert("not_an_object", "attributes are an object of named values")
        value = {**value, **holder.get("attributes", {})}
    holder[last] = value


def _no_object(path: str) -> Rejected:
    return Rejected(
        reason="not_an_object",
        pointer="",
        path=path,
        detail="An answer is an object with members.",
    )


def _missing(pointer: str, path: str) -> Rejected:
    named = pointer.removeprefix("/") or "what the mapping reads"
    return Rejected(
        reason="missing",
        pointer=pointer,
        path=path[:_LONGEST_PATH],
        detail=f"There is no value for {named} at the path named in path.",
    )
