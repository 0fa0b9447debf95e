"""Signs that numbers are made: what each names, and what it leaves alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from services.loop.tasks.domain.signs import (
    EndedTask,
    Gap,
    TopScores,
    bursts,
    gap,
    same_note,
    spikes,
    without_attempt,
)

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def ended(n: int, **said: Any) -> EndedTask:
    """Return a task that was ended well before its deadline after one call."""
    plain: dict[str, Any] = {
        "id": f"tsk_{n}",
        "ended_at": NOON + n * MINUTE,
        "ended_by": "stf_ana",
        "due_at": NOON + timedelta(hours=8),
        "attempts": 1,
    }
    return EndedTask(**plain | said)


def test_a_task_ended_without_an_attempt_is_named_and_others_are_not() -> None:
    found = without_attempt([ended(3, attempts=0), ended(1, attempts=0), ended(2)])

    assert found == ["tsk_1", "tsk_3"]


def test_a_note_on_three_tasks_is_pasted_whatever_its_blanks_and_capitals() -> None:
    notes = [
        "Customer called, all fine now.",
        "customer called,  all fine now.",
        "Customer called, all fine now.\n",
    ]
    tasks = [ended(n, notes=[note]) for n, note in enumerate(notes)]
    others = [
        ended(7, notes=["Customer called about the invoice."]),
        *(ended(n, notes=["ok"]) for n in (8, 9, 10)),
    ]

    assert same_note([*tasks, *others]) == [["tsk_0", "tsk_1", "tsk_2"]]


def test_a_note_twice_on_one_task_and_once_on_another_is_no_pattern() -> None:
    twice = "Customer called, all fine now."

    assert same_note([ended(1, notes=[twice, twice]), ended(2, notes=[twice])]) == []


def test_five_endings_of_one_person_within_an_hour_at_the_last_minute_are_a_burst() -> None:
    late = [ended(n, due_at=NOON + n * MINUTE + timedelta(minutes=5)) for n in range(5)]

    assert bursts(late) == [[task.id for task in late]]


def test_no_burst_are_four_or_two_people_or_a_whole_day_or_early_or_overdue_ones() -> None:
    def last_minute(n: int, **said: Any) -> EndedTask:
        at = said.pop("ended_at", NOON + n * MINUTE)
        return ended(n, ended_at=at, due_at=at + timedelta(minutes=5), **said)

    four = [last_minute(n) for n in range(4)]
    two_people = [last_minute(n, ended_by=f"stf_{n % 2}") for n in range(8)]
    all_day = [last_minute(n, ended_at=NOON + n * timedelta(minutes=40)) for n in range(8)]
    early = [ended(n) for n in range(8)]
    overdue = [ended(n, due_at=NOON) for n in range(1, 9)]

    for innocent in (four, two_people, all_day, early, overdue):
        assert bursts(innocent) == []


def test_customers_who_say_no_are_held_against_what_staff_closed() -> None:
    told = [ended(n, confirmed=n < 5, denied=n >= 5) for n in range(12)]
    silent = [ended(n) for n in range(20, 30)]

    found = gap([*told, *silent])

    assert found == Gap(closed=22, confirmed=5, denied=7)
    assert found.is_odd


def test_few_answers_or_mostly_a_yes_are_no_gap() -> None:
    assert not gap([ended(n, denied=True) for n in range(9)]).is_odd
    assert not gap([ended(n, confirmed=n < 9, denied=n >= 9) for n in range(12)]).is_odd
    # Who said no first and yes later is content.
    assert not gap([ended(n, confirmed=True, denied=True) for n in range(12)]).is_odd


def test_more_top_scores_than_chance_explains_are_a_spike() -> None:
    odd = TopScores(touchpoint="door", top=29, n=30, top_before=200, n_before=500)
    usual = TopScores(touchpoint="call", top=14, n=30, top_before=200, n_before=500)
    few = TopScores(touchpoint="shop", top=9, n=9, top_before=200, n_before=500)
    new = TopScores(touchpoint="new", top=30, n=30, top_before=2, n_before=5)

    assert spikes([usual, odd, few, new]) == [odd]
