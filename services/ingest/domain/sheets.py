"""CSV as a way to write responses down: one row a response, dotted names for what is nested.

An empty cell is a member that was not sent. A cell is text; it becomes a number or a yes and no
only where the format wants one, so that ``"007"`` stays a customer's id.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from shared.errors import Unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_MOST_COLUMNS: Final = 1_000
_INTEGER: Final = re.compile(r"[+-]?\d{1,18}", re.ASCII)
_NUMBER: Final = re.compile(r"[+-]?\d{1,18}(\.\d{1,18})?", re.ASCII)
_YES_AND_NO: Final = {
    "true": True, "yes": True, "1": True, "false": False, "no": False, "0": False,
}  # fmt: skip
_NUMBERS: Final = frozenset({("customer", "annual_value", "amount")})
_FLAGS: Final = frozenset(
    {
        ("customer", "consent", "follow_up"),
        ("customer", "consent", "news"),
        ("customer", "do_not_contact"),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row and the line it begins in; ``flaw`` says why it cannot be read."""

    line: int
    document: Mapping[str, Any] = field(default_factory=dict, repr=False)
    flaw: str | None = None


def read_sheet(text: str) -> Iterator[Row]:
    """Yield the rows under the header; raise ``Unreadable`` if the header cannot be read."""
    lines = csv.reader(_lines(text), strict=True)
    try:
        header = [name.strip() for name in next(lines, [])]
    except csv.Error:
        raise Unreadable("The header row cannot be read as CSV.") from None
    _check_header(header)
    paths = [_path(name) for name in header]
    while True:
        line = lines.line_num + 1
        try:
            cells = next(lines, None)
        except csv.Error:
            yield Row(line=line, flaw="not_csv")
            continue
        if cells is None:
            return
        if not cells:
            continue
        if len(cells) != len(paths):
            yield Row(line=line, flaw="wrong_number_of_cells")
            continue
        document: dict[str, Any] = {}
        for path, cell in zip(paths, cells, strict=True):
            if cell:
                _put(document, path, cell)
        yield Row(line=line, document=document)


def _lines(text: str) -> Iterator[str]:
    """Split at line feeds only: a comment may hold what else Python takes for a line's end."""
    start = 0
    while start < len(text):
        end = text.find("\n", start) + 1 or len(text)
        yield text[start:end]
        start = end


def _check_header(header: Sequence[str]) -> None:
    if "external_id" not in header:
        raise Unreadable("The first row must name the columns, external_id among them.")
    if len(set(header)) != len(header) or "" in header:
        raise Unreadable("The header row has a column without a name, or two of one name.")
    if len(header) > _MOST_COLUMNS:
        raise Unreadable(f"The header row names more than {_MOST_COLUMNS:,} columns.")


def _path(name: str) -> tuple[str, ...]:
    """Return where a column's cells go; only our own nested members have dots."""
    top, dot, rest = name.partition(".")
    if not dot or not rest or top not in {"customer", "attributes"}:
        return (name,)
    if top == "attributes":
        return top, rest
    middle, dot, last = rest.partition(".")
    if dot and last and middle in {"annual_value", "consent"}:
        return top, middle, last
    return top, rest


def _put(document: dict[str, Any], path: tuple[str, ...], cell: str) -> None:
    value: object = cell
    if path == ("score",):
        value = int(cell) if _INTEGER.fullmatch(cell.strip()) else cell
    elif path in _NUMBERS:
        value = float(cell) if _NUMBER.fullmatch(cell.strip()) else cell
    elif path in _FLAGS:
        value = _YES_AND_NO.get(cell.strip().lower(), cell)
    place = document
    for name in path[:-1]:
        place = place.setdefault(name, {})
    place[path[-1]] = value
