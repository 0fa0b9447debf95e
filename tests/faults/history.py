"""What the clients did and what they know of it, in the manner of Jepsen.

Every request is written down before it is sent, and completed when something is known of it:
``ok`` (a 202 was read), ``failed`` (another verdict was read) or ``unknown`` (the line broke,
or somebody in between said that nobody answers). What was never completed is unknown.
"""

from __future__ import annotations

import itertools
import threading
from dataclasses import dataclass
from enum import StrEnum


class Known(StrEnum):
    """What a client knows of its request."""

    OK = "ok"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(kw_only=True)
class Operation:
    """One request: what it said, and what came of it."""

    client: int
    key: str
    customer: str | None
    is_wrong: bool
    """Whether it breaks a rule, so that it must be refused."""
    invoked_at: int
    outcome: Known = Known.UNKNOWN
    completed_at: int | None = None
    status: int = 0
    response_id: str = ""
    revision: int = 0


class History:
    """The operations of all clients, in the order in which they began."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []
        self._lock = threading.Lock()
        self._moments = itertools.count()

    def invoke(
        self, client: int, key: str, *, customer: str | None = None, is_wrong: bool = False
    ) -> Operation:
        """Write a request down that is about to be sent."""
        with self._lock:
            operation = Operation(
                client=client,
                key=key,
                customer=customer,
                is_wrong=is_wrong,
                invoked_at=next(self._moments),
            )
            self.operations.append(operation)
        return operation

    def ok(self, operation: Operation, response_id: str, revision: int = 1) -> None:
        """Note that the request was answered with 202 and this id."""
        operation.response_id, operation.revision = response_id, revision
        self._complete(operation, Known.OK, 202)

    def failed(self, operation: Operation, status: int) -> None:
        """Note that the request was refused."""
        self._complete(operation, Known.FAILED, status)

    def unknown(self, operation: Operation) -> None:
        """Note that nobody can tell what became of the request."""
        self._complete(operation, Known.UNKNOWN, 0)

    def _complete(self, operation: Operation, outcome: Known, status: int) -> None:
        with self._lock:
            operation.outcome, operation.status = outcome, status
            operation.completed_at = next(self._moments)

    def of(self, outcome: Known) -> list[Operation]:
        """Return the operations that ended so."""
        return [one for one in self.operations if one.outcome is outcome]

    @property
    def accepted(self) -> dict[str, str]:
        """The id that each accepted key was answered with."""
        return {one.key: one.response_id for one in self.of(Known.OK)}
