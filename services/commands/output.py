"""How commands speak: tables or JSON on standard output, sentences on standard error."""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.settings import Settings

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def say(sentence: str) -> None:
    """Talk to the person; never part of the data."""
    sys.stderr.write(f"{_visible(sentence)}\n")


def say_if_new(settings: Settings) -> None:
    """Say that this command begins an installation, for somebody who is in the wrong folder."""
    path = settings.sqlite_path
    if path is not None and not path.exists():
        say(
            f"There was no installation at {path.absolute()}: this begins one there. If you"
            " have another, point CLOSED_LOOP_DATABASE_URL at it."
        )


def data(text: str) -> None:
    """Print a line of data."""
    sys.stdout.write(f"{_visible(text)}\n")


def _visible(text: str) -> str:
    """Show what would command the terminal: names come from other people's files."""
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def data_json(document: Any) -> None:  # noqa: ANN401 - whatever JSON can hold
    """Print one JSON document."""
    json.dump(document, sys.stdout, ensure_ascii=False, indent=2, default=str)
    sys.stdout.write("\n")


def rows(columns: Sequence[str], lines: Sequence[Sequence[object]], *, as_json: bool) -> None:
    """Print rows as a table, or as a JSON list of objects."""
    if as_json:
        data_json([dict(zip(columns, line, strict=True)) for line in lines])
        return
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column.replace("_", " "), overflow="fold")
    for line in lines:
        table.add_row(*("" if cell is None else _visible(str(cell)) for cell in line))
    Console(file=sys.stdout, width=None if sys.stdout.isatty() else 200).print(table)
