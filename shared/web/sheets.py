"""Files that spreadsheets open."""

from __future__ import annotations

import csv
from io import StringIO
from typing import TYPE_CHECKING, Final

from starlette.responses import Response

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


# What a spreadsheet takes for the beginning of a formula, in either width.
_HARMFUL: Final = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")


def cell(text: str) -> str:
    """Keep a spreadsheet from reading somebody's words as a formula."""
    return f"'{text}" if text.startswith(_HARMFUL) else text


def sheet(name: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Response:
    """Return a table as a file to keep; None is an empty cell.

    Its first character tells spreadsheets that it is UTF-8.
    """
    out = StringIO()
    writer = csv.writer(out)
    writer.writerow(columns)
    writer.writerows(["" if one is None else _cell(one) for one in row] for row in rows)
    return Response(
        "\ufeff" + out.getvalue(),
        media_type="text/csv; charset=utf-8",
        headers={
            "Cache-Control": "no-store",
            "Content-Disposition": f'attachment; filename="{name}.csv"',
        },
    )


def _cell(value: object) -> object:
    return cell(value) if isinstance(value, str) else value
