"""Which column is which: exports as the usual tools write them, in eight languages.

Each case is a small file; what is expected names the column of each member that is taken.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from services.ingest.domain.guesses import Guess, Guesses
from services.ingest.files import guess_columns, open_sheet
from services.ingest.mapping import Mapper, Mapping
from shared.errors import Invalid, Unreadable

EXPORTS = Path(__file__).parents[1] / "golden" / "exports.yaml"
CASES: dict[str, tuple[str, dict[str, str]]] = {
    name: (case["text"], case["taken"])
    for name, case in yaml.safe_load(EXPORTS.read_text(encoding="utf-8")).items()
}


def guessed(folder: Path, text: str) -> Guesses:
    """Guess the columns of a file with this text."""
    path = folder / "export.csv"
    path.write_text(text, encoding="utf-8")
    return guess_columns(open_sheet(path))


def documents(folder: Path, text: str) -> list[dict[str, Any]]:
    """Return what the guessed mapping makes of every row."""
    guesses = guessed(folder, text)
    sheet = open_sheet(folder / "export.csv")
    mapper = Mapper(Mapping.model_validate({"fields": guesses.fields}))
    return [mapper.document(sheet.cells(record)) for record in sheet.records()]


def the(guesses: Guesses, member: str) -> Guess:
    """Return the one guess for a member."""
    return next(one for one in guesses.taken if one.member == member)


@pytest.mark.parametrize("name", CASES)
def test_every_column_is_found(tmp_path: Path, name: str) -> None:
    """What is expected is taken, nothing else is, and nobody needs to be asked."""
    text, expected = CASES[name]
    guesses = guessed(tmp_path, text)
    found = {
        one.member: one.origin for one in reversed(guesses.taken) if one.rule.get("value", 1)
    }
    assert found == expected
    assert guesses.doubts == []


@pytest.mark.parametrize("name", CASES)
def test_every_row_becomes_a_document(tmp_path: Path, name: str) -> None:
    """The guessed mapping is one that can be used."""
    for document in documents(tmp_path, CASES[name][0]):
        assert document["external_id"]
        assert document.keys() & {"score", "comment"}


def test_values_are_converted(tmp_path: Path) -> None:
    """Words, labels, thousands and half days become what the API takes."""
    words = documents(tmp_path, CASES["answers in words"][0])
    assert [one["score"] for one in words] == [5, 1, 4]
    labels = documents(tmp_path, CASES["labelled ends"][0])
    assert [one["score"] for one in labels] == [10, 0, 7]
    customers = [
        one["customer"] for one in documents(tmp_path, CASES["money and permissions"][0])
    ]
    assert [one["annual_value"] for one in customers] == [
        {"amount": 1234.5, "currency": "EUR"},
        {"amount": 12000, "currency": "EUR"},
    ]
    assert [one["consent"]["follow_up"] for one in customers] == [True, False]
    moments = documents(tmp_path, CASES["surveymonkey"][0])
    assert moments[1]["answered_at"] == "2026-02-01T13:02:00Z"
    gaps = documents(tmp_path, CASES["a score is missing now and then"][0])
    assert [one.get("measurement") for one in gaps] == [None, "unsolicited", "unsolicited"]


DOUBTS: dict[str, tuple[str, str]] = {
    "day or month": ("Response ID,NPS,Date\nA,9,03/04/2026\nB,2,05/06/2026\n", "answered_at"),
    "both orders": ("Response ID,NPS,Date\nA,9,31/12/2025\nB,2,12/31/2025\n", "answered_at"),
    "no dates at all": ("Response ID,NPS,Date\nA,9,spring\nB,2,autumn\n", "answered_at"),
    "ids that repeat": ("Response ID,NPS\nA,9\nA,2\nB,3\n", "external_id"),
    "another scale": ("Response ID,CSAT\nA,9\nB,2\n", "score"),
    "a scale of hundred": ("Response ID,NPS\nA,90\nB,20\n", "score"),
    "names of groups": ("Response ID,NPS\nA,Promoter\nB,Detractor\n", "score"),
    "a score by another name": (
        "Response ID,Categorical answer,Comment\n"
        + "".join(f"R{n},{n % 7 + 1},They never called me back {n}\n" for n in range(40)),
        "measurement",
    ),
    "a scale too short": ("Response ID,Score\nA,3\nB,2\n", "score"),
    "two of a kind": ("Response ID,Score,Rating\nA,9,9\nB,2,2\n", "score"),
    "a score out of hundred by a plain name": (
        "Response ID,Score,Comment\n"
        + "".join(f"R{n},{n * 7 % 101},They never called back {n}\n" for n in range(40)),
        "score",
    ),
    "a score in percent": (
        "Response ID,Score,Comment\nA,85%,They never called back\nB,7 %,Fine again\n",
        "score",
    ),
    "effort in words of no known scale": (
        "Response ID,How easy was it?,Comment\n"
        + "".join(
            f"R{n},{('A doddle', 'So so', 'A pain')[n % 3]},They never called {n}\n"
            for n in range(40)
        ),
        "score",
    ),
    "effort in five words": (
        "Response ID,How easy was it?\n"
        + "".join(
            f"R{n},{('Very easy', 'Easy', 'Neutral', 'Very difficult')[n % 4]}\n"
            for n in range(40)
        ),
        "score",
    ),
    "equal rows that nothing tells apart": (
        "NPS,Date\n" + "".join(f"{n % 11},2026-01-05\n" for n in range(40)),
        "external_id",
    ),
    "the best answer first": (
        '"id","Satisfaction (1 = very satisfied, 5 = very dissatisfied)"\nA,1\nB,5\n',
        "score",
    ),
    "the best answer first, in German": (
        "id;Zufriedenheit (1: sehr gut - 5: mangelhaft)\nA;1\nB;5\n",
        "score",
    ),
    "the best grade first, by a plain name": (
        "id,Score (1 best to 6 worst),Why\nA,1,Fine\nB,6,They never called back\n",
        "score",
    ),
    "recommending from 1 to 5": (
        "Response ID,NPS\n" + "".join(f"R{n},{n % 5 + 1}\n" for n in range(40)),
        "score",
    ),
}


@pytest.mark.parametrize("name", DOUBTS)
def test_what_is_decisive_and_uncertain_is_a_doubt(tmp_path: Path, name: str) -> None:
    """Nobody's history is shifted by a month, or turned upside down, by a guess."""
    text, member = DOUBTS[name]
    assert member in {one.member for one in guessed(tmp_path, text).doubts}


