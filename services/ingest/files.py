"""A file of responses on disk: looked at once, then read in pieces, never held whole.

Looking finds the encoding, the separator, the columns, and a digest by which the same file is
known again. Guessing reads the file once more, because a single 31/12 at its end decides how
every date in it is read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any, Final, Literal

from services.ingest.domain.columns import date_candidates, has_no_heading, look_at
from services.ingest.domain.dates import DateColumn
from services.ingest.domain.encodings import (
    Encoding,
    Evidence,
    decoded,
    is_damaged,
    known_encoding,
)
from services.ingest.domain.files import (
    SEPARATOR_NAMES,
    Dialect,
    Layout,
    Record,
    find_dialect,
    find_layout,
    fitted,
    harmless,
    lines_of,
    read_records,
    refuse_other_formats,
    restored,
)
from services.ingest.domain.guesses import Guess, Guesses
from services.ingest.domain.guessing import guess
from services.ingest.domain.headings import OURS
from shared.errors import Invalid, Unreadable

__all__ = [
    "Guess",
    "Guesses",
    "Record",
    "Sheet",
    "guess_columns",
    "harmless",
    "open_sheet",
    "parse_member_line",
]

_CHUNK: Final = 1 << 16
_LOOKED_AT: Final = 200_000
_SAMPLE: Final = 2_000
_LINES_LOOKED_AT: Final = 500

Kind = Literal["csv", "ndjson"]


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """A file as it was found: how to read it, and what it is known by."""

    path: Path
    kind: Kind
    size: int
    digest: str
    encoding: Encoding
    dialect: Dialect
    layout: Layout

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the columns."""
        return self.layout.names

    def describe(self) -> str:
        """Return a sentence about how the file is read."""
        sure = "" if self.encoding.certainty == "certain" else f" ({self.encoding.certainty})"
        parts = [f"{self.encoding.name}{sure}"]
        if self.kind == "csv":
            count = len(self.names)
            parts += [f"separated by {SEPARATOR_NAMES[self.dialect.separator]}s"]
            parts += ["1 column" if count == 1 else f"{count} columns", *self.layout.notes]
        else:
            parts.append("one JSON object a line")
        if self.encoding.damaged:
            parts.append(f"{self.encoding.damaged} damaged bytes")
        return ", ".join(parts)

    def records(self, seen: Callable[[int], None] | None = None) -> Iterator[Record]:
        """Yield the answers in order; ``seen`` is told how many bytes were read."""
        lines = _lines(self._text(seen), self.dialect)
        if self.kind == "ndjson":
            yield from _lines_as_records(lines)
            return
        first = 2 if self.dialect.announced else 1
        width = len(self.names)
        ours = sum(name.startswith(OURS) for name in self.names)
        rows = read_records(lines, self.dialect.separator, first=first)
        for record in islice(rows, self.layout.skip, None):
            row = fitted(record, width, ours=ours)
            yield _restored(row) if ours else row

    def cells(self, record: Record) -> dict[str, str]:
        """Return a row by the names of its columns."""
        return dict(zip(self.names, record.cells, strict=False))

    def _text(self, seen: Callable[[int], None] | None = None) -> Iterator[str]:
        return decoded(_chunks(self.path, seen), self.encoding)


def open_sheet(path: Path, *, encoding: str | None = None) -> Sheet:
    """Look at a file; raise ``Invalid`` or ``Unreadable`` with what to do if it is none."""
    evidence, digest, size, start = Evidence(), sha256(), 0, b""
    for chunk in _chunks(path):
        start = start or chunk
        size += len(chunk)
        digest.update(chunk)
        evidence.add(chunk)
    refuse_other_formats(start, path.name)
    found = evidence.decide()
    if encoding is not None:
        found = _told(encoding, start)
    elif found.certainty == "doubtful" and b"\0" in start:
        raise Unreadable(
            f"{path.name} is no text. Export the answers as CSV in UTF-8; if it is text, name"
            " its encoding with --encoding."
        )
    sample = _beginning(path, found)
    if not sample.strip():
        raise Unreadable(f"{path.name} is empty.")
    kind = _kind(path, sample)
    dialect, layout = Dialect(), Layout(names=(), labels=(), skip=0)
    if kind == "csv":
        dialect = find_dialect(sample)
        records = read_records(_lines([sample], dialect), dialect.separator)
        layout = find_layout(list(islice(records, _LINES_LOOKED_AT)))
    return Sheet(
        path=path,
        kind=kind,
        size=size,
        digest=digest.hexdigest(),
        encoding=found,
        dialect=dialect,
        layout=layout,
    )


