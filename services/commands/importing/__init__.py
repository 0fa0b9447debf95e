"""``closed-loop import``: a file of responses through the whole loop, every row accounted for.

Rows are posted to the batch route like everybody else's, either of this installation, opened
in this process, or of a running one over HTTP. The command ends when the loop has handled them
all, and says what became of each: accepted, duplicate or rejected with a reason. An import that
was interrupted goes on where it was.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.commands.importing.door import own, running
from services.commands.importing.rows import check_columns
from services.commands.importing.run import Outcome, Run
from services.commands.importing.showing import guess_as_yaml, guess_lines, guesses_as_json
from services.commands.output import data, data_json, say
from services.composition import (
    Guesses,
    Mapper,
    Mapping,
    Sheet,
    guess_columns,
    open_sheet,
    read_mapping,
)
from shared.errors import Conflict, Invalid
from shared.settings import Settings

__all__ = ["Wishes", "import_file"]


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What was asked for on the command line."""

    file: Path
    source: str = "import"
    mapping: Path | None = None
    encoding: str | None = None
    time_zone: str = "UTC"
    guess: bool = False
    yes: bool = False
    dry_run: bool = False
    as_new: bool = False
    report: Path | None = None
    state: Path | None = None
    url: str | None = None
    key: str | None = None
    as_json: bool = False

    @property
    def destination(self) -> str:
        """Return what tells one place to import into from another."""
        where = self.url or Settings.load().database_url
        return f"{where}\0{self.source}"


async def import_file(wishes: Wishes) -> int:
    """Import one file; return 0, or 1 when a row was rejected."""
    sheet = open_sheet(wishes.file, encoding=wishes.encoding)
    say(f"{sheet.path.name}: {sheet.describe()}")
    mapping, guesses = _mapping_of(sheet, wishes)
    if wishes.guess:
        if guesses is None:
            raise Invalid("--guess guesses a mapping: leave --map out, and give it a CSV file.")
        data(guess_as_yaml(sheet, guesses, time_zone=wishes.time_zone))
        return 0
    if not wishes.dry_run and not wishes.yes:
        _check_doubts(sheet, guesses)
    try:
        mapper = Mapper(mapping, time_zone=wishes.time_zone) if mapping else None
    except ValueError as error:
        raise Invalid(f"--time-zone {error}.") from None
    if mapper is not None:
        check_columns(sheet, mapper)
    opened = running(wishes.url, wishes.key) if wishes.url else own(wishes.source)
    work = Run.prepare(sheet, mapper, wishes)
    try:
        async with opened as door:
            outcome = await work.go(door)
    except asyncio.CancelledError:
        say(work.how_to_go_on())
        raise
    finally:
        work.close()
    _tell(outcome, guesses if wishes.dry_run else None, as_json=wishes.as_json)
    return 1 if outcome.counts.rejected else 0


def _mapping_of(sheet: Sheet, wishes: Wishes) -> tuple[Mapping | None, Guesses | None]:
    """Return the mapping that was given or guessed; NDJSON needs none."""
    if wishes.mapping is not None:
        return read_mapping(wishes.mapping), None
    if sheet.kind == "ndjson":
        return None, None
    guesses = guess_columns(sheet)
    if not any(one.member in {"score", "comment", "measurement"} for one in guesses.taken):
        for line in guess_lines(guesses):
            say(line)
        raise Conflict(f"No column looks like a score or a comment. {_remedy(sheet)}")
    if not wishes.guess:
        say("guessed columns:")
        for line in guess_lines(guesses):
            say(line)
        if any("formats" in one.rule and "time_zone" not in one.rule for one in guesses.taken):
            say(f"  dates without an offset are taken as {wishes.time_zone} (--time-zone)")
        if sheet.layout.doubt:
            say(f"  not certain: {sheet.layout.doubt}")
    return Mapping.model_validate({"fields": guesses.fields}), guesses


def _check_doubts(sheet: Sheet, guesses: Guesses | None) -> None:
    """Refuse what must not be decided by a guess: exit code 4, and what to do."""
    if sheet.encoding.certainty == "doubtful":
        message = (
            f"It is not certain in which encoding {sheet.path.name} is written. Name it with"
            f" --encoding, or accept {sheet.encoding.name} with --yes."
        )
        raise Conflict(message)
    if guesses is not None and sheet.layout.doubt:
        message = f"It is not certain which the columns of {sheet.path.name} are:"
        raise Conflict(f"{message} {sheet.layout.doubt}, or accept them with --yes.")
    if guesses is not None and guesses.doubts:
        doubts = [
            f"{one.member} ({one.note or 'guessed by its values alone'})"
            for one in guesses.doubts
        ]
        message = f"Not certain enough: {'; '.join(doubts)}. {_remedy(sheet)}"
        raise Conflict(f"{message} Or accept the guesses with --yes.")


def _sentence(fix: str) -> str:
    return f"{fix[:1].upper()}{fix[1:].removesuffix('.')}." if fix else ""


def _remedy(sheet: Sheet) -> str:
    name = sheet.path.name
    return (
        f"Write the guesses down with closed-loop import {name} --guess > map.yaml, correct"
        f" them, and import with --map map.yaml."
    )


def _tell(outcome: Outcome, guesses: Guesses | None, *, as_json: bool) -> None:
    for number, column, finding in outcome.lines:
        where = ", ".join(
            filter(None, (f"column “{column}”" if column else "", finding.pointer))
        )
        place = f"{where}: " if where else ""
        what = finding.detail.removesuffix(".")
        say(f"line {number}: {place}{what} ({finding.code}). {_sentence(finding.fix)}".strip())
    if outcome.counts.rejected > len(outcome.lines):
        say(f"… and {outcome.counts.rejected - len(outcome.lines)} more rejected rows")
    if outcome.report is not None:
        say(f"rejected rows: {outcome.counts.rejected}, in {outcome.report}")
    if outcome.earlier is not None:
        say(f"before the interruption: {outcome.earlier}; in this run: {outcome.this_run}")
    result: dict[str, Any] = outcome.as_dict()
    if as_json:
        more = {"guesses": guesses_as_json(guesses)} if guesses else {}
        data_json(result | more)
        return
    for reason, count in result.pop("rejected_by_reason").items():
        data(f"rejected because of {reason}: {count}")
    data("\n".join(f"{name} {result[name]}" for name in outcome.NUMBERS))
