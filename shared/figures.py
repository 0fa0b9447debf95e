"""Every promise as a number: what waits, since when, what failed. For whoever scrapes us.

Each figure is one look along an index or at memory, and all of them are looked up at most once
in a few seconds, however often they are asked for. No name of a department, a touchpoint or a
source stands in them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from sqlalchemy import func, select
from typing_extensions import override

from shared.bus.consumer import Consumer, ConsumerState
from shared.bus.relay import Relay
from shared.db import dead_letter
from shared.db.base import epoch_now
from shared.db.timers import next_due
from shared.errors import TryLater
from shared.tasks import spawn

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from shared.clock import Clock
    from shared.db.transaction import Reading

ABOUT: Final[Mapping[str, str]] = {
    "outbox_waiting": "Records that wait to be published",
    "outbox_oldest_seconds": "How long the oldest of them has waited",
    "outbox_rows": "Rows of the outbox, published ones of the last week too; about",
    "dead_letters": "Records set aside that nobody has settled",
    "dead_letters_oldest_seconds": "How long the oldest of them has lain",
    "timers_overdue_seconds": "How long the timer that is due longest has been due",
    "consumer_lag": "Records that a consumer has yet to handle",
    "consumer_up": "Whether a consumer handles records (0 when it has stopped)",
    "consumer_parked_share": "Share of the last five minutes' records that were set aside",
    "responses_unhandled": "Responses of which no task or verdict is known yet",
    "responses_unhandled_oldest_seconds": "How long the oldest of them has waited",
    "deliveries_due": "Deliveries that wait to be sent, retries too",
    "deliveries_overdue_seconds": "How long the delivery that is due longest has been due",
    "clock_apart_seconds": "How far the database's clock is away from ours",
    "figures_complete": "Whether every figure of a service could be looked up",
}
"""Every figure by its name, which in full begins with ``closed_loop_``."""

KEPT: Final = 5.0
_PATIENCE: Final = 2.0

counters: Final = CollectorRegistry()
"""What is counted as it happens, since the process began."""

deliveries = Counter(
    "closed_loop_deliveries",
    "Attempts to deliver, by what came of them",
    ("channel", "verdict"),
    registry=counters,
)
refusals = Counter(
    "closed_loop_refusals",
    "Responses that were refused or rejected, by the code of the reason",
    ("reason",),
    registry=counters,
)


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One number at this moment."""

    name: str
    value: float
    labels: Mapping[str, str] = field(default_factory=dict)


Measure = Callable[["Reading", "datetime"], Awaitable[Sequence[Figure]]]
"""Looks up the figures that only one service knows of itself."""


def seconds_since(moment: datetime | None, now: datetime) -> float:
    """Return how long ago that was; nothing that lies ahead or never was counts."""
    return max(0.0, (now - moment).total_seconds()) if moment is not None else 0.0


class Gauges:
    """The figures of one service."""

    def __init__(
        self,
        service: str,
        workers: Sequence[object],
        *,
        clock: Clock,
        measure: Measure | None = None,
    ) -> None:
        self._service = service
        self._relays = [worker for worker in workers if isinstance(worker, Relay)]
        self._consumers = [worker for worker in workers if isinstance(worker, Consumer)]
        self._clock = clock
        self._measure = measure
        self._running: dict[str, asyncio.Task[list[Figure]]] = {}

    async def look(self) -> Sequence[Figure]:
        """Return everything that can be told now, and whether that is all."""
        parts = await asyncio.gather(
            self._within("stored", self._stored), self._within("lags", self._lags)
        )
        found = [figure for part in parts for figure in part or ()]
        whole = all(part is not None for part in parts)
        found += self._remembered()
        return [*found, self._of_service("figures_complete", float(whole))]

    async def _within(
        self, name: str, part: Callable[[], Coroutine[Any, Any, list[Figure]]]
    ) -> list[Figure] | None:
        """Return a part, or None where nobody answers in time; it is never cut off."""
        task = self._running.get(name)
        if task is None or task.done():
            task = self._running[name] = spawn(part(), name=f"figures.{self._service}.{name}")
        done, _ = await asyncio.wait({task}, timeout=_PATIENCE)
        if not done:
            return None
        try:
            return task.result()
        except TryLater:
            return None

    async def _stored(self) -> list[Figure]:
        found: list[Figure] = []
        now = self._clock.now()
        for relay in self._relays:
            tables = relay.database.plumbing
            backlog = await relay.backlog()
            async with relay.database.reading() as view:
                pile = await dead_letter.pile(view, tables.dead_letters)
                due = await next_due(view, tables.timers)
                first = await view.scalar(select(func.min(tables.outbox.c.seq)))
                last = await view.scalar(select(func.max(tables.outbox.c.seq)))
                theirs = await view.scalar(select(epoch_now()))
                if self._measure is not None:
                    found += await self._measure(view, now)
            values = {
                "outbox_waiting": backlog.count,
                "outbox_oldest_seconds": seconds_since(backlog.oldest, now),
                "outbox_rows": last - first + 1 if last is not None else 0,
                "dead_letters": pile.count,
                "dead_letters_oldest_seconds": seconds_since(pile.oldest, now),
                "timers_overdue_seconds": seconds_since(due, now),
                "clock_apart_seconds": abs(theirs - self._clock.now().timestamp()),
            }
            found += [self._of_service(name, value) for name, value in values.items()]
        return found

    async def _lags(self) -> list[Figure]:
        return [
            Figure(
                name="consumer_lag",
                value=await consumer.lag(),
                labels={"consumer": consumer.name},
            )
            for consumer in self._consumers
        ]

    def _remembered(self) -> Iterator[Figure]:
        for consumer in self._consumers:
            labels = {"consumer": consumer.name}
            up = consumer.health.state is not ConsumerState.STOPPED
            yield Figure(name="consumer_up", value=float(up), labels=labels)
            yield Figure(
                name="consumer_parked_share",
                value=consumer.recent.share_parked(),
                labels=labels,
            )

    def _of_service(self, name: str, value: float) -> Figure:
        return Figure(name=name, value=value, labels={"service": self._service})


class Board:
    """Looks all gauges up, at most once in a few seconds."""

    def __init__(self, gauges: Sequence[Gauges], clock: Clock) -> None:
        self._gauges = gauges
        self._clock = clock
        self._looking = asyncio.Lock()
        self._looked_at: float | None = None
        self._found: Sequence[Figure] = ()

    async def figures(self) -> Sequence[Figure]:
        """Return what is known, or was a moment ago."""
        async with self._looking:
            now = self._clock.monotonic()
            if self._looked_at is None or now - self._looked_at >= KEPT:
                parts = await asyncio.gather(*(each.look() for each in self._gauges))
                self._found = [figure for part in parts for figure in part]
                self._looked_at = now
        return self._found


class LookedUp(CollectorRegistry):
    """The figures as Prometheus' library writes them."""

    def __init__(self, figures: Sequence[Figure]) -> None:
        super().__init__()
        self._figures = figures

    @override
    def collect(self) -> Iterator[Metric]:
        """Return one family a name."""
        by_name: dict[str, list[Figure]] = {}
        for figure in self._figures:
            by_name.setdefault(figure.name, []).append(figure)
        for name, some in by_name.items():
            labels = sorted(some[0].labels)
            family = GaugeMetricFamily(f"closed_loop_{name}", ABOUT[name], labels=labels)
            for figure in some:
                family.add_metric([figure.labels[label] for label in labels], figure.value)
            yield family
