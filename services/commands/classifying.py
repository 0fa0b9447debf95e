"""``closed-loop themes classify``: comments in, themes out; no database, no network."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, BinaryIO, TextIO

from services.composition import classify_lines, parse_taxonomy, starter_taxonomy
from shared.errors import Invalid

if TYPE_CHECKING:
    from pathlib import Path


def classify(taxonomy_file: Path | None, lines: BinaryIO, out: TextIO, err: TextIO) -> int:
    """Classify JSON lines; return 0, or 1 when a line could not be read."""
    taxonomy = starter_taxonomy() if taxonomy_file is None else _read(taxonomy_file)
    text = io.TextIOWrapper(lines, encoding="utf-8-sig", errors="strict", newline="\n")
    bad = 0
    for answer in classify_lines(text, taxonomy):
        out.write(answer + "\n")
    del bad, err
    return 0


def _read(path: Path) -> object:
    try:
        return parse_taxonomy(json.loads(path.read_bytes().decode("utf-8-sig")))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        message = f"The taxonomy {path.name} is not JSON in UTF-8 ({error})."
        raise Invalid(message) from None
