"""Files as people have them: guessed, interrupted, corrected, and every row exactly once."""

from __future__ import annotations

import csv
import json
import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.infra.processes import Child, data_folder, wait_until
from tests.journeys.installation import PROGRAM
from tests.journeys.test_import import environment, run_import

EXPORT = (
    "Antwort-ID;Weiterempfehlung;Begründung;Antwortdatum\n"
    "R1;9;Alles bestens;31.12.2025\n"
    "R2;8,0;Größe stimmt;30.12.2025\n"
    "R3;elf;Zu lange gewartet;29.12.2025\n"
    "R4;2;=Rechnung falsch;28.12.2025\n"
    "R5;10;Sehr freundlich;27.12.2025\n"
    "R6;9;Gerne wieder;26.12.2025\n"
    "R7;9;;25.12.2025\n"
    "R8;10;Schöne Räume;24.12.2025\n"
    "Summe;20;;\n"
)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A place to work in, which is also somebody's home."""
    with data_folder("files") as place:
        yield place


@pytest.fixture
def export(folder: Path) -> Path:
    """An export from a German spreadsheet."""
    path = folder / "export.csv"
    path.write_bytes(EXPORT.encode("windows-1252"))
    return path


def command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command and return everything that it said."""
    return subprocess.run(
        [*PROGRAM, "import", *arguments],
        cwd=folder,
        env={**os.environ, **environment(folder)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_an_export_needs_no_mapping(folder: Path, export: Path) -> None:
    """Encoding, separator, columns and dates are found and told; every row is accounted for."""
    code, outcome, said = run_import(folder, str(export), "--source", "survey", "--as-new")

    assert code == 1
    assert (outcome["accepted"], outcome["rejected"], outcome["tasks opened"]) == (7, 2, 1)
    assert outcome["rejected_by_reason"] == {"/score not_integer": 1, "/ totals_row": 1}
    assert "windows-1252" in said
    assert "semicolon" in said
    assert "line 4: column “Weiterempfehlung”" in said
    assert "elf" not in said


def test_the_guesses_can_be_written_down_and_given_back(folder: Path, export: Path) -> None:
    """What --guess prints is a mapping, and means what the guessing means."""
    printed = command(folder, str(export), "--guess")
    mapping = folder / "map.yaml"
    mapping.write_text(printed.stdout, encoding="utf-8")
    _, guessed, _ = run_import(folder, str(export), "--dry-run")
    code, outcome, _ = run_import(folder, str(export), "--map", str(mapping))

    assert printed.returncode == 0
    assert yaml.safe_load(printed.stdout)["fields"]["external_id"] == "Antwort-ID"
    assert "# medium: 0 to 10, 10 is best" in printed.stdout
    assert (code, outcome["accepted"], outcome["rejected"]) == (1, 7, 2)
    assert guessed["rejected_by_reason"] == outcome["rejected_by_reason"]


def test_a_dry_run_shows_guesses_and_first_errors(folder: Path, export: Path) -> None:
    """With how sure each is; nothing is recorded, and no value is repeated."""
    code, outcome, said = run_import(folder, str(export), "--dry-run")
    _, real, _ = run_import(folder, str(export))

    assert code == 1
    assert {one["member"]: one["confidence"] for one in outcome["guesses"]} == {
        "external_id": "high",
        "metric": "medium",
        "score": "medium",
        "comment": "high",
        "answered_at": "high",
    }
    assert "line 4: column “Weiterempfehlung”, /score" in said
    assert "(not_integer). Write a whole number." in said
    assert (outcome["accepted"], outcome["duplicates"]) == (7, 0)
    assert (real["accepted"], real["duplicates"]) == (7, 0)


def test_an_uncertain_date_is_refused_with_the_way_out(folder: Path) -> None:
    """Nobody's answers are moved by months silently; whoever accepts it says so."""
    export = folder / "export.csv"
    export.write_text("Response ID,NPS,Date\nA,9,03/04/2026\nB,2,05/06/2026\n")
    refused = command(folder, str(export))
    _, tried, _ = run_import(folder, str(export), "--dry-run")
    code, taken, _ = run_import(folder, str(export), "--yes")

    assert refused.returncode == 4
    assert "3 April or 4 March" in refused.stderr
    assert "--guess > map.yaml" in refused.stderr
    assert "--yes" in refused.stderr
    assert tried["guesses"][-1]["confidence"] == "low"
    assert (code, taken["accepted"]) == (0, 2)


