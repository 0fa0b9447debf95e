"""``closed-loop dead-letters …``: what could not be handled, and what to do about it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from services.commands.output import data, data_json, rows, say
from services.composition import compose
from shared.bus.consumer import Consumer
from shared.bus.relay import LETTERS_OF, Relay
from shared.db import dead_letter
from shared.db.dead_letter import DeadLetter, LetterState
from shared.errors import ClosedLoopError, Invalid, NotFound
from shared.identity import audit
from shared.identity.audit import SYSTEM
from shared.logs import set_up
from shared.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from services.composition import System
    from shared.db.transaction import Database

_ALL = "all"


@asynccontextmanager
async def _system() -> AsyncIterator[System]:
    settings = Settings.load()
    set_up(form=settings.log_format, level="error")
    async with compose(settings) as system:
        yield system


def _databases(system: System) -> list[Database]:
    """Return each service's own way to the database: every one has its own dead letters."""
    return [
        worker.database
        for service in system.services.values()
        for worker in service.workers
        if isinstance(worker, Relay)
    ]


async def _find(system: System, letter_id: str) -> tuple[Database, DeadLetter]:
    for database in _databases(system):
        async with database.reading() as view:
            try:
                return database, await dead_letter.get(
                    view, database.plumbing.dead_letters, letter_id
                )
            except NotFound:
                continue
    message = f"There is no dead letter {letter_id}. See: closed-loop dead-letters list"
    raise NotFound(message)


async def _all(system: System, state: LetterState | None) -> list[tuple[Database, DeadLetter]]:
    found: list[tuple[Database, DeadLetter]] = []
    for database in _databases(system):
        after: str | None = None
        async with database.reading() as view:
            while True:
                page = await dead_letter.list_letters(
                    view, database.plumbing.dead_letters, state=state, after=after, limit=200
                )
                found += [(database, letter) for letter in page]
                if len(page) < 200:
                    break
                after = page[-1].id
    return found


async def list_letters(*, state: str, as_json: bool) -> int:
    """List letters, oldest first, without what stands in them."""
    if state != _ALL and state not in set(LetterState):
        message = f"--state takes {', '.join(LetterState)} or {_ALL}."
        raise Invalid(message)
    async with _system() as system:
        found = await _all(system, None if state == _ALL else LetterState(state))
    rows(
        ("id", "consumer", "origin", "type", "error", "tries", "state", "parked_at"),
        [
            (
                letter.id,
                letter.consumer,
                f"{letter.topic}/{letter.partition}/{letter.offset}",
                letter.event_type,
                letter.error,
                letter.tries,
                letter.state.value,
                letter.parked_at.isoformat(),
            )
            for _, letter in found
        ],
        as_json=as_json,
    )
    return 0


async def show_letter(letter_id: str, *, as_json: bool) -> int:
    """Show one letter with its origin and reason; what is personal in it stays sealed."""
    async with _system() as system:
        _, letter = await _find(system, letter_id)
    facts = {
        "id": letter.id,
        "consumer": letter.consumer,
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "event_id": letter.event_id,
        "type": letter.event_type,
        "error": letter.error,
        "digest": letter.digest,
        "tries": letter.tries,
        "state": letter.state.value,
        "parked_at": letter.parked_at.isoformat(),
        "settled_at": letter.settled_at.isoformat() if letter.settled_at else None,
    }
    if as_json:
        data_json(facts)
    else:
        for name, value in facts.items():
            data(f"{name}: {value}")
    return 0


async def replay_letters(letter_id: str | None, *, everything: bool, dry_run: bool) -> int:
    """Hand letters to their consumer again; 1 when one of them failed again."""
    if (letter_id is None) == (not everything):
        message = "Name one letter, or say --all."
        raise Invalid(message)
    failed = 0
    async with _system() as system:
        found = (
            await _all(system, LetterState.PARKED)
            if letter_id is None
            else [await _find(system, letter_id)]
        )
        if dry_run:
            say(f"{len(found)} letters would be replayed; nothing was changed.")
            return 0
        for database, letter in found:
            try:
                effect = await _replay(system, database, letter)
            except ClosedLoopError as error:
                failed += 1
                say(f"{letter.id}: {error}")
            else:
                say(f"{letter.id}: {effect}")
        await system.settle()
    say(f"{len(found) - failed} replayed, {failed} failed again.")
    return 1 if failed else 0


async def _replay(system: System, database: Database, letter: DeadLetter) -> str:
    for worker in system.workers:
        effect: str | None = None
        if isinstance(worker, Relay) and letter.consumer == LETTERS_OF:
            if worker.database is database:
                await worker.replay(letter.id)
                effect = "will be published again"
        elif isinstance(worker, Consumer) and worker.name == letter.consumer:
            had_one = await worker.replay(letter.id)
            effect = "handled" if had_one else "had been handled meanwhile"
        if effect is not None:
            await _note(database, letter, "dead-letter.replayed", system)
            return effect
    message = f"Nobody here consumes as {letter.consumer} any more."
    raise NotFound(message)


async def discard_letter(letter_id: str) -> int:
    """Give a letter up."""
    async with _system() as system:
        database, letter = await _find(system, letter_id)
        async with database.transaction() as tx:
            await dead_letter.discard(tx, letter_id, now=system.clock.now())
        await _note(database, letter, "dead-letter.discarded", system)
    say(f"{letter_id} is discarded.")
    return 0


async def _note(database: Database, letter: DeadLetter, action: str, system: System) -> None:
    async with database.transaction() as tx:
        await audit.record(
            tx,
            SYSTEM,
            action,
            letter.id,
            {"consumer": letter.consumer, "event_id": letter.event_id},
            now=system.clock.now(),
        )
