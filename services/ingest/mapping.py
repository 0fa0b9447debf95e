"""How a file's columns become responses: a mapping as data, read from YAML.

A mapping names, for each member of ``POST /v1/responses``, the column it comes from and how its
text is turned into a value. The result is a document exactly as a system would post it, so that
a file passes the same checks as every other way in. ``docs/import.md`` describes the format.
"""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import TYPE_CHECKING, Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, field_validator

from shared.errors import Finding, Invalid

if TYPE_CHECKING:
    from collections.abc import Mapping as Row
    from pathlib import Path

Value = str | int | float | bool | None


class CannotMap(Exception):
    """A row has a value that the mapping does not foresee; names the member, not the value."""

    def __init__(self, member: str, code: str, detail: str) -> None:
        super().__init__(f"{member}: {detail}")
        self.finding = Finding(pointer="/" + member.replace(".", "/"), code=code, detail=detail)


class Rule(BaseModel):
    """One way to a value; a member may have several, the first whose ``where`` holds wins."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    column: str | None = None
    value: Value = None
    where: dict[str, list[str]] | None = None
    map: dict[str, Value] | None = None
    default: Value = None
    type: Literal["text", "verbatim", "integer", "number", "date"] = "text"
    formats: tuple[str, ...] = ()
    at: time = time(12, 0)
    time_zone: str = "UTC"

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError):
            message = "is no known time zone (write for example Europe/London)"
            raise ValueError(message) from None
        return value

    def applies(self, row: Row[str, str]) -> bool:
        """Tell whether this rule is for rows like this one."""
        return self.where is None or all(
            _tidy(row.get(column, "")) in values for column, values in self.where.items()
        )


def _as_rules(value: object) -> object:
    """Let ``member: Column`` and a single rule stand for a list of one."""
    if isinstance(value, str):
        return [{"column": value}]
    return value if isinstance(value, list) else [value]


class Mapping(BaseModel):
    """A whole file's mapping: members of a response, each with its rules."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1] = 1
    fields: dict[str, Annotated[tuple[Rule, ...], BeforeValidator(_as_rules)]]

    @property
    def columns(self) -> set[str]:
        """Return every column that the mapping reads."""
        named: set[str] = set()
        for rules in self.fields.values():
            for rule in rules:
                named |= {rule.column} if rule.column is not None else set()
                named |= set(rule.where or {})
        return named

    def document(self, row: Row[str, str]) -> dict[str, Any]:
        """Return the row as a document to post; raise ``CannotMap`` naming the member.

        A dotted member such as ``customer.id`` makes a nested object. An empty value makes no
        member at all: what was not said is not sent.
        """
        document: dict[str, Any] = {}
        for member, rules in self.fields.items():
            rule = next((rule for rule in rules if rule.applies(row)), None)
            if rule is None:
                continue
            value = _value(member, rule, row)
            if value is None:
                continue
            holder = document
            *path, last = member.split(".")
            for part in path:
                holder = holder.setdefault(part, {})
            holder[last] = value
        return document


def read_mapping(path: Path) -> Mapping:
    """Read a mapping file; raise ``Invalid`` with a finding per mistake."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        where = getattr(error, "problem_mark", None)
        line = f", line {where.line + 1}" if where is not None else ""
        message = f"The mapping {path.name} is not YAML in UTF-8{line}."
        raise Invalid(message) from None
    try:
        return Mapping.model_validate(document)
    except ValidationError as error:
        findings = [
            Finding(
                pointer="/" + "/".join(str(part) for part in found["loc"]),
                code=found["type"],
                detail=found["msg"],
            )
            for found in error.errors(include_input=False, include_url=False)
        ]
        message = f"The mapping {path.name} is not valid: {findings[0].pointer}"
        raise Invalid(f"{message} {findings[0].detail}.", findings) from None


def _tidy(text: str) -> str:
    """Fold every run of white space, hard spaces included, into one blank."""
    return " ".join(text.split())


def _value(member: str, rule: Rule, row: Row[str, str]) -> Value:
    if rule.column is None:
        return rule.value
    raw = row.get(rule.column, "")
    text = _tidy(raw)
    if not text:
        return rule.default
    if rule.map is not None:
        return _looked_up(member, rule.map, rule.default, text)
    return _converted(member, rule, raw, text)


def _looked_up(member: str, known: dict[str, Value], default: Value, text: str) -> Value:
    if text not in known and default is None:
        raise CannotMap(member, "not_in_map", "the value has no entry under map")
    return known.get(text, default)


def _converted(member: str, rule: Rule, raw: str, text: str) -> Value:
    match rule.type:
        case "verbatim":
            return raw
        case "text":
            return text
        case "integer" | "number":
            return _number(member, rule.type, text)
        case "date":
            return _date(member, rule, text)


def _number(member: str, kind: str, text: str) -> int | float:
    try:
        return int(text) if kind == "integer" else float(text.replace(",", "."))
    except ValueError:
        raise CannotMap(member, f"not_{kind}", f"the value is no {kind}") from None


def _date(member: str, rule: Rule, text: str) -> str:
    """Return RFC 3339: the moment as written, or the day at the rule's time of day."""
    for form in rule.formats or ("%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%d"):
        try:
            moment = datetime.strptime(text, form)  # noqa: DTZ007 - the zone follows below
        except ValueError:
            continue
        if "%H" not in form and "%I" not in form:
            moment = datetime.combine(moment.date(), rule.at)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=ZoneInfo(rule.time_zone))
        return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
    raise CannotMap(member, "not_a_date", "the value fits none of the formats")
