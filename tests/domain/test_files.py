"""Awkward files: encodings, separators, torn and ragged rows, headings of several rows."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.ingest.domain.encodings import Encoding, decoded, find_encoding, known_encoding
from services.ingest.domain.files import (
    find_dialect,
    harmless,
    lines_of,
    read_records,
    restored,
)
from services.ingest.files import Sheet, open_sheet
from shared.errors import Refused, Unreadable

ENCODED: dict[str, tuple[str, str]] = {
    "plain": ("id,comment\n1,fine\n", "utf-8"),
    "UTF-8": ("id,comment\n1,Größe und Æble\n", "utf-8"),
    "UTF-8 with a mark": ("id,comment\n1,Größe\n", "utf-8-sig"),
    "UTF-16 with a mark": ("id,comment\n1,Größe\n", "utf-16"),
    "UTF-16 little end first": ("id,comment\n1,Größe\n", "utf-16-le"),
    "UTF-16 big end first": ("id,comment\n1,Größe\n", "utf-16-be"),
    "German": ("id;Kommentar\n1;schöne Grüße\n", "windows-1252"),
    "Danish": ("id;kommentar\n1;Søren er på ferie, æbler\n", "windows-1252"),
    "French": ("id;commentaire\n1;Très déçu, ça a été long\n", "windows-1252"),
    "Spanish": ("id;comentario\n1;¿Por qué tardó tanto el señor?\n", "windows-1252"),
    "English quotes": ("id,comment\n1,The staff’s help – “great”\n", "windows-1252"),
    "a single letter": ("id,comment\n1,café\n", "windows-1252"),
    "several western languages": (
        "id,c\n1,Grüße aus Köln\n2,naïve café\n3,señor\n4,smørrebrød på bordet\n",
        "windows-1252",
    ),
    "the euro of 1999": ("id,price\n1,5 €\n", "iso-8859-15"),
    "Polish": ("id;komentarz\n1;Długo czekałem na odpowiedź, źle\n", "windows-1250"),
    "Polish by ISO": ("id;komentarz\n1;Długo czekałem na odpowiedź, źle\n", "iso-8859-2"),
    "a Polish town": ("id;miasto\n1;Łódź\n", "windows-1250"),
    "Czech": ("id;komentář\n1;Příliš dlouho jsem čekal\n", "windows-1250"),
    "Czech by ISO": ("id;komentář\n1;Příliš žluťoučký kůň\n", "iso-8859-2"),
    "a Czech name": ("id;name\n1;Jiří\n", "windows-1250"),
    "Russian": ("ид;отзыв\n1;Очень долго ждал ответа\n", "windows-1251"),
    "Russian by KOI8": ("ид;отзыв\n1;Очень долго ждал ответа\n", "koi8-r"),
    "Russian by ISO": ("ид;отзыв\n1;Очень долго ждал ответа\n", "iso-8859-5"),
    "two Russian letters": ("id;answer\n1;Да\n", "windows-1251"),
}


@pytest.mark.parametrize("name", ENCODED)
def test_the_encoding_is_found(name: str) -> None:
    """What was written is read, letter for letter, and without a doubt."""
    text, encoding = ENCODED[name]
    raw = text.encode(encoding)
    found = find_encoding([raw])
    assert "".join(decoded([raw], found)) == text
    assert found.certainty != "doubtful"


@pytest.mark.parametrize("name", ENCODED)
def test_it_makes_no_difference_where_the_pieces_end(name: str) -> None:
    """A letter may lie across two pieces of the file."""
    text, encoding = ENCODED[name]
    raw = text.encode(encoding)
    pieces = [raw[n : n + 3] for n in range(0, len(raw), 3)]
    assert "".join(decoded(pieces, find_encoding(pieces))) == text


@pytest.mark.parametrize(
    "raw",
    [
        "とても良かったです".encode("shift_jis"),
        "ОЧЕНЬ ПЛОХО".encode("windows-1251"),
        bytes(range(128, 256)),
    ],
)
def test_what_cannot_be_told_is_called_doubtful(raw: bytes) -> None:
    """Better asked than stored wrongly for ever."""
    assert find_encoding([b"id,comment\n1,", raw, b"\n"]).certainty == "doubtful"


def test_a_damaged_byte_does_not_make_another_encoding() -> None:
    """A file that is UTF-8 everywhere else stays it; the byte is kept apart."""
    raw = "Grüße Größe Äpfel Öl Übung ß ä ö ü é\n".encode() + b"\xff\n"
    found = find_encoding([raw])
    assert (found.name, found.damaged) == ("utf-8", 1)
    assert "\udcff" in "".join(decoded([raw], found))


@pytest.mark.parametrize("name", ["utf-8", "UTF8", "cp1252", "latin-1", "KOI8-R", "utf-16"])
def test_an_encoding_can_be_named(name: str) -> None:
    """By any of its names."""
    assert known_encoding(name) is not None


@pytest.mark.parametrize("name", ["", "klingon", "base64", "rot13", "idna", "zip", "\0"])
def test_what_is_no_encoding_of_text_is_none(name: str) -> None:
    """Python's other codecs are not taken for one."""
    assert known_encoding(name) is None


