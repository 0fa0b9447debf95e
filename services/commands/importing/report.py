"""The rejected rows as a file: where they stand, why, what to do, and the rows themselves.

It is made to be corrected and imported again: its columns are those of the file, behind four of
ours. Until it is complete it lies beside its name under ``.part``.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import IO, Final

from services.composition import harmless
from shared.errors import Finding

COLUMNS: Final = (
    "closed_loop_line",
    "closed_loop_reason",
    "closed_loop_column",
    "closed_loop_what_to_do",
)


class Report:
    """Collects rejected rows; ``size`` is how much of it belongs to confirmed batches."""

    def __init__(self, path: Path, names: Sequence[str], *, separator: str, kept: int) -> None:
        self.path = path
        self._part = path.with_name(f"{path.name}.part")
        self._separator = separator
        self._names = names
        goes_on = kept > 0 and self._part.exists()
        self._file: IO[bytes] = self._part.open("r+b" if goes_on else "wb")
        if goes_on:
            self._file.truncate(kept)
            self._file.seek(kept)
        else:
            self._file.write("\ufeff".encode())
            self._write([*COLUMNS, *names])
        self.rows = 0

    def add(self, line: int, finding: Finding, column: str, cells: Sequence[str]) -> None:
        """Write one rejected row."""
        self.rows += 1
        reason = finding.code
        what = f"{finding.detail.rstrip('.')}. {finding.fix}".strip()
        self._write([str(line), reason, column or finding.pointer, what, *cells])

    @property
    def size(self) -> int:
        """Return the length that is on disk."""
        self._file.flush()
        return self._file.tell()

    def finish(self) -> None:
        """Give the report its name, all of it at once."""
        self._file.close()
        self._part.replace(self.path)

    def close(self) -> None:
        """Leave it as it is, to be continued."""
        self._file.close()

    def _write(self, cells: Sequence[str]) -> None:
        out = StringIO()
        writer = csv.writer(out, delimiter=self._separator, lineterminator="\r\n")
        writer.writerow([harmless(cell) for cell in cells])
        self._file.write(out.getvalue().encode("utf-8", "replace"))
