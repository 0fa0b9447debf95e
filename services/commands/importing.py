"""``closed-loop import``: a file of responses through the whole loop, every row accounted for.

Rows go in by the same checks as posted ones. The command ends when the loop has handled them
all, and says what became of each: accepted, duplicate or rejected with a reason.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from services.ingest.mapping import CannotMap, Mapping
from shared.errors import Finding, Invalid

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

BATCH = 500
_SHOWN = 20


@dataclass(frozen=True, kw_only=True)
class Line:
    """One row of the file as a document to post, or why it cannot be one."""

    number: int
    document: dict[str, Any] | None
    finding: Finding | None = None


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What ingest said of one document."""

    status: str
    findings: Sequence[Finding] = ()


@dataclass(frozen=True, kw_only=True)
class Effects:
    """What the loop made of the accepted rows."""

    tasks_opened: int
    themes: int
    alerts: int


class Target(Protocol):
    """Where the rows go: this installation's own tables, or a running one over HTTP."""

    async def post(self, documents: Sequence[dict[str, Any]]) -> Sequence[Verdict]:
        """Record documents durably; return one verdict each, in order."""
        ...

    async def waiting(self) -> int:
        """Let the loop work a little; return how many accepted rows it has not handled yet."""
        ...

    async def effects(self) -> Effects:
        """Return what the accepted rows have led to since the import began."""
        ...


@dataclass
class Outcome:
    """The table at the end."""

    accepted: int = 0
    duplicates: int = 0
    rejected: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    lines: list[tuple[int, Finding]] = field(default_factory=list)
    effects: Effects | None = None
    seconds: float = 0.0

    def reject(self, number: int, findings: Sequence[Finding]) -> None:
        """Count a row that was not taken, by its first finding."""
        self.rejected += 1
        first = findings[0] if findings else Finding(pointer="", code="invalid", detail="")
        self.reasons[f"{first.pointer or '/'} {first.code}"] += 1
        if len(self.lines) < _SHOWN:
            self.lines.append((number, first))

    def as_dict(self) -> dict[str, Any]:
        """Return the names and numbers that ``--json`` prints."""
        effects = self.effects or Effects(tasks_opened=0, themes=0, alerts=0)
        return {
            "accepted": self.accepted,
            "duplicates": self.duplicates,
            "rejected": self.rejected,
            "rejected_by_reason": dict(self.reasons.most_common()),
            "tasks opened": effects.tasks_opened,
            "themes": effects.themes,
            "alerts": effects.alerts,
            "seconds": round(self.seconds, 1),
        }

    def render(self) -> str:
        """Return the closing lines for standard output."""
        return "\n".join(
            f"{name} {value}"
            for name, value in self.as_dict().items()
            if name != "rejected_by_reason"
        )


def read_lines(path: Path, mapping: Mapping | None) -> list[Line]:
    """Read a CSV or NDJSON file; every row comes back with its line number.

    Without a mapping the columns are the members of a posted response, dotted ones nested.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        message = (
            f"{path.name} is not UTF-8 (byte {error.start}). Save it as UTF-8 and try again."
        )
        raise Invalid(message) from None
    if path.suffix.lower() in {".ndjson", ".jsonl"}:
        return list(_ndjson(text))
    return list(_csv(path, text, mapping))


def _ndjson(text: str) -> Iterator[Line]:
    for number, raw in enumerate(text.split("\n"), start=1):
        if raw.strip():
            try:
                document = json.loads(raw)
            except ValueError:
                document = None
            if isinstance(document, dict):
                yield Line(number=number, document=document)
            else:
                finding = Finding(pointer="", code="not_json", detail="no JSON object")
                yield Line(number=number, document=None, finding=finding)


def _csv(path: Path, text: str, mapping: Mapping | None) -> Iterator[Line]:
    head = text[: text.find("\n")] if "\n" in text else text
    separator = max(",;\t|", key=head.count)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    columns = reader.fieldnames or []
    if mapping is None:
        mapping = Mapping.model_validate({"fields": {name: _plain(name) for name in columns}})
    missing = sorted(mapping.columns - set(columns))
    if missing:
        message = (
            f"{path.name} has no column {missing[0]!r}, which the mapping reads. It has:"
            f" {', '.join(columns)}."
        )
        raise Invalid(message)
    before = reader.line_num
    try:
        for row in reader:
            number, before = before + 1, reader.line_num
            yield _line(number, row, mapping)
    except csv.Error as error:
        message = f"{path.name}, line {reader.line_num}: not readable as CSV ({error})."
        raise Invalid(message) from None


def _plain(name: str) -> dict[str, Any]:
    kind = {"score": "integer", "comment": "verbatim"}.get(name, "text")
    return {"column": name, "type": kind}


def _line(number: int, row: dict[str | None, Any], mapping: Mapping) -> Line:
    if None in row:
        finding = Finding(pointer="", code="too_many_cells", detail="more cells than columns")
        return Line(number=number, document=None, finding=finding)
    try:
        cells = {str(name): value or "" for name, value in row.items()}
        return Line(number=number, document=mapping.document(cells))
    except CannotMap as error:
        return Line(number=number, document=None, finding=error.finding)


async def run(
    lines: Sequence[Line], target: Target, *, monotonic: Any, console: Console  # noqa: ANN401
) -> Outcome:
    """Post every line, wait for the loop, return the table; progress goes to ``console``."""
    outcome = Outcome()
    began = monotonic()
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    ) as progress:
        posting = progress.add_task("posting ", total=len(lines))
        for start in range(0, len(lines), BATCH):
            batch = lines[start : start + BATCH]
            await _post(batch, target, outcome)
            progress.advance(posting, len(batch))
        handling = progress.add_task("handling", total=outcome.accepted)
        while waiting := await target.waiting():
            progress.update(handling, completed=max(0, outcome.accepted - waiting))
        progress.update(handling, completed=outcome.accepted)
    outcome.effects = await target.effects()
    outcome.seconds = monotonic() - began
    return outcome


async def _post(batch: Sequence[Line], target: Target, outcome: Outcome) -> None:
    for line in batch:
        if line.document is None and line.finding is not None:
            outcome.reject(line.number, [line.finding])
    sendable = [line for line in batch if line.document is not None]
    verdicts = await target.post([line.document for line in sendable if line.document])
    for line, verdict in zip(sendable, verdicts, strict=True):
        match verdict.status:
            case "accepted":
                outcome.accepted += 1
            case "duplicate":
                outcome.duplicates += 1
            case _:
                outcome.reject(line.number, verdict.findings)
