"""Rows on their way: each a document to post, or the finding for which it cannot be one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from services.composition import CannotMap, Mapper, Record, Sheet, parse_member_line
from shared.errors import Finding, Invalid

_FLAWS: Final = {
    "not_csv": (
        "A quotation mark is opened and not closed, or something stands behind a closed one.",
        "Write quotation marks inside a value twice and put the value into quotation marks.",
    ),
    "too_many_cells": (
        "The row has more cells than there are columns.",
        "Put a value that holds the separator into quotation marks.",
    ),
    "damaged_characters": (
        "The row has bytes that are no characters in the file's encoding.",
        "Repair them, or name the right encoding with --encoding.",
    ),
    "totals_row": ("This is a line of totals, no answer.", "Leave it out."),
    "not_json": ("This line is no JSON object.", "Write one object on one line."),
}
_FIXES: Final = {
    "not_in_map": "Add the value to the mapping, or correct it.",
    "not_integer": "Write a whole number.",
    "not_number": "Write a number.",
    "not_a_date": "Write it as the other rows do, or add its format to the mapping.",
    "not_boolean": "Write yes or no.",
    "out_of_range": "Write a value on the scale.",
}


@dataclass(frozen=True, kw_only=True)
class Line:
    """One row of the file as a document to post, or why it cannot be one."""

    number: int
    cells: Sequence[str] = field(repr=False)
    document: dict[str, Any] | None = field(default=None, repr=False)
    finding: Finding | None = None


def check_columns(sheet: Sheet, mapper: Mapper) -> None:
    """Raise ``Invalid`` if the mapping reads a column that the file does not have."""
    missing = sorted(mapper.mapping.columns - set(sheet.names))
    if missing:
        message = (
            f"{sheet.path.name} has no column {missing[0]!r}, which the mapping reads. It has:"
            f" {', '.join(sheet.names)}."
        )
        raise Invalid(message)


def line_of(record: Record, sheet: Sheet, mapper: Mapper | None) -> Line:
    """Return a row as it is posted; without a mapper it is a line of NDJSON."""
    if record.flaw is not None:
        return _flawed(record, record.flaw)
    if mapper is None:
        document = parse_member_line(record.cells[0])
        if document is None:
            return _flawed(record, "not_json")
        return Line(number=record.line, cells=record.cells, document=dict(document))
    try:
        document = mapper.document(sheet.cells(record))
    except CannotMap as error:
        found = error.finding
        finding = Finding(
            pointer=found.pointer,
            code=found.code,
            detail=found.detail,
            fix=_FIXES.get(found.code, "Correct it."),
        )
        return Line(number=record.line, cells=record.cells, finding=finding)
    return Line(number=record.line, cells=record.cells, document=document)


def in_batches(lines: Iterator[Line], size: int) -> Iterator[list[Line]]:
    """Yield lines so many at a time."""
    batch: list[Line] = []
    for line in lines:
        batch.append(line)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _flawed(record: Record, code: str) -> Line:
    detail, fix = _FLAWS[code]
    finding = Finding(pointer="", code=code, detail=detail, fix=fix)
    return Line(number=record.line, cells=record.cells, finding=finding)
