"""Scores come from roll-ups, per metric and kind of measurement, and are never bare."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pytest
import pytest_asyncio

from services.loop.responses.handlers import GroupBy, GroupedScore, scores
from services.loop.responses.store import ScoreFilter
from shared.db.transaction import Database
from shared.identity.person_keys import PersonKeys
from shared.sealing import Keyring
from tests.fakes import ManualClock
from tests.handlers.intake import Intake


@pytest_asyncio.fixture
async def intake(
    database_of: Callable[[str], Database],
    clock: ManualClock,
    keyring: Keyring,
    person_keys: PersonKeys,
) -> Intake:
    return Intake(
        database=database_of("loop"), clock=clock, keyring=keyring, person_keys=person_keys
    )


async def _scores(
    intake: Intake, group_by: GroupBy | None = None, **wanted: object
) -> list[GroupedScore]:
    chosen = ScoreFilter(
        **{
            "metric": "nps",
            "measurement": "transactional",
            "first": date(2026, 1, 1),
            "last": date(2026, 3, 31),
            "of": {},
            **wanted,
        }  # type: ignore[arg-type] # strings of JSON
    )
    async with intake.database.reading() as view:
        return list(await scores(view, chosen, group_by, now=intake.clock.now()))


def _answers(**counts: int) -> list[dict[str, object]]:
    """Return answers by category, each category by one of its scores."""
    return [
        {"score": {"promoters": 10, "passives": 7, "detractors": 3}[category]}
        for category, number in counts.items()
        for _ in range(number)
    ]


@pytest.mark.parametrize(
    ("promoters", "passives", "detractors", "score"),
    [(54, 19, 27, 27.0), (61, 10, 29, 32.0)],
)
async def test_the_worked_example_and_an_unlike_one(
    intake: Intake, promoters: int, passives: int, detractors: int, score: float
) -> None:
    answers = _answers(promoters=promoters, passives=passives, detractors=detractors)
    await intake.take_in(*await intake.responses(answers))

    (found,) = await _scores(intake)

    assert found.group == {}
    assert (found.row.score, found.row.n, found.row.enough) == (score, 100, True)
    assert (found.row.promoters, found.row.passives, found.row.detractors) == (
        promoters,
        passives,
        detractors,
    )
    assert found.row.ci95 is not None
    assert found.row.ci95[0] < score < found.row.ci95[1]


async def test_nobody_answering_is_not_a_score_of_zero(intake: Intake) -> None:
    (found,) = await _scores(intake)

    assert (found.row.score, found.row.n, found.row.ci95, found.row.enough) == (
        None,
        0,
        None,
        False,
    )


async def test_groups_have_their_own_scores_and_filters_narrow_them(intake: Intake) -> None:
    await intake.take_in(
        *await intake.responses(
            [
                {"score": 10, "touchpoint": "door", "segment": "private"},
                {"score": 2, "touchpoint": "door", "segment": "business"},
                {"score": 9, "touchpoint": "desk", "segment": "private"},
                {"score": 9, "touchpoint": None},
            ]
        )
    )

    every = await _scores(intake, "touchpoint")
    private = await _scores(intake, "touchpoint", of={"segment": "private"})
    nowhere = await _scores(intake, "segment", of={"touchpoint": "unknown"})

    assert [(s.group["touchpoint"], s.row.score, s.row.n) for s in every] == [
        ("desk", 100.0, 1),
        ("door", 0.0, 2),
        ("unknown", 100.0, 1),
    ]
    assert [(s.group["touchpoint"], s.row.n) for s in private] == [("desk", 1), ("door", 1)]
    assert [(s.group["segment"], s.row.n) for s in nowhere] == [("unknown", 1)]


async def test_metrics_and_measurements_never_meet(intake: Intake) -> None:
    await intake.take_in(
        *await intake.responses(
            [
                {"score": 10},
                {"score": 0, "measurement": "periodic"},
                {"score": 5, "metric": "csat"},
                {"score": 2, "metric": "csat"},
                {"score": 7, "metric": "ces"},
            ]
        )
    )

    (transactional,) = await _scores(intake)
    (periodic,) = await _scores(intake, measurement="periodic")
    (csat,) = await _scores(intake, metric="csat")
    (ces,) = await _scores(intake, metric="ces")

    assert (transactional.row.score, transactional.row.n) == (100.0, 1)
    assert (periodic.row.score, periodic.row.n) == (-100.0, 1)
    assert (csat.row.score, csat.row.n, csat.row.promoters, csat.row.detractors) == (
        3.5,
        2,
        1,
        1,
    )
    assert (ces.row.score, ces.row.n) == (7.0, 1)


async def test_two_surveys_of_the_same_kind_can_be_added_up_to_one_score(
    intake: Intake,
) -> None:
    """Not as the mean of two scores: every customer counts once, whoever asked."""
    few = [
        {**one, "source": "crm", "question_version": "2025"} for one in _answers(promoters=3)
    ]
    many = [
        {**one, "source": "shop", "question_version": "b", "channel": "sms"}
        for one in _answers(promoters=2, passives=1, detractors=6)
    ]
    await intake.take_in(*await intake.responses([*few, *many]))

    (found,) = await _scores(intake)

    assert (found.row.promoters, found.row.passives, found.row.detractors) == (5, 1, 6)
    assert (found.row.n, found.row.score) == (12, -8.3)


async def test_weeks_and_months_without_an_answer_appear_as_gaps(intake: Intake) -> None:
    await intake.take_in(
        *await intake.responses(
            [
                {"score": 10, "answered_at": datetime(2026, 2, 2, 0, 0, tzinfo=UTC)},
                {"score": 2, "answered_at": datetime(2026, 2, 8, 23, 59, tzinfo=UTC)},
                {"score": 10, "answered_at": datetime(2026, 2, 16, 12, 0, tzinfo=UTC)},
            ]
        )
    )
    days = {"first": date(2026, 2, 2), "last": date(2026, 3, 1)}

    weeks = await _scores(intake, "week", **days)
    months = await _scores(intake, "month", **days)

    assert [(s.group["week"], s.row.score, s.row.n) for s in weeks] == [
        ("2026-W06", 0.0, 2),
        ("2026-W07", None, 0),
        ("2026-W08", 100.0, 1),
        ("2026-W09", None, 0),
    ]
    assert [(s.group["month"], s.row.n) for s in months] == [("2026-02", 3), ("2026-03", 0)]


async def test_answers_count_on_their_day_in_utc_and_outside_the_period_not_at_all(
    intake: Intake,
) -> None:
    last_minute = datetime.fromisoformat("2026-02-01T00:30:00+02:00")
    await intake.take_in(await intake.response(score=10, answered_at=last_minute))

    (january,) = await _scores(intake, last=date(2026, 1, 31))
    (february,) = await _scores(intake, first=date(2026, 2, 1))

    assert (january.row.n, february.row.n) == (1, 0)


async def test_a_revised_answer_counts_once_and_where_it_now_belongs(intake: Intake) -> None:
    event = await intake.response(score=2, touchpoint="door")
    await intake.take_in(event)
    later = intake.clock.now() - timedelta(days=1)

    await intake.take_in(
        await intake.response(
            response_id=event.response_id,
            revision=2,
            score=10,
            touchpoint="desk",
            answered_at=later,
        )
    )

    assert [
        (s.group["touchpoint"], s.row.score, s.row.n)
        for s in await _scores(intake, "touchpoint")
    ] == [("desk", 100.0, 1)]
