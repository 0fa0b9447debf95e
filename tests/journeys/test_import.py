"""Files through the whole loop: every row accounted for, nothing opened or sent twice."""

from __future__ import annotations

import csv
import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.infra.processes import data_folder
from tests.journeys.installation import ADMIN, CLEAN, PROGRAM, ROOT, Embedded

MAPPING = ROOT / "docs" / "examples" / "nhs-feedback.yml"
# Real feedback is not ours to ship; a copy may lie beside the checkout, or anywhere.
REAL = Path(
    os.environ.get("CLOSED_LOOP_TEST_FEEDBACK")
    or ROOT.parent / "shared" / "data" / "nhs_patient_feedback.csv"
)
COLUMNS = (
    "Comment ID",
    "Trust",
    "Respondent ID",
    "Date",
    "Service type 1",
    "Service type 2",
    "FFT categorical answer",
    "FFT question",
    "FFT answer",
    "Comment sentiment",
)
ROWS = (
    ("A 1 - Q1", "A", "A 1", "30/09/2021", "Ward", "", "1", "Why?", "Kind staff.", "1"),
    ("A 2 - Q1", "A", "A 2", "30/09/2021", "Ward", "", "5", "Why?", "Waited\nall day.", "5"),
    ("A 3 - Q1", "A", "A 3", "1/14/2022", "See and Convey", "", "4", "Why?", "Rude.", "4"),
    ("A 4 - Q1", "A", "A 4", "01/02/2022", "Ward", "", "7", "Why?", "Nobody listens.", "4"),
    ("A 4 - Q2", "A", "A 4", "01/02/2022", "Ward", "", "7", "Good?", "The nurse.", "1"),
    ("A 5 - Q1", "A", "A 5", "01/02/2022", "Ward", "", "3", "Why?", "", ""),
)


