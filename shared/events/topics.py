"""The bus topics: public names that anyone with a Kafka client can read."""

from __future__ import annotations

RESPONSES = "closed-loop.responses"
HANDLED = "closed-loop.handled"
TASKS = "closed-loop.tasks"
OUTER_LOOP = "closed-loop.outer-loop"
ALERTS = "closed-loop.alerts"

ALL = (RESPONSES, HANDLED, TASKS, OUTER_LOOP, ALERTS)
