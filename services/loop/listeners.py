"""What loop hears on the bus, and who answers: responses as ingest accepted them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from services.loop.intake import take_in
from services.loop.resources import Loop
from services.loop.themes.handlers import Classifiers
from shared.bus.consumer import Arrived
from shared.db.transaction import Transaction
from shared.events import topics
from shared.events.envelope import Event
from shared.events.ingest import ResponseReceived, ResponseRevised

TOPICS: Final = (topics.RESPONSES,)
KINDS: Final[tuple[type[Event], ...]] = (ResponseReceived, ResponseRevised)


class Responses:
    """Takes a poll of responses in, with the rooms' resources at hand."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._classifiers = Classifiers()

    async def __call__(
        self, tx: Transaction, arrived: Sequence[Arrived], now: datetime
    ) -> None:
        """Handle one poll; the consumer commits."""
        await take_in(tx, arrived, loop=self._loop, classifiers=self._classifiers, now=now)