def test_names_over_the_wrong_cells_are_refused_with_the_way_out(folder: Path) -> None:
    """A heading that breaks in two would read every score from the cell beside it."""
    export = folder / "export.csv"
    export.write_text("id,NPS, from 0 to 10,Why\n1,9,fine\n2,3,slow\n")
    refused = command(folder, str(export))
    code, taken, _ = run_import(folder, str(export), "--yes")

    assert refused.returncode == 4
    assert "no row has more than 3 cells" in refused.stderr
    assert "--yes" in refused.stderr
    assert (code, taken["accepted"]) == (0, 2)


def test_a_name_in_a_file_commands_no_terminal(folder: Path) -> None:
    """What would be an order to the screen is shown as what it is."""
    export = folder / "export.csv"
    export.write_text("id,NPS,\x1b]0;gone\x07comment\n1,9,fine\n", encoding="utf-8")
    done = command(folder, str(export), "--dry-run")

    assert done.returncode == 0
    assert "\\x1b]0;gone\\x07comment" in done.stderr
    assert "\x1b" not in done.stderr + done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("--encoding", "klingon"), 1, "There is no encoding"),
        (("--time-zone", "Mars/Olympus"), 1, "no known time zone"),
        (("--guess", "--map", "map.yaml"), 1, "leave --map out"),
    ],
)
def test_what_cannot_be_meant_is_told(
    folder: Path, export: Path, arguments: tuple[str, ...], code: int, sentence: str
) -> None:
    """A sentence and an exit code, before anything is opened."""
    (folder / "map.yaml").write_text("fields: { external_id: Antwort-ID }\n")
    done = command(folder, str(export), *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert sentence in done.stderr
    assert not (folder / "closed-loop.db").exists()


def test_a_workbook_is_refused_with_how_to_save_it(folder: Path) -> None:
    """It is no CSV, whatever it is called."""
    book = folder / "answers.csv"
    book.write_bytes(b"PK\x03\x04 and so on")
    done = command(folder, str(book))
    assert done.returncode == 1
    assert "Save as, then CSV UTF-8" in done.stderr


def test_rejected_rows_can_be_corrected_and_imported_again(folder: Path, export: Path) -> None:
    """The report has the rows as they were, harmless to spreadsheets, and is read again."""
    export.write_text(EXPORT.replace("R4;2", "R4;zwei"), encoding="utf-8")
    report = folder / "rejected.csv"
    _, first, said = run_import(folder, str(export), "--report", str(report))
    with report.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file, delimiter=";"))
    text = report.read_text(encoding="utf-8-sig")
    report.write_text(text.replace("elf", "7").replace("zwei", "1"), encoding="utf-8-sig")
    _, second, _ = run_import(folder, str(report))
    _, third, _ = run_import(folder, str(export))

    assert (first["accepted"], first["rejected"]) == (6, 3)
    assert str(report) in said
    assert [(row["closed_loop_line"], row["closed_loop_reason"]) for row in rows] == [
        ("4", "not_integer"),
        ("5", "not_integer"),
        ("10", "totals_row"),
    ]
    assert rows[0]["closed_loop_column"] == "Weiterempfehlung"
    assert rows[1]["Begründung"] == "'=Rechnung falsch"
    assert (second["accepted"], second["rejected"]) == (2, 1)
    assert (third["accepted"], third["duplicates"]) == (0, 6)
    assert not report.with_name("rejected.csv.part").exists()


def many(folder: Path, rows: int) -> Path:
    """Write a long file in which every hundredth row cannot be used."""
    path = folder / "many.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["Response ID", "NPS", "Comment"])
        for n in range(rows):
            writer.writerow([f"R{n}", "ten" if n % 100 == 99 else 9 + n % 2, f"Answer {n}"])
    return path


def behind(state: Path) -> int:
    """Return how many rows the import has behind it."""
    try:
        return int(json.loads(state.read_text())["rows"])
    except (OSError, ValueError):
        return -1