def run_import(
    folder: Path, *arguments: str, admin: bool = True
) -> tuple[int, dict[str, Any], str]:
    """Run the command in ``folder``; return its exit code, its numbers, and what it said."""
    done = subprocess.run(
        [*PROGRAM, "import", *arguments, "--json"],
        cwd=folder,
        env={**os.environ, **environment(folder, admin=admin)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return done.returncode, json.loads(done.stdout or "{}"), done.stderr


def environment(folder: Path, *, admin: bool = True) -> Mapping[str, str]:
    """Return the settings of an installation that lives in the working folder."""
    return {
        **CLEAN,
        "PYTHONPATH": str(ROOT),
        "HOME": str(folder),
        **({"CLOSED_LOOP_BOOTSTRAP_ADMIN": ":".join(ADMIN)} if admin else {}),
        "CLOSED_LOOP_LOG_FORMAT": "json",
    }


@pytest.fixture
def sheet(tmp_path: Path) -> Path:
    """A small file of our own with the shape of the example's mapping."""
    path = tmp_path / "feedback.csv"
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(ROWS)
    return path


def test_a_file_goes_the_whole_way_and_a_second_time_nowhere(sheet: Path) -> None:
    """Two low scores and one negative comment without a score are to be followed up."""
    with data_folder("import") as folder:
        arguments = (str(sheet), "--source", "ward", "--map", str(MAPPING), "--as-new")
        first_code, first, _ = run_import(folder, *arguments)
        second_code, second, _ = run_import(folder, *arguments)

    assert (first_code, second_code) == (0, 0)
    assert first["accepted"] == len(ROWS)
    assert first["tasks opened"] == 3
    assert first["alerts"] == 1
    assert first["themes"] > 0
    assert (second["accepted"], second["duplicates"]) == (0, len(ROWS))
    assert (second["tasks opened"], second["alerts"]) == (0, 0)


def test_a_summary_that_nobody_can_be_told_yet_counts_too(sheet: Path) -> None:
    """Where nobody has an address it is held, and the numbers still add up."""
    with data_folder("import") as folder:
        arguments = (str(sheet), "--source", "ward", "--map", str(MAPPING), "--as-new")
        _, outcome, _ = run_import(folder, *arguments, admin=False)

    assert (outcome["tasks opened"], outcome["alerts"]) == (3, 1)


def test_history_is_not_an_emergency(sheet: Path) -> None:
    """Without --as-new old answers count in scores and themes and open nothing."""
    with data_folder("import") as folder:
        _, outcome, _ = run_import(
            folder, str(sheet), "--source", "ward", "--map", str(MAPPING)
        )

    assert outcome["accepted"] == len(ROWS)
    assert outcome["tasks opened"] == 0
    assert outcome["alerts"] == 0


def test_a_dry_run_tells_the_truth_and_records_nothing(sheet: Path) -> None:
    """What it promises is what the real run then does."""
    with data_folder("import") as folder:
        arguments = (str(sheet), "--source", "ward", "--map", str(MAPPING))
        _, tried, _ = run_import(folder, *arguments, "--dry-run")
        _, done, _ = run_import(folder, *arguments)

    assert tried["accepted"] == done["accepted"] == len(ROWS)


def test_a_bad_row_is_named_by_its_line_and_costs_nobody_else(tmp_path: Path) -> None:
    """Line numbers are those of the file, also behind a value with a line break in it."""
    path = tmp_path / "plain.csv"
    path.write_text(
        "external_id,score,comment\n"
        'a,2,"two\nlines"\n'
        "b,eleven,no number\n"
        "c,11,out of range\n"
        ",3,no id\n"
        "d,9,fine\n",
        encoding="utf-8",
    )

    with data_folder("import") as folder:
        code, outcome, said = run_import(folder, str(path), "--source", "plain")

    assert code == 1
    assert (outcome["accepted"], outcome["rejected"]) == (2, 3)
    assert [line for line in (4, 5, 6) if f"line {line}:" in said] == [4, 5, 6]
    assert "eleven" not in said


def test_a_running_installation_is_posted_to(embedded: Embedded, sheet: Path) -> None:
    """With --url the rows go to the key's source; opening the same database is refused."""
    arguments = (str(sheet), "--map", str(MAPPING), "--as-new")
    with data_folder("import") as folder:
        code, outcome, _ = run_import(
            folder, *arguments, "--url", embedded.front, "--key", embedded.key
        )
    refused = subprocess.run(
        [*PROGRAM, "import", *arguments],
        cwd=embedded.database.parent,
        env={**os.environ, **embedded.environment()},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert code == 0
    assert outcome["accepted"] == len(ROWS)
    assert (outcome["tasks opened"], outcome["alerts"]) == (3, 1)
    assert refused.returncode == 4
    assert "Another process is using" in refused.stderr


@pytest.mark.skipif(not REAL.exists(), reason=f"no real feedback at {REAL.name}")
def test_real_feedback_is_accounted_for_row_by_row() -> None:
    """The tasks equal a count made from the file itself, by lines that know nothing of ours."""
    with REAL.open(encoding="utf-8-sig", newline="") as file:
        table = list(csv.DictReader(file))
    unhappy = {"4", "5"}
    silent = {"6", "7"}
    expected = 0
    for row in table:
        answer = row["FFT categorical answer"]
        if answer in unhappy or (answer in silent and row["Comment sentiment"] in unhappy):
            expected += 1

    with data_folder("import") as folder:
        arguments = (str(REAL), "--source", "nhs", "--map", str(MAPPING), "--as-new")
        code, first, _ = run_import(folder, *arguments)
        again_code, again, _ = run_import(folder, *arguments)

    assert (code, again_code) == (0, 0)
    assert first["accepted"] + first["duplicates"] + first["rejected"] == len(table)
    assert first["rejected"] == 0
    assert first["tasks opened"] == expected
    assert first["alerts"] == 1  # they all belong to the team "Customer care"
    assert (again["accepted"], again["tasks opened"], again["alerts"]) == (0, 0, 0)
    print(first)
