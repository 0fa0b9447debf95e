"""What runs when: the timers of loop, claimed when they are due and rung once.

A timer survives every restart as a row; who dies between the claim and the ring leaves a lease
behind that runs out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

from services.loop.resources import Loop
from services.loop.tasks.handlers import ring
from services.loop.tasks.handlers.sealing import seal_earlier
from services.loop.tasks.handlers.search import index_earlier
from services.loop.themes.domain.discoveries import Found, Read
from services.loop.themes.handlers import Classifiers, discovering, judging, proposing
from services.loop.themes.handlers.recounting import recount_earlier
from services.loop.themes.handlers.rereading import replay_on
from shared.db import leases
from shared.db.timers import DueTimer, claim_due, next_due, put_off
from shared.errors import TryLater
from shared.faults import fault_point
from shared.ids import new_token
from shared.logs import get_logger
from shared.tasks import Resting, spawn

LEASE = timedelta(seconds=30)
SET_ASIDE = timedelta(minutes=15)
"""How long a timer that cannot ring stays out of the way of the others."""
_LOOK_EVERY = 1.0
_AT_ONCE = 200
_NO_HURRY = 3_600.0
_NIGHT_EVERY = 60.0
"""Seconds between two looks whether it is night."""
_HOLD_EVERY = 10.0
_MINE_EVERY = 10.0

log = get_logger(__name__)


class IndexWorker(Resting):
    """Seals what earlier versions kept in the clear, and makes their tasks findable."""

    name = "loop.index"

    def __init__(self, loop: Loop) -> None:
        super().__init__(_NO_HURRY)
        self._loop = loop
        self._sealed = False
        self._after: str | None = ""

    async def step(self) -> bool:
        """Seal some responses, then index some tasks; return whether there may be more."""
        if self._after is None:
            return False
        if not self._sealed:
            async with self._loop.database.transaction() as tx:
                self._sealed = not await seal_earlier(
                    tx,
                    person_keys=self._loop.person_keys,
                    most=_AT_ONCE,
                    now=self._loop.clock.now(),
                )
            return True
        async with self._loop.database.transaction() as tx:
            self._after = await index_earlier(
                tx,
                self._after,
                person_keys=self._loop.person_keys,
                keyring=self._loop.keyring,
                most=_AT_ONCE,
            )
        return self._after is not None


class ReplayWork(Resting):
    """Reads stored comments again where somebody asked for it, a slice at a time.

    Before that it counts again what earlier versions had counted by fewer members.
    """

    name = "loop.replays"

    def __init__(self, loop: Loop) -> None:
        super().__init__(_LOOK_EVERY)
        self._loop = loop
        self._classifiers = Classifiers()
        self._counted = False

    async def step(self) -> bool:
        """Do the next day or slice; return whether there may be more."""
        loop = self._loop
        if not self._counted:
            self._counted = not await recount_earlier(loop.database)
            return True
        return await replay_on(
            loop.database,
            person_keys=loop.person_keys,
            classifiers=self._classifiers,
            clock=loop.clock,
        )


class ProposalWork(Resting):
    """Looks for words that corrections suggest, when something was judged or read again."""

    name = "loop.proposals"

    def __init__(self, loop: Loop) -> None:
        super().__init__(_LOOK_EVERY)
        self._loop = loop
        self._looked_at: float | None = None
        self._mined: object = None

    async def step(self) -> bool:
        """Mine once after every change; what has been proposed already stays as it is."""
        clock, database = self._loop.clock, self._loop.database
        at = clock.monotonic()
        if self._looked_at is not None and at - self._looked_at < _MINE_EVERY:
            return False
        self._looked_at = at
        async with database.reading() as view:
            mark = await proposing.mark_of(view)
        if mark == self._mined:
            return False
        now = clock.now()
        found = await proposing.mine(database, person_keys=self._loop.person_keys, now=now)
        async with database.transaction() as tx:
            await proposing.propose(tx, found, now=now)
        self._mined = mark
        return True


class TimerWorker(Resting):
    """Rings what is due by the injected clock; a ``Worker``."""

    name = "loop.timers"

    def __init__(self, loop: Loop) -> None:
        super().__init__(_LOOK_EVERY)
        self._database = loop.database
        self._clock = loop.clock

    async def step(self) -> bool:
        """Ring one claim of due timers; return whether there may be more."""
        now = self._clock.now()
        # A look costs no write; on SQLite every write waits for the one writer.
        async with self._database.reading() as view:
            first = await next_due(view, self._database.plumbing.timers)
        if first is None or first > now:
            return False
        async with self._database.transaction() as tx:
            timers = await claim_due(tx, now=now, lasting=LEASE)
        fault_point("timer.claimed")
        if timers:
            await self._ring(timers, now)
        return bool(timers)

    async def _ring(self, timers: Sequence[DueTimer], now: datetime) -> None:
        try:
            async with self._database.transaction() as tx:
                rung = await ring(tx, timers, now=now)
                fault_point("timer.ringing")
        except TryLater:
            raise
        except Exception as error:  # noqa: BLE001 - one bad row must not silence the others
            if len(timers) > 1:
                for timer in timers:
                    await self._ring([timer], now)
            else:
                await self._set_aside(timers[0], error)
        else:
            fault_point("timer.rung")
            log.info("timers.rung", claimed=len(timers), rung=rung)

    async def _set_aside(self, timer: DueTimer, error: Exception) -> None:
        log.error(
            "timer.failed", kind=timer.kind, subject=timer.subject, error=type(error).__name__
        )
        async with self._database.transaction() as tx:
            await put_off(tx, timer, by=SET_ASIDE)


class DiscoveryWork(Resting):
    """Looks once a night through the comments that no theme covers."""

    name = "loop.discovery"

    def __init__(self, loop: Loop) -> None:
        super().__init__(_LOOK_EVERY)
        self._loop = loop
        self._token = new_token()
        self._looked_at: float | None = None

    async def step(self) -> bool:
        """Do the night's work when its hour has come, unless somebody else is at it."""
        clock, database = self._loop.clock, self._loop.database
        at = clock.monotonic()
        if self._looked_at is not None and at - self._looked_at < _NIGHT_EVERY:
            return False
        self._looked_at = at
        now = clock.now()
        async with database.reading() as view:
            night = await discovering.due_night(view, now=now)
            names = await discovering.names_of_staff(view) if night else frozenset()
        if night is None or not await self._hold():
            return False
        read = await discovering.read_comments(self._loop, now=now, after_slice=self._hold)
        fault_point("discovery.read")
        found = await self._grouped(read, names, now)
        async with database.transaction() as tx:
            written = await discovering.note_found(tx, night, found, read=read, now=clock.now())
            await leases.give_back(tx, self.name, token=self._token)
        if written:
            log.info("discovery.done", comments=len(read), found=len(found))
        return written

    async def _grouped(
        self, read: Mapping[str, Read], names: Collection[str], now: datetime
    ) -> Sequence[Found]:
        """Group in a thread of its own, so that requests and heartbeats go on meanwhile."""
        grouping = asyncio.to_thread(discovering.grouped, read, names=names, now=now)
        work = spawn(grouping, name="discovery")
        while True:
            done, _ = await asyncio.wait({work}, timeout=_HOLD_EVERY)
            if done:
                return work.result()
            await self._hold()

    async def _hold(self) -> bool:
        """Keep others from doing the same; False where somebody else is at it."""
        async with self._loop.database.transaction() as tx:
            return await leases.take(tx, self.name, token=self._token, lasting=LEASE)


class RiserWork(Resting):
    """Judges each week, once it is over, which themes rise beyond what was to be expected."""

    name = "loop.risers"

    def __init__(self, loop: Loop) -> None:
        super().__init__(_LOOK_EVERY)
        self._loop = loop
        self._looked_at: float | None = None

    async def step(self) -> bool:
        """Judge the themes of those departments that are due, one after the other."""
        clock, database = self._loop.clock, self._loop.database
        at = clock.monotonic()
        if self._looked_at is not None and at - self._looked_at < _NIGHT_EVERY:
            return False
        self._looked_at = at
        now = clock.now()
        async with database.reading() as view:
            due = await judging.due_week(view, now=now)
        for department in due.departments:
            async with database.transaction() as tx:
                sharp = await judging.judge_week(tx, due.week, department, now=now)
                fault_point("risers.judged")
            if sharp:
                log.info("risers.found", week=due.week.isoformat(), sharp=sharp)
        return False
