"""One run of an import: rows posted batch by batch, then the loop waited for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from services.commands.importing import state as states
from services.commands.importing.door import Door, Effects, Verdict
from services.commands.importing.report import Report
from services.commands.importing.rows import Line, in_batches, line_of
from services.commands.importing.state import Counts, State
from services.commands.output import say
from shared.clock import Clock, SystemClock
from shared.errors import Finding

if TYPE_CHECKING:
    from services.commands.importing import Wishes
    from services.composition import Mapper, Sheet

BATCH: Final = 1_000
_SHOWN: Final = 20
_PATIENCE: Final = 20


@dataclass
class Outcome:
    """The table at the end; ``earlier`` is what an interrupted run had done."""

    NUMBERS: ClassVar = (
        "accepted", "duplicates", "rejected", "tasks opened", "themes", "alerts", "seconds",
    )  # fmt: skip

    counts: Counts
    this_run: Counts = field(default_factory=Counts)
    earlier: Counts | None = None
    import_id: str | None = None
    lines: list[tuple[int, str, Finding]] = field(default_factory=list)
    effects: Effects = field(default_factory=Effects)
    report: Path | None = None
    seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return the names and numbers that ``--json`` prints."""
        effects = self.effects
        result: dict[str, Any] = {
            "accepted": self.counts.accepted,
            "duplicates": self.counts.duplicates,
            "rejected": self.counts.rejected,
            "rejected_by_reason": dict(
                sorted(self.counts.reasons.items(), key=lambda each: -each[1])
            ),
            "tasks opened": effects.tasks_opened,
            "themes": effects.themes,
            "alerts": "unknown" if effects.alerts is None else effects.alerts,
            "seconds": round(self.seconds, 1),
        }
        if self.import_id is not None:
            result["import_id"] = self.import_id
        if self.earlier is not None:
            result["before the interruption"] = _numbers(self.earlier)
            result["in this run"] = _numbers(self.this_run)
        return result


def _numbers(counts: Counts) -> dict[str, int]:
    return {
        "accepted": counts.accepted,
        "duplicates": counts.duplicates,
        "rejected": counts.rejected,
    }


