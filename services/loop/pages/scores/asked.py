"""What the address of the scores asks for: which score, of what, by what, and how sorted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any, Final, Literal, cast
from urllib.parse import urlencode

from starlette.requests import Request

from services.loop.responses.handlers import GroupBy
from services.loop.responses.store import Dimension, Duty, ScoreFilter
from shared.i18n import marked
from shared.stats.categories import Metric

METRICS: Final[Mapping[str, str]] = {
    "nps": marked("Net Promoter Score"),
    "csat": marked("Satisfaction, 1 to 5"),
    "ces": marked("Ease, 1 to 7"),
}
MEASUREMENTS: Final[Mapping[str, str]] = {
    "transactional": marked("After a transaction"),
    "periodic": marked("Periodic survey"),
    "unsolicited": marked("Unasked"),
}
GROUPS: Final[Mapping[str, str]] = {
    "touchpoint": marked("Touchpoint"),
    "segment": marked("Segment"),
    "product": marked("Product"),
    "channel": marked("Channel"),
    "reason": marked("Contact reason"),
    "department": marked("Department"),
    "owner": marked("Owner"),
    "week": marked("Week"),
    "month": marked("Month"),
}
FILTERS: Final[tuple[Dimension | Duty, ...]] = (
    "touchpoint",
    "segment",
    "product",
    "channel",
    "reason",
    "department",
    "owner",
)
WEEKS: Final = (4, 12, 26, 52)
Sort = Literal["name", "score", "n"]

_DEFAULTS: Final = {
    "metric": "nps",
    "measurement": "transactional",
    "group": "touchpoint",
    "weeks": "12",
    "sort": "",
}


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the address asks for; whatever makes no sense is left out, for people edit it."""

    metric: Metric
    measurement: str
    group: GroupBy
    weeks: int
    days: tuple[date, date] | None
    """A period of its own, as a week or month in the table leads to; else the last weeks."""
    of: Mapping[str, str]
    sort: str
    today: date

    @classmethod
    def of_request(cls, request: Request, today: date) -> Asked:
        """Read the query."""
        # The rows come from /v1/scores, and so do the addresses that people write themselves.
        given = {"group": request.query_params.get("group_by", ""), **request.query_params}

        def one_of(name: str, allowed: Mapping[str, str]) -> Any:  # noqa: ANN401 - a Literal
            text = given.get(name, "")
            return text if text in allowed else _DEFAULTS[name]

        weeks = {str(number): number for number in WEEKS}
        return cls(
            metric=one_of("metric", METRICS),
            measurement=one_of("measurement", MEASUREMENTS),
            group=one_of("group", GROUPS),
            weeks=weeks.get(given.get("weeks", ""), 12),
            days=_days(given.get("from", ""), given.get("to", ""), today),
            of={
                name: text
                for name in FILTERS
                if (text := given.get(name, "").strip()[:200]) and "\0" not in text
            },
            sort=given.get("sort", "") if given.get("sort", "").lstrip("-") in _SORTS else "",
            today=today,
        )

    @property
    def first(self) -> date:
        """Return the first day of the period."""
        if self.days:
            return self.days[0]
        return self.today - timedelta(weeks=self.weeks) + timedelta(days=1)

    @property
    def last(self) -> date:
        """Return the last day of the period."""
        return self.days[1] if self.days else self.today

    @property
    def wanted(self) -> ScoreFilter:
        """Return which roll-ups are meant."""
        return ScoreFilter(
            metric=self.metric,
            measurement=self.measurement,
            first=self.first,
            last=self.last,
            of=cast("Mapping[Dimension | Duty, str]", self.of),
        )

    @property
    def sorted_by(self) -> tuple[Sort, bool]:
        """Return by what the rows are sorted, and whether the other way round.

        Time runs forwards; everything else begins with what most have answered.
        """
        if not self.sort:
            return ("name", False) if self.group in {"week", "month"} else ("n", True)
        return cast("Sort", self.sort.lstrip("-")), self.sort.startswith("-")

    @property
    def members(self) -> dict[str, str]:
        """Return the query as it stands, without what is the default."""
        days = {"from": self.days[0], "to": self.days[1]} if self.days else {}
        said = {
            "metric": self.metric,
            "measurement": self.measurement,
            "group": self.group,
            "weeks": str(self.weeks),
            **{name: day.isoformat() for name, day in days.items()},
            **self.of,
            "sort": self.sort,
        }
        return {name: value for name, value in said.items() if value != _DEFAULTS.get(name)}

    def href(self, path: str = "/scores", **others: str) -> str:
        """Return the address that asks for this, with changes; an empty one takes away."""
        members = self.members | others
        query = urlencode({name: value for name, value in members.items() if value})
        return f"{path}?{query}" if query else path

    def sorted_the_other_way(self, column: Sort) -> str:
        """Return the address of the same rows sorted by a column, or by it the other way."""
        by, backwards = self.sorted_by
        natural = column != "name"
        turned = not backwards if by == column else natural
        return self.href(sort=f"{'-' if turned else ''}{column}")

    def narrowed_to(self, value: str) -> str:
        """Return the address of one row: the same for this group alone, told apart anew."""
        if self.group in {"week", "month"}:
            first, last = _span(value)
            return replace(self, days=(max(first, self.first), min(last, self.last))).href(
                group="", sort=""
            )
        return self.href(**{self.group: value}, group="week", sort="")

    @property
    def json(self) -> str:
        """Return where the same rows are as JSON."""
        query = {
            "metric": self.metric,
            "measurement": self.measurement,
            "group_by": self.group,
            "from": self.first.isoformat(),
            "to": self.last.isoformat(),
            **self.of,
            "limit": "200",
        }
        return f"/v1/scores?{urlencode(query)}"


_SORTS: Final = frozenset({"name", "score", "n"})


def _days(first: str, last: str, today: date) -> tuple[date, date] | None:
    try:
        days = date.fromisoformat(first), date.fromisoformat(last)
    except ValueError:
        return None
    earliest = today - timedelta(days=3_660)
    return days if earliest <= days[0] <= days[1] <= today + timedelta(days=2) else None


def _span(value: str) -> tuple[date, date]:
    """Return the days of a week such as 2026-W07, from Monday, or of a month."""
    year, _, rest = value.partition("-")
    if rest.startswith("W"):
        first = date.fromisocalendar(int(year), int(rest[1:]), 1)
        return first, first + timedelta(days=6)
    first = date(int(year), int(rest), 1)
    following = (first + timedelta(days=31)).replace(day=1)
    return first, following - timedelta(days=1)
