"""A worker in a process of its own: claims one delivery, posts it, and says what it could mark.

``python -m tests.adapters.paused_worker DATABASE_URL`` prints one line of JSON a delivery.
"""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import timedelta

from services.notify.channels.webhook import Limits
from services.notify.domain.deliveries import Channel
from services.notify.jobs import Dispatcher, Pace
from services.notify.store import Settlement
from services.notify.tables import PLUMBING
from shared.clock import SystemClock
from shared.db.engine import Engines
from shared.db.transaction import Database
from shared.identity.person_keys import PersonKeys
from shared.sealing import Keyring
from tests.adapters.test_webhook import channel
from tests.fakes import ManualClock
from tests.notices import House

LEASE = timedelta(seconds=4)


def worker(database: Database, keyring: Keyring, *, lease: timedelta) -> Dispatcher:
    """Return a dispatcher whose claims end soon; it does not prolong them."""
    house = House(
        database=database,
        clock=ManualClock(),
        keyring=keyring,
        person_keys=PersonKeys(keyring),
    )
    return Dispatcher(
        database=database,
        clock=SystemClock(),
        keyring=keyring,
        person_keys=house.person_keys,
        mail=house.mail,
        webhooks=channel(limits=Limits(whole=30)),
        composer=house.dispatcher()._composer,
        pace=Pace(patience=0.05, lease=lease, heartbeat=60),
    )


async def main(url: str, secret: str) -> None:
    """Send what is due, until one attempt has ended."""
    engines = Engines.open(url)
    dispatcher = worker(Database(engines, PLUMBING), Keyring(secret), lease=LEASE)
    # Stopped while it prolongs, it would keep the row locked, which is another matter.
    dispatcher._prolonged_at = SystemClock().monotonic()
    settled: list[bool] = []
    submit = dispatcher._settling.submit

    async def noted(done: Settlement) -> bool:
        is_ours = await submit(done)
        if done.delivery.channel is Channel.WEBHOOK:
            settled.append(is_ours)
        return is_ours

    dispatcher._settling.submit = noted  # type: ignore[method-assign, assignment] # looked at
    print("ready", flush=True)  # noqa: T201 - the parent waits for it
    while not settled:
        if not await dispatcher.step():
            await dispatcher.wait()
    print(json.dumps({"marked": settled}), flush=True)  # noqa: T201 - the parent reads it
    await dispatcher.close()
    await engines.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
