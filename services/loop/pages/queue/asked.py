"""What the queue's address asks for: which part, and which of its tasks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from starlette.requests import Request

from services.loop.tasks.domain.task import ENDED, OPEN, TaskState
from services.loop.tasks.store import Order, TaskFilter
from shared.i18n import marked
from shared.identity.principal import Principal

TABS: Final[Mapping[str, str]] = {
    "todo": marked("To do"),
    "mine": marked("Mine"),
    "team": marked("My team, unclaimed"),
    "waiting": marked("Waiting for the customer"),
    "open": marked("All open"),
    "closed": marked("Closed"),
}
SCORES: Final[Mapping[str, tuple[int, int] | None]] = {
    "0-3": (0, 3),
    "4-6": (4, 6),
    "7-10": (7, 10),
    "none": None,
}


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the address asks for; whatever makes no sense is left out, for people edit it."""

    tab: str
    touchpoint: str
    score: str
    theme: str

    @classmethod
    def of(cls, request: Request) -> Asked:
        """Read the query."""
        given = request.query_params

        def text(name: str) -> str:
            return given.get(name, "").strip()[:200]

        tab, score = text("tab"), text("score")
        return cls(
            tab=tab if tab in TABS else "todo",
            touchpoint=text("touchpoint"),
            score=score if score in SCORES else "",
            theme=text("theme"),
        )

    def href(self, path: str = "/", **others: str) -> str:
        """Return the address that asks for this, with changes."""
        members = {
            "tab": "" if self.tab == "todo" else self.tab,
            "touchpoint": self.touchpoint,
            "score": self.score,
            "theme": self.theme,
        } | others
        query = urlencode({name: value for name, value in members.items() if value})
        return f"{path}?{query}" if query else path

    @property
    def order(self) -> Order:
        """Return by what the list is ordered."""
        return "ended" if self.tab == "closed" else "due"

    @property
    def filtered(self) -> bool:
        """Tell whether less than a whole tab is asked for."""
        return bool(self.touchpoint or self.score or self.theme)

    def wanted(self, caller: Principal) -> TaskFilter:
        """Return the tasks that this asks for, seen by ``caller``."""
        owners = {
            "todo": caller.teams | {caller.id},
            "mine": frozenset({caller.id}),
            "team": caller.teams,
            "waiting": caller.teams | {caller.id},
        }
        states = {"closed": ENDED, "waiting": frozenset({TaskState.WAITING_CUSTOMER})}
        band = SCORES.get(self.score)
        return TaskFilter(
            states=states.get(self.tab, OPEN),
            owners=owners.get(self.tab),
            touchpoint=self.touchpoint or None,
            theme=self.theme or None,
            scores=band,
            scored=False if self.score == "none" else None,
        )
