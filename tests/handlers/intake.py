"""What a test of loop's intake has at hand: responses as ingest publishes them, arriving."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlalchemy import Table, insert, select

from services.loop.intake import take_in
from services.loop.resources import Loop
from services.loop.tasks.domain.schemes import DEFAULT_SCHEME
from services.loop.tasks.tables import schemes
from services.loop.themes.handlers import Classifiers, install_starter
from shared.bus.consumer import Arrived
from shared.db.transaction import Database
from shared.events.envelope import Envelope, Event, decode, read, wrap
from shared.events.ingest import ResponseReceived, ResponseRevised
from shared.events.loop import ResponseHandled
from shared.events.registry import EVENTS
from shared.identity.person_keys import PersonKeys
from shared.ids import new_id
from shared.sealing import Keyring, seal_document
from shared.settings import Settings
from tests.fakes import ManualClock

WAITED = "waited forty minutes"


@dataclass
class Intake:
    """Loop's rooms over a database, fed by hand."""

    database: Database
    clock: ManualClock
    keyring: Keyring
    person_keys: PersonKeys
    classifiers: Classifiers = field(default_factory=Classifiers)
    customers: dict[str, str] = field(default_factory=dict)
    """Whose the answers are that no test gave a customer, by response."""

    @property
    def loop(self) -> Loop:
        """Return the service's resources."""
        return Loop(
            settings=Settings(),
            clock=self.clock,
            database=self.database,
            keyring=self.keyring,
            person_keys=self.person_keys,
        )

    async def prepare(self) -> None:
        """Install what every installation has from the start."""
        async with self.database.transaction() as tx:
            await install_starter(tx, now=self.clock.now())

    async def alert_at_any_hour(self) -> None:
        """Let the shipped scheme ring at night too, for tests that are about something else."""
        async with self.database.transaction() as tx:
            await tx.execute(
                insert(schemes).values(
                    id=DEFAULT_SCHEME["id"],
                    version=DEFAULT_SCHEME["version"],
                    document={**DEFAULT_SCHEME, "night": True},
                    published_at=self.clock.now(),
                    published_by="stf_admin",
                )
            )

    async def response(
        self, *, comment: str | None = None, customer: str | None = "", **members: Any
    ) -> ResponseReceived | ResponseRevised:
        """Return a response as ingest would publish it: an unhappy customer, just now.

        Each is another customer's unless ``customer`` says otherwise: c-1, c-2 and so on.
        """
        (event,) = await self.responses([{"comment": comment, "customer": customer, **members}])
        return event

    async def responses(
        self, all_members: Sequence[Mapping[str, Any]]
    ) -> list[ResponseReceived | ResponseRevised]:
        """Return several responses, sealed under the keys of their persons."""
        drafts = [self._draft(dict(members)) for members in all_members]
        async with self.database.transaction() as tx:
            keys = await self.person_keys.for_sealing(
                tx, [draft["person_ref"] for draft, _ in drafts], now=self.clock.now()
            )
        events = []
        for draft, document in drafts:
            person = seal_document(
                keys[draft["person_ref"]], document, context=draft["response_id"]
            )
            kind = ResponseReceived if draft["revision"] == 1 else ResponseRevised
            events.append(kind.model_validate({**draft, "person": person}))
        return events

    def _draft(self, members: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        comment, customer = members.pop("comment", None), members.pop("customer", "")
        block = members.pop("block", {})
        transaction = members.pop("transaction_id", None)
        now = self.clock.now()
        response_id = members.get("response_id", new_id("rsp"))
        if customer == "":
            customer = self.customers.setdefault(response_id, f"c-{len(self.customers) + 1}")
        ref = self.person_keys.ref("crm", customer) if customer else response_id
        draft = {
            "response_id": response_id,
            "revision": 1,
            "source": "crm",
            "measurement": "transactional",
            "metric": "nps",
            "score": 2,
            "language": "en",
            "touchpoint": "support-call",
            "answered_at": now - timedelta(minutes=5),
            "received_at": now,
            "person_ref": ref,
            "has_comment": comment is not None,
            **members,
        }
        return draft, {
            "customer": {**({"id": customer} if customer else {}), **block},
            "comment": comment,
            "attributes": {},
            "external_id": response_id,
            **({"transaction_id": transaction} if transaction else {}),
        }

    def arrived(self, event: Event, **envelope: Any) -> Arrived:
        """Return the event as the consumer hands it over."""
        wrapped = wrap(event, event_id=new_id("evt"), at=self.clock.now())
        return Arrived(
            envelope=wrapped.model_copy(update=envelope),
            event=event,
            key=event.person_ref,  # type: ignore[attr-defined] # of every response event
        )

    async def take_in(self, *events: Event) -> None:
        """Take a poll of these events in, in one transaction."""
        await self.take_in_arrived([self.arrived(event) for event in events])

    async def take_in_arrived(self, arrived: Sequence[Arrived]) -> None:
        """Take a poll in, in one transaction."""
        async with self.database.transaction() as tx:
            await take_in(
                tx,
                arrived,
                loop=self.loop,
                classifiers=self.classifiers,
                now=self.clock.now(),
            )

    async def rows(self, table: Table) -> list[dict[str, Any]]:
        """Return all rows of a table."""
        async with self.database.reading() as view:
            return [dict(row._mapping) for row in await view.all(select(table))]

    async def announced(self) -> list[tuple[Envelope, Event]]:
        """Return what lies in the outbox, in order."""
        outbox = self.database.plumbing.outbox
        async with self.database.reading() as view:
            rows = await view.all(select(outbox).order_by(outbox.c.seq))
        envelopes = [decode(row.body) for row in rows]
        return [(envelope, read(envelope, EVENTS[envelope.type])) for envelope in envelopes]

    async def handled(self) -> list[ResponseHandled]:
        """Return what was said to have become of responses, in order."""
        return [
            event for _, event in await self.announced() if isinstance(event, ResponseHandled)
        ]
