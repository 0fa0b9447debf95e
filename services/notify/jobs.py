"""The dispatcher: claims what is due, sends it, writes down what came of it.

Nothing is lost when it dies: a claim is a lease, and whoever claims it next goes on. No
endpoint waits for another: each lane has a few places of its own, and sending goes on between
steps. A worker that was paused beyond its lease finds its token gone and changes nothing.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from jinja2 import TemplateError

from services.notify import store
from services.notify.channels.email import MailChannel
from services.notify.channels.message import UnsafeMail
from services.notify.channels.webhook import Call, Poster, message_id
from services.notify.domain.alerts import with_person
from services.notify.domain.deliveries import (
    SCHEDULES,
    Outcome,
    Verdict,
    next_step,
)
from services.notify.handlers.composing import Composer
from services.notify.handlers.readying import Ready, made_ready, person_of
from services.notify.handlers.resting import MailRest, resume_mail
from services.notify.handlers.settling import settle
from services.notify.store import MAIL_LANE, Delivery, Settlement, Webhook
from shared.bus.consumer import ConsumerState, Health
from shared.clock import Clock
from shared.db.group import GroupCommit
from shared.db.transaction import Database, Transaction
from shared.errors import TryLater
from shared.faults import fault_point
from shared.identity.audit import SYSTEM
from shared.identity.person_keys import PersonKeys
from shared.ids import new_id
from shared.logs import get_logger
from shared.sealing import Keyring
from shared.tasks import spawn

_CANNOT_BUILD = (TemplateError, ValueError, TypeError, LookupError, AttributeError)
_FRESH = 10.0  # seconds
_INSISTENCE = (0.2, 1.0, 2.0, 4.0, 8.0)

_log = get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How much at once: sent at a time and claimed ahead, per endpoint and for mail."""

    lease: timedelta = timedelta(seconds=30)
    heartbeat: float = 10
    endpoint_at_once: int = 4
    endpoint_claimed: int = 32
    mail_at_once: int = 16
    mail_claimed: int = 64
    claim_limit: int = 256
    patience: float = 1
    """Seconds that a step or a wait lasts when nothing happens."""
    quick: float = 1
    """Seconds in which an endpoint answers for which more is claimed than is sent at once."""


