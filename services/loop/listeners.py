"""What loop hears on the bus: responses, customers, and mails that reached nobody."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import groupby
from typing import Final

from services.loop.intake import take_in
from services.loop.resources import Loop
from services.loop.tasks.handlers import note_undelivered
from services.loop.tasks.handlers.exporting import known_of_customer
from services.loop.tasks.handlers.forgetting import forget_customer
from services.loop.tasks.handlers.removing import take_out
from services.loop.themes.handlers import Classifiers
from shared.bus.consumer import Arrived
from shared.db.transaction import Transaction
from shared.events import topics
from shared.events.envelope import Event
from shared.events.ingest import (
    CustomerErased,
    CustomerExportRequested,
    ResponseReceived,
    ResponseRemoved,
    ResponseRevised,
)
from shared.events.notify import AlertUndeliverable
from shared.identity.forgetting import Part, record_parts

TOPICS: Final = (topics.RESPONSES, topics.ALERTS)
KINDS: Final[tuple[type[Event], ...]] = (
    ResponseReceived,
    ResponseRevised,
    ResponseRemoved,
    CustomerErased,
    CustomerExportRequested,
    AlertUndeliverable,
)


class Hearing:
    """Takes a poll in, with the rooms' resources at hand."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._classifiers = Classifiers()

    async def __call__(
        self, tx: Transaction, arrived: Sequence[Arrived], now: datetime
    ) -> None:
        """Handle one poll; the consumer commits."""
        alerts = [one.event for one in arrived if isinstance(one.event, AlertUndeliverable)]
        removed = [one.event for one in arrived if isinstance(one.event, ResponseRemoved)]
        apart = AlertUndeliverable | ResponseRemoved
        others = [one for one in arrived if not isinstance(one.event, apart)]
        # What is said about a customer comes after their answers, and before their next ones.
        parts: list[Part] = []
        for are_answers, some in groupby(others, key=_is_answer):
            if are_answers:
                await take_in(
                    tx, [*some], loop=self._loop, classifiers=self._classifiers, now=now
                )
            else:
                parts += [await self._about_customer(tx, one, now) for one in some]
        await record_parts(tx, "loop", parts, now=now)
        if removed:
            await take_out(tx, removed, now=now)
        if alerts:
            await note_undelivered(tx, alerts)

    async def _about_customer(self, tx: Transaction, one: Arrived, now: datetime) -> Part:
        """Forget a customer, or collect what is known of them."""
        event = one.event
        if isinstance(event, CustomerErased):
            counts = await forget_customer(tx, event, keyring=self._loop.keyring, now=now)
            return Part(event=event, counts=counts)
        if not isinstance(event, CustomerExportRequested):
            raise TypeError(f"{event.TYPE} is nothing that loop hears")
        return await known_of_customer(tx, event, person_keys=self._loop.person_keys)


def _is_answer(one: Arrived) -> bool:
    return isinstance(one.event, ResponseReceived | ResponseRevised)
