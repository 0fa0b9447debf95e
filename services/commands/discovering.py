"""``closed-loop themes discover``: comments in, groups out; no database, no network."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO, TextIO

from services.commands.classifying import read_taxonomy
from services.loop.themes.domain import BadLine, discover_lines

if TYPE_CHECKING:
    from pathlib import Path


def discover(taxonomy_file: Path | None, lines: BinaryIO, out: TextIO, err: TextIO) -> int:
    """Group JSON lines that no theme covers; return 0, or 1 when a line could not be read."""
    bad: list[BadLine] = []

    def report(line: BadLine) -> None:
        bad.append(line)
        err.write(f"closed-loop: {line.sentence()}\n")

    taxonomy = read_taxonomy(taxonomy_file)
    out.writelines(f"{answer}\n" for answer in discover_lines(lines, taxonomy, report=report))
    return 1 if bad else 0