class Dispatcher:
    """Sends deliveries; a ``Worker``."""

    name = "notify-dispatcher"

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        keyring: Keyring,
        person_keys: PersonKeys,
        mail: MailChannel,
        webhooks: Poster,
        composer: Composer,
        mail_settings: str = "",
        pace: Pace | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._database = database
        self._clock = clock
        self._keyring = keyring
        self._person_keys = person_keys
        self._mail = mail
        self._webhooks = webhooks
        self._composer = composer
        self._mail_settings = mail_settings
        self._pace = pace or Pace()
        self._chance = chance
        self._token = new_id("clm")
        self._sending: dict[asyncio.Task[None], Delivery] = {}
        self._places: dict[str, asyncio.Semaphore] = {}
        self._quick: set[str] = set()
        self._woken = asyncio.Event()
        self._prolonged_at = 0.0
        self._rest = MailRest(clock, chance)
        self._settling: GroupCommit[Settlement, bool] = GroupCommit(
            database, self._settle_group
        )

    # ------------------------------------------------------------ the worker's side

    @property
    def health(self) -> Health:
        """Return how things are: mail that is paused waits for somebody to mend a setting."""
        if self._rest.why:
            return Health(
                state=ConsumerState.DEGRADED,
                reason=f"mail is paused: {self._rest.why}; see /settings/mail",
            )
        return Health(state=ConsumerState.OK)

    def wake(self) -> None:
        """Look again now: something new is due."""
        self._woken.set()

    async def step(self) -> bool:
        """Claim what fits and wait for something to be done; False when nothing is left."""
        self._woken.clear()
        self._reap()
        await self._keep_hold()
        claimed = await self._claim()
        for ready in claimed:
            task = spawn(self._deliver(ready), name="delivery")
            self._sending[task] = ready.delivery
        if not self._sending:
            return self._woken.is_set()
        await self._something(self._pace.patience)
        self._reap()
        return True

    async def wait(self) -> None:
        """Return when something is due, was sent, or after a second."""
        await self._something(self._pace.patience)

    async def close(self) -> None:
        """Let what is on its way arrive for a moment, then let go of the rest.

        What was let go stays claimed until its lease ends, and is then sent again.
        """
        if self._sending:
            await asyncio.wait(self._sending, timeout=3)
        for task in self._sending:
            task.cancel()
        if self._sending:
            await asyncio.wait(self._sending, timeout=1)
        self._sending.clear()

    async def _something(self, seconds: float) -> None:
        """Wait until a delivery ends or something new is due, at most so long."""
        woken = spawn(self._woken.wait(), name="dispatcher-woken")
        try:
            await asyncio.wait(
                {woken, *self._sending},
                timeout=seconds,
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            woken.cancel()

    def _reap(self) -> None:
        """Forget what has ended; raise what went wrong on our side."""
        ended = [task for task in self._sending if task.done()]
        for task in ended:
            del self._sending[task]
        for task in ended:
            task.result()

    # ------------------------------------------------------------ claiming

    async def _claim(self) -> Sequence[Ready]:
        pace = self._pace
        room = pace.claim_limit - len(self._sending)
        if room <= 0:
            return []
        now = self._clock.now()
        in_flight = Counter(one.lane for one in self._sending.values())
        under_way = [one.id for one in self._sending.values()]
        # A lane that still has work is left alone until half of it is done: claims cost.
        without = [lane for lane, count in in_flight.items() if count * 2 > self._most(lane)]
        async with self._database.reading() as view:
            pause = await store.pause_of(view, MAIL_LANE)
        if pause is not None and pause.settings != self._mail_settings:
            await self._resume()
            pause = None
        self._rest.go_by(pause)
        if self._mail_rests():
            without.append(MAIL_LANE)
        async with self._database.reading() as view:
            if not await store.anything_claimable(
                view, now=now, without=without, under_way=under_way
            ):
                return []
        async with self._database.transaction() as tx:
            claimed = await store.claim(
                tx,
                token=self._token,
                now=now,
                lasting=pace.lease,
                per_lane=pace.endpoint_at_once,
                mail_lane=pace.mail_claimed,
                in_flight={
                    **in_flight,
                    # Room for more than that, where it is earned.
                    **{
                        lane: in_flight[lane] + pace.endpoint_at_once - pace.endpoint_claimed
                        for lane in self._quick
                    },
                },
                limit=room,
                without=without,
                under_way=under_way,
            )
            ready = await made_ready(
                tx,
                claimed,
                keyring=self._keyring,
                person_keys=self._person_keys,
                now=now,
            )
        if len(ready) < len(claimed):
            self.wake()  # what was not sent may be sent to somebody else
        fault_point("delivery.claimed")
        return ready

    async def _resume(self) -> None:
        """Send mail again that was paused under other settings than today's."""
        async with self._database.transaction() as tx:
            await resume_mail(tx, by=SYSTEM, why="other_settings", now=self._clock.now())

    def _most(self, lane: str) -> int:
        """Return how many deliveries of a lane are claimed at a time.

        Of an endpoint that takes its time, or is not known yet, no more than are sent at once:
        many of those must not fill the room that the others need.
        """
        pace = self._pace
        if lane == MAIL_LANE:
            return pace.mail_claimed
        return pace.endpoint_claimed if lane in self._quick else pace.endpoint_at_once

    def _claimed_in_vain(self, lane: str, at: float) -> bool:
        """Tell whether what waits for a place of this lane is better let go.

        It was claimed together with one that found the mail server away, or the endpoint slow;
        or it is a mail that waited so long that its task may be done by now.
        """
        if lane == MAIL_LANE:
            return self._mail_rests() or self._clock.monotonic() - at > _FRESH
        claimed = sum(one.lane == lane for one in self._sending.values())
        return lane not in self._quick and claimed > self._most(lane)

    def _learn(self, lane: str, outcome: Outcome, seconds: float) -> None:
        """Note what an attempt says of its lane."""
        if lane == MAIL_LANE:
            self._rest.learn(outcome)
        elif seconds < self._pace.quick:
            self._quick.add(lane)
        else:
            self._quick.discard(lane)

    async def _keep_hold(self) -> None:
        """Prolong the leases of what is still on its way."""
        now = self._clock.monotonic()
        if not self._sending or now - self._prolonged_at < self._pace.heartbeat:
            return
        async with self._database.transaction() as tx:
            await store.prolong(
                tx,
                token=self._token,
                ids=[one.id for one in self._sending.values()],
                lasting=self._pace.lease,
            )
        self._prolonged_at = now

    # ------------------------------------------------------------ sending

    async def _deliver(self, ready: Ready) -> None:
        one, claimed = ready.delivery, self._clock.monotonic()
        async with self._place(one.lane):
            if self._claimed_in_vain(one.lane, claimed):
                await self._give_back(one)
                return
            webhook = await self._as_it_stands(ready.webhook)
            if webhook is not None and not webhook.is_enabled:
                await self._give_back(one)  # held when it is claimed again
                return
            started_at, began = self._clock.now(), self._clock.monotonic()
            outcome = await self._send(replace(ready, webhook=webhook), started_at)
            self._learn(one.lane, outcome, self._clock.monotonic() - began)
            fault_point("delivery.sent")
        now = self._clock.now()
        step = next_step(
            outcome,
            failures=one.failures,
            troubles=one.attempts - 1 - one.failures,
            schedule=SCHEDULES[one.channel],
            now=now,
            chance=self._chance(),
        )
        elapsed = round((self._clock.monotonic() - began) * 1_000)
        is_ours = await self._written_down(
            Settlement(
                delivery=one,
                outcome=outcome,
                step=step,
                started_at=started_at,
                milliseconds=elapsed,
            )
        )
        fault_point("delivery.marked")
        _log.info(
            "delivery.tried",
            delivery_id=one.id,
            channel=one.channel.value,
            event_type=one.event_type,
            attempt=one.attempts,
            result=outcome.verdict.value,
            reason=outcome.reason,
            code=outcome.code,
            next=type(step).__name__,
            elapsed_ms=elapsed,
            taken_over=not is_ours,
            correlation_id=one.correlation_id,
        )

    async def _written_down(self, done: Settlement) -> bool:
        """Settle, and insist for a while: a result that is forgotten is a second mail."""
        for pause in _INSISTENCE:
            try:
                return await self._settling.submit(done)
            except TryLater:
                await asyncio.sleep(pause)
        return await self._settling.submit(done)

    async def _as_it_stands(self, claimed: Webhook | None) -> Webhook | None:
        """Return the endpoint as it is now: its secret or its state may be another by now.

        Whoever made a new secret may have thrown the former one away already.
        """
        if claimed is None:
            return None
        try:
            async with self._database.reading() as view:
                now = await store.webhook_of(view, claimed.id, self._keyring)
        except TryLater:
            return claimed
        return now or replace(claimed, is_enabled=False)

    async def _give_back(self, one: Delivery) -> None:
        async with self._database.transaction() as tx:
            await store.give_back(tx, one)

    def _mail_rests(self) -> bool:
        return self._rest.is_on

    def _place(self, lane: str) -> asyncio.Semaphore:
        at_once = self._pace.mail_at_once if lane == MAIL_LANE else self._pace.endpoint_at_once
        return self._places.setdefault(lane, asyncio.Semaphore(at_once))

    async def _send(self, ready: Ready, at: datetime) -> Outcome:
        one = ready.delivery
        if ready.webhook is not None:
            told = await self._webhooks.send(self._call(ready, ready.webhook, at))
            return told if person_of(ready) is None else _without_echo(told)
        try:
            mail = self._composer.mail(ready, at)
        except UnsafeMail as unsafe:
            return Outcome(verdict=Verdict.PERMANENT, reason=unsafe.reason)
        except _CANNOT_BUILD as error:
            # A mail that cannot be made now cannot be made later, and must stop no other.
            _log.error("mail.cannot_build", delivery_id=one.id, error=type(error).__name__)
            return Outcome(verdict=Verdict.PERMANENT, reason="cannot_be_built")
        told = await self._mail.send(mail)
        return _without_echo(told) if mail.is_to_customer else told

    def _call(self, ready: Ready, webhook: Webhook, at: datetime) -> Call:
        one = ready.delivery
        person = person_of(ready)
        return Call(
            url=webhook.url,
            body=with_person(one.payload, person) if person is not None else one.payload,
            message_id=message_id(one.id),
            secrets=[
                secret.value
                for secret in webhook.secrets
                if secret.until is None or secret.until > at
            ],
            at=at,
        )

    async def _settle_group(
        self, tx: Transaction, group: Sequence[Settlement]
    ) -> Sequence[bool]:
        now = self._clock.now()
        return await settle(
            tx, group, keyring=self._keyring, mail_settings=self._mail_settings, now=now
        )


def _without_echo(outcome: Outcome) -> Outcome:
    """Return it without the other side's words: many repeat whom or what they were sent."""
    return replace(outcome, reply="")
