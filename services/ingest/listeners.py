"""What ingest hears: what the loop made of each response, for whoever asks for its state.

A verdict says what a response led to; from then on its task says whether somebody still has to
act. The two come on different topics, so either may be read first, and what is read again or
late must change nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from services.ingest.store import Handled, TaskStands, mark_handled, mark_tasks
from shared.events import topics
from shared.events.loop import ResponseHandled, TaskClosed, TaskReopened, TaskResolved

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from shared.bus.consumer import Arrived
    from shared.db.transaction import Transaction

TOPICS: Final = (topics.HANDLED, topics.TASKS)
KINDS: Final = (ResponseHandled, TaskResolved, TaskClosed, TaskReopened)


async def hear(tx: Transaction, arrived: Sequence[Arrived], _now: datetime) -> None:
    """Note what became of each response; of several in one poll the latest counts."""
    verdicts: dict[str, Handled] = {}
    tasks: dict[str, TaskStands] = {}
    for one in arrived:
        match one.event:
            case ResponseHandled() as event:
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
            case TaskResolved() | TaskClosed() | TaskReopened() as event:
                for response_id in (event.response_id, *event.other_responses):
                    known = tasks.get(response_id)
                    if known is None or known.version < event.version:
                        tasks[response_id] = TaskStands(
                            response_id=response_id,
                            task_id=event.task_id,
                            version=event.version,
                            is_open=isinstance(event, TaskReopened),
                        )
            case _:
                pass  # the consumer hands over nothing else
    await mark_handled(tx, list(verdicts.values()))
    await mark_tasks(tx, list(tasks.values()))
