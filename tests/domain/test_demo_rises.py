"""The rise in the sample data is found when it happens, and nothing else is called one."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from functools import cache

import pytest

from services.demo.sample import RISE_FROM_WEEK, THEMES, WEEKS, responses
from services.loop.themes.domain import Classifier, starter_taxonomy
from services.loop.themes.domain.counts import EVERY_COMMENT
from services.loop.themes.domain.risers import Verdict, monday_of, verdicts_of

PLANTED = {"delivery", "waiting"}
"""Late deliveries are about both."""
FAMILIES = {theme: department for department, some in THEMES.items() for theme in some}
MONDAY = datetime(2026, 3, 2, 9, tzinfo=UTC)


@cache
def verdicts(now: datetime) -> Mapping[date, Mapping[str, Verdict]]:
    """Judge every week of the sample that is over, as it is played at a moment."""
    classifier = Classifier(starter_taxonomy())
    days: dict[str, dict[date, int]] = defaultdict(Counter)
    for one in responses(now):
        if one.get("comment"):
            day = datetime.fromisoformat(one["answered_at"]).date()
            days[EVERY_COMMENT][day] += 1
            for mention in classifier.classify(one["comment"], one["language"]):
                days[mention.theme_id][day] += 1
    first = monday_of(now.date()) - timedelta(weeks=WEEKS)
    return {
        week: verdicts_of(days, FAMILIES, last=week + timedelta(days=6))
        for week in (first + timedelta(weeks=n) for n in range(12, WEEKS))
    }


@pytest.mark.parametrize("later", range(0, 7, 2))
def test_late_deliveries_are_found_while_they_rise_and_not_before(later: int) -> None:
    now = MONDAY + timedelta(days=later)
    begins = (now - timedelta(weeks=WEEKS - RISE_FROM_WEEK)).date()
    called = [week for week, found in verdicts(now).items() if found["delivery"].rises]

    assert called
    assert min(called) + timedelta(days=6) >= begins
    assert all(verdicts(now)[week]["delivery"].is_sharp for week in called[-1:])


@pytest.mark.parametrize("later", range(0, 7, 2))
def test_no_other_theme_is_called_in_more_than_one_week_in_ten(later: int) -> None:
    weeks = verdicts(MONDAY + timedelta(days=later))
    wrong = Counter(
        theme
        for found in weeks.values()
        for theme, one in found.items()
        if one.rises and theme not in PLANTED
    )

    assert {theme for theme, times in wrong.items() if times / len(weeks) > 0.1} == set()