DATES: dict[str, tuple[list[str], list[str]]] = {
    "one date at the end proves the order": (
        ["03/04/2026", "05/06/2026", "31/12/2025"],
        ["2026-04-03T12:00:00Z", "2026-06-05T12:00:00Z", "2025-12-31T12:00:00Z"],
    ),
    "the month first": (
        ["03/04/2026", "12/31/2025"],
        ["2026-03-04T12:00:00Z", "2025-12-31T12:00:00Z"],
    ),
    "dots are day first": (["03.04.2026 07:30"], ["2026-04-03T07:30:00Z"]),
    "years of two digits": (
        ["03.04.26", "4.4.26"],
        ["2026-04-03T12:00:00Z", "2026-04-04T12:00:00Z"],
    ),
    "half days": (
        ["1/31/2026 1:05 PM", "1/31/2026 12:00 AM"],
        ["2026-01-31T13:05:00Z", "2026-01-31T00:00:00Z"],
    ),
    "a spreadsheet's number": (
        ["45000.5", "45001"],
        ["2023-03-15T12:00:00Z", "2023-03-16T12:00:00Z"],
    ),
    "seconds": (["1767607200"], ["2026-01-05T10:00:00Z"]),
    "milliseconds": (["1767607200000"], ["2026-01-05T10:00:00Z"]),
    "names of months": (
        ["5 Jan 2026", "06 Feb 2026"],
        ["2026-01-05T12:00:00Z", "2026-02-06T12:00:00Z"],
    ),
    "American names": (
        ["Jan 5, 2026", "Feb 6, 2026"],
        ["2026-01-05T12:00:00Z", "2026-02-06T12:00:00Z"],
    ),
    "offsets": (["2026-01-05T10:00:00+02:00"], ["2026-01-05T08:00:00Z"]),
    "fractions": (["2026-01-05T10:00:00.123Z"], ["2026-01-05T10:00:00.123000Z"]),
    "several ways at once": (
        ["2026-01-05", "05.01.2026 10:00"],
        ["2026-01-05T12:00:00Z", "2026-01-05T10:00:00Z"],
    ),
    "digits only": (["20260105"], ["2026-01-05T12:00:00Z"]),
}


