"""The trail as a file, handed out piece by piece however long it is."""

from __future__ import annotations

import csv
import json
from io import StringIO
from typing import TYPE_CHECKING, Final, Literal

from shared.identity import trail
from shared.web.audit.api import entry_out
from shared.web.sheets import cell

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from shared.db.transaction import Database
    from shared.identity.trail import Entry, Sought

Kind = Literal["csv", "json"]

_AT_ONCE: Final = 1_000
_COLUMNS: Final = ("n", "at", "actor_kind", "actor_id", "actor", "action", "subject", "detail")


async def file_of(
    database: Database, sought: Sought, kind: Kind, *, upto: int
) -> AsyncIterator[str]:
    """Return the lines up to the number ``upto``, the latest first."""
    before: int | None = upto + 1
    first = True
    # Spreadsheets take the file for UTF-8 by its first character.
    yield "\ufeff" + _row(_COLUMNS) if kind == "csv" else "["
    while before is not None:
        async with database.reading() as view:
            found = await trail.entries(view, sought, before=before, limit=_AT_ONCE)
            names = await trail.names_of(view, [entry.actor_id for entry in found])
        if kind == "csv":
            yield "".join(_line(entry, names) for entry in found)
        elif found:
            body = ",\n".join(json.dumps(entry_out(entry, names)) for entry in found)
            yield body if first else f",\n{body}"
        first = False
        before = found[-1].n if len(found) == _AT_ONCE else None
    if kind == "json":
        yield "]\n"


async def size_of(database: Database, sought: Sought) -> tuple[int, int]:
    """Return up to which number a file made now goes, and how many lines it has."""
    async with database.reading() as view:
        return await trail.latest(view), await trail.count(view, sought)


def _line(entry: Entry, names: Mapping[str, str]) -> str:
    return _row(
        [
            str(entry.n),
            entry.at.isoformat(),
            entry.actor_kind,
            entry.actor_id,
            cell(names.get(entry.actor_id, "")),
            entry.action,
            cell(entry.subject),
            json.dumps(entry.detail, ensure_ascii=False, sort_keys=True),
        ]
    )


def _row(cells: Sequence[str]) -> str:
    out = StringIO()
    csv.writer(out).writerow(cells)
    return out.getvalue()
