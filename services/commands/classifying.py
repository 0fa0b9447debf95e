"""``closed-loop themes classify``: comments in, themes out; no database, no network."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, BinaryIO, TextIO

from services.loop.themes.domain import (
    BadLine,
    Taxonomy,
    classify_lines,
    parse_taxonomy,
    starter_taxonomy,
)
from shared.errors import Invalid

if TYPE_CHECKING:
    from pathlib import Path


def classify(taxonomy_file: Path | None, lines: BinaryIO, out: TextIO, err: TextIO) -> int:
    """Classify JSON lines; return 0, or 1 when a line could not be read.

    A bad line is named on ``err``; every other one is answered all the same.
    """
    taxonomy = read_taxonomy(taxonomy_file)
    bad: list[BadLine] = []

    def report(line: BadLine) -> None:
        bad.append(line)
        err.write(f"closed-loop: {line.sentence()}\n")

    out.writelines(f"{answer}\n" for answer in classify_lines(lines, taxonomy, report=report))
    return 1 if bad else 0


def read_taxonomy(path: Path | None) -> Taxonomy:
    """Return the taxonomy in the file at *path*, without one the shipped taxonomy."""
    if path is None:
        return starter_taxonomy()
    try:
        return parse_taxonomy(json.loads(path.read_bytes().decode("utf-8-sig")))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        message = f"The taxonomy {path.name} is not JSON in UTF-8 ({error})."
        raise Invalid(message) from None