@pytest.mark.parametrize("name", DATES)
def test_dates_are_read_as_the_whole_column_says(tmp_path: Path, name: str) -> None:
    """The order, the hours and the years come from the column, not from a country's habit."""
    given, expected = DATES[name]
    rows = "".join(f'R{n},{n},"{text}"\n' for n, text in enumerate(given))
    text = f"Response ID,NPS,Date\n{rows}"
    assert guessed(tmp_path, text).doubts == []
    assert [one["answered_at"] for one in documents(tmp_path, text)] == expected


def test_the_last_row_of_a_long_file_decides_the_order(tmp_path: Path) -> None:
    """The proof may stand far behind what was sampled."""
    rows = "".join(f"R{n},{n % 11},0{n % 9 + 1}/0{n % 7 + 1}/2026\n" for n in range(6_000))
    text = f"Response ID,NPS,Date\n{rows}"
    assert the(guessed(tmp_path, text), "answered_at").confidence == "low"
    first = the(guessed(tmp_path, f"{text}Z,9,28/02/2026\n"), "answered_at")
    assert (first.confidence, first.rule["formats"]) == ("high", ["%d/%m/%Y"])


def test_a_row_without_an_id_gets_one_of_its_own(tmp_path: Path) -> None:
    """The same row has the same id again, also where the columns stand in another order."""
    text = "NPS,Comment\n9,Fine\n2,Slow\n9,Fine\n"
    other = "Comment,NPS\nFine,9\n"
    first, second, third = (one["external_id"] for one in documents(tmp_path, text))
    assert first == third != second
    assert documents(tmp_path, other)[0]["external_id"] == first


def test_a_scale_that_says_it_runs_backwards_is_turned_round(tmp_path: Path) -> None:
    """Whoever accepts the guess gets what the heading says, and not its opposite."""
    text = '"id","Satisfaction (1 = very satisfied, 5 = very dissatisfied)"\nA,1\nB,4\n'
    assert [one["score"] for one in documents(tmp_path, text)] == [5, 2]
    usual = text.replace("1 = very satisfied", "1 = not satisfied at all")
    usual = usual.replace("very dissatisfied", "very satisfied")
    assert [one["score"] for one in documents(tmp_path, usual)] == [1, 4]
    assert the(guessed(tmp_path, usual), "score").confidence == "high"
    numbered = 'id,"1. Likely to recommend us?"\nA,1\nB,9\n'
    assert [one["score"] for one in documents(tmp_path, numbered)] == [1, 9]


def test_of_two_columns_for_words_the_one_with_sentences_is_taken(tmp_path: Path) -> None:
    """Thumbs are no comment where a comment stands beside them."""
    text = "id,NPS,Feedback,Comment\nA,9,\U0001f44d,They were quick and kind\n"
    assert the(guessed(tmp_path, text), "comment").origin == "Comment"


def test_an_id_that_is_missing_now_and_then_is_still_the_id(tmp_path: Path) -> None:
    """One row without its id costs that row, not everybody's identity."""
    rows = "".join(f"R{n},{n % 11}\n" for n in range(30))
    guesses = guessed(tmp_path, f"Response ID,NPS\n{rows},4\n")
    found = the(guesses, "external_id")
    assert (found.origin, found.confidence) == ("Response ID", "medium")
    assert found.note == "rows without one are rejected"


def test_agreement_with_an_easy_time_is_a_score_of_seven_steps(tmp_path: Path) -> None:
    """The usual question about effort is a sentence that people agree with."""
    words = (
        "Strongly disagree", "Disagree", "Somewhat disagree", "Neither agree nor disagree",
        "Somewhat agree", "Agree", "Strongly agree",
    )  # fmt: skip
    rows = "".join(f"R{n},{words[n % 7]}\n" for n in range(28))
    text = f"Response ID,The company made it easy for me to handle my issue\n{rows}"
    assert [one["score"] for one in documents(tmp_path, text)][:7] == [1, 2, 3, 4, 5, 6, 7]
    assert the(guessed(tmp_path, text), "metric").rule == {"value": "ces"}
    assert guessed(tmp_path, text).doubts == []


ZONES = {"America/Denver": "2026-01-05T17:00:00Z", "Z": "2026-01-05T10:00:00Z"}