def guess_columns(sheet: Sheet) -> Guesses:
    """Return what each column seems to be; reads the whole file for its dates."""
    if sheet.kind == "ndjson":
        raise Invalid("NDJSON needs no mapping: its members are those of POST /v1/responses.")
    rows = [r.cells for r in islice(sheet.records(), _SAMPLE) if r.flaw is None]
    if not rows:
        raise Unreadable(
            f"{sheet.path.name} has column names and no answers below them: there is nothing to"
            " import."
        )
    columns = look_at(sheet.layout, rows)
    if has_no_heading(columns):
        message = (
            f"{sheet.path.name} has no row of column names: its first row looks like an answer."
            " Write the names of the columns above it."
        )
        raise Invalid(message)
    candidates = date_candidates(columns)
    dates = {column.name: DateColumn() for column in candidates}
    at = [(column.index, dates[column.name]) for column in candidates]
    for record in sheet.records() if at else ():
        if record.flaw is None:
            for index, column in at:
                column.add(" ".join(record.cells[index].split()))
    shapes = {name: column.decide() for name, column in dates.items()}
    distinct = {tuple(" ".join(cell.split()) for cell in cells) for cells in rows}
    return guess(columns, shapes, repeated=len(rows) - len(distinct))


def parse_member_line(text: str) -> Mapping[str, Any] | None:
    """Return the object in a line of NDJSON, None if there is none."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _chunks(path: Path, seen: Callable[[int], None] | None = None) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            if seen is not None:
                seen(len(chunk))
            yield chunk


def _beginning(path: Path, encoding: Encoding) -> str:
    """Return the first part of the text, cut anywhere."""
    pieces: list[str] = []
    length = 0
    for piece in decoded(_chunks(path), encoding):
        pieces.append(piece)
        length += len(piece)
        if length >= _LOOKED_AT:
            break
    return "".join(pieces)


def _told(name: str, start: bytes) -> Encoding:
    """Return the encoding that somebody named; a mark that it begins with is no text."""
    known = known_encoding(name)
    if known is None:
        message = f"There is no encoding {name!r}. Write for example utf-8 or windows-1252."
        raise Invalid(message)
    mark = "\ufeff".encode(known, "ignore") if known.startswith("utf") else b""
    length = len(mark) if mark and start.startswith(mark) else 0
    return Encoding(name=known, certainty="certain", mark=length)


def _kind(path: Path, sample: str) -> Kind:
    if path.suffix.lower() in {".ndjson", ".jsonl"} or sample.lstrip().startswith('{"'):
        return "ndjson"
    return "csv"


def _lines(pieces: Iterator[str] | Sequence[str], dialect: Dialect) -> Iterator[str]:
    lines = lines_of(pieces, end=dialect.line_end)
    return islice(lines, int(dialect.announced), None)


def _lines_as_records(lines: Iterator[str]) -> Iterator[Record]:
    for number, line in enumerate(lines, start=1):
        if line.strip():
            flaw = "damaged_characters" if is_damaged(line) else None
            yield Record(line=number, cells=(line.rstrip("\r\n"),), flaw=flaw)


def _restored(record: Record) -> Record:
    """Take back what made cells harmless in a report of rejected rows."""
    cells = [restored(cell) for cell in record.cells]
    return Record(line=record.line, cells=cells, flaw=record.flaw)
