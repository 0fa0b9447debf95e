"""The loop service, put together: its routes, its workers, and what stands behind them."""

from __future__ import annotations

from services.loop import listeners
from services.loop.jobs import (
    DiscoveryWork,
    IndexWorker,
    ProposalWork,
    ReplayWork,
    RiserWork,
    TimerWorker,
)
from services.loop.journey.api import ROUTERS as JOURNEY
from services.loop.journey.handlers import ensure_other
from services.loop.pages import ROUTERS as PAGES
from services.loop.resources import Loop
from services.loop.responses.api import router as scores
from services.loop.tasks.api import ROUTERS as TASKS
from services.loop.themes.api import ROUTERS as THEMES
from services.loop.themes.handlers import install_starter
from shared.bus.consumer import Consumer
from shared.bus.relay import Relay
from shared.identity.audit_seals import AuditSealing
from shared.service import Kit, Service


def build(kit: Kit) -> Service:
    """Return the loop service, ready to be served."""
    loop = Loop(
        settings=kit.settings,
        clock=kit.clock,
        database=kit.database,
        keyring=kit.keyring,
        person_keys=kit.person_keys,
    )

    async def prepare() -> None:
        async with loop.database.transaction() as tx:
            await install_starter(tx, now=loop.clock.now())
            await ensure_other(tx, now=loop.clock.now())

    return Service(
        name="loop",
        routers=[*PAGES, *TASKS, *THEMES, scores, *JOURNEY],
        workers=[
            Relay(database=kit.database, bus=kit.bus, clock=kit.clock, keyring=kit.keyring),
            Consumer(
                name="loop",
                topics=listeners.TOPICS,
                kinds=listeners.KINDS,
                handler=listeners.Hearing(loop),
                database=kit.database,
                bus=kit.bus,
                clock=kit.clock,
                keyring=kit.keyring,
            ),
            TimerWorker(loop),
            IndexWorker(loop),
            DiscoveryWork(loop),
            ReplayWork(loop),
            ProposalWork(loop),
            RiserWork(loop),
            AuditSealing(kit.database, kit.keyring, kit.clock),
        ],
        resources=loop,
        prepare=prepare,
    )
