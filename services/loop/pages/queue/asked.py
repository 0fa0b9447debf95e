"""What the queue's address asks for: which view, and which of its tasks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Final
from urllib.parse import parse_qsl, urlencode

from services.loop.tasks.domain.task import TaskState
from services.loop.tasks.handlers import Sought, order_of
from services.loop.tasks.schemas.filters import STATES, score_range
from services.loop.tasks.store import Order
from shared.i18n import marked
from shared.stats.categories import RANGES

TABS: Final[Mapping[str, str]] = {
    "todo": marked("To do"),
    "mine": marked("Mine"),
    "team": marked("My team, unclaimed"),
    "today": marked("Due today"),
    "overdue": marked("Overdue"),
    "waiting": marked("Waiting for the customer"),
    "denied": marked("Denied by the customer"),
    "escalated": marked("Escalated to me"),
    "open": marked("All open"),
    "closed": marked("Closed"),
}
SCORES: Final = ("0-3", "4-6", "7-10", "none")
_LONGEST: Final = 200
_PARAMETERS: Final = (
    "tab",
    "touchpoint",
    "segment",
    "product",
    "metric",
    "score",
    "theme",
    "owner",
    "state",
    "q",
)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the address asks for; whatever makes no sense is left out, for people edit it."""

    tab: str = "todo"
    touchpoint: str = ""
    segment: str = ""
    product: str = ""
    metric: str = ""
    score: str = ""
    theme: str = ""
    owner: str = ""
    state: str = ""
    q: str = field(default="", repr=False)

    @classmethod
    def of(cls, given: Mapping[str, str]) -> Asked:
        """Read the parameters of an address."""
        found = {name: given.get(name, "").strip()[:_LONGEST] for name in _PARAMETERS}
        found = {name: "" if "\0" in text else text for name, text in found.items()}
        if found["tab"] not in TABS:
            found["tab"] = "todo"
        if score_range(found["score"]) is None and found["score"] != "none":
            found["score"] = ""
        if found["metric"] not in RANGES:
            found["metric"] = ""
        if found["state"] not in set(TaskState):
            found["state"] = ""
        return cls(**found)

    @classmethod
    def read(cls, query: str) -> Asked:
        """Read what ``query`` gave."""
        return cls.of(dict(parse_qsl(query)))

    @property
    def members(self) -> Mapping[str, str]:
        """Return what is asked for beside the view itself."""
        members: dict[str, str] = asdict(self)
        return {name: value for name, value in members.items() if value and name != "tab"}

    @property
    def query(self) -> str:
        """Return what asks for this, as an address carries it."""
        tab = {} if self.tab == "todo" else {"tab": self.tab}
        return urlencode({**tab, **self.members})

    def href(self, path: str = "/", **others: str) -> str:
        """Return the address that asks for this, and for more."""
        more = urlencode({name: value for name, value in others.items() if value})
        query = "&".join(part for part in (self.query, more) if part)
        return f"{path}?{query}" if query else path

    @property
    def json(self) -> str:
        """Return where machines read the same list."""
        return f"/v1/tasks?{urlencode({'view': self.tab, **self.members})}"

    @property
    def order(self) -> Order:
        """Return by what the list is ordered."""
        return order_of(self.tab)

    @property
    def filtered(self) -> bool:
        """Tell whether less than a whole view is asked for."""
        return bool(self.members)

    @property
    def sought(self) -> Sought:
        """Return the same as every list of tasks understands it."""
        return Sought(
            view=self.tab,
            states=STATES[self.state] if self.state else None,
            owner=self.owner or None,
            touchpoint=self.touchpoint or None,
            segment=self.segment or None,
            product=self.product or None,
            metric=self.metric or None,
            theme=self.theme or None,
            scores=score_range(self.score),
            scored=False if self.score == "none" else None,
            text=self.q,
        )
