"""What a test of notify has at hand: events of tasks, channels that do as told, one house."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from services.notify import store
from services.notify.channels.email import MailChannel
from services.notify.channels.message import Mail
from services.notify.channels.webhook import Call, Poster, Rules
from services.notify.domain.deliveries import Channel, Outcome, Verdict
from services.notify.domain.mail import Sender
from services.notify.handlers.composing import Composer
from services.notify.handlers.endpoints import CreateWebhook, Notify, create_webhook
from services.notify.jobs import Dispatcher, Pace
from services.notify.listeners import hear_events
from services.notify.store import Attempt, Delivery, Webhook
from shared.bus.consumer import Arrived
from shared.db.transaction import Database
from shared.events.envelope import decode, read, wrap
from shared.events.loop import (
    OwnerRef,
    TaskClosed,
    TaskDueSoon,
    TaskOpened,
    TaskOverdue,
    TaskReopened,
    TaskResolved,
)
from shared.events.registry import EVENTS
from shared.identity.audit import SYSTEM
from shared.identity.defaults import ensure_defaults
from shared.identity.people import create_staff
from shared.identity.person_keys import PersonKeys
from shared.identity.principal import Role
from shared.identity.teams import update_team
from shared.ids import new_id
from shared.sealing import Keyring, seal_document
from shared.settings import Settings
from tests.fakes import ManualClock

PUBLIC_URL = "https://loop.example.org"
WORDS = "waited forty minutes <b>at the door</b>"
ACCEPTED = Outcome(verdict=Verdict.ACCEPTED, reason="accepted", code=250)
LATER = Outcome(verdict=Verdict.TRANSIENT, reason="http_503", code=503)
AWAY = Outcome(verdict=Verdict.CHANNEL, reason="mail_server_unreachable")
MIDDLE = 0.5


@dataclass
class ToldChannel:
    """Sends nothing; answers what it was told, else yes; remembers what it was given."""

    answers: list[Outcome] = field(default_factory=list)
    by_url: dict[str, Callable[[], Any]] = field(default_factory=dict)
    mails: list[Mail] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    most_at_once: int = 0
    _now: int = 0

    async def send(self, given: Any) -> Outcome:
        if isinstance(given, Mail):
            self.mails.append(given)
        else:
            self.calls.append(given)
            if given.url in self.by_url:
                self._now += 1
                self.most_at_once = max(self.most_at_once, self._now)
                try:
                    await self.by_url[given.url]()
                finally:
                    self._now -= 1
        await asyncio.sleep(0)
        return self.answers.pop(0) if self.answers else ACCEPTED

    @property
    def messages(self) -> list[EmailMessage]:
        return [message_from_bytes(mail.raw, policy=policy.default) for mail in self.mails]


@dataclass
class House:
    """Notify over a database, fed by hand."""

    database: Database
    clock: ManualClock
    keyring: Keyring
    person_keys: PersonKeys
    mail: ToldChannel = field(default_factory=ToldChannel)
    posts: ToldChannel = field(default_factory=ToldChannel)
    _opened_at: datetime | None = None

    async def prepare(self) -> None:
        settings = Settings()
        async with self.database.transaction() as tx:
            await ensure_defaults(tx, settings, self.clock.now())
            await update_team(
                tx, "team_customer_care", email="care@example.org", now=self.clock.now()
            )

    @property
    def notify(self) -> Notify:
        return Notify(
            clock=self.clock,
            database=self.database,
            keyring=self.keyring,
            person_keys=self.person_keys,
            rules=Rules.of(Settings(webhook_allow_http=True)),
        )

    def dispatcher(
        self,
        *,
        mail: MailChannel | None = None,
        webhooks: Poster | None = None,
        composer: Composer | None = None,
        mail_settings: str = "",
        **pace: Any,
    ) -> Dispatcher:
        return Dispatcher(
            database=self.database,
            clock=self.clock,
            keyring=self.keyring,
            person_keys=self.person_keys,
            mail=mail or self.mail,
            webhooks=webhooks or self.posts,
            composer=composer
            or Composer(
                sender=Sender(name="Closed Loop", address="loop@example.org"),
                public_url=PUBLIC_URL,
                keyring=self.keyring,
            ),
            mail_settings=mail_settings,
            pace=Pace(patience=0.05, **pace),
            chance=lambda: MIDDLE,
        )

    async def dispatch(self) -> None:
        """Send what is due now, until nothing is left to do."""
        dispatcher = self.dispatcher()
        while await dispatcher.step():
            pass
        await dispatcher.close()

    async def person(self, response_id: str, *, ref: str = "per_1", **customer: Any) -> str:
        async with self.database.transaction() as tx:
            keys = await self.person_keys.for_sealing(tx, [ref], now=self.clock.now())
        document = {
            "customer": {"name": "Ana Berg", "phone": "+44 20 7946 0001", **customer},
            "comment": WORDS,
            "attributes": {},
        }
        return seal_document(keys[ref], document, context=response_id)

    async def event(
        self,
        kind: type = TaskOpened,
        *,
        task_id: str = "tsk_1",
        event_id: str | None = None,
        **members: Any,
    ) -> Arrived:
        now = self.clock.now()
        self._opened_at = self._opened_at or now
        response_id = f"rsp_{task_id[4:]}"
        all_extra: Mapping[type, dict[str, Any]] = {
            TaskResolved: {
                "state": "resolved",
                "outcome": "solved",
                "cause_area": "process",
                "content": "yes",
                "avoidable": "yes",
                "resolved_at": now,
                "within_deadline": True,
            },
            TaskClosed: {"state": "closed", "reason": "not_needed", "closed_at": now},
            TaskReopened: {
                "state": "in_progress",
                "former_state": "closed",
                "reopened_at": now,
            },
        }
        event = kind(
            **{
                "task_id": task_id,
                "response_id": response_id,
                "version": 1,
                "state": "assigned",
                "owner": OwnerRef(id="team_customer_care", kind="team"),
                "metric": "nps",
                "score": 4,
                "touchpoint": "Doorstep delivery",
                "rule": "rule",
                "scheme": "scheme",
                "opened_at": self._opened_at,
                "first_contact_due_at": self._opened_at + timedelta(hours=1),
                "due_at": self._opened_at + timedelta(hours=24),
                "person_ref": "per_1",
                "person": await self.person(response_id),
                **all_extra.get(kind, {}),
                **members,
            }
        )
        envelope = wrap(
            event, event_id=event_id or new_id("evt"), at=now, correlation_id="req_1"
        )
        again = decode(envelope.encode())
        return Arrived(
            envelope=again, event=read(again, EVENTS[again.type]), key=event.person_ref
        )

    async def hear(self, *arrived: Arrived) -> None:
        handler = hear_events(public_url=PUBLIC_URL, wake=lambda: None)
        async with self.database.transaction() as tx:
            await handler(tx, arrived, self.clock.now())

    async def webhook(
        self, url: str = "https://crm.example.com/hook", **members: Any
    ) -> tuple[Webhook, str]:
        command = CreateWebhook(
            **{"url": url, "events": ("task.*",), "detail": "thin"} | members
        )
        async with self.database.transaction() as tx:
            return await create_webhook(
                tx, command, notify=self.notify, by=SYSTEM, now=self.clock.now()
            )

    async def staff(self, email: str, **members: Any) -> str:
        async with self.database.transaction() as tx:
            person = await create_staff(
                tx, email=email, name="Ole", role=Role.AGENT, now=self.clock.now(), **members
            )
        return person.id

    async def deliveries(self, channel: Channel | None = None) -> Sequence[Delivery]:
        async with self.database.reading() as view:
            found = await store.list_deliveries(view, limit=5_000)
        return [one for one in reversed(found) if channel in {None, one.channel}]

    async def attempts(self, delivery_id: str) -> Sequence[Attempt]:
        async with self.database.reading() as view:
            return await store.attempts_of(view, delivery_id)

    async def announced(self) -> list[dict[str, Any]]:
        from sqlalchemy import select  # noqa: PLC0415 - only this look behind the scenes

        outbox = self.database.plumbing.outbox
        async with self.database.reading() as view:
            rows = await view.all(select(outbox).order_by(outbox.c.seq))
        return [decode(row.body).model_dump(mode="json") for row in rows]


REMINDERS = (TaskDueSoon, TaskOverdue)
