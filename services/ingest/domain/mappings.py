"""The mapping language, version 1: a document in YAML or JSON becomes a ``HookMapping``.

Everything is checked when a mapping is compiled, and every mistake is named with its place and
what to write instead: unknown members, expressions that are none, members that a response does
not have. ``docs/hooks.md`` is the reference of the language.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from services.ingest.domain.expressions import Expression
from services.ingest.domain.hook_mapping import HookMapping
from services.ingest.domain.hook_parts import (
    Check,
    Document,
    Ignored,
    IgnoreRule,
    Read,
    Rejected,
)
from services.ingest.domain.mapping_rules import MEMBERS, RuleReader, escaped, kind_of
from services.ingest.domain.questions import Question
from services.ingest.domain.signatures import BadScheme, Scheme, read_scheme
from shared.errors import Invalid

__all__ = [
    "MEMBERS",
    "Document",
    "HookMapping",
    "Ignored",
    "Read",
    "Rejected",
    "compile_mapping",
    "kind_of",
]

_PARTS: Final = (
    "version", "sender", "name", "extends", "documentation", "recognise", "signature",
    "verification", "ignore", "answers", "requires", "answered", "fields", "questions",
)  # fmt: skip
_CHECK: Final = ("method", "query", "header", "when", "status", "answer")
_IGNORE: Final = ("when", "reason", "each")
_QUESTION: Final = ("each", "with", "key", "fields")

_DEEPEST: Final = 5
_CODE: Final = re.compile(r"[a-z][a-z0-9_]{0,59}")
_SENDER: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")


def compile_mapping(
    document: Any,  # noqa: ANN401 - whatever an operator wrote
    *,
    senders: Mapping[str, Mapping[str, Any]] | None = None,
) -> HookMapping:
    """Return the mapping in a document; ``senders`` are the ready ones it may extend.

    Raises ``Invalid`` with a finding for each mistake.
    """
    reading = _Reading()
    whole = reading.extended(document, senders or {})
    mapping = reading.mapping(whole)
    if reading.findings:
        first = reading.findings[0]
        raise Invalid(
            f"The mapping is not valid: {first.pointer or '/'} {first.detail}.",
            reading.findings,
        )
    return mapping


class _Reading(RuleReader):
    """One document and everything that is wrong with it."""

    def extended(
        self,
        document: object,
        senders: Mapping[str, Mapping[str, Any]],
        seen: tuple[str, ...] = (),
    ) -> dict[str, Any]:
        """Return a document laid over the one it extends, member by member of its fields."""
        if not isinstance(document, Mapping):
            self.wrong("", "wrong_type", "is an object with version and fields")
            return {"version": 1, "fields": {"external_id": "id"}}
        over = {str(name): value for name, value in document.items()}
        base_name = over.get("extends")
        if base_name is None:
            return over
        base = senders.get(base_name) if isinstance(base_name, str) else None
        if base is None or base_name in seen or len(seen) >= _DEEPEST:
            self.wrong(
                "/extends",
                "unknown_sender",
                "names no ready mapping",
                f"Write one of {', '.join(sorted(senders)) or 'none'}, or leave it out.",
            )
            return {"fields": {}, **over}
        under = self.extended(base, senders, (*seen, base_name))
        whole = {**under, **{name: value for name, value in over.items() if value is not None}}
        if isinstance(under.get("fields"), Mapping) and isinstance(
            fields := over.get("fields", {}), Mapping
        ):
            # A member that is null is taken out.
            laid = {**under["fields"], **fields}
            whole["fields"] = {name: rule for name, rule in laid.items() if rule is not None}
        if isinstance(rules := over.get("ignore"), list):
            whole["ignore"] = [*rules, *(under.get("ignore") or [])]
        return whole

    def mapping(self, whole: Mapping[str, Any]) -> HookMapping:
        """Return the mapping, as far as it can be read."""
        self.only(whole, _PARTS, "")
        version = whole.get("version")
        if version != 1 or isinstance(version, bool):
            self.wrong("/version", "unknown_version", "is the number 1")
        sender = whole.get("sender")
        if sender is not None and not (isinstance(sender, str) and _SENDER.fullmatch(sender)):
            self.wrong("/sender", "wrong_type", "is a name of small letters, such as typeform")
        return HookMapping(
            sender=sender if isinstance(sender, str) else None,
            name=self.text(whole.get("name"), "/name") or "",
            documentation=[
                self.text(one, f"/documentation/{n}") or ""
                for n, one in self.items(whole.get("documentation"), "/documentation")
            ],
            recognise=self.expression(whole.get("recognise"), "/recognise"),
            signature=self.scheme(whole.get("signature")),
            verification=[
                self.check(one, f"/verification/{n}")
                for n, one in self.items(whole.get("verification"), "/verification")
            ],
            ignore=[
                rule
                for n, one in self.items(whole.get("ignore"), "/ignore")
                if (rule := self.ignore_rule(one, f"/ignore/{n}")) is not None
            ],
            answers=self.places(whole.get("answers")),
            requires=[
                path
                for n, one in self.items(whole.get("requires"), "/requires")
                if (path := self.expression(one, f"/requires/{n}", needed=True)) is not None
            ],
            answered=self.expression(whole.get("answered"), "/answered"),
            fields=self.fields(whole.get("fields")),
            questions=[
                self.question(one, f"/questions/{n}")
                for n, one in self.items(whole.get("questions"), "/questions")
            ],
        )

    def scheme(self, value: object) -> Scheme | None:
        """Return the signature scheme."""
        if value is None:
            return None
        try:
            return read_scheme(value)
        except BadScheme as error:
            self.wrong("/signature", "bad_signature_scheme", str(error))
            return None

    def check(self, value: object, pointer: str) -> Check:
        """Return one question about the address and its answer."""
        if not isinstance(value, Mapping):
            self.wrong(pointer, "wrong_type", "is an object, as in {method: HEAD, status: 200}")
            return Check(method="HEAD")
        self.only(value, _CHECK, pointer)
        method, status = value.get("method"), value.get("status", 200)
        if method not in ("HEAD", "GET", "POST"):
            self.wrong(f"{pointer}/method", "unknown_value", "is HEAD, GET or POST")
        if isinstance(status, bool) or status not in range(200, 300):
            self.wrong(f"{pointer}/status", "out_of_range", "is a status from 200 to 299")
            status = 200
        query = self.text(value.get("query"), f"{pointer}/query")
        header = self.text(value.get("header"), f"{pointer}/header")
        when = self.expression(value.get("when"), f"{pointer}/when")
        if method == "POST" and not (query or header or when):
            self.wrong(
                pointer,
                "missing",
                "would answer every call",
                "Say by query, header or when what the question looks like.",
            )
        answer = value.get("answer")
        given: dict[str, Any] = {}
        if isinstance(answer, str) and answer == "echo" and (query or header):
            given = {"echo": True}
        elif isinstance(answer, Mapping) and set(answer) in ({"text"}, {"path"}, {"json"}):
            ((kind, said),) = answer.items()
            if kind == "text":
                given = {"text": self.text(said, f"{pointer}/answer/text")}
            else:
                path = self.expression(said, f"{pointer}/answer/{kind}", needed=True)
                given = {"path": path, "as_json": kind == "json"}
        elif answer is not None:
            self.wrong(
                f"{pointer}/answer",
                "unknown_value",
                "is echo (of query or header), {text: …}, {path: …} or {json: …}",
            )
        return Check(
            method=str(method),
            query=query,
            header=None if header is None else header.lower(),
            when=when,
            status=status,
            **given,
        )

    def ignore_rule(self, value: object, pointer: str) -> IgnoreRule | None:
        """Return one rule about what is nothing to us."""
        if not isinstance(value, Mapping):
            self.wrong(pointer, "wrong_type", "is an object, as in {when: …, reason: ping}")
            return None
        self.only(value, _IGNORE, pointer)
        when = self.expression(value.get("when"), f"{pointer}/when", needed=True)
        reason, each = value.get("reason"), value.get("each", False)
        if not isinstance(reason, str) or not _CODE.fullmatch(reason):
            self.wrong(f"{pointer}/reason", "wrong_type", "is a code such as fetch_required")
            reason = ""
        if not isinstance(each, bool):
            self.wrong(f"{pointer}/each", "wrong_type", "is true or false")
            each = False
        return None if when is None else IgnoreRule(when=when, reason=reason, each=each)

    def places(self, value: object) -> tuple[Expression, ...]:
        """Return where answers may lie; one place alone stands for a list of one."""
        if value is None:
            return ()
        read = (
            [self.expression(value, "/answers", needed=True)]
            if isinstance(value, str)
            else [
                self.expression(one, f"/answers/{n}", needed=True)
                for n, one in self.items(value, "/answers")
            ]
        )
        return tuple(place for place in read if place is not None)

    def question(self, value: object, pointer: str) -> Question:
        """Return where questions of one kind lie, and how they are read."""
        if not isinstance(value, Mapping) or not isinstance(value.get("fields"), Mapping):
            self.wrong(
                pointer,
                "wrong_type",
                "is an object, as in {each: …, fields: {metric: …, score: …}}",
            )
            return Question()
        self.only(value, _QUESTION, pointer)
        if "score" not in value["fields"]:
            self.wrong(
                f"{pointer}/fields/score",
                "missing",
                "is required: a question without a score is no response of its own",
            )
        names = value.get("with", {})
        if not isinstance(names, Mapping) or not all(isinstance(name, str) for name in names):
            self.wrong(f"{pointer}/with", "wrong_type", "is an object from names to paths")
            names = {}
        read = {
            name: self.expression(path, f"{pointer}/with/{escaped(name)}", needed=True)
            for name, path in names.items()
        }
        return Question(
            each=self.expression(value.get("each"), f"{pointer}/each"),
            names={name: path for name, path in read.items() if path is not None},
            key=self.rules("external_id", value["key"], f"{pointer}/key")
            if "key" in value
            else (),
            fields=self.members(value["fields"], f"{pointer}/fields"),
        )
