"""Tasks of an import are told of in summaries: one mail an owner and kind, not hundreds.

A summary is a delivery that grows: as long as nobody has claimed it, what comes is added to it
and puts it off a little. Once it is claimed the next one begins.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.notify import store
from services.notify.domain.alerts import (
    SUMMARY_KINDS,
    TaskFacts,
    facts_document,
    owner_document,
)
from services.notify.domain.deliveries import Channel
from services.notify.domain.gathering import due_at
from services.notify.store import Line, Mailbox, NewDelivery
from shared.db.transaction import Transaction
from shared.ids import new_id


@dataclass(frozen=True, kw_only=True)
class Addition:
    """An event of an import's task, for somebody who is to be told; None for nobody yet."""

    facts: TaskFacts
    target: str
    mailbox: Mailbox | None

    @property
    def gathering(self) -> str:
        """Return what decides into which summary it goes."""
        return f"{self.facts.import_id}/{self.target}/{SUMMARY_KINDS[self.facts.type]}"

    @property
    def line(self) -> Line:
        """Return the addition as the summary keeps it."""
        return Line(
            event_id=self.facts.event_id,
            target=self.target,
            task_id=self.facts.task_id,
            payload=facts_document(self.facts),
        )


async def gather(
    tx: Transaction, additions: Sequence[Addition], *, now: datetime
) -> Sequence[NewDelivery]:
    """Add events to the summaries that grow, and begin those that are missing; return these.

    An event that is told already is told no second time.
    """
    known = await store.lines_known(tx, [one.line for one in additions])
    waiting: dict[str, dict[str, Addition]] = defaultdict(dict)
    for one in additions:
        if (one.facts.event_id, one.target) not in known:
            waiting[one.gathering].setdefault(one.facts.event_id, one)
    begun: list[NewDelivery] = []
    while waiting:
        # In one order everywhere, so that two workers never wait for each other.
        fresh = {key: _begin(key, waiting[key], now) for key in sorted(waiting)}
        await store.add_deliveries(tx, list(fresh.values()), now=now)
        # One that was claimed between these two statements is missing: the next one begins.
        growing = await store.lock_growing(tx, sorted(waiting))
        await store.add_lines(
            tx,
            {
                one.delivery_id: [added.line for added in waiting[key].values()]
                for key, one in growing.items()
            },
        )
        await store.set_due(
            tx,
            {
                one.delivery_id: due_at(first=one.began_at, last=now)
                for one in growing.values()
                if not one.is_held
            },
        )
        begun += [fresh[key] for key, one in growing.items() if one.began_at == now]
        for key in growing:
            del waiting[key]
    return begun


def _begin(gathering: str, additions: Mapping[str, Addition], now: datetime) -> NewDelivery:
    first = next(iter(additions.values()))
    facts = first.facts
    return NewDelivery(
        event_id=new_id("sum"),
        event_type=facts.type,
        channel=Channel.EMAIL,
        target=first.target,
        purpose=SUMMARY_KINDS[facts.type],
        payload=owner_document(facts),
        correlation_id=facts.correlation_id,
        recipient=first.mailbox,
        import_id=facts.import_id,
        gathering=gathering,
        due_at=due_at(first=now, last=now),
    )
