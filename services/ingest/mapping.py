"""How a file's columns become responses: a mapping as data, read from YAML.

A mapping names, for each member of ``POST /v1/responses``, the column it comes from and how its
text is turned into a value. The result is a document exactly as a system would post it, so that
a file passes the same checks as every other way in. ``docs/import.md`` describes the format;
the conversions are those of hooks.
"""

from __future__ import annotations

from collections.abc import Mapping as ByName
from datetime import time
from hashlib import sha256
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from services.ingest.domain import values
from services.ingest.domain.values import CannotConvert, Conversion, Scalar
from shared.errors import Finding, Invalid

if TYPE_CHECKING:
    from pathlib import Path

Row = ByName[str, str]
Value = str | int | float | bool | None


class CannotMap(Exception):
    """A row has a value that the mapping does not foresee; names the member, not the value."""

    def __init__(self, member: str, code: str, detail: str) -> None:
        super().__init__(f"{member}: {detail}")
        self.member = member
        self.finding = Finding(pointer="/" + member.replace(".", "/"), code=code, detail=detail)


def _tidy(text: str) -> str:
    """Fold every run of white space, hard spaces included, into one blank."""
    return " ".join(text.split())


Column = Annotated[str, BeforeValidator(lambda text: _tidy(str(text)))]


class ScaleOf(BaseModel):
    """From which scale to which."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    from_: Annotated[tuple[float, float], Field(alias="from")]
    to: tuple[float, float]


class Rule(BaseModel):
    """One way to a value; a member may have several, the first whose ``where`` holds wins."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    column: Column | None = None
    columns: tuple[Column, ...] = ()
    digest_of: tuple[Column, ...] = ()
    value: Value = None
    where: dict[Column, list[str]] | None = None
    map: dict[str, Value] | None = None
    default: Value = None
    type: values.Kind = "text"
    empty: tuple[Value, ...] = ()
    scale: ScaleOf | None = None
    decimal: Literal[".", ","] | None = None
    formats: tuple[str, ...] = ()
    at: time = time(12, 0)
    time_zone: str | None = None

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str | None) -> str | None:
        if value is not None:
            values.check_zone(value)
        return value

    @model_validator(mode="after")
    def _can_work(self) -> Self:
        self.conversion("UTC")
        if sum(map(bool, (self.column, self.columns, self.digest_of))) > 1:
            message = "takes one of column, columns and digest_of"
            raise ValueError(message)
        return self

    @property
    def reads(self) -> set[str]:
        """Return every column that the rule looks at."""
        own = {self.column} if self.column is not None else set()
        return own | {*self.columns, *self.digest_of, *(self.where or {})}

    def conversion(self, time_zone: str) -> Conversion:
        """Return how its text is read; ``time_zone`` is for rules that name none."""
        scale = None
        if self.scale is not None:
            scale = values.Scale(from_=self.scale.from_, to=self.scale.to)
        return Conversion(
            kind=self.type,
            empty=self.empty,
            map=self.map,
            default=self.default,
            scale=scale,
            formats=self.formats,
            at=self.at,
            time_zone=self.time_zone or time_zone,
            decimal=self.decimal,
        )

    def applies(self, row: Row) -> bool:
        """Tell whether this rule is for rows like this one."""
        return self.where is None or all(
            _tidy(row.get(column, "")) in wanted for column, wanted in self.where.items()
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
        return {name for rules in self.fields.values() for rule in rules for name in rule.reads}

    def column_of(self, pointer: str) -> str | None:
        """Return the column behind a member that was found wrong."""
        member = pointer.removeprefix("/").replace("/", ".")
        for rule in self.fields.get(member, ()):
            if rule.column is not None:
                return rule.column
        return None


class Mapper:
    """A mapping made ready for many rows."""

    def __init__(self, mapping: Mapping, *, time_zone: str = "UTC") -> None:
        self.mapping = mapping
        self._members = [
            (member, member.split("."), [(rule, _Reader(rule, time_zone)) for rule in rules])
            for member, rules in mapping.fields.items()
        ]

    def document(self, row: Row) -> dict[str, Any]:
        """Return the row as a document to post; raise ``CannotMap`` naming the member.

        A dotted member such as ``customer.id`` makes a nested object. An empty value makes no
        member at all: what was not said is not sent.
        """
        document: dict[str, Any] = {}
        for member, path, rules in self._members:
            read = next((read for rule, read in rules if rule.applies(row)), None)
            if read is None:
                continue
            try:
                value = read(row)
            except CannotConvert as error:
                raise CannotMap(member, error.code, error.detail) from None
            if value is None:
                continue
            holder = document
            for part in path[:-1]:
                holder = holder.setdefault(part, {})
            holder[path[-1]] = value
        return document


class _Reader:
    """One rule's way from a row to a value; what dates say is remembered for a while."""

    def __init__(self, rule: Rule, time_zone: str) -> None:
        self._rule = rule
        self._conversion = rule.conversion(time_zone)
        self._dates: dict[str, Scalar] | None = {} if rule.type == "date" else None

    def __call__(self, row: Row) -> Any:  # noqa: ANN401 - any member's value
        rule = self._rule
        if rule.digest_of:
            return _digest(rule.digest_of, row)
        if rule.columns:
            raw = " ".join(text for name in rule.columns if (text := _tidy(row.get(name, ""))))
        elif rule.column is None:
            return rule.value
        else:
            raw = row.get(rule.column, "")
        if self._dates is None:
            return self._conversion.convert(raw)
        if raw not in self._dates:
            if len(self._dates) >= 10_000:
                self._dates.clear()
            self._dates[raw] = self._conversion.convert(raw)
        return self._dates[raw]


def _digest(columns: tuple[str, ...], row: Row) -> str:
    """Return an id that the same row always has; columns count by name, not by place."""
    said = sorted((name, text) for name in columns if (text := _tidy(row.get(name, ""))))
    whole = "\x1e".join(f"{name}\x1f{text}" for name, text in said)
    return "row-" + sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()[:32]


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