def stored(folder: Path) -> tuple[int, int]:
    """Return how many responses there are, and how many natural keys."""
    with sqlite3.connect(folder / "closed-loop.db") as database:
        found: tuple[int, int] = database.execute(
            "select count(*), count(distinct natural_key) from ingest_responses"
        ).fetchone()
    return found


def interrupted(folder: Path, state: Path, *arguments: str, rows: int) -> Child:
    """Start an import and return it as soon as so many rows are behind it."""
    child = Child(
        "import",
        [*PROGRAM, "import", *arguments, "--state", str(state)],
        log=folder / "import.log",
        cwd=folder,
        env=environment(folder),
    )
    wait_until(lambda: behind(state) >= rows, what="some batches", seconds=60, every=0.01)
    return child


def test_an_import_that_was_killed_goes_on_and_no_row_is_lost_or_doubled(folder: Path) -> None:
    """Both runs add up, also for a batch of which only the installation knows."""
    rows = 6_000
    path, state, report = many(folder, rows), folder / "state.json", folder / "rejected.csv"
    arguments = (str(path), "--source", "survey", "--report", str(report))
    child = interrupted(folder, state, *arguments, rows=1_000)
    earlier = state.read_text()
    wait_until(lambda: behind(state) >= 2_000, what="a further batch", seconds=60, every=0.01)
    child.kill()
    assert behind(state) < rows
    # As if it had died before it could write down what the installation had confirmed.
    state.write_text(earlier)
    before = json.loads(earlier)["counts"]
    code, outcome, said = run_import(folder, *arguments, "--state", str(state))
    _, again, _ = run_import(folder, *arguments)

    def both(name: str) -> Any:
        return outcome["before the interruption"][name] + outcome["in this run"][name]

    assert code == 1
    assert "Going on behind" in said
    assert (outcome["accepted"], outcome["duplicates"], outcome["rejected"]) == (5_940, 0, 60)
    assert outcome["before the interruption"]["accepted"] == before["accepted"] > 0
    assert {name: both(name) for name in ("accepted", "duplicates", "rejected")} == {
        "accepted": 5_940,
        "duplicates": 0,
        "rejected": 60,
    }
    assert stored(folder) == (5_940, 5_940)
    assert (again["accepted"], again["duplicates"], again["rejected"]) == (0, 5_940, 60)
    assert "before the interruption" not in again
    assert not state.exists()
    with report.open(encoding="utf-8-sig", newline="") as file:
        lines = [int(row["closed_loop_line"]) for row in csv.DictReader(file)]
    assert lines == [n + 2 for n in range(rows) if n % 100 == 99]


def test_a_changed_file_begins_anew_and_doubles_nothing(folder: Path) -> None:
    """What an interruption had brought in is a duplicate then."""
    path, state = many(folder, 4_000), folder / "state.json"
    child = interrupted(folder, state, str(path), rows=1_000)
    child.kill()
    taken, _ = stored(folder)
    with path.open("a", encoding="utf-8") as file:
        file.write("Z,10,one more\n")
    _, outcome, said = run_import(folder, str(path), "--state", str(state))

    assert "beginning anew" in said
    assert outcome["accepted"] + outcome["duplicates"] == 3_961
    assert outcome["duplicates"] == taken
    assert stored(folder) == (3_961, 3_961)


def test_whoever_presses_control_c_is_told_how_to_go_on(folder: Path) -> None:
    """The place is remembered, and the same command finds it by itself."""
    path = many(folder, 4_000)
    child = subprocess.Popen(
        [*PROGRAM, "import", str(path)],
        cwd=folder,
        env={**os.environ, **environment(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    places = folder / ".local" / "state" / "closed-loop" / "imports"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not any(
        behind(place) >= 1_000 for place in places.glob("*.json")
    ):
        time.sleep(0.01)
    child.send_signal(signal.SIGINT)
    _, said = child.communicate(timeout=60)
    _, outcome, _ = run_import(folder, str(path))

    assert child.returncode == 130, said
    assert "the same command again" in said
    assert outcome["accepted"] == 3_960
    assert outcome["before the interruption"]["accepted"] >= 990
    assert list(places.glob("*")) == []
