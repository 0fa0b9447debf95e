"""The fields of a mapping: rules and conversions, each mistake named with its place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import time
from typing import Any, Final

from services.ingest.domain.expressions import BadExpression, Expression, compile_expression
from services.ingest.domain.hook_parts import Rule
from services.ingest.domain.part import TEXTS
from services.ingest.domain.values import KINDS, Conversion, Kind, Scale
from shared.errors import Finding

MEMBERS: Final[Mapping[str, Kind | None]] = {
    "external_id": "text",
    "measurement": "text",
    "metric": "text",
    "score": "integer",
    "comment": "verbatim",
    "sentiment": "text",
    "answered_at": "date",
    **dict.fromkeys(TEXTS, "text"),
    "customer.id": "text",
    "customer.name": "text",
    "customer.email": "text",
    "customer.phone": "text",
    "customer.language": "text",
    "customer.account": "text",
    "customer.contact_owner": "text",
    "customer.annual_value.amount": "number",
    "customer.annual_value.currency": "text",
    "customer.consent.follow_up": "boolean",
    "customer.consent.news": "boolean",
    "customer.do_not_contact": "boolean",
    "attributes": None,
}
"""What a field may be called, and the kind of value it has unless a rule says otherwise.

``attributes`` takes an object, ``attributes.<name>`` one value of it.
"""

_RULE: Final = (
    "path", "value", "when", "type", "empty", "map", "default", "scale", "formats", "at",
    "time_zone", "decimal",
)  # fmt: skip
_MOST_FIELDS: Final = 100
_MOST_RULES: Final = 50
_MOST_ENTRIES: Final = 200
_LONGEST_TEXT: Final = 500
# YAML 1.1 reads some words as true or false.
_BOOLEAN_WORDS: Final = {True: ("true", "yes", "on"), False: ("false", "no", "off")}


def kind_of(member: str) -> Kind | None:
    """Return the kind of value that a member has; raise ``KeyError`` if there is none such."""
    return None if member.startswith("attributes.") else MEMBERS[member]


class RuleReader:
    """Reads parts of one mapping and notes everything that is wrong with them."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []

    def wrong(self, pointer: str, code: str, detail: str, fix: str = "") -> None:
        """Note a mistake."""
        fix = fix or "See “The mapping language” in docs/hooks.md."
        self.findings.append(Finding(pointer=pointer, code=code, detail=detail, fix=fix))

    def only(self, part: Mapping[str, Any], known: Sequence[str], pointer: str) -> None:
        """Refuse members that the language does not have."""
        for name in part:
            if name not in known:
                self.wrong(
                    f"{pointer}/{escaped(name)}",
                    "unknown_member",
                    "is not part of the mapping language",
                    f"Known here: {', '.join(known)}.",
                )

    def text(self, value: object, pointer: str) -> str | None:
        """Return a short text."""
        if value is None:
            return None
        if not isinstance(value, str) or len(value) > _LONGEST_TEXT:
            self.wrong(pointer, "wrong_type", f"is a text of up to {_LONGEST_TEXT} characters")
            return None
        return value

    def items(self, value: object, pointer: str) -> Iterable[tuple[int, Any]]:
        """Yield the items of a list, numbered."""
        if value is None:
            return ()
        if not isinstance(value, list) or len(value) > _MOST_RULES:
            self.wrong(pointer, "wrong_type", f"is a list of up to {_MOST_RULES} items")
            return ()
        return enumerate(value)

    def expression(
        self, value: object, pointer: str, *, needed: bool = False
    ) -> Expression | None:
        """Return a compiled expression."""
        if value is None and not needed:
            return None
        try:
            return compile_expression(value)
        except BadExpression as error:
            self.wrong(
                pointer,
                "bad_expression",
                str(error),
                "Write a JMESPath expression (jmespath.org), for example answers[0].number.",
            )
            return None

    def fields(self, value: object) -> dict[str, tuple[Rule, ...]]:
        """Return the rules of every member."""
        if not isinstance(value, Mapping) or not 0 < len(value) <= _MOST_FIELDS:
            self.wrong(
                "/fields",
                "missing" if value is None else "wrong_type",
                f"names up to {_MOST_FIELDS} members of a response, external_id among them",
            )
            return {}
        if "external_id" not in value:
            self.wrong(
                "/fields/external_id",
                "missing",
                "is required: without the answer's own id a repetition would count twice",
            )
        return self.members(value, "/fields")

    def members(self, value: Mapping[Any, Any], place: str) -> dict[str, tuple[Rule, ...]]:
        """Return the rules of members of a response."""
        found: dict[str, tuple[Rule, ...]] = {}
        for name, given in value.items():
            pointer = f"{place}/{escaped(name)}"
            if name not in MEMBERS and not (
                isinstance(name, str) and name.startswith("attributes.") and name[11:].strip()
            ):
                self.wrong(
                    pointer,
                    "unknown_member",
                    "is not a member of a response",
                    f"Known: {', '.join(MEMBERS)}; anything else is attributes.<name>.",
                )
                continue
            found[name] = self.rules(name, given, pointer)
        return found

    def rules(self, member: str, given: object, pointer: str) -> tuple[Rule, ...]:
        """Return the rules of one member; one alone stands for a list of one."""
        several = given if isinstance(given, list) else [given]
        if not 0 < len(several) <= _MOST_RULES:
            self.wrong(pointer, "wrong_type", f"has 1 to {_MOST_RULES} rules")
            return ()
        read = (
            self.rule(member, one, f"{pointer}/{n}" if isinstance(given, list) else pointer)
            for n, one in enumerate(several)
        )
        return tuple(rule for rule in read if rule is not None)

    def rule(self, member: str, value: object, pointer: str) -> Rule | None:
        """Return one rule of a member."""
        if isinstance(value, str):
            path = self.expression(value, pointer, needed=True)
            conversion = self.conversion(member, {}, pointer)
            return None if path is None else Rule(path=path, conversion=conversion)
        if not isinstance(value, Mapping) or ("path" in value) is ("value" in value):
            self.wrong(pointer, "wrong_type", "is a path, or an object with path or value")
            return None
        self.only(value, _RULE, pointer)
        when = self.expression(value.get("when"), f"{pointer}/when")
        if "path" in value:
            path = self.expression(value["path"], f"{pointer}/path", needed=True)
            conversion = self.conversion(member, value, pointer)
            if path is None:
                return None
            ends = self.ends(value.get("scale"), f"{pointer}/scale/from")
            return Rule(path=path, when=when, conversion=conversion, ends=ends)
        if not _is_scalar(value["value"]):
            self.wrong(f"{pointer}/value", "wrong_type", "is a text, number or boolean")
            return None
        return Rule(value=value["value"], when=when)

    def conversion(self, member: str, value: Mapping[str, Any], pointer: str) -> Conversion:
        """Return how a rule's value is read; the member says it where the rule does not."""
        kind = value.get("type", kind_of(member))
        if kind is not None and kind not in KINDS:
            self.wrong(f"{pointer}/type", "unknown_value", f"is one of {', '.join(KINDS)}")
            kind = None
        decimal = value.get("decimal")
        if decimal not in (None, ".", ","):
            self.wrong(f"{pointer}/decimal", "unknown_value", "is a point or a comma")
            decimal = None
        default = value.get("default")
        if not _is_scalar(default):
            self.wrong(f"{pointer}/default", "wrong_type", "is a text, number or boolean")
            default = None
        try:
            return Conversion(
                kind=kind,
                empty=tuple(self.scalars(value.get("empty"), f"{pointer}/empty")),
                map=self.words(value.get("map"), f"{pointer}/map"),
                default=default,
                scale=self.scale(value.get("scale"), f"{pointer}/scale"),
                formats=self.formats(value.get("formats"), f"{pointer}/formats"),
                at=self.at(value.get("at"), f"{pointer}/at"),
                time_zone=str(value.get("time_zone", "UTC")),
                decimal=decimal,
            )
        except ValueError as error:
            self.wrong(pointer, "bad_conversion", str(error))
            return Conversion()

    def scalars(self, value: object, pointer: str) -> list[Any]:
        """Return a list of plain values; one alone stands for a list of one."""
        if value is None:
            return []
        several = value if isinstance(value, list) else [value]
        if len(several) > _MOST_ENTRIES or not all(map(_is_scalar, several)):
            self.wrong(pointer, "wrong_type", "lists texts, numbers or booleans")
            return []
        return several

    def words(self, value: object, pointer: str) -> dict[str, Any] | None:
        """Return what words stand for; numbers and booleans are words too."""
        if value is None:
            return None
        if (
            not isinstance(value, Mapping)
            or not 0 < len(value) <= _MOST_ENTRIES
            or not all(map(_is_scalar, value.values()))
        ):
            self.wrong(pointer, "wrong_type", "is an object from words to plain values")
            return None
        words: dict[str, Any] = {}
        for word, said in value.items():
            named = _BOOLEAN_WORDS[word] if isinstance(word, bool) else (str(word),)
            words |= dict.fromkeys(named, said)
        return words

    def scale(self, value: object, pointer: str) -> Scale | None:
        """Return a scale."""
        if value is None:
            return None
        sides: list[Any] = []
        if isinstance(value, Mapping) and not value.keys() - {"from", "to"}:
            sides = [value.get(name) for name in ("from", "to")]
            if _names_an_end(sides[0]):
                sides[0] = [0, 1]  # until a call says what they are
        ends = [
            tuple(side)
            for side in sides
            if isinstance(side, list)
            and len(side) == 2
            and all(isinstance(end, int | float) for end in side)
            and not any(isinstance(end, bool) for end in side)
        ]
        if len(ends) != 2:
            self.wrong(pointer, "wrong_type", "is written as {from: [1, 5], to: [0, 10]}")
            return None
        try:
            return Scale(from_=ends[0], to=ends[1])
        except ValueError as error:
            self.wrong(pointer, "out_of_range", str(error))
            return None

    def ends(self, scale: object, pointer: str) -> tuple[Expression, Expression] | None:
        """Return where a call names the ends of its scale; None where the mapping does."""
        given = scale.get("from") if isinstance(scale, Mapping) else None
        if not _names_an_end(given):
            return None
        first, last = (
            self.expression(
                end if isinstance(end, str) else f"`{end}`", f"{pointer}/{n}", needed=True
            )
            for n, end in self.items(given, pointer)
        )
        return None if first is None or last is None else (first, last)

    def formats(self, value: object, pointer: str) -> tuple[str, ...]:
        """Return the formats of a date."""
        several = self.scalars(value, pointer)
        if not all(isinstance(one, str) for one in several):
            self.wrong(pointer, "wrong_type", "lists formats such as %d.%m.%Y or epoch_ms")
            return ()
        return tuple(several)

    def at(self, value: object, pointer: str) -> time:
        """Return the time of a date that has none."""
        noon = time(12, 0)
        if value is None:
            return noon
        # YAML 1.1 reads 12:30 as the number of minutes it has.
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1_440:
            return time(value // 60, value % 60)
        try:
            return time.fromisoformat(value if isinstance(value, str) else "")
        except ValueError:
            self.wrong(pointer, "wrong_type", 'is a time of day such as "12:00"')
            return noon


def _names_an_end(side: object) -> bool:
    """Tell whether one end of a scale, or both, is where a call says what it is."""
    return (
        isinstance(side, list)
        and len(side) == 2
        and any(isinstance(end, str) for end in side)
        and all(isinstance(end, str | int | float) for end in side)
        and not any(isinstance(end, bool) for end in side)
    )


def escaped(name: object) -> str:
    """Return a name as a part of a JSON Pointer."""
    return str(name)[:100].replace("~", "~0").replace("/", "~1")


def _is_scalar(value: object) -> bool:
    return value is None or isinstance(value, str | int | float | bool)