@pytest.mark.parametrize("zone", ZONES)
def test_the_time_zone_that_qualtrics_names_is_taken(tmp_path: Path, zone: str) -> None:
    """Its third heading row says where the clock stood."""
    ids = [
        f'"{{""ImportId"":""{name}"",""timeZone"":""{zone}""}}"' for name in ("a", "b", "QID1")
    ]
    text = (
        "EndDate,ResponseId,Q1\nEnd Date,Response ID,Would you recommend us?\n"
        f"{','.join(ids)}\n2026-01-05 10:00:00,R_1,9\n"
    )
    assert documents(tmp_path, text)[0]["answered_at"] == ZONES[zone]


def test_a_time_zone_that_is_none_is_not_taken(tmp_path: Path) -> None:
    """Then dates are where the import says."""
    ids = ",".join(
        f'"{{""ImportId"":""{name}"",""timeZone"":""Mars/Base""}}"' for name in ("a", "b", "c")
    )
    text = (
        "EndDate,ResponseId,Q1\nEnd Date,Response ID,Would you recommend us?\n"
        f"{ids}\n2026-01-05 10:00:00,R_1,9\n"
    )
    assert documents(tmp_path, text)[0]["answered_at"] == "2026-01-05T10:00:00Z"


def test_our_own_names_need_no_guessing(tmp_path: Path) -> None:
    """A file with the members of a posted response is taken as it is, unknown ones too."""
    text = (
        "external_id,score,comment,customer.id,shop,answered_at\nA,9,Hi,007,Odense,2026-01-05\n"
    )
    assert documents(tmp_path, text) == [
        {
            "external_id": "A",
            "score": 9,
            "comment": "Hi",
            "customer": {"id": "007"},
            "shop": "Odense",
            "answered_at": "2026-01-05T12:00:00Z",
        }
    ]


def test_what_is_only_vaguely_named_is_suggested_not_taken(tmp_path: Path) -> None:
    """A department is no touchpoint unless somebody says so."""
    guesses = guessed(tmp_path, "Response ID,NPS,Department\nA,9,Sales\nB,2,Sales\n")
    assert [one.member for one in guesses.suggested] == ["touchpoint"]
    assert "touchpoint" not in guesses.fields


def test_a_tick_under_a_theme_is_no_score(tmp_path: Path) -> None:
    """Columns that hold a 1 for some rows say what a comment is about."""
    rows = "".join(
        f"R{n},{n % 5 + 1},{'1' if n % 2 else ''},Words about it {n}\n" for n in range(60)
    )
    guesses = guessed(tmp_path, f"Response ID,CSAT,Dissatisfaction,Comment\n{rows}")
    assert the(guesses, "score").origin == "CSAT"
    guesses = guessed(tmp_path, f"Response ID,Kind,Dissatisfaction,Comment\n{rows}")
    assert "Dissatisfaction" in guesses.unused


def test_what_identifies_a_computer_is_not_taken(tmp_path: Path) -> None:
    """Addresses and places of devices stay where they are unless they are asked for."""
    guesses = guessed(tmp_path, CASES["qualtrics"][0])
    assert {"IPAddress", "LocationLatitude"} <= set(guesses.unused)


def test_a_file_without_headings_is_not_guessed_at(tmp_path: Path) -> None:
    """Its first answer would be lost, and the rest be named after it."""
    with pytest.raises(Invalid, match="no row of column names"):
        guessed(tmp_path, "a@example.org,9,Fine\nb@example.org,2,Slow\n")
    texts = "Hotline,Fine\nShop,They never called\nHotline,Fine again\n"
    with pytest.raises(Invalid, match="no row of column names"):
        guessed(tmp_path, texts)


def test_a_tick_that_is_called_like_its_column_is_no_answer(tmp_path: Path) -> None:
    """Several choices at once are exported as columns that hold their own names."""
    text = "Delivery,Hotline,What went wrong\nDelivery,,The van never came to us\n"
    assert the(guessed(tmp_path, text), "comment").origin == "What went wrong"


def test_a_file_without_answers_says_so(tmp_path: Path) -> None:
    """The export of a quiet night is no riddle about columns."""
    with pytest.raises(Unreadable, match="no answers below them"):
        guessed(tmp_path, "Response ID,NPS,Comment\n")
