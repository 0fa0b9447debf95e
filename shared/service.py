"""What a service is to the composition root: routes, workers, and the resources behind them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from fastapi import APIRouter

    from shared.bus.ports import Bus
    from shared.clock import Clock
    from shared.db.transaction import Database
    from shared.figures import Measure
    from shared.identity.person_keys import PersonKeys
    from shared.identity.retention import Expiring
    from shared.sealing import Keyring
    from shared.settings import Settings


class Worker(Protocol):
    """Does work while there is work, then waits."""

    @property
    def name(self) -> str:
        """Return a stable name for logs, metrics and readiness."""
        ...

    async def step(self) -> bool:
        """Do one batch; return whether there was anything to do.

        Must be safe to cut off at any point and to run again.
        """
        ...

    async def wait(self) -> None:
        """Return when there may be work again; never much later than a second."""
        ...

    async def close(self) -> None:
        """Let go of what ``step`` opened; bounded in time."""
        ...


@dataclass(frozen=True, kw_only=True)
class Service:
    """One of ingest, loop, notify, ready to be served."""

    name: str
    routers: Sequence[APIRouter]
    workers: Sequence[Worker]
    resources: object = field(repr=False)
    prepare: Callable[[], Awaitable[None]] | None = field(default=None, repr=False)
    """Called once before serving, to install what must exist from the start."""
    expiring: Sequence[Expiring] = ()
    """What its housekeeping forgets by the periods that somebody set."""
    measure: Measure | None = field(default=None, repr=False)
    """Looks up the figures of ``/metrics`` that only this service knows."""


@dataclass(frozen=True, kw_only=True)
class Kit:
    """What the composition root hands to each service's ``build``."""

    settings: Settings
    clock: Clock
    database: Database
    bus: Bus
    keyring: Keyring
    person_keys: PersonKeys
