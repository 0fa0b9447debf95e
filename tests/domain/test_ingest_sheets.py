"""CSV rows: what becomes of cells, and which rows cannot be read."""

from __future__ import annotations

from typing import Any

import pytest

from services.ingest.domain.sheets import read_sheet
from shared.errors import Unreadable


def documents(text: str) -> list[Any]:
    return [row.document if row.flaw is None else row.flaw for row in read_sheet(text)]


def test_dotted_names_nest_and_empty_cells_are_absent() -> None:
    assert documents(
        "external_id, score ,comment,customer.id,customer.consent.follow_up,"
        "customer.annual_value.amount,attributes.a.b,other.x\n"
        'A-1,7,"two\nlines, quoted ""so""",007,yes,12.5,1,2\n'
        "A-2,,,,,,,\n"
    ) == [
        {
            "external_id": "A-1",
            "score": 7,
            "comment": 'two\nlines, quoted "so"',
            "customer": {
                "id": "007",
                "consent": {"follow_up": True},
                "annual_value": {"amount": 12.5},
            },
            "attributes": {"a.b": "1"},
            "other.x": "2",
        },
        {"external_id": "A-2"},
    ]


@pytest.mark.parametrize(
    ("cell", "score"),
    [("9", 9), (" 9 ", 9), ("+9", 9), ("-1", -1), ("9.0", "9.0"), ("1_0", "1_0"), ("x", "x"),
     ("٩", "٩"), ("1e1", "1e1"), ("9" * 30, "9" * 30)],
)  # fmt: skip
def test_a_score_is_an_integer_in_digits(cell: str, score: object) -> None:
    assert documents(f"external_id,score\nA,{cell}\n") == [{"external_id": "A", "score": score}]


def test_a_bad_row_is_named_by_its_line_and_the_next_one_is_read() -> None:
    rows = list(
        read_sheet(
            "external_id,score\r\n"
            "A-1,1\r\n"
            '"A\r\n-2",2\r\n'
            "A-3\r\n"
            "\r\n"
            'A-4,"4"x\r\n'
            "A-5,5,5\r\n"
            "A-6,6"
        )
    )
    assert [(row.line, row.flaw) for row in rows] == [
        (2, None),
        (3, None),
        (5, "wrong_number_of_cells"),
        (7, "not_csv"),
        (8, "wrong_number_of_cells"),
        (9, None),
    ]
    assert rows[1].document["external_id"] == "A\r\n-2"
    assert rows[-1].document == {"external_id": "A-6", "score": 6}


def test_a_comment_may_hold_other_ends_of_lines() -> None:
    assert documents("external_id,comment\nA,a\u2028b\x0bc\n") == [
        {"external_id": "A", "comment": "a\u2028b\x0bc"}
    ]


@pytest.mark.parametrize(
    "text",
    [
        "score,comment\n9,x\n",
        "external_id,external_id\n1,2\n",
        "external_id,,score\n1,2,3\n",
        '"external_id\n',
        "external_id," + ",".join(str(n) for n in range(1_000)) + "\n",
    ],
)
def test_without_a_usable_header_nothing_can_be_read(text: str) -> None:
    with pytest.raises(Unreadable):
        documents(text)
