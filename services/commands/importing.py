"""``closed-loop import``: a file of responses through the whole loop, every row accounted for.

Rows are posted to the batch route like everybody else's, either of this installation, opened
in this process, or of a running one over HTTP. The command ends when the loop has handled them
all, and says what became of each: accepted, duplicate or rejected with a reason.
"""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import httpx
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from services.commands.output import data, data_json, say
from services.composition import CannotMap, Mapping, compose, read_mapping
from shared.clock import SystemClock
from shared.errors import Finding, Forbidden, Invalid, TryLater, Unauthenticated
from shared.identity import keys
from shared.identity.principal import Scope
from shared.logs import set_up
from shared.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence
    from pathlib import Path

BATCH = 1_000
_SHOWN = 20
_SCOPES = (
    Scope.RESPONSES_WRITE,
    Scope.RESPONSES_READ,
    Scope.DELIVERIES_READ,
    Scope.SETTINGS_WRITE,
)


@dataclass(frozen=True, kw_only=True)
class Line:
    """One row of the file as a document to post, or why it cannot be one."""

    number: int
    document: dict[str, Any] | None
    finding: Finding | None = None


@dataclass(frozen=True, kw_only=True)
class Effects:
    """What the loop made of the accepted rows; None where the key may not see it."""

    tasks_opened: int
    themes: int
    alerts: int | None


@dataclass
class Outcome:
    """The table at the end."""

    accepted: int = 0
    duplicates: int = 0
    rejected: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    lines: list[tuple[int, Finding]] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)
    effects: Effects | None = None
    seconds: float = 0.0

    def reject(self, number: int, finding: Finding) -> None:
        """Count a row that was not taken, by its first finding."""
        self.rejected += 1
        self.reasons[f"{finding.pointer or '/'} {finding.code}"] += 1
        if len(self.lines) < _SHOWN:
            self.lines.append((number, finding))

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
            "alerts": "unknown" if effects.alerts is None else effects.alerts,
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


