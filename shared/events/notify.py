"""What notify publishes: whether an alert reached its recipient."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import AwareDatetime, Field
from typing_extensions import override

from shared.events import topics
from shared.events.envelope import Event


class _Alert(Event):
    """What both verdicts carry; key = the task's person reference or the delivery's id."""

    TOPIC: ClassVar[str] = topics.ALERTS
    OWNER: ClassVar[str] = "notify"

    delivery_id: str
    channel: Literal["email", "webhook"]
    event_type: str
    event_id: str
    task_id: str | None = None
    import_id: str | None = Field(
        default=None, description="the import whose tasks the alert is about, if it is"
    )
    attempts: int
    at: AwareDatetime

    @override
    def subject(self) -> str:
        """Return the delivery's id."""
        return self.delivery_id


class AlertDelivered(_Alert):
    """The recipient's system took the alert over."""

    TYPE: ClassVar[str] = "alert.delivered.v1"

    possible_duplicate: bool = False


class AlertUndeliverable(_Alert):
    """No attempt will succeed any more; ``reason`` is a stable code."""

    TYPE: ClassVar[str] = "alert.undeliverable.v1"

    reason: str
    target: str | None = Field(
        default=None,
        description="who was not reached: a member of staff, a team, a customer or a webhook",
    )
    task_ids: list[str] = Field(
        default_factory=list, description="the tasks of a mail about several of them"
    )
    passed_on: bool = Field(
        default=False, description="somebody else is told by mail in the recipient's place"
    )
    passed_on_to: list[str] = Field(
        default_factory=list, description="the members of staff who are told instead"
    )
