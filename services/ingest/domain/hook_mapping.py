"""What a call of a sender says: reading payloads through a compiled mapping.

A mapping knows where the answers of a call lie and, for each member of ``POST /v1/responses``,
where its value lies in an answer and how it is converted. What comes out is a document as a
system would post it, so that a hook passes the same checks as every other way in.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from services.ingest.domain.expressions import Call, Expression
from services.ingest.domain.questions import KEY, Question, asked
from services.ingest.domain.values import CannotConvert, Conversion, Scalar
from shared.errors import TooLarge

if TYPE_CHECKING:
    from services.ingest.domain.signatures import Scheme

MOST_ANSWERS: Final = 200
_LONGEST_PATH: Final = 400
# A place that can stand before a path, and a path that can stand behind one.
_PLAIN_PATH: Final = re.compile(r"[A-Za-z0-9_.\[\]*]+", re.ASCII)
_STEPS: Final = re.compile(r"[A-Za-z0-9_.\[\]*@]+", re.ASCII)

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
        where, found = self.answers_in(call)
        whole = found is payload and isinstance(found, list)
        if not whole and (rule := self.ignored(call, payload, each=False)):
            return [Ignored(reason=rule.reason)]
        if found is None:
            return [_missing("", ", ".join(one.text for one in self.answers) or "@")]
        answers = found if isinstance(found, list) else [found]
        if not answers:
            return [Ignored(reason=NO_ANSWER, path=where or "@")]
        within_limit(len(answers))
        reader = _Reader(mapping=self, call=call, place=where)
        read = [one for answer in answers for one in reader.read(answer, whole=whole)]
        within_limit(len(read))
        return read

    def answers_in(self, call: Call) -> tuple[str, Any]:
        """Return where in a payload its answers lie, and what lies there.

        Of several places the first that has an object, or a list with one, is it.
        """
        if not self.answers:
            return "", call.payload
        for place in self.answers:
            found = call.find(place, call.payload)
            if len(self.answers) == 1 or _has_object(found):
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reader:
    """Reads the answers of one call that lie at one place of its payload."""

    mapping: HookMapping
    call: Call
    place: str

    def read(self, answer: Any, *, whole: bool) -> Sequence[Read]:  # noqa: ANN401
        """Read one answer; ``whole`` where it would be a payload by itself."""
        if not isinstance(answer, dict):
            return [
                Rejected(
                    reason="not_an_object",
                    pointer="",
                    path=self._within("@"),
                    detail="An answer is an object with members.",
                )
            ]
        call = self.call
        call.look_at(answer)
        ignored = self.mapping.ignored(call, answer, each=False) if whole else None
        if ignored := ignored or self.mapping.ignored(call, answer, each=True):
            return [Ignored(reason=ignored.reason)]
        for required in self.mapping.requires:
            if call.find(required, answer) is None:
                return [_missing("", self._within(required.text))]
        members: dict[str, Any] = {}
        paths: dict[str, str] = {}
        for name, rules in self.mapping.fields.items():
            wrong = self._fill(name, rules, answer, members, paths)
            if wrong is not None:
                return [wrong]
        if "external_id" not in members:
            return [_missing("/external_id", self._paths(self.mapping.fields["external_id"]))]
        return self._scored(answer, members, paths) or [self._judged(members, paths)]

    def _scored(
        self,
        answer: Mapping[str, Any],
        members: Mapping[str, Any],
        paths: Mapping[str, str],
    ) -> Sequence[Read]:
        """Return a response for each question with a score.

        The first has the answer's own id, whichever question it is, and the comment: a part
        without a score, sent before, belongs to it.
        """
        found: list[Read] = []
        used = {""}
        for question, item in asked(self.call, self.mapping.questions, answer):
            first = not any(isinstance(one, Document) for one in found)
            shared = {n: v for n, v in members.items() if n != "comment" or first}
            own, own_paths = deepcopy(shared), dict(paths)
            rules = {KEY: question.key, **question.fields}
            wrongs = (
                self._fill(name, some, item, own, own_paths) for name, some in rules.items()
            )
            wrong = next((one for one in wrongs if one is not None), None)
            if wrong is not None:
                found.append(replace(wrong, path=self._asked_at(question, wrong.path)))
            elif own.get("score") is not None:
                key = own.pop(KEY, None)
                own_paths.pop(f"/{KEY}", None)
                own["external_id"] += "" if first else _suffix(key, used)
                found.append(Document(members=own, paths=own_paths))
        return found

    def _fill(
        self,
        name: str,
        rules: Sequence[Rule],
        answer: Mapping[str, Any],
        members: dict[str, Any],
        paths: dict[str, str],
    ) -> Rejected | None:
        """Put a member in from the first rule that has something to say."""
        for rule in rules:
            try:
                value = _value(self.call, rule, answer)
                if value is not None:
                    _put(members, name, value)
                    paths[_pointer(name)] = self._paths([rule])
                    break
            except CannotConvert as error:
                return Rejected(
                    reason=error.code,
                    pointer=_pointer(name),
                    path=self._paths([rule]),
                    detail=f"{error.detail[:1].upper()}{error.detail[1:]}.",
                )
        return None

    def _judged(self, members: dict[str, Any], paths: dict[str, str]) -> Read:
        """Return an answer without scored questions, if it says anything at all."""
        if "score" not in members and "comment" not in members:
            wanted = [
                self.mapping.fields,
                *(question.fields for question in self.mapping.questions),
            ]
            sought = [
                rule
                for name in ("score", "comment")
                for one in wanted
                for rule in one.get(name, ())
            ]
            return Ignored(reason=NO_ANSWER, path=self._paths(sought))
        return Document(members=members, paths=paths)

    def _asked_at(self, question: Question, path: str) -> str:
        """Return a path of a question as one of the payload."""
        if question.each is None or path.startswith("_"):
            return path
        own = path.removeprefix(f"{self.place}." if self.place else "")
        return f"{self._within(question.each.text)}.{own}"[:_LONGEST_PATH]

    def _paths(self, rules: Sequence[Rule]) -> str:
        """Return where these rules look, in the words of the mapping."""
        found = [self._within(rule.path.text) for rule in rules if rule.path is not None]
        return ", ".join(dict.fromkeys(found))[:_LONGEST_PATH]

    def _within(self, path: str) -> str:
        """Return a path of an answer as one of the payload."""
        if not self.place or not _STEPS.fullmatch(path) or path.startswith("_"):
            return path
        return self.place if path == "@" else f"{self.place}.{path}"


def _has_object(found: object) -> bool:
    return isinstance(found, dict) or (
        isinstance(found, list) and any(isinstance(one, dict) for one in found)
    )


def within_limit(number: int) -> None:
    """Raise ``TooLarge`` for more answers than one call may bring."""
    if number > MOST_ANSWERS:
        raise TooLarge(
            f"One call may bring {MOST_ANSWERS} answers. Send fewer at once.",
            extra={"code": "too_many_answers", "limit": MOST_ANSWERS},
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
    value = rule.conversion.convert(call.find(rule.path, answer))
    return None if isinstance(value, str) and not value.strip() else value


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


def split(name: str) -> list[str]:
    """Return the parts of a member's name; the name of an attribute may have dots itself."""
    if name.startswith("attributes."):
        return ["attributes", name.removeprefix("attributes.")]
    return name.split(".")


def _pointer(name: str) -> str:
    return "".join(f"/{part}" for part in split(name))


def _missing(pointer: str, path: str) -> Rejected:
    named = pointer.removeprefix("/") or "what the mapping reads"
    return Rejected(
        reason="missing",
        pointer=pointer,
        path=path[:_LONGEST_PATH],
        detail=f"There is no value for {named} at the path named in path.",
    )
