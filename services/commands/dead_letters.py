"""``closed-loop dead-letters …``: what could not be handled, and what to do about it.

All of it works beside a running installation: each letter is one transaction, and what it
announces is published by whoever serves.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from services.beside import letters_beside
from services.commands.acting import acting
from services.commands.output import data, data_json, rows, say
from shared.db.dead_letter import DeadLetter, LetterState
from shared.errors import Invalid, NotFound
from shared.letters import EFFECTIVE, Fate, Replay
from shared.logs import set_up
from shared.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.letters import LetterDesk

_ALL: Final = "all"
_AT_ONCE: Final = 200
_UNSAID: Final = "no reason given on the command line"
_SAID: Final = {
    Fate.HANDLED: "handled",
    Fate.KNOWN: "had been handled meanwhile; nothing is done twice",
    Fate.PUBLISHED: "will be published again",
    Fate.FAILED: "fails again",
    Fate.HELD: "not now",
    Fate.NOBODY: "nobody here consumes as {consumer} any more",
    Fate.SETTLED: "was settled meanwhile",
}
"""One word more than the code, the same for what is done and for what would be."""


def _settings() -> Settings:
    settings = Settings.load()
    set_up(form=settings.log_format, level="error")
    return settings


async def _find(desks: Sequence[LetterDesk], letter_id: str) -> tuple[LetterDesk, DeadLetter]:
    for desk in desks:
        try:
            return desk, await desk.get(letter_id)
        except NotFound:
            continue
    message = f"There is no dead letter {letter_id}. See: closed-loop dead-letters list"
    raise NotFound(message)


async def _every(
    desks: Sequence[LetterDesk], state: LetterState | None
) -> list[tuple[LetterDesk, DeadLetter]]:
    """Return the letters of every desk, the oldest first."""
    found: list[tuple[LetterDesk, DeadLetter]] = []
    for desk in desks:
        after: str | None = None
        while page := await desk.list(state=state, after=after, limit=_AT_ONCE):
            found += [(desk, letter) for letter in page]
            after = page[-1].id
    return sorted(found, key=lambda one: one[1].id)


async def list_letters(*, state: str, as_json: bool) -> int:
    """List letters, oldest first, without what stands in them."""
    if state != _ALL and state not in set(LetterState):
        message = f"--state takes {', '.join(LetterState)} or {_ALL}."
        raise Invalid(message)
    async with letters_beside(_settings()) as desks:
        found = await _every(desks, None if state == _ALL else LetterState(state))
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
    async with letters_beside(_settings()) as desks:
        desk, letter = await _find(desks, letter_id)
    facts = {
        "id": letter.id,
        "service": desk.owner,
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


async def replay_letters(
    letter_id: str | None,
    *,
    everything: bool,
    dry_run: bool,
    by: str | None,
    reason: str | None,
) -> int:
    """Hand letters to their consumer again; 1 when one of them fails."""
    if (letter_id is None) == (not everything):
        message = "Name one letter, or say --all."
        raise Invalid(message)
    async with letters_beside(_settings()) as desks:
        found = (
            await _every(desks, LetterState.PARKED)
            if letter_id is None
            else [await _find(desks, letter_id)]
        )
        actor = await acting(desks[0].database, by)
        came_to: Counter[Fate] = Counter()
        for desk, letter in found:
            done = (
                await desk.rehearse(letter)
                if dry_run
                else await desk.replay(letter, by=actor, reason=reason or _UNSAID)
            )
            came_to[done.fate] += 1
            say(f"{letter.id}: {_told(done)}")
    failed = sum(n for fate, n in came_to.items() if fate not in EFFECTIVE)
    went = len(found) - failed
    if dry_run:
        say(f"{went} would be replayed, {failed} would fail again; nothing was changed.")
    else:
        say(f"{went} replayed, {failed} failed again.")
    return 1 if failed else 0


def _told(done: Replay) -> str:
    said = _SAID[done.fate].format(consumer=done.letter.consumer)
    return f"{said}: {done.why}" if done.why else said


async def discard_letter(letter_id: str, *, by: str | None, reason: str | None) -> int:
    """Give a letter up."""
    async with letters_beside(_settings()) as desks:
        desk, _ = await _find(desks, letter_id)
        await desk.discard(
            letter_id, by=await acting(desks[0].database, by), reason=reason or _UNSAID
        )
    say(f"{letter_id} is discarded.")
    return 0