SEPARATED: dict[str, tuple[str, str]] = {
    "commas": ("a,b,c\n1,2,3\n", ","),
    "semicolons": ("a;b;c\n1;2;3\n", ";"),
    "tabs": ("a\tb\n1\t2\n", "\t"),
    "bars": ("a|b\n1|2\n", "|"),
    "decimal commas": ("id;score;value\n1;8,0;1,5\n2;7,0;2,5\n", ";"),
    "many commas in words": ("id;comment\n1;well, yes, but, no\n2;a, b, c\n3;x\n", ";"),
    "semicolons in quotes": ('id,comment\n1,"a;b;c"\n2,"d;e;f"\n', ","),
    "line breaks in quotes": ('id;comment\n1;"a,\nb,\nc,"\n2;x\n', ";"),
    "one column": ("comment\nhello\nworld\n", ","),
    "words in one column": ("comment\nhello, you\nworld\n", ","),
    "a title above": ("Our export\n\nid;score\n1;2\n2;3\n", ";"),
    "announced": ("sep=;\na;b\n1;2\n", ";"),
    "announced in quotes": ('"sep=|"\na|b\n1|2\n', "|"),
    "old Macintosh": ("a;b\r1;2\r", ";"),
}


@pytest.mark.parametrize("name", SEPARATED)
def test_the_separator_is_what_is_consistent_over_the_rows(name: str) -> None:
    """Not what stands in the heading most often."""
    text, separator = SEPARATED[name]
    assert find_dialect(text).separator == separator


def sheet_of(folder: Path, raw: bytes | str, name: str = "file.csv") -> Sheet:
    """Write a file and look at it."""
    path = folder / name
    path.write_bytes(raw if isinstance(raw, bytes) else raw.encode())
    return open_sheet(path)


