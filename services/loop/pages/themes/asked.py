"""What the address of a page of themes asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, cast
from urllib.parse import urlencode

from starlette.requests import Request

from services.loop.themes.handlers.listing import Order
from services.loop.themes.store import Dimension
from services.loop.themes.store.rollups import DIMENSIONS
from shared.i18n import marked
from shared.identity.principal import Principal, Role
from shared.web.forms import Form

PERIODS: Final = (7, 14, 28, 84, 182)
"""The periods one can choose, in days."""

TABS: Final[Mapping[str, str]] = {
    "all": marked("All"),
    "top": marked("Top 10"),
    "unassigned": marked("Unassigned"),
    "without": marked("Without a theme"),
}

ORDERS: Final[Mapping[str, str]] = {
    "mentions": marked("most mentioned"),
    "cost": marked("costs the score most"),
    "lift": marked("helps the score most"),
    "promoters": marked("most mentioned by the happy"),
}

NOBODY: Final = "-"
"""Stands for no department, in the address."""

_DEFAULT_DAYS: Final = 28


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the address asks for; whatever makes no sense is left out."""

    tab: str
    days: int
    of: Mapping[Dimension, str]
    department: str
    """An id, ``NOBODY``, or empty for all of them."""
    own: str
    """What ``department`` is where nobody says otherwise: a head sees their own first."""
    order: Order
    today: date

    @classmethod
    def read(cls, request: Request, caller: Principal, today: date) -> Asked:
        """Read the query."""
        given = request.query_params
        known = {str(period): period for period in PERIODS}
        tab, order = given.get("tab", ""), given.get("sort", "")
        own = (caller.department or "") if caller.role is Role.DEPARTMENT_HEAD else ""
        return cls(
            tab=tab if tab in TABS else "all",
            days=known.get(given.get("days", ""), _DEFAULT_DAYS),
            of={name: text for name in DIMENSIONS if (text := _text(given.get(name, "")))},
            department=_text(given.get("department", own)),
            own=own,
            order=cast("Order", order if order in ORDERS else "mentions"),
            today=today,
        )

    @property
    def first(self) -> date:
        """Return the first day of the period."""
        return self.today - timedelta(days=self.days - 1)

    @property
    def places(self) -> dict[str, str]:
        """Return ``of`` as members of a query."""
        return {str(name): value for name, value in self.of.items()}

    @property
    def is_narrowed(self) -> bool:
        """Tell whether less is shown than there is."""
        return bool(self.of) or self.department != self.own

    @property
    def form(self) -> Form:
        """Return the filter as it stands."""
        values = {
            "days": str(self.days),
            "department": self.department,
            "sort": self.order,
            **self.places,
        }
        return Form(name="filter", values=values)

    def href(self, path: str = "/themes", **others: str) -> str:
        """Return an address for the same, with changes; an empty one takes away."""
        members = {
            "tab": "" if self.tab == "all" else self.tab,
            "days": "" if self.days == _DEFAULT_DAYS else str(self.days),
            **self.places,
            "sort": "" if self.order == "mentions" else self.order,
        } | others
        said = {name: value for name, value in members.items() if value}
        if self.department != self.own:
            said.setdefault("department", self.department)
        return f"{path}?{urlencode(said)}" if said else path

    @property
    def period(self) -> dict[str, str]:
        """Return the days and places as the interface is asked for them."""
        days = {"from": self.first.isoformat(), "to": self.today.isoformat()}
        return days | self.places

    @property
    def json(self) -> str:
        """Return where the same themes are as JSON."""
        members = self.period
        if self.department and self.department != NOBODY:
            members["department"] = self.department
        if self.order != "mentions":
            members["sort"] = self.order
        return f"/v1/themes?{urlencode(members)}"


def _text(given: str) -> str:
    text = given.strip()[:200]
    return "" if "\0" in text else text