@dataclass(frozen=True, kw_only=True)
class Door:
    """The batch route and what is behind it.

    ``work`` lets the loop work for a moment, ``settle`` until alerts have been handed out too.
    """

    client: httpx.AsyncClient
    work: Callable[[], Awaitable[None]]
    settle: Callable[[], Awaitable[None]]
    as_new: bool = False
    dry_run: bool = False

    async def post(self, lines: Sequence[Line], outcome: Outcome) -> None:
        """Post documents durably and count one verdict each."""
        body = "\n".join(json.dumps(line.document, ensure_ascii=False) for line in lines)
        switches = {"as_new": self.as_new, "dry_run": self.dry_run}
        answer = await self._ask(
            "POST",
            "/v1/responses/batch",
            params={name: "true" for name, on in switches.items() if on},
            content=body.encode("utf-8", "surrogatepass"),
            headers={"Content-Type": "application/x-ndjson"},
        )
        for line, result in zip(lines, answer["results"], strict=True):
            match result["status"]:
                case "accepted":
                    outcome.accepted += 1
                    if result["id"] is not None:
                        outcome.ids.add(result["id"])
                case "duplicate":
                    outcome.duplicates += 1
                case _:
                    outcome.reject(line.number, _finding(result.get("error") or {}))

    async def source_of(self, response_id: str) -> str:
        """Return the source a response belongs to: the key's, whatever was asked for."""
        response = await self._ask("GET", f"/v1/responses/{response_id}")
        return str(response["source"])

    async def waiting(self, source: str) -> int:
        """Return how many responses of the source the loop has not handled yet."""
        found = 0
        async for _ in self._all("/v1/responses", source=source, state="received"):
            found += 1
        return found

    async def effects(self, source: str, ids: set[str]) -> Effects:
        """Return what these responses have led to."""
        tasks: set[str] = set()
        themes: set[str] = set()
        if ids:
            oldest = min(ids)
            async for response in self._all("/v1/responses", source=source):
                if response["id"] < oldest:
                    break
                if response["id"] in ids:
                    tasks |= {response["task_id"]} - {None}
                    themes |= {_theme_id(theme) for theme in response["themes"]}
        return Effects(
            tasks_opened=len(tasks), themes=len(themes), alerts=await self._alerts(tasks)
        )

    async def _alerts(self, tasks: set[str]) -> int | None:
        """Return how many deliveries these tasks have led to."""
        if not tasks:
            return 0
        oldest, found = min(tasks), 0
        try:
            async for delivery in self._all("/v1/deliveries"):
                task_id = delivery["task_id"]
                if task_id in tasks:
                    found += 1
                elif task_id is not None and task_id < oldest:
                    break
        except Forbidden:
            return None
        return found

    async def _all(self, path: str, **filters: str) -> AsyncIterator[dict[str, Any]]:
        cursor: dict[str, str] = {}
        while True:
            page = await self._ask("GET", path, params={**filters, "limit": "200", **cursor})
            for item in page["data"]:
                yield item
            if not page["has_more"]:
                return
            cursor = {"cursor": page["next_cursor"]}

    async def _ask(self, method: str, path: str, **rest: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
        try:
            answer = await self.client.request(method, path, **rest)
        except httpx.HTTPError as error:
            message = f"The installation does not answer ({type(error).__name__}). Try later."
            raise TryLater(message) from None
        if answer.is_success:
            document: dict[str, Any] = answer.json()
            return document
        detail = f"{path}: {answer.status_code}"
        if "json" in answer.headers.get("content-type", ""):
            detail = answer.json().get("detail", detail)
        match answer.status_code:
            case 401:
                raise Unauthenticated(detail)
            case 403:
                raise Forbidden(detail)
            case 429 | 503:
                raise TryLater(detail)
            case _:
                raise Invalid(detail)


def _finding(error: dict[str, Any]) -> Finding:
    first = (error.get("errors") or [error])[0]
    return Finding(
        pointer=str(first.get("pointer", "")),
        code=str(first.get("code", "invalid")),
        detail=str(first.get("detail", "")),
    )


def _theme_id(theme: Any) -> str:  # noqa: ANN401 - an id, or an object that holds it
    return str(theme["id"] if isinstance(theme, dict) else theme)


async def import_file(
    file: Path,
    *,
    source: str,
    mapping: Path | None,
    dry_run: bool,
    as_new: bool,
    url: str | None,
    key: str | None,
    as_json: bool,
) -> int:
    """Import one file; return 0, or 1 when a row was rejected."""
    lines = read_lines(file, read_mapping(mapping) if mapping else None)
    say(f"{file.name}: {len(lines)} rows")
    opened = _running(url, key) if url else _own(source)
    async with opened as (client, work, settle):
        door = Door(client=client, work=work, settle=settle, as_new=as_new, dry_run=dry_run)
        outcome = await run(lines, door, source)
    for number, finding in outcome.lines:
        say(f"line {number}: {finding.pointer or '/'}: {finding.detail} ({finding.code})")
    if outcome.rejected > len(outcome.lines):
        say(f"… and {outcome.rejected - len(outcome.lines)} more rejected rows")
    if as_json:
        data_json(outcome.as_dict())
    else:
        for reason, count in outcome.reasons.most_common():
            data(f"rejected because of {reason}: {count}")
        data(outcome.render())
    return 1 if outcome.rejected else 0


async def run(lines: Sequence[Line], door: Door, source: str) -> Outcome:
    """Post every line, wait for the loop, return the table; progress goes to standard error."""
    clock = SystemClock()
    outcome = Outcome()
    began = clock.monotonic()
    console = Console(stderr=True)
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
            for line in batch:
                if line.finding is not None:
                    outcome.reject(line.number, line.finding)
            if sendable := [line for line in batch if line.document is not None]:
                await door.post(sendable, outcome)
            progress.advance(posting, len(batch))
        if outcome.ids:
            source = await door.source_of(min(outcome.ids))
            handling = progress.add_task("handling", total=outcome.accepted)
            await door.work()
            while waiting := await door.waiting(source):
                progress.update(handling, completed=max(0, outcome.accepted - waiting))
                await door.work()
            progress.update(handling, completed=outcome.accepted)
            await door.settle()
    if outcome.ids:
        outcome.effects = await door.effects(source, outcome.ids)
    outcome.seconds = clock.monotonic() - began
    return outcome


_Opened = tuple[httpx.AsyncClient, Callable[[], Awaitable[None]], Callable[[], Awaitable[None]]]


@asynccontextmanager
async def _running(url: str, key: str | None) -> AsyncIterator[_Opened]:
    """Speak to a running installation."""
    if not key:
        message = (
            "--url needs --key (or CLOSED_LOOP_KEY): a key of the source, with its scopes."
        )
        raise Unauthenticated(message)

    async def work() -> None:
        await asyncio.sleep(0.5)  # the installation's own workers do it

    async with httpx.AsyncClient(
        base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=60, trust_env=False
    ) as client:
        yield client, work, work


@asynccontextmanager
async def _own(
    source: str,
) -> AsyncIterator[_Opened]:
    """Open this installation in this process, with a key that ends with the import."""
    settings = Settings.load()
    set_up(form=settings.log_format, level="error")
    clock = SystemClock()
    async with compose(settings) as system:
        async with system.database.transaction() as tx:
            key, plain = await keys.create_key(
                tx,
                source=source,
                name="import",
                scopes=_SCOPES,
                now=clock.now(),
                expires_at=clock.now() + timedelta(days=1),
            )

        async def work() -> None:
            """Let every worker take a turn for about a second."""
            until = clock.monotonic() + 1
            busy = True
            while busy and clock.monotonic() < until:
                busy = any([await worker.step() for worker in system.workers])

        async def settle() -> None:
            await system.settle()

        transport = httpx.ASGITransport(app=system.app, client=("127.0.0.1", 0))
        try:
            async with httpx.AsyncClient(
                transport=transport,
                base_url=settings.public_url,
                headers={"Authorization": f"Bearer {plain}"},
            ) as client:
                yield client, work, settle
        finally:
            async with system.database.transaction() as tx:
                await keys.revoke_key(tx, key.id, now=clock.now())