Rows = list[tuple[int, list[str], str | None]]
READ: dict[str, tuple[str, Rows]] = {
    "quotes inside quotes": ('a,b\n1,"he said ""hi"""\n', [(2, ["1", 'he said "hi"'], None)]),
    "line breaks inside values": (
        'a,b\n1,"two\r\nlines"\n2,x\n',
        [(2, ["1", "two\r\nlines"], None), (4, ["2", "x"], None)],
    ),
    "Windows line ends": ("a,b\r\n1,x\r\n", [(2, ["1", "x"], None)]),
    "Macintosh line ends": ("a,b\r1,x\r", [(2, ["1", "x"], None)]),
    "no line end at the end": ("a,b\n1,x", [(2, ["1", "x"], None)]),
    "blank lines": (
        "a,b\n\n1,x\n,\n  , \n2,y\n\n",
        [(3, ["1", "x"], None), (6, ["2", "y"], None)],
    ),
    "cells missing at the end": (
        "a,b,c\n1,2,3\n1,2\n",
        [(2, ["1", "2", "3"], None), (3, ["1", "2", ""], None)],
    ),
    "empty cells too many": (
        "a,b\n1,2,,\n3,4\n",
        [(2, ["1", "2"], None), (3, ["3", "4"], None)],
    ),
    "cells too many": (
        "a,b\n1,2\n1,2,3\n",
        [(2, ["1", "2"], None), (3, ["1", "2", "3"], "too_many_cells")],
    ),
    "a quotation mark never closed": (
        'a,b\n1,x\n2,"open\n3,y\n4,z\n',
        [
            (2, ["1", "x"], None),
            (3, ['2,"open', ""], "not_csv"),
            (4, ["3", "y"], None),
            (5, ["4", "z"], None),
        ],
    ),
    "something behind a closed one": (
        'a,b\n1,"x" y\n2,z\n',
        [(2, ['1,"x" y', ""], "not_csv"), (3, ["2", "z"], None)],
    ),
    "NUL": ("a,b\n1,x\0y\n", [(2, ["1", "x\0y"], None)]),
    "strange spaces": ("a,b\n1,x\u2028y\x0bz\x85\n", [(2, ["1", "x\u2028y\x0bz\x85"], None)]),
    "totals": (
        "id,score,comment\n1,9,x\nTotal,9,\n",
        [(2, ["1", "9", "x"], None), (3, ["Total", "9", ""], "totals_row")],
    ),
    "no total": (
        "id,score,comment\nTotal,9,all fine\n",
        [(2, ["Total", "9", "all fine"], None)],
    ),
    "lines above the heading": (
        "Export of answers\nMade on Monday\n\nid,score\n1,9\n2,8\n",
        [(5, ["1", "9"], None), (6, ["2", "8"], None)],
    ),
    "an announced separator": ("sep=;\na;b\n1;2\n", [(3, ["1", "2"], None)]),
}


@pytest.mark.parametrize("name", READ)
def test_every_row_is_read_or_named_with_its_line(tmp_path: Path, name: str) -> None:
    """Nothing is lost between two rows, and line numbers are those of the file."""
    text, expected = READ[name]
    found = [(r.line, list(r.cells), r.flaw) for r in sheet_of(tmp_path, text).records()]
    assert found == expected


def test_a_damaged_row_costs_only_itself(tmp_path: Path) -> None:
    """The bytes are named instead of replaced."""
    raw = "id,comment\n1,Größe ä ö ü ß é è ê\n2,".encode() + b"\xff\n3,fine\n"
    flaws = [record.flaw for record in sheet_of(tmp_path, raw).records()]
    assert flaws == [None, "damaged_characters", None]


HEADED: dict[str, tuple[str, tuple[str, ...]]] = {
    "twice the same": ("a,a,b,a\n1,2,3,4\n", ("a", "a (2)", "b", "a (3)")),
    "without a name": ("a,,b,\n1,2,3,4\n", ("a", "column 2", "b", "column 4")),
    "white space": (" a \u00a0b ,c\n1,2\n", ("a b", "c")),
    "a line break": ('"Score\n(0-10)",c\n1,2\n', ("Score (0-10)", "c")),
    "a mark in the middle": ("\ufeff\ufeffa,b\n1,2\n", ("a", "b")),
}


@pytest.mark.parametrize("name", HEADED)
def test_columns_have_names_of_their_own(tmp_path: Path, name: str) -> None:
    """Repeated and missing names are told apart, so that a mapping can say which."""
    text, names = HEADED[name]
    assert sheet_of(tmp_path, text).names == names


def test_two_rows_of_headings_make_one(tmp_path: Path) -> None:
    """A question with several columns gives each its own title."""
    text = (
        "Respondent ID,Which of these?,,Why?\n"
        ",Price,Service,Open-Ended Response\n"
        "1,x,,because\n2,,y,so\n"
    )
    sheet = sheet_of(tmp_path, text)
    assert sheet.names == (
        "Respondent ID", "Which of these? - Price", "Which of these? - Service", "Why?",
    )  # fmt: skip
    assert [record.line for record in sheet.records()] == [3, 4]


