"""Rows out of a file as people export them: any separator, any line end, ragged and torn.

What cannot be read costs its own row and no other: a quotation mark that is opened and never
closed would swallow the rest of the file, so that reading begins again on the next line.
Everything works on pieces of the file, never on the whole of it.
"""

from __future__ import annotations

import csv
import json
import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from math import log2
from typing import Final, Literal, cast

from services.ingest.domain.encodings import is_damaged
from services.ingest.domain.headings import is_known
from services.ingest.domain.values import check_zone
from shared.errors import Unreadable

Separator = Literal[",", ";", "\t", "|"]
SEPARATORS: Final[tuple[Separator, ...]] = (",", ";", "\t", "|")
SEPARATOR_NAMES: Final = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}

MOST_COLUMNS: Final = 1_000
_LONGEST_LINE: Final = 8_000_000
_LONGEST_RECORD: Final = 1_000_000
_LOOKED_AT: Final = 300
_PREAMBLE: Final = 20

# What a spreadsheet takes for a formula, in either width; and the sign that prevents it.
_HARMFUL: Final = tuple("=+-@\t\r\n'\uff1d\uff0b\uff0d\uff20")
_NOT_CSV: Final = (
    (b"PK\x03\x04", "an Excel or OpenDocument workbook"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook"),
    (b"\x1f\x8b", "compressed (gzip)"),
    (b"%PDF", "a PDF"),
    (b"SQLite format 3", "a database"),
)
# What some systems call .xls, and the page that asks somebody to sign in first.
_MARKUP: Final = re.compile(rb"\s*<(!doctype|\?xml|html|head|body|table)\b", re.IGNORECASE)
_TOTALS: Final = re.compile(
    "(grand )?totals?|sum|average|mean|count|n|summe|gesamt|mittelwert|durchschnitt|anzahl"
    "|i alt|gennemsnit|antal|suma( total)?|razem|średnia|łącznie|celkem|součet|průměr|итого"
    "|всего|среднее|moyenne|somme|total général|promedio|media|end of (report|file)|ende"
)
_ANSWER_TITLES: Final = frozenset(
    {"response", "open-ended response", "antwort", "svar", "réponse", "respuesta", "ответ"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One row and the line it begins in; ``flaw`` says why it cannot be used."""

    line: int
    cells: Sequence[str] = field(repr=False)
    flaw: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How cells and lines are separated; ``announced`` is a first line ``sep=;``."""

    separator: Separator = ","
    line_end: Literal["\n", "\r"] = "\n"
    announced: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The columns and where the answers begin.

    ``labels`` are the questions where a tool writes them under the names, ``skip`` is how many
    records stand before the first answer, ``notes`` say what was found unusual. ``zones`` are
    the time zones that a tool names for its columns. ``doubt`` says why these may not be the
    columns at all.
    """

    names: tuple[str, ...]
    labels: tuple[str, ...]
    skip: int
    notes: tuple[str, ...] = ()
    zones: tuple[str, ...] = ()
    doubt: str = ""


def refuse_other_formats(start: bytes, name: str) -> None:
    """Raise ``Unreadable`` with what to do if these first bytes are no text at all."""
    for mark, what in _NOT_CSV:
        if start.startswith(mark):
            how = (
                "In Excel or LibreOffice choose Save as, then CSV UTF-8, and import that file."
                if "workbook" in what
                else "Unpack or export it as CSV first."
            )
            raise Unreadable(f"{name} is {what}, not CSV. {how}")
    if _MARKUP.match(start.removeprefix(b"\xef\xbb\xbf")):
        raise Unreadable(
            f"{name} is a page in HTML or XML, not CSV. If it is a table, open it in Excel or"
            " LibreOffice, choose Save as, then CSV UTF-8; if it asks somebody to sign in,"
            " download the export anew."
        )
    if start.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"["):
        raise Unreadable(
            f"{name} is a JSON array. Write one object a line (jq -c '.[]' does it) and call"
            " the file .ndjson."
        )


def lines_of(pieces: Iterable[str], *, end: str = "\n") -> Iterator[str]:
    """Yield lines with their ends: a comment may hold what else Python takes for one."""
    rest = ""
    for piece in pieces:
        parts = (rest + piece).split(end)
        rest = parts.pop()
        for part in parts:
            yield part + end
        if len(rest) > _LONGEST_LINE:
            raise Unreadable(
                f"A line is longer than {_LONGEST_LINE:,} characters: this is no CSV."
            )
    if rest:
        yield rest


class _Feed:
    """Lines for the CSV reader, with a way back to the line behind a row's first one."""

    def __init__(self, lines: Iterable[str], first: int) -> None:
        self._lines = iter(lines)
        self._again: deque[str] = deque()
        self._taken: list[str] = []
        self._size = 0
        self.number = first - 1

    def __iter__(self) -> _Feed:
        return self

    def __next__(self) -> str:
        if self._size > _LONGEST_RECORD:
            raise csv.Error("longer than any row")
        line = self._again.popleft() if self._again else next(self._lines)
        self._taken.append(line)
        self._size += len(line)
        self.number += 1
        return line

    def begin(self) -> int:
        """Begin a row; return the number of its first line."""
        self._taken.clear()
        self._size = 0
        return self.number + 1

    def give_back(self) -> str:
        """Return the row's first line and take the others again."""
        first, *others = self._taken
        self._again.extendleft(reversed(others))
        self.number -= len(others)
        return first


def read_records(lines: Iterable[str], separator: str, *, first: int = 1) -> Iterator[Record]:
    """Yield every row that holds anything, blank ones left out.

    ``first`` is the number of the first of these lines in its file.
    """
    feed = _Feed(lines, first)
    reader = csv.reader(feed, delimiter=separator, strict=True)
    while True:
        line = feed.begin()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            torn = feed.give_back().rstrip("\r\n")
            yield Record(line=line, cells=(torn,), flaw="not_csv")
            reader = csv.reader(feed, delimiter=separator, strict=True)
            continue
        if any(cell and not cell.isspace() for cell in cells):
            yield Record(line=line, cells=cells)


def find_dialect(sample: str) -> Dialect:
    """Return how this beginning of a file is separated, by what is consistent over its rows."""
    line_end: Literal["\n", "\r"] = "\r" if "\r" in sample and "\n" not in sample else "\n"
    first = sample.split(line_end, 1)[0].strip().strip('"')
    if (announced := re.fullmatch(r"sep=([,;\t|])", first, re.IGNORECASE)) is not None:
        separator = cast("Separator", announced[1])
        return Dialect(separator=separator, line_end=line_end, announced=True)
    lines = list(lines_of([sample], end=line_end))
    if len(lines) > 2 and not sample.endswith(line_end):
        lines.pop()
    best = max(SEPARATORS, key=lambda each: _consistency(lines, each))
    return Dialect(separator=best, line_end=line_end)


def _consistency(lines: Sequence[str], separator: str) -> float:
    records = list(islice(read_records(lines, separator), _LOOKED_AT))
    widths = Counter(len(record.cells) for record in records if record.flaw is None)
    if not widths:
        return 0.0
    width, often = max(widths.items(), key=lambda item: (item[1], item[0]))
    if width == 1:
        wider = [each for each in widths if each > 1]
        if not wider or len(records[0].cells) == 1:
            return 0.0
        width = len(records[0].cells)
        often = widths[width]
    shorter = sum(n for each, n in widths.items() if 1 < each < width)
    share = (often + 0.3 * shorter) / len(records)
    heading = 1.0 if any(len(each.cells) == width for each in records[:3]) else 0.5
    return share * heading * (1 + log2(width) / 5)


def find_layout(records: Sequence[Record]) -> Layout:
    """Return the columns from the first rows of a file; raise ``Unreadable`` if there are none.

    Lines above the column names are left out, the further heading rows of Qualtrics and
    SurveyMonkey are understood.
    """
    widths = Counter(len(each.cells) for each in records if each.flaw is None)
    if not widths:
        raise Unreadable("The file has no row that can be read as CSV.")
    # Seldom is the widest row the usual one; nor the narrowest, if trailing cells are left out.
    usual = max(widths.items(), key=lambda item: (item[1], item[0]))[0]
    head = next(
        (
            n
            for n, each in enumerate(records[:_PREAMBLE])
            if each.flaw is None and len(each.cells) >= usual and _is_heading(each)
        ),
        0,
    )
    if not _names_members(records[head].cells):
        # Else the first answer would be taken for the names where all rows are too wide.
        head = next(
            (n for n, each in enumerate(records[:head]) if _names_members(each.cells)), head
        )
    if len(records[head].cells) > MOST_COLUMNS:
        raise Unreadable(f"The file has more than {MOST_COLUMNS:,} columns.")
    names = [" ".join(cell.split()) for cell in records[head].cells]
    labels = [""] * len(names)
    notes = []
    if head:
        left_out = (
            "1 line above the column names is"
            if head == 1
            else (f"{head} lines above the column names are")
        )
        notes.append(f"{left_out} left out")
    skip = head + 1
    below = [each.cells for each in records[skip : skip + 2]]
    zones: list[str] = []
    if len(below) == 2 and _are_import_ids(below[1]):
        labels = [" ".join(cell.split()) for cell in below[0]]
        zones = [_zone_in(cell) for cell in below[1]]
        skip += 2
        notes.append("three heading rows, as Qualtrics writes them")
    elif below and _are_answer_titles(names, below[0]):
        names = _joined(names, below[0])
        skip += 1
        notes.append("two heading rows, as SurveyMonkey writes them")
    labels += [""] * (len(names) - len(labels))
    return Layout(
        names=_distinct(names),
        labels=tuple(labels[: len(names)]),
        skip=skip,
        notes=tuple(notes),
        zones=tuple(zones),
        doubt=_doubt(names, records[:head], records[skip:]),
    )


def _names_members(cells: Sequence[str]) -> bool:
    """Tell whether most of at least two cells are what exports call their columns."""
    filled = [cell for cell in cells if cell.strip()]
    return len(filled) > 1 and sum(map(is_known, filled)) * 2 > len(filled)


def _doubt(names: Sequence[str], above: Sequence[Record], rows: Sequence[Record]) -> str:
    """Return why the names may stand over the wrong cells; nothing where they fit."""
    widest = max((len(each.cells) for each in rows if each.flaw is None), default=len(names))
    if any(names[widest:]):
        return (
            f"there are {len(names)} column names and no row has more than {widest} cells; put"
            " a name that holds the separator into quotation marks"
        )
    lonely = any(len(each.cells) == 1 and is_known(each.cells[0]) for each in above)
    if lonely and not _names_members(names):
        return (
            "the line above the column names looks like the name of an only column; put values"
            " that hold the separator into quotation marks"
        )
    return ""


def _zone_in(cell: str) -> str:
    """Return the time zone that Qualtrics names in its third heading row."""
    try:
        said = json.loads(cell)
    except (ValueError, RecursionError):
        return ""
    zone = str(said.get("timeZone", "")) if isinstance(said, dict) else ""
    zone = "UTC" if zone == "Z" else zone
    try:
        check_zone(zone)
    except ValueError:
        return ""
    return zone


def _is_heading(record: Record) -> bool:
    """Tell names of columns from a row of a title and empty cells."""
    filled = sum(1 for cell in record.cells if cell.strip())
    return filled > 1 or len(record.cells) == 1


def _are_import_ids(cells: Sequence[str]) -> bool:
    return sum('"ImportId"' in cell for cell in cells) * 2 > len(cells)


def _are_answer_titles(names: Sequence[str], cells: Sequence[str]) -> bool:
    """Tell whether a second row says what kind of answer stands below, and nothing else."""
    plain = [cell.strip().casefold() for cell in cells]
    return (
        len(plain) == len(names)
        and not plain[0]
        and any(each in _ANSWER_TITLES for each in plain)
    )


def _joined(names: Sequence[str], cells: Sequence[str]) -> list[str]:
    """Give every column the question above it and, where there are several, its own title."""
    joined: list[str] = []
    question = ""
    for name, cell in zip(names, cells, strict=True):
        question = name or question
        title = " ".join(cell.split())
        plain = not title or title.casefold() in _ANSWER_TITLES
        joined.append(question if plain else f"{question} - {title}")
    return joined


def _distinct(names: Sequence[str]) -> tuple[str, ...]:
    """Give nameless columns their number and repeated names a count."""
    taken: set[str] = set()
    distinct: list[str] = []
    for number, given in enumerate(names, start=1):
        base = given.replace("\ufeff", "").replace("\u200b", "").strip() or f"column {number}"
        name, again = base, 2
        while name in taken:
            name, again = f"{base} ({again})", again + 1
        taken.add(name)
        distinct.append(name)
    return tuple(distinct)


def fitted(record: Record, width: int, *, ours: int = 0) -> Record:
    """Return the row as wide as the heading, or with the flaw for which it cannot be used.

    Cells missing at the end are empty: spreadsheets leave them out. ``ours`` is how many
    columns a report of rejected rows has put before the others.
    """
    cells = record.cells
    flaw = record.flaw
    if flaw is None:
        if len(cells) > width:
            flaw = "too_many_cells" if any(map(str.strip, cells[width:])) else None
        if any(map(is_damaged, cells)):
            flaw = "damaged_characters"
        elif _is_totals(cells[ours:]):
            flaw = "totals_row"
    if flaw is None and len(cells) == width:
        return record
    filled = (*cells, *[""] * (width - len(cells)))
    return Record(line=record.line, cells=filled if flaw else filled[:width], flaw=flaw)


def _is_totals(cells: Sequence[str]) -> bool:
    """Recognise a line of sums under the answers: a word for it, and most cells empty."""
    first = next(filter(None, cells), "")
    if len(cells) < 3 or len(first) > 20 or all(cells):
        return False
    word = " ".join(first.strip(" :=.").casefold().split())
    empty = sum(not cell.strip() for cell in cells)
    return empty * 3 >= len(cells) and _TOTALS.fullmatch(word) is not None


def harmless(cell: str) -> str:
    """Keep a spreadsheet from taking a cell for a formula."""
    return f"'{cell}" if cell.startswith(_HARMFUL) else cell


def restored(cell: str) -> str:
    """Return the cell that was made harmless."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(_HARMFUL) else cell
