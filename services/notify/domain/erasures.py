"""A customer was forgotten: what receivers are told, so that they can forget them too.

It names nobody: a receiver knows the customer by the tasks and responses that it was told of.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from services.notify.domain.alerts import compact, rfc3339

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

CUSTOMER_ERASED_TYPE: Final = "customer.erased"


@dataclass(frozen=True, kw_only=True)
class ErasureFacts:
    """Whose data are to be erased, by ids."""

    event_id: str
    happened_at: datetime
    erased_at: datetime
    customer_id: str
    reason: str
    whole: bool
    response_ids: Sequence[str]
    task_ids: Sequence[str]
    correlation_id: str | None = None


def erasure_body(facts: ErasureFacts) -> bytes:
    """Return the body of a webhook, compact, as it will be signed."""
    return compact(
        {
            "type": CUSTOMER_ERASED_TYPE,
            "timestamp": rfc3339(facts.happened_at),
            "data": {
                "customer_id": facts.customer_id,
                "reason": facts.reason,
                "whole": facts.whole,
                "response_ids": list(facts.response_ids),
                "task_ids": list(facts.task_ids),
                "erased_at": rfc3339(facts.erased_at),
            },
        }
    )