MISPLACED: dict[str, tuple[str, tuple[str, ...], str]] = {
    "a comma in a name": (
        "id,How likely is it, all in all,Why\n1,9,fine\n2,3,slow\n",
        ("id", "How likely is it", "all in all", "Why"),
        "no row has more than 3 cells",
    ),
    "commas in an only column": (
        "Comment\nWaited, and waited, and left\nFine, quick, friendly\n",
        ("Waited", "and waited", "and left"),
        "the name of an only column",
    ),
    "a title above the names": ("Survey\n\nId,NPS,Why\n1,9,fine\n", ("Id", "NPS", "Why"), ""),
    "empty cells behind the names": (
        "Id,NPS,,\n1,9\n2,3\n",
        ("Id", "NPS", "column 3", "column 4"),
        "",
    ),
    "a last column that some leave out": (
        "Id,NPS,Why\n1,9\n2,3,slow\n",
        ("Id", "NPS", "Why"),
        "",
    ),
    "commas in every comment": (
        "id,nps,comment\n1,9,fine, quick\n2,3,slow, rude\n",
        ("id", "nps", "comment"),
        "",
    ),
}


@pytest.mark.parametrize("name", MISPLACED)
def test_names_that_stand_over_the_wrong_cells_are_doubted(tmp_path: Path, name: str) -> None:
    """A separator that nobody put into quotation marks shifts no column silently."""
    text, names, doubt = MISPLACED[name]
    sheet = sheet_of(tmp_path, text)
    assert sheet.names == names
    assert (doubt in sheet.layout.doubt) if doubt else sheet.layout.doubt == ""


def test_values_with_a_bare_separator_are_refused_row_by_row(tmp_path: Path) -> None:
    """The row of names stays one: the first answer does not take its place."""
    sheet = sheet_of(tmp_path, MISPLACED["commas in every comment"][0])
    assert [record.flaw for record in sheet.records()] == ["too_many_cells"] * 2


OTHERS: dict[str, tuple[bytes, str]] = {
    "a workbook": (b"PK\x03\x04rest", "Save as, then CSV UTF-8"),
    "an old workbook": (b"\xd0\xcf\x11\xe0rest", "Save as, then CSV UTF-8"),
    "compressed": (b"\x1f\x8brest", "Unpack"),
    "a JSON array": (b'[{"a": 1}]', "one object a line"),
    "a page": (b"\xef\xbb\xbf\n<!DOCTYPE html><html>", "if it asks somebody to sign in"),
    "a table of the web": (b"<table><tr><td>id</td></tr></table>", "choose Save as"),
    "a spreadsheet in XML": (b'<?xml version="1.0"?><Workbook/>', "choose Save as"),
    "any bytes": (bytes(range(256)) * 4, "is no text"),
    "empty": (b"", "is empty"),
    "blank": (b"\n\n  \n", "is empty"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_csv_is_refused_with_what_to_do(tmp_path: Path, name: str) -> None:
    """A sentence, no guess at garbage."""
    raw, sentence = OTHERS[name]
    with pytest.raises(Unreadable, match=sentence):
        sheet_of(tmp_path, raw)


def test_lines_of_json_are_known_without_their_name(tmp_path: Path) -> None:
    """NDJSON stays what it was, whatever the file is called."""
    sheet = sheet_of(tmp_path, '{"external_id":"a"}\n\n{"external_id":"b"}\n', "export.txt")
    assert (sheet.kind, [record.line for record in sheet.records()]) == ("ndjson", [1, 3])


CELLS = st.text(
    st.characters(codec="utf-8", exclude_characters="\ufeff\r\n\0"), max_size=12
) | st.sampled_from(['"', 'a"b', "x\ny", "x\r\ny", " ", "=1+1", "8,0", "a;b", "a|b", "a\tb"])


@given(
    rows=st.lists(st.lists(CELLS, min_size=3, max_size=3), min_size=1, max_size=8),
    separator=st.sampled_from([",", ";", "\t", "|"]),
    end=st.sampled_from(["\n", "\r\n"]),
    quoted=st.booleans(),
    size=st.integers(1, 40),
)
@settings(max_examples=300, deadline=None)
def test_whatever_is_written_as_csv_is_read_back(
    rows: list[list[str]], separator: str, end: str, quoted: bool, size: int
) -> None:
    """Any separator, line end and quoting, in pieces of any size."""
    out = io.StringIO(newline="")
    writer = csv.writer(
        out,
        delimiter=separator,
        lineterminator=end,
        quoting=csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL,
    )
    writer.writerows(rows)
    text = out.getvalue()
    pieces = (text[n : n + size] for n in range(0, len(text), size))
    read = [list(record.cells) for record in read_records(lines_of(pieces), separator)]
    assert read == [row for row in rows if any(cell.strip() for cell in row)]


@given(
    names=st.lists(st.text("åøæéñßбжłčabc ", min_size=4, max_size=10), min_size=2, max_size=30),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"]),
    separator=st.sampled_from([",", ";", "\t", "|"]),
)
@settings(max_examples=100, deadline=None)
def test_every_unicode_file_comes_back_whole(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], encoding: str, separator: str
) -> None:
    """Written by one program, read by this one: the same cells under the same names."""
    rows = [[f"R{n}", name, str(n % 11)] for n, name in enumerate(names)]
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=separator).writerows([["Response ID", "Comment", "NPS"], *rows])
    folder = tmp_path_factory.mktemp("written")
    sheet = sheet_of(folder, out.getvalue().encode(encoding))
    assert sheet.names == ("Response ID", "Comment", "NPS")
    assert [list(record.cells) for record in sheet.records()] == rows


