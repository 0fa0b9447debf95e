"""What every call to Kafka is bounded by: our deadlines, and what their end means."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from aiokafka.errors import KafkaError

from shared.bus.ports import TOPIC_MISSING
from shared.errors import TryLater
from shared.tasks import spawn

if TYPE_CHECKING:
    from collections.abc import Coroutine


PUBLISH_WITHIN = 10.0
ANSWER_WITHIN = 5.0
JOIN_WITHIN = 15.0
CLOSE_WITHIN = 3.0

TROUBLE = (KafkaError, OSError, TimeoutError)


def away(detail: str = "the Kafka broker does not answer") -> TryLater:
    """Return the refusal that says that Kafka cannot be reached now."""
    return TryLater(detail, slug="bus-unavailable")


def missing(topic: str) -> TryLater:
    """Return the refusal that names a topic which nobody has created."""
    return TryLater(
        f"the topic {topic} does not exist on the broker; `closed-loop migrate` creates it",
        slug=TOPIC_MISSING,
    )


async def bounded(closing: Coroutine[Any, Any, Any], within: float = CLOSE_WITHIN) -> bool:
    """Run a clean-up for a bounded time; tell whether it came to its end.

    In a task of its own, because aiokafka lets the cancelling of its inner tasks escape.
    """
    task = spawn(closing, name="kafka-closing")
    done, _ = await asyncio.wait({task}, timeout=within)
    if not done:
        task.cancel()
        await asyncio.wait({task}, timeout=1)
        return False
    return not task.cancelled() and task.exception() is None


def ms(seconds: float) -> int:
    """Return seconds as aiokafka counts: whole milliseconds."""
    return int(seconds * 1000)
