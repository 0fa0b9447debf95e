"""What ingest hears: what the loop made of each response, for whoever asks for its state."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.ingest.store import Handled, mark_handled
from shared.events.loop import ResponseHandled

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from shared.bus.consumer import Arrived
    from shared.db.transaction import Transaction


async def hear_handled(tx: Transaction, arrived: Sequence[Arrived], _now: datetime) -> None:
    """Note the verdict on each response; of several in one poll the latest revision counts."""
    verdicts: dict[str, Handled] = {}
    for one in arrived:
        event = one.event
        if not isinstance(event, ResponseHandled):
            continue
        earlier = verdicts.get(event.response_id)
        if earlier is None or earlier.revision <= event.revision:
            verdicts[event.response_id] = Handled(
                response_id=event.response_id,
                revision=event.revision,
                state=event.state,
                reason=event.reason,
                task_id=event.task_id,
                themes=event.themes,
            )
    await mark_handled(tx, list(verdicts.values()))
