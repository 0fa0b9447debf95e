"""What a department should look into: proposed by the program, decided on by people.

A theme has one open item at most. What rises again while somebody is at it adds to that item,
and what somebody has dismissed is not proposed again for a while.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any, Final, Literal

from services.loop.journey.domain import OwnerRef
from services.loop.themes.domain.risers import Verdict
from shared.errors import Conflict

State = Literal["proposed", "accepted", "dismissed", "merged"]
Reason = Literal["known", "one_off", "no_problem", "wrong_words"]
"""Why an item is dismissed: its cause is known, it will pass, it is none, it is misread."""

OPEN: Final[frozenset[State]] = frozenset({"proposed", "accepted"})
AT_REST: Final = timedelta(weeks=8)
"""So long after a rise that somebody dismissed the same theme is proposed no more."""
TYPICAL: Final = 3


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Why it was proposed: counts, how many times as many as before, and who says so."""

    first: date
    last: date
    mentions: int
    comments: int
    former_mentions: int
    former_comments: int
    former_weeks: int
    expected: float
    ratio: float
    ci95: tuple[float, float]
    rated: int
    unhappy: int
    response_ids: tuple[str, ...]

    def as_document(self) -> dict[str, Any]:
        """Return it as it is kept and shown."""
        return {
            "from": self.first.isoformat(),
            "to": self.last.isoformat(),
            "mentions": self.mentions,
            "comments": self.comments,
            "former_mentions": self.former_mentions,
            "former_comments": self.former_comments,
            "former_weeks": self.former_weeks,
            "expected": round(self.expected, 2),
            "ratio": round(self.ratio, 2),
            "ratio_ci95": [round(end, 2) for end in self.ci95],
            "rated": self.rated,
            "detractors": self.unhappy,
            "response_ids": list(self.response_ids),
        }


def evidence_of(
    verdict: Verdict, *, rated: int, unhappy: int, response_ids: tuple[str, ...]
) -> Evidence:
    """Return what speaks for looking into a theme that rises."""
    if verdict.expected is None or verdict.ratio is None or verdict.ci95 is None:
        raise ValueError("what was never judged is no evidence")
    return Evidence(
        first=verdict.first,
        last=verdict.last,
        mentions=verdict.mentions,
        comments=verdict.comments,
        former_mentions=verdict.former_mentions,
        former_comments=verdict.former_comments,
        former_weeks=verdict.former_weeks,
        expected=verdict.expected,
        ratio=verdict.ratio,
        ci95=verdict.ci95,
        rated=rated,
        unhappy=unhappy,
        response_ids=response_ids,
    )


def evidence_from(document: dict[str, Any]) -> Evidence:
    """Read what ``as_document`` wrote."""
    low, high = document["ratio_ci95"]
    return Evidence(
        first=date.fromisoformat(document["from"]),
        last=date.fromisoformat(document["to"]),
        ci95=(low, high),
        unhappy=document["detractors"],
        response_ids=tuple(document["response_ids"]),
        **{
            name: document[name]
            for name in (
                "mentions",
                "comments",
                "former_mentions",
                "former_comments",
                "former_weeks",
                "expected",
                "ratio",
                "rated",
            )
        },
    )


@dataclass(frozen=True, kw_only=True)
class OuterItem:
    """Something to be looked into, beyond the single customer."""

    id: str
    theme_id: str
    department: str
    """Its id, or whatever else the taxonomy says; empty where the theme is nobody's."""
    state: State
    owner: OwnerRef | None
    evidence: Evidence
    first_week: date
    last_week: date
    version: int
    proposed_at: datetime
    reason: Reason | None = None
    merged_into: str | None = None
    decided_at: datetime | None = None
    decided_by: str | None = None

    @property
    def is_open(self) -> bool:
        """Tell whether somebody has it in hand, or should."""
        return self.state in OPEN

    def is_at_rest(self, week: date) -> bool:
        """Tell whether somebody decided lately that this is not to be looked into."""
        return self.state == "dismissed" and week - self.last_week <= AT_REST

    def risen_again(self, evidence: Evidence, week: date) -> OuterItem:
        """Return the item with what was found in a later week."""
        return replace(self, evidence=evidence, last_week=week, version=self.version + 1)

    def accepted(self, owner: OwnerRef | None, *, by: str, at: datetime) -> OuterItem:
        """Return the item in somebody's hands: by default in those of who was guessed."""
        self._must_be({"proposed"}, "accept")
        return replace(self._decided(by, at), state="accepted", owner=owner or self.owner)

    def dismissed(self, reason: Reason, *, by: str, at: datetime) -> OuterItem:
        """Return the item that nobody looks into."""
        self._must_be(OPEN, "dismiss")
        return replace(self._decided(by, at), state="dismissed", reason=reason)

    def merged(self, into: OuterItem, *, by: str, at: datetime) -> OuterItem:
        """Return the item as a part of another open one."""
        self._must_be(OPEN, "merge")
        if into.id == self.id or not into.is_open:
            raise Conflict(
                "An item can be merged into another open item only.",
                slug="not-mergeable",
                extra={"state": into.state, "allowed_by": "reopen"},
            )
        return replace(self._decided(by, at), state="merged", merged_into=into.id)

    def reopened(self, *, by: str, at: datetime) -> OuterItem:
        """Return the item as it was proposed, whatever was decided since."""
        self._must_be({"accepted", "dismissed", "merged"}, "reopen")
        again = self._decided(by, at)
        return replace(again, state="proposed", reason=None, merged_into=None)

    def _must_be(self, states: Collection[State], act: str) -> None:
        if self.state not in states:
            raise Conflict(
                f"This item is {self.state}; {act} needs another state.",
                extra={
                    "state": self.state,
                    "allowed_by": "nothing" if self.state == "proposed" else "reopen",
                },
            )

    def _decided(self, by: str, at: datetime) -> OuterItem:
        return replace(self, version=self.version + 1, decided_at=at, decided_by=by)
