"""The queue as a file for spreadsheets: the same lines, one row each."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from datetime import timedelta
from io import StringIO
from typing import Final

from services.loop.pages.queue.page import Line
from services.loop.pages.site import cell

_COLUMNS: Final = (
    "task",
    "customer",
    "score",
    "words",
    "themes",
    "touchpoint",
    "segment",
    "owner",
    "state",
    "steps",
    "tries",
    "due_at",
    "late",
    "customer_waits_hours",
)


def sheet_of(lines: Sequence[Line]) -> str:
    """Return the file; its first character tells spreadsheets that it is UTF-8."""
    out = StringIO()
    writer = csv.writer(out)
    writer.writerow(_COLUMNS)
    writer.writerows(map(_cells, lines))
    return "\ufeff" + out.getvalue()


def _cells(line: Line) -> Sequence[str]:
    return list(
        map(
            cell,
            [
                line.id,
                line.customer.name or "",
                "" if line.mark.score is None else str(line.mark.score),
                "[erased]" if line.words.erased else line.words.text or "",
                "; ".join(line.themes),
                line.touchpoint or "",
                line.segment or "",
                line.owner,
                line.state,
                line.letters,
                str(line.tries),
                line.clock.at.isoformat() if line.clock else "",
                "yes" if line.clock and line.clock.late else "no",
                f"{line.waits / timedelta(hours=1):.1f}",
            ],
        )
    )
