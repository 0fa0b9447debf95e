"""What stands in an imported file is told to nobody: not on the screen, not in any file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.infra.processes import data_folder
from tests.journeys.planting import readable_in
from tests.journeys.test_import import run_import

MARKS = ("quokka", "Zürichwombat", "5557771")
CSV = (
    "Antwort-ID;Weiterempfehlung;Begründung;E-Mail;Telefon\n"
    "quokka-1;9;quokka war zufrieden in Zürichwombat;quokka@example.org;+49 30 5557771\n"
    "quokka-2;8;Größe passt Zürichwombat;zuerich@example.org;+49 30 5557771\n"
    "quokka-3;quokka;Zürichwombat wartete;quokka@example.org;5557771\n"
    'quokka-4;2;"quokka ohne Ende\n'
)
LINES = "\n".join(
    [
        json.dumps(
            {
                "external_id": f"quokka-{n}",
                "score": 9,
                "comment": "Zürichwombat called and nobody answered, says quokka.",
                "customer": {"id": f"quokka-{n}", "name": "Quokka", "phone": "5557771"},
            },
            ensure_ascii=False,
        )
        for n in range(3)
    ]
    + ['{"external_id": "quokka-9", "score": "quokka"}', '{"comment": "Zürichwombat']
)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A place to work in, which is also somebody's home."""
    with data_folder("planted") as place:
        yield place


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("export.csv", CSV.encode("windows-1252")),
        ("export.ndjson", LINES.encode()),
    ],
)
@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_an_import_tells_numbers_lines_and_columns_alone(
    folder: Path, tmp_path: Path, name: str, content: bytes, more: tuple[str, ...]
) -> None:
    path = tmp_path / name
    path.write_bytes(content)

    code, outcome, said = run_import(folder, str(path), "--source", "survey", *more)

    assert code == 1
    assert outcome["accepted"] >= 2
    assert outcome["rejected"] >= 1
    told = json.dumps(outcome, ensure_ascii=False) + said
    assert [mark for mark in MARKS if mark.lower() in told.lower()] == []
    assert [one for one in folder.rglob("*") if one.is_file()] or more
    assert readable_in([folder], ["quokka", "5557771", "richwombat"]) == []
