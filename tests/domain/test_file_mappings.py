"""What a mapping file can say, and what is wrong with one that says something else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from services.ingest.mapping import CannotMap, Mapper, read_mapping
from shared.errors import Invalid


def mapped(folder: Path, fields: str, time_zone: str = "UTC", **row: str) -> dict[str, Any]:
    """Return what a mapping with these fields makes of a row."""
    path = folder / "map.yaml"
    path.write_text(f"version: 1\nfields:\n  {fields}\n", encoding="utf-8")
    return Mapper(read_mapping(path), time_zone=time_zone).document(row)


RULES: dict[str, tuple[str, dict[str, str], dict[str, Any]]] = {
    "a column": ("segment: Kind", {"Kind": " a\u00a0 b "}, {"segment": "a b"}),
    "white space in a column's name": (
        "segment: ' The  Kind'",
        {"The Kind": "a"},
        {"segment": "a"},
    ),
    "a constant": ("metric: { value: csat }", {}, {"metric": "csat"}),
    "nothing said": ("score: { column: A, type: integer }", {"A": " "}, {}),
    "an integer with a decimal comma": (
        "score: { column: A, type: integer }",
        {"A": "8,0"},
        {"score": 8},
    ),
    "another scale": (
        "score: { column: A, type: integer, scale: { from: [1, 5], to: [5, 1] } }",
        {"A": "1"},
        {"score": 5},
    ),
    "words": ("score: { column: A, map: { very good: 5 } }", {"A": "Very  good"}, {"score": 5}),
    "words for nothing": (
        "score: { column: A, type: integer, empty: [n/a, 0] }",
        {"A": "0"},
        {},
    ),
    "thousands": (
        "customer.annual_value.amount: { column: A, type: number, decimal: ',' }",
        {"A": "1.234.567,50"},
        {"customer": {"annual_value": {"amount": 1234567.5}}},
    ),
    "yes and no": (
        "customer.do_not_contact: { column: A, type: boolean }",
        {"A": "No"},
        {"customer": {"do_not_contact": False}},
    ),
    "two columns": (
        "customer.name: { columns: [First, Last] }",
        {"First": "Ida", "Last": "Berg"},
        {"customer": {"name": "Ida Berg"}},
    ),
    "one of two columns": (
        "customer.name: { columns: [First, Last] }",
        {"First": "", "Last": "Berg"},
        {"customer": {"name": "Berg"}},
    ),
    "the first rule that fits": (
        "score: [{ where: { B: ['x'] }, column: A, type: integer }, { value: 3 }]",
        {"A": "1", "B": "y"},
        {"score": 3},
    ),
}


@pytest.mark.parametrize("name", RULES)
def test_a_rule_does_what_the_page_says(tmp_path: Path, name: str) -> None:
    """One rule, one row, one document."""
    fields, row, document = RULES[name]
    assert mapped(tmp_path, fields, **row) == document


@pytest.mark.parametrize(
    ("fields", "moment"),
    [
        (
            "answered_at: { column: A, type: date, formats: ['%d/%m/%Y'] }",
            "2026-07-01T10:00:00Z",
        ),
        (
            "answered_at: { column: A, type: date, formats: ['%d/%m/%Y'], time_zone: UTC }",
            "2026-07-01T12:00:00Z",
        ),
        (
            "answered_at: { column: A, type: date, formats: ['%d/%m/%Y'], at: '00:30' }",
            "2026-06-30T22:30:00Z",
        ),
    ],
)
def test_a_rule_without_a_zone_takes_the_one_of_the_command(
    tmp_path: Path, fields: str, moment: str
) -> None:
    """A mapping that names its own is not overruled."""
    document = mapped(tmp_path, fields, "Europe/Copenhagen", A="01/07/2026")
    assert document == {"answered_at": moment}


def test_equal_rows_have_equal_ids_and_others_have_not(tmp_path: Path) -> None:
    """Cells cannot run into each other, and white space is no difference."""
    fields = "external_id: { digest_of: [A, B] }"
    first = mapped(tmp_path, fields, A="1", B="23")
    assert first == mapped(tmp_path, fields, A=" 1", B="23 ")
    assert first != mapped(tmp_path, fields, A="12", B="3")
    assert first != mapped(tmp_path, fields, A="23", B="1")


@pytest.mark.parametrize(
    ("fields", "row", "code"),
    [
        ("score: { column: A, type: integer }", {"A": "1,000"}, "not_integer"),
        ("score: { column: A, type: integer }", {"A": "eleven"}, "not_integer"),
        ("score: { column: A, map: { good: 5 } }", {"A": "bad"}, "not_in_map"),
        ("answered_at: { column: A, type: date, formats: ['%Y'] }", {"A": "x"}, "not_a_date"),
        ("a: { column: A, type: boolean }", {"A": "perhaps"}, "not_boolean"),
        ("a: { column: A, type: number }", {"A": "nan"}, "not_number"),
    ],
)
def test_what_does_not_fit_names_the_member_and_no_value(
    tmp_path: Path, fields: str, row: dict[str, str], code: str
) -> None:
    """The row is rejected; what stood there is not repeated."""
    with pytest.raises(CannotMap) as caught:
        mapped(tmp_path, fields, **row)
    assert caught.value.finding.code == code
    assert row["A"] not in str(caught.value).split()


@pytest.mark.parametrize(
    "fields",
    [
        "score: { colum: A }",
        "score: { column: A, type: float }",
        "score: { column: A, columns: [B] }",
        "answered_at: { column: A, type: date, formats: ['%Q'] }",
        "answered_at: { column: A, type: date, time_zone: Mars/Olympus }",
        "score: { column: A, scale: { from: [1, 1], to: [1, 5] } }",
        "score: { column: A",
    ],
)
def test_a_wrong_mapping_is_refused_before_anything_is_read(
    tmp_path: Path, fields: str
) -> None:
    """With where the mistake is."""
    with pytest.raises(Invalid, match="mapping"):
        mapped(tmp_path, fields)