class Run:
    """A file on its way in, and where it stands."""

    def __init__(
        self, sheet: Sheet, mapper: Mapper | None, wishes: Wishes, *, state: State, place: Path
    ) -> None:
        self._sheet = sheet
        self._mapper = mapper
        self._wishes = wishes
        self._state = state
        self._place: Path | None = None if wishes.dry_run else place
        self._clock: Clock = SystemClock()
        self._began = self._clock.monotonic()
        continued = state.rows > 0
        self._earlier = replace(state.counts) if continued else None
        self._this_run = Counts()
        self._lines: list[tuple[int, str, Finding]] = []
        self._report = self._open_report()

    @classmethod
    def prepare(cls, sheet: Sheet, mapper: Mapper | None, wishes: Wishes) -> Run:
        """Return the run, continuing an earlier one of the same file where there is one."""
        fingerprint = states.fingerprint_of(
            sheet.digest,
            sheet.encoding.name,
            mapper and mapper.mapping.model_dump_json(),
            wishes.time_zone,
            wishes.as_new,
            BATCH,
        )
        place = wishes.state or states.default_place(wishes.file, wishes.destination)
        kept = None if wishes.dry_run else states.load(place)
        if kept is not None and kept.fingerprint != fingerprint:
            say(
                "The file or how it is read has changed since the interruption: beginning anew."
            )
            kept = None
        if kept is not None and kept.rows:
            say(f"Going on behind {kept.rows} rows ({kept.counts}).")
        state = kept or State.fresh(fingerprint)
        return cls(sheet, mapper, wishes, state=state, place=place)

    def _open_report(self) -> Report | None:
        if self._wishes.report is None:
            return None
        same = self._state.report == str(self._wishes.report.resolve())
        names = self._sheet.names or ("line of the file",)
        return Report(
            self._wishes.report,
            names,
            separator=self._sheet.dialect.separator,
            kept=self._state.report_size if same else 0,
        )

    def how_to_go_on(self) -> str:
        """Return what to say when somebody interrupts."""
        if self._place is None:
            return "Interrupted; nothing was recorded."
        return (
            f"Interrupted behind {self._state.rows} rows. Give the same command again and it"
            " goes on there; no row is taken twice."
        )

    def close(self) -> None:
        """Leave the report as far as it is."""
        if self._report is not None:
            self._report.close()

    async def go(self, door: Door) -> Outcome:
        """Post every row that is left, wait for the loop, return the table."""
        console = Console(stderr=True)
        with Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        ) as progress:
            await self._post_all(door, progress)
            effects = await self._wait(door, progress)
        if self._report is not None:
            self._report.finish()
        if self._place is not None:
            states.forget(self._place)
        return Outcome(
            counts=self._state.counts,
            this_run=self._this_run,
            earlier=self._earlier,
            import_id=None if self._wishes.dry_run else self._state.import_id,
            lines=self._lines,
            effects=effects,
            report=self._wishes.report,
            seconds=self._clock.monotonic() - self._began,
        )

    async def _post_all(self, door: Door, progress: Progress) -> None:
        posting = progress.add_task("posting ", total=self._sheet.size)

        def seen(size: int) -> None:
            progress.advance(posting, size)

        self._save()
        for batch in in_batches(self._left(seen), BATCH):
            await self._post(door, batch)
            self._save()

    def _left(self, seen: Any) -> Iterator[Line]:  # noqa: ANN401 - a callback
        """Yield the rows that no earlier run has brought in."""
        records = islice(self._sheet.records(seen), self._state.rows, None)
        return (line_of(record, self._sheet, self._mapper) for record in records)

    async def _post(self, door: Door, batch: Sequence[Line]) -> None:
        counts = Counts()
        sendable = [line for line in batch if line.document is not None]
        verdicts: Sequence[Verdict] = ()
        if sendable:
            verdicts = await door.post(
                [line.document for line in sendable if line.document is not None],
                import_id=None if self._wishes.dry_run else self._state.import_id,
                place=f"{self._state.rows}-{self._state.rows + len(batch)}",
                as_new=self._wishes.as_new,
            )
        told = iter(verdicts)
        for line in batch:
            verdict = next(told) if line.document is not None else None
            if verdict is None:
                self._reject(line, line.finding, counts)
            elif verdict.status == "accepted":
                counts.accepted += 1
            elif verdict.status == "duplicate":
                counts.duplicates += 1
            else:
                self._reject(line, verdict.finding, counts)
        self._state.rows += len(batch)
        self._state.counts.add(counts)
        self._this_run.add(counts)

    def _reject(self, line: Line, finding: Finding | None, counts: Counts) -> None:
        finding = finding or Finding(pointer="", code="invalid", detail="This row was refused.")
        counts.reject(f"{finding.pointer or '/'} {finding.code}")
        column = ""
        if self._mapper is not None and finding.pointer:
            column = self._mapper.mapping.column_of(finding.pointer) or ""
        if len(self._lines) < _SHOWN:
            self._lines.append((line.number, column, finding))
        if self._report is not None:
            self._report.add(line.number, finding, column, line.cells)

    def _save(self) -> None:
        """Keep where the import stands, for the case that it is interrupted."""
        if self._place is None:
            return
        if self._report is not None and self._wishes.report is not None:
            self._state.report = str(self._wishes.report.resolve())
            self._state.report_size = self._report.size
        try:
            states.save(self._place, self._state)
        except OSError as error:
            say(
                f"An interrupted import cannot go on where it was: {self._place} cannot be"
                f" written ({error.strerror}). Name another place with --state. Importing"
                " everything again is safe."
            )
            self._place = None

    async def _wait(self, door: Door, progress: Progress) -> Effects:
        """Let the loop handle everything; return what it made of the import."""
        if self._wishes.dry_run or not self._state.counts.accepted:
            return Effects()
        import_id = self._state.import_id
        handling = progress.add_task("handling", total=self._state.counts.accepted)
        await door.work()
        effects = await door.effects(import_id)
        while effects.waiting:
            progress.update(handling, completed=max(0, effects.responses - effects.waiting))
            await door.work()
            effects = await door.effects(import_id)
        progress.update(handling, completed=self._state.counts.accepted)
        await door.settle()
        effects = await door.effects(import_id)
        alerts = await self._alerts(door) if effects.tasks_opened else 0
        return replace(effects, alerts=alerts)

    async def _alerts(self, door: Door) -> int | None:
        """Count the alerts as soon as no more come; notifying follows a little behind."""
        alerts = await door.alerts(self._state.import_id)
        for _ in range(_PATIENCE):
            if alerts is None:
                break
            await door.settle()
            before, alerts = alerts, await door.alerts(self._state.import_id)
            if alerts and alerts == before:
                break
        return alerts