@given(raw=st.binary(max_size=400), told=st.sampled_from([None, "utf-8", "koi8-r", "utf-16"]))
@example(raw=b"\xff\xfe\x00", told=None)
@example(raw=b'"', told=None)
@example(raw=b"sep=,", told=None)
@example(raw=b'"\r"\n', told="utf-16")
@settings(max_examples=500, deadline=None)
def test_no_bytes_at_all_make_it_fail(
    tmp_path_factory: pytest.TempPathFactory, raw: bytes, told: str | None
) -> None:
    """Whatever somebody drags onto it: rows, or a refusal that says what to do."""
    path = tmp_path_factory.mktemp("bytes") / "file.csv"
    path.write_bytes(raw)
    try:
        sheet = open_sheet(path, encoding=told)
    except Refused as refusal:
        sentence = str(refusal)
    else:
        rows = [record for record in sheet.records() if record.flaw is None]
        sentence = sheet.describe()
        assert sheet.kind == "ndjson" or all(len(r.cells) == len(sheet.names) for r in rows)
    assert sentence


@given(cell=st.text(max_size=8) | st.from_regex(r"['=+@\t-]{1,3}x"))
def test_what_was_made_harmless_comes_back(cell: str) -> None:
    """A report can be opened in a spreadsheet and imported again."""
    assert harmless(cell)[:1] not in {"=", "+", "-", "@", "\t", "\r", "\n"}
    assert restored(harmless(cell)) == cell


def test_reading_takes_no_more_memory_than_a_row() -> None:
    """A file that never ends is read as far as somebody asks."""

    def pieces():
        yield "a,b\n"
        while True:
            yield "1,2\n" * 100

    records = read_records(lines_of(pieces()), ",")
    assert [next(records).line for _ in range(5_000)][-1] == 5_000


def test_a_line_without_end_is_refused() -> None:
    """Nothing that is no CSV fills the memory."""

    def pieces():
        while True:
            yield "x" * 1_000_000

    with pytest.raises(Unreadable, match="longer than"):
        next(read_records(lines_of(pieces()), ","))


def test_a_quotation_mark_opened_in_every_row_costs_no_more_than_the_rows() -> None:
    """Beginning again behind each torn row ends, and names every one."""
    text = "a,b\n" + 'x,"y\nz,w\n' * 2_000
    flaws = [record.flaw for record in read_records(lines_of([text]), ",")]
    assert len([flaw for flaw in flaws if flaw == "not_csv"]) >= 1
    assert len(flaws) <= 4_001


def test_text_of_a_known_encoding_needs_no_evidence() -> None:
    """What somebody names is used as it is."""
    told = Encoding(name="koi8-r", certainty="certain")
    assert "".join(decoded(["Да".encode("koi8-r")], told)) == "Да"
