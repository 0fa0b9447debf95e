"""What loop hears on the bus, and who answers: responses, and mails that reached nobody."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from services.loop.intake import take_in
from services.loop.resources import Loop
from services.loop.tasks.handlers import note_undelivered
from services.loop.tasks.handlers.removing import take_out
from services.loop.themes.handlers import Classifiers
from shared.bus.consumer import Arrived
from shared.db.transaction import Transaction
from shared.events import topics
from shared.events.envelope import Event
from shared.events.ingest import ResponseReceived, ResponseRemoved, ResponseRevised
from shared.events.notify import AlertUndeliverable

TOPICS: Final = (topics.RESPONSES, topics.ALERTS)
KINDS: Final[tuple[type[Event], ...]] = (
    ResponseReceived,
    ResponseRevised,
    ResponseRemoved,
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
        if len(alerts) + len(removed) < len(arrived):
            responses = [one for one in arrived if not isinstance(one.event, apart)]
            await take_in(
                tx, responses, loop=self._loop, classifiers=self._classifiers, now=now
            )
        if removed:
            await take_out(tx, removed, now=now)
        if alerts:
            await note_undelivered(tx, alerts)
