"""Loop and notify over one database, and somebody who carries the events over."""

from __future__ import annotations

from dataclasses import dataclass, field

from services.loop.jobs import TimerWorker
from shared.bus.consumer import Arrived
from tests.desk import Desk
from tests.notices import House


@dataclass
class Shop(Desk):
    """People at their desks, and the mails and calls that go out from there."""

    house: House = field(kw_only=True)
    carried: int = 0

    async def open_for_business(self) -> None:
        """Hire everybody, who is told at any hour, and let mails and calls go out."""
        await super().open_for_business()
        await self.alert_at_any_hour()
        await self.house.prepare()

    async def ring(self) -> None:
        """Let everything happen that is due."""
        worker = TimerWorker(self.loop)
        while await worker.step():
            pass

    async def tell(self, *, send: bool = True) -> None:
        """Carry what loop announced over to notify, and send what is due."""
        announced = await self.announced()
        arrived = [
            Arrived(envelope=envelope, event=event, key="k")
            for envelope, event in announced[self.carried :]
            if envelope.type.startswith("task.")
        ]
        self.carried = len(announced)
        await self.house.hear(*arrived)
        if send:
            await self.house.dispatch()
