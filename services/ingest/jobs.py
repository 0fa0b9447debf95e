"""What ingest does by itself: it announces again, watches its sources, works for persons.

A broker that lost its disk may lose what it had taken; nothing that was answered with 202 may
be lost with it. The announcement goes out again under the same event id, so that whoever did
handle it does nothing.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from services.ingest import store
from services.ingest.handlers import (
    ANNOUNCE_AGAIN_AFTER,
    announce,
    envelope_of,
    has_news,
    notice_silence,
    seal_earlier,
)
from services.ingest.handlers.persons import ARCHIVES_KEPT, retention, work_requests
from shared.faults import fault_point
from shared.identity import person_requests
from shared.identity.audit import SYSTEM
from shared.ids import new_token
from shared.logs import get_logger
from shared.tasks import Resting

if TYPE_CHECKING:
    from datetime import datetime

    from services.ingest.handlers import Ingest
    from services.ingest.store import StoredResponse
    from shared.clock import Clock
    from shared.db.transaction import Database, Reading, Transaction

_log = get_logger(__name__)
_AT_ONCE: Final = 500
_LONGEST_WAIT: Final = timedelta(days=1)
_PAUSE: Final = 1.0
_NO_HURRY: Final = 3_600.0
_SWEEP_EVERY: Final = 10.0
_RETENTION_EVERY: Final = 60.0
_SOURCES_EVERY: Final = 10.0
"""Seconds between two looks at the sources; a silence is measured in hours."""


async def list_unhandled(view: Reading, *, now: datetime) -> list[StoredResponse]:
    """Return responses accepted a quarter of an hour ago or longer that nobody handled."""
    return await store.unhandled(view, now=now, waiting=ANNOUNCE_AGAIN_AFTER)


async def announce_again(tx: Transaction, *, now: datetime) -> int:
    """Announce due responses once more under their old event ids; return how many."""
    due = await store.take_due(tx, now=now, limit=_AT_ONCE)
    kept = await store.publish_again(tx, [response.event_id for response in due])
    for response in due:
        if response.event_id not in kept:  # its row in the outbox was pruned long ago
            envelope = envelope_of(response, first=response.announced == 1)
            announce(tx, envelope, response, at=now)
    await store.set_next_announcements(
        tx,
        {
            response.id: (response.announcements + 1, now + _wait(response.announcements))
            for response in due
        },
    )
    return len(due)


def _wait(announcements: int) -> timedelta:
    """Return how long to wait after the n-th announcement: twice as long each time."""
    return min(ANNOUNCE_AGAIN_AFTER * (1 << min(announcements, 20)), _LONGEST_WAIT)


class Upkeep(Resting):
    """The worker behind this file."""

    name = "ingest.upkeep"

    def __init__(self, database: Database, clock: Clock) -> None:
        super().__init__(_PAUSE)
        self._database = database
        self._clock = clock

    async def step(self) -> bool:
        """Do what is due; one that finds nothing due does not write."""
        now = self._clock.now()
        async with self._database.reading() as view:
            nothing = not await store.has_upkeep(view, now=now)
        if nothing:
            return False
        async with self._database.transaction() as tx:
            announced = await announce_again(tx, now=now)
            fault_point("responses.announced_again")
        if announced:
            _log.warning("responses.announced_again", count=announced)
        return bool(announced)


class EarlierWorker(Resting):
    """Seals what stood in the clear before: the senders' own ids."""

    name = "ingest.earlier"

    def __init__(self, ingest: Ingest) -> None:
        super().__init__(_NO_HURRY)
        self._ingest = ingest
        self._done = False

    async def step(self) -> bool:
        """Seal some responses; return whether there may be more."""
        if self._done:
            return False
        ingest = self._ingest
        async with ingest.database.reading() as view:
            found = await store.not_keyed(view, limit=_AT_ONCE)
        if not found:
            self._done = True
            return False
        async with ingest.database.transaction() as tx:
            await seal_earlier(
                tx,
                found,
                keyring=ingest.keyring,
                person_keys=ingest.person_keys,
                now=ingest.clock.now(),
            )
        return True


class SourceUpkeep(Resting):
    """Forgets samples of payloads, and notices which sources are silent."""

    name = "ingest.sources"

    def __init__(self, database: Database, clock: Clock) -> None:
        super().__init__(_PAUSE)
        self._database = database
        self._clock = clock
        self._looked_at: float | None = None

    async def step(self) -> bool:
        """Do what is due; one that finds nothing due does not write."""
        at = self._clock.monotonic()
        if self._looked_at is not None and at - self._looked_at < _SOURCES_EVERY:
            return False
        now = self._clock.now()
        before = now - store.KEPT_FOR
        async with self._database.reading() as view:
            samples = await store.has_old_payloads(view, before=before)
            news = await has_news(view, now=now)
        if not (samples or news):
            self._looked_at = at
            return False
        async with self._database.transaction() as tx:
            changed = await notice_silence(tx, now=now)
            forgotten = await store.forget_payloads(tx, before=before, limit=_AT_ONCE)
            fault_point("sources.kept_up")
        if changed:
            _log.warning("sources.silence_changed", count=changed)
        return bool(changed or forgotten)


class PersonWork(Resting):
    """Works off requests about persons, and has the database let go of what was scrubbed."""

    name = "ingest.persons"

    def __init__(self, ingest: Ingest) -> None:
        super().__init__(_PAUSE)
        self._ingest = ingest
        self._sweep_after = 0.0

    async def step(self) -> bool:
        """Do the next step of a request; where there is none, clear up after those done."""
        return await work_requests(self._ingest) or await self._clear_up()

    async def _clear_up(self) -> bool:
        database, now = self._ingest.database, self._ingest.clock.now()
        before = now - ARCHIVES_KEPT
        async with database.reading() as view:
            erased = await person_requests.unswept(view)
            old = await person_requests.has_old_archives(view, before=before)
        swept = bool(erased) and await self._sweep()
        if not (swept or old):
            return False
        async with database.transaction() as tx:
            if swept:
                await person_requests.note_swept(tx, erased, now=now)
            await person_requests.drop_old_archives(tx, before=before)
            fault_point("persons.cleared_up")
        return True

    async def _sweep(self) -> bool:
        """Sweep unless it failed just now: it keeps others waiting for a moment."""
        clock = self._ingest.clock
        if clock.monotonic() < self._sweep_after:
            return False
        self._sweep_after = clock.monotonic() + _SWEEP_EVERY
        return await self._ingest.database.sweep()


class RetentionWork(Resting):
    """Finds once a day, at a quiet hour, whose time is over; ``PersonWork`` does the rest."""

    name = "ingest.retention"

    def __init__(self, ingest: Ingest) -> None:
        super().__init__(_PAUSE)
        self._ingest = ingest
        self._token = new_token()
        self._looked_at: float | None = None

    async def step(self) -> bool:
        """Ask for the next erasures when it is time; what is found goes to ``PersonWork``."""
        clock, database = self._ingest.clock, self._ingest.database
        at = clock.monotonic()
        if self._looked_at is not None and at - self._looked_at < _RETENTION_EVERY:
            return False
        self._looked_at = at
        now = clock.now()
        async with database.reading() as view:
            if not await retention.is_due(view, now=now):
                return False
        async with database.transaction() as tx:
            found = await retention.run(tx, self._ingest, token=self._token, by=SYSTEM, now=now)
        if found is not None:
            _log.info("retention.started", request_id=found.id, persons=found.persons)
        return found is not None
