"""Which response calls for follow-up: rules as data, first match wins.

Why a response opens no task is part of the answer, as one of three stable reasons.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from services.loop.responses.domain import Response
from services.loop.tasks.domain.conditions import (
    NOTHING_KNOWN,
    Circumstances,
    Condition,
    holds,
)
from services.loop.tasks.domain.routing import OF_TOUCHPOINT, OwnerChoice
from shared.stats.categories import Metric

Reason = Literal["too_old", "periodic", "no_rule"]
"""``too_old``: answered so long before it arrived that a call would only surprise.
``periodic``: a rule would match, but not for this kind of measurement.
``no_rule``: nothing in it calls for follow-up."""


@dataclass(frozen=True, kw_only=True)
class OpeningRule:
    """A response that matches this opens a task under ``scheme``."""

    id: str
    name: str
    measurements: frozenset[str]
    scores: Mapping[Metric, tuple[int, int]]
    """Per metric the lowest and the highest score that match."""
    unscored: frozenset[str]
    """The sentiments that match where there is no score."""
    scheme: str
    conditions: tuple[Condition, ...] = ()
    """What has to hold besides, all of it."""
    owner: OwnerChoice = OF_TOUCHPOINT
    enabled: bool = True

    def matches(self, response: Response, around: Circumstances = NOTHING_KNOWN) -> bool:
        """Tell whether this calls for follow-up, whatever the measurement.

        A rule that names neither scores nor sentiments goes by its conditions alone.
        """
        return (
            self.enabled
            and (self._by_conditions or self._feels(response))
            and all(holds(condition, response, around) for condition in self.conditions)
        )

    @property
    def _by_conditions(self) -> bool:
        return bool(self.conditions) and not self.scores and not self.unscored

    def _feels(self, response: Response) -> bool:
        if response.score is None:
            return response.sentiment in self.unscored
        lowest, highest = self.scores.get(response.metric, (1, 0))
        return lowest <= response.score <= highest


@dataclass(frozen=True, kw_only=True)
class RuleBook:
    """All rules of one version, in their order."""

    version: int
    too_old_after: timedelta
    rules: tuple[OpeningRule, ...]
    repeat_within: timedelta = timedelta()
    """How long an unhappy customer who is unhappy again is one case; zero is never."""
    burst_at_least: int = 0
    """From so many unhappy customers of one touchpoint on they are told of together; 0: never.
    """
    burst_within: timedelta = timedelta(hours=1)
    repeat_share: float = 1.0
    """The part of the usual time that a customer who is unhappy again waits at most."""

    def asks(self, *fields: str) -> bool:
        """Tell whether some rule that counts asks for one of these fields."""
        return any(
            condition.field in fields
            for rule in self.rules
            if rule.enabled
            for condition in rule.conditions
        )


@dataclass(frozen=True, kw_only=True)
class OpenTask:
    """This response calls for follow-up, by this rule."""

    rule: OpeningRule


@dataclass(frozen=True, kw_only=True)
class NoAction:
    """This response calls for nothing."""

    reason: Reason


DEFAULT_RULES: Mapping[str, Any] = {
    "version": 1,
    "too_old_after_days": 30,
    "repeat": {"within_days": 14, "share_of_time": 0.5},
    "burst": {"at_least": 50, "within_minutes": 60},
    "rules": [
        {
            "id": "unhappy-customer",
            "name": "Unhappy customer",
            "measurements": ["transactional", "unsolicited"],
            "scores": {"nps": [0, 6], "csat": [1, 2], "ces": [1, 3]},
            "unscored": ["negative"],
            "scheme": "standard",
        }
    ],
}
"""The rules that apply until somebody publishes others."""


def rules_from(document: Mapping[str, Any]) -> RuleBook:
    """Read a rule book from its JSON form; what a former version did not know is left out."""
    repeat, burst = document.get("repeat") or {}, document.get("burst") or {}
    return RuleBook(
        version=document["version"],
        too_old_after=timedelta(days=document["too_old_after_days"]),
        repeat_within=timedelta(days=repeat.get("within_days", 0)),
        repeat_share=repeat.get("share_of_time", 1.0),
        burst_at_least=burst.get("at_least", 0),
        burst_within=timedelta(minutes=burst.get("within_minutes", 60)),
        rules=tuple(
            OpeningRule(
                id=rule["id"],
                name=rule["name"],
                measurements=frozenset(rule["measurements"]),
                scores={metric: (low, high) for metric, (low, high) in rule["scores"].items()},
                unscored=frozenset(rule["unscored"]),
                scheme=rule["scheme"],
                conditions=tuple(Condition(**one) for one in rule.get("conditions", ())),
                owner=OwnerChoice(**rule.get("owner", {})),
                enabled=rule.get("enabled", True),
            )
            for rule in document["rules"]
        ),
    )


def decide(
    response: Response, book: RuleBook, around: Circumstances = NOTHING_KNOWN
) -> OpenTask | NoAction:
    """Return the first rule that opens a task for ``response``, or why none does.

    Age is what passed between answer and arrival, so that the same response gets the same
    decision whenever it is looked at; a response taken in as new has none.
    """
    age = response.received_at - response.answered_at
    if age > book.too_old_after and not response.as_new:
        return NoAction(reason="too_old")
    return decide_at_any_age(response, book, around)


def decide_at_any_age(
    response: Response, book: RuleBook, around: Circumstances = NOTHING_KNOWN
) -> OpenTask | NoAction:
    """Return the decision for a customer who was promised a call already.

    What was said long ago opens nothing any more, and breaks no promise either.
    """
    matching = [rule for rule in book.rules if rule.matches(response, around)]
    for rule in matching:
        if response.measurement in rule.measurements:
            return OpenTask(rule=rule)
    return NoAction(reason="periodic" if matching else "no_rule")
