"""Recovery schemes: their ten answers read from JSON, their clocks, and their pauses."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.loop.journey.domain.calendars import BusinessCalendar, Shift
from services.loop.tasks.domain.acts import Act, Close, LogContact, Resolve, Resume, Wait
from services.loop.tasks.domain.clocks import clocks_of
from services.loop.tasks.domain.playbook import carry_out
from services.loop.tasks.domain.schemes import (
    DEFAULT_SCHEME,
    AskCustomer,
    AttemptPolicy,
    Escalation,
    Money,
    QuietHours,
    RecoveryScheme,
    Remedy,
    scheme_from,
)
from services.loop.tasks.domain.task import FollowUpTask, TaskState
from tests.follow_up import ANA, HOUR, NOW, SCHEME, TO_RESOLVE, a_task

OFFICE = BusinessCalendar(
    id="office",
    name="Office",
    version=1,
    time_zone="Europe/Berlin",
    week=dict.fromkeys(range(5), (Shift(time(9), time(12)), Shift(time(13), time(17)))),
)
TEAM = replace(
    SCHEME,
    clock="team",
    hours=OFFICE,
    first_contact_within=4 * HOUR,
    resolve_within=14 * HOUR,
    reminders=(0.5, 0.8),
    escalations=(Escalation(at=1.0, to="lead"), Escalation(at=1.5, to="head")),
    pauses_in=frozenset({"waiting_customer"}),
)
FULL: dict[str, Any] = {
    **DEFAULT_SCHEME,
    "version": 7,
    "clock": "team",
    "calendar": "office",
    "reminders": [0.8, 0.5],
    "escalations": [{"at": 1.0, "to": "lead"}, {"at": 1.5, "to": "head"}],
    "pauses_in": ["waiting_customer"],
    "night": True,
    "mode": "phone",
    "intended": ["apologise", "repair"],
    "needs": ["order number"],
    "talk_guide": {"en": "Say sorry first.", "de": "Zuerst entschuldigen."},
    "remedies": [
        {
            "id": "voucher",
            "name": "Voucher",
            "kind": "money",
            "limit": {"amount": 30, "currency": "EUR"},
        },
        {"id": "redelivery", "name": "Free re-delivery", "kind": "kind", "limit": None},
    ],
    "attempts": {
        "number": 3,
        "days": 2,
        "channels": 2,
        "quiet_hours": {"from": "20:00", "to": "08:00"},
    },
    "ask_customer": {"after_hours": 72, "silent_days": 10},
    "saved_within_days": 60,
    "share_practice": True,
}
WAITS = Wait(waiting_for="customer")
COLLEAGUES = Wait(waiting_for="internal")


def berlin(day: int, hour: int) -> datetime:
    """Return a moment of March 2026 by Berlin's clock, an hour ahead of UTC."""
    return datetime(2026, 3, day, hour, tzinfo=UTC) - HOUR


def a_task_under(scheme: RecoveryScheme, opened_at: datetime = NOW) -> FollowUpTask:
    promised = scheme.deadlines(opened_at)
    return replace(
        a_task(),
        scheme=scheme.ref,
        opened_at=opened_at,
        first_contact_due_at=promised.first_contact_due_at,
        due_at=promised.due_at,
    )


def acting(
    task: FollowUpTask, *acts: tuple[Act, datetime], scheme: RecoveryScheme = TEAM
) -> FollowUpTask:
    for act, at in acts:
        task = carry_out(task, act, by=ANA, now=at, scheme=scheme).task
    return task


# ------------------------------------------------------------------ the document


def test_the_shorter_document_of_before_reads_as_it_always_did() -> None:
    scheme = scheme_from({n: v for n, v in DEFAULT_SCHEME.items() if n != "escalations"})
    promised = scheme.deadlines(NOW)

    assert promised.first_contact_due_at == NOW + 8 * HOUR
    assert promised.due_at == NOW + 24 * HOUR
    assert promised.reminders == (NOW + 18 * HOUR,)
    assert promised.escalations == ()
    assert scheme.attempt_policy == AttemptPolicy(number=3, days=1, channels=1)
    assert (scheme.clock, scheme.pauses_in, scheme.night) == ("customer", frozenset(), False)
    assert scheme.ask_customer == AskCustomer(after=timedelta(), silent_for=timedelta(days=14))


def test_the_shipped_scheme_draws_others_in_at_the_deadline_and_after_it() -> None:
    promised = scheme_from(DEFAULT_SCHEME).deadlines(NOW)

    assert promised.escalations == (
        (NOW + 24 * HOUR, "lead"),
        (NOW + 36 * HOUR, "head"),
    )


def test_the_fuller_document_answers_the_ten_questions() -> None:
    scheme = scheme_from(FULL, hours=OFFICE)

    assert scheme.breaching is OFFICE
    assert scheme.reminders == (0.5, 0.8)
    assert scheme.escalations == (Escalation(at=1.0, to="lead"), Escalation(at=1.5, to="head"))
    assert scheme.attempt_policy == AttemptPolicy(
        number=3, days=2, channels=2, quiet_hours=QuietHours(start=time(20), end=time(8))
    )
    assert scheme.remedies == (
        Remedy(
            id="voucher",
            name="Voucher",
            kind="money",
            limit=Money(amount=Decimal(30), currency="EUR"),
        ),
        Remedy(id="redelivery", name="Free re-delivery", kind="kind"),
    )
    assert scheme.talk_guide["de"] == "Zuerst entschuldigen."
    assert (scheme.mode, scheme.intended, scheme.needs) == (
        "phone",
        ("apologise", "repair"),
        ("order number",),
    )
    assert scheme.ask_customer == AskCustomer(
        after=timedelta(days=3), silent_for=timedelta(days=10)
    )
    assert (scheme.saved_within, scheme.share_practice) == (timedelta(days=60), True)


# ------------------------------------------------------------------ two clocks


def test_lunch_break_is_not_counted_as_working_time() -> None:
    promised = TEAM.deadlines(berlin(2, 11))

    assert promised.first_contact_due_at == berlin(2, 16)
    assert promised.due_at == berlin(4, 11)


def test_a_weekend_does_not_count_for_the_team_and_does_for_the_customer() -> None:
    friday = berlin(6, 16)

    assert TEAM.deadlines(friday).first_contact_due_at == berlin(9, 13) - HOUR
    by_the_wall = replace(TEAM, clock="customer").deadlines(friday)
    assert by_the_wall.first_contact_due_at == friday + 4 * HOUR


def test_a_calendar_that_is_tried_stands_in_for_the_schemes_own() -> None:
    nights = replace(OFFICE, week=dict.fromkeys(range(7), (Shift(time(20), time(23)),)))

    assert TEAM.deadlines(berlin(2, 9), nights).first_contact_due_at == berlin(3, 21)


@pytest.mark.parametrize("clock", ["team", "customer"])
def test_update_target_smaller_than_first_response_target_overrules_nothing(
    clock: Any,
) -> None:
    """Each of the two deadlines is its own; a short one does not move or hide the other."""
    odd = replace(TEAM, clock=clock, first_contact_within=8 * HOUR, resolve_within=2 * HOUR)
    plain = replace(odd, resolve_within=40 * HOUR)
    opened_at = berlin(2, 9)

    promised = odd.deadlines(opened_at)

    assert promised.first_contact_due_at == plain.deadlines(opened_at).first_contact_due_at
    assert promised.due_at == odd.breaching.add(opened_at, 2 * HOUR)
    task = a_task_under(odd, opened_at)
    reached = acting(
        task, (LogContact(mode="phone", result="reached"), opened_at + HOUR), scheme=odd
    )
    assert reached.first_contact_due_at == task.first_contact_due_at
    assert not reached.is_first_contact_late(opened_at + timedelta(days=9))
    assert reached.is_overdue(promised.due_at + HOUR)


def test_reminders_and_escalations_come_at_their_part_of_the_time() -> None:
    promised = TEAM.deadlines(berlin(2, 9))

    assert promised.reminders == (berlin(2, 17), berlin(3, 13) + timedelta(minutes=72))
    assert promised.due_at == berlin(3, 17)
    assert promised.escalations == ((berlin(3, 17), "lead"), (berlin(4, 17), "head"))


# ------------------------------------------------------------------ pauses


def test_while_it_is_the_customers_turn_the_deadline_does_not_come_closer() -> None:
    task = a_task_under(TEAM, berlin(2, 9))

    waiting = acting(task, (WAITS, berlin(2, 11)))

    assert waiting.paused_since == berlin(2, 11)
    assert waiting.due_at == task.due_at
    assert not waiting.is_overdue(berlin(30, 12))
    resumed = acting(waiting, (Resume(), berlin(4, 14)))
    # Twelve of fourteen working hours were left, and are left from then on.
    assert resumed.paused_since is None
    assert resumed.due_at == OFFICE.add(berlin(4, 14), 12 * HOUR)
    assert resumed.first_contact_due_at == task.first_contact_due_at


def test_by_the_customers_clock_a_pause_takes_wall_time() -> None:
    wall = replace(TEAM, clock="customer")
    task = a_task_under(wall, NOW)

    later = acting(task, (WAITS, NOW + HOUR), (Resume(), NOW + 49 * HOUR), scheme=wall)

    assert later.due_at == task.due_at + 48 * HOUR


def test_waiting_for_colleagues_stops_no_clock_unless_the_scheme_says_so() -> None:
    task = a_task_under(TEAM)

    assert acting(task, (COLLEAGUES, NOW + HOUR)).paused_since is None
    both = replace(TEAM, pauses_in=frozenset({"waiting_customer", "waiting_internal"}))
    assert acting(task, (COLLEAGUES, NOW + HOUR), scheme=both).paused_since == NOW + HOUR


def test_a_promise_that_was_broken_before_the_pause_stays_broken() -> None:
    task = a_task_under(TEAM, berlin(2, 9))
    late = berlin(9, 10)

    waiting = acting(task, (WAITS, late))

    assert waiting.is_overdue(late + HOUR)
    assert acting(waiting, (Resume(), berlin(12, 10))).due_at == task.due_at


@pytest.mark.parametrize(
    "act",
    [
        pytest.param(LogContact(mode="phone", result="no_answer"), id="a contact"),
        pytest.param(Close(reason="not_needed", note="gone"), id="closing"),
    ],
)
def test_whatever_ends_the_wait_ends_the_pause(act: Act) -> None:
    task = acting(a_task_under(TEAM, berlin(2, 9)), (WAITS, berlin(2, 9)))

    ended = acting(task, (act, berlin(4, 9)))

    assert ended.paused_since is None
    assert ended.due_at == OFFICE.add(berlin(4, 9), 14 * HOUR)


def test_what_is_resolved_out_of_a_pause_was_resolved_in_time() -> None:
    *before, resolves = TO_RESOLVE
    assert isinstance(resolves, Resolve)
    start = berlin(2, 9)
    task = acting(a_task_under(TEAM, start), *((act, start) for act in before))

    done = acting(task, (WAITS, berlin(2, 10)), (resolves, berlin(30, 10)))

    assert done.state is TaskState.RESOLVED
    assert done.record.resolution is not None
    assert done.record.resolution.within_deadline


# ------------------------------------------------------------------ both clocks


def test_both_clocks_stand_on_a_task_whichever_of_them_breaches() -> None:
    """Friday 16:00 to Monday 10:00: 66 hours for the customer, two for the team."""
    friday, monday = berlin(6, 16), berlin(9, 10)
    by_team = replace(a_task_under(TEAM, friday), waiting_since=friday)

    found = clocks_of(by_team, TEAM, now=monday)

    assert (found.breaches, found.customer_waits) == ("team", 66 * HOUR)
    assert (found.team_used, found.team_left) == (2 * HOUR, 12 * HOUR)
    wall = replace(TEAM, clock="customer")
    by_wall = replace(a_task_under(wall, friday), waiting_since=friday)
    found = clocks_of(by_wall, wall, now=monday)
    # Fourteen hours after Friday 16:00 was Saturday 6:00: an hour of Friday's and one since.
    assert (found.breaches, found.team_used, found.team_left) == (
        "customer",
        2 * HOUR,
        -HOUR,
    )


def test_the_teams_clock_stands_still_in_a_pause_and_the_customers_does_not() -> None:
    start = berlin(2, 9)
    task = acting(
        replace(a_task_under(TEAM, start), waiting_since=start), (WAITS, berlin(2, 11))
    )

    for moment in (berlin(2, 11), berlin(5, 10)):
        found = clocks_of(task, TEAM, now=moment)
        assert (found.team_used, found.team_left) == (2 * HOUR, 12 * HOUR)
        assert found.customer_waits == moment - start
    later = acting(task, (Resume(), berlin(5, 10)))
    found = clocks_of(later, TEAM, now=berlin(5, 11))
    assert (found.team_used, found.team_left) == (3 * HOUR, 11 * HOUR)


def test_without_a_calendar_there_is_only_the_customers_clock() -> None:
    found = clocks_of(a_task(), SCHEME, now=NOW + HOUR)

    assert (found.team_used, found.team_left, found.calendar) == (None, None, None)


MINUTES = st.integers(0, 60 * 24 * 12).map(lambda minutes: timedelta(minutes=minutes))


@given(st.lists(st.tuples(MINUTES, MINUTES), max_size=4), st.sampled_from(["team", "customer"]))
def test_pauses_take_nothing_from_the_time_that_was_promised(
    waits: list[tuple[timedelta, timedelta]], clock: Any
) -> None:
    """The clock ran as long before, between and after the pauses as it would have at once."""
    scheme = replace(TEAM, clock=clock)
    task, at = a_task_under(scheme), NOW
    ran = timedelta()
    for works, waits_for in waits:
        since, at = at, at + works
        ran += scheme.breaching.between(since, at)
        if at >= task.due_at:
            return
        task = acting(task, (WAITS, at), (Resume(), at + waits_for), scheme=scheme)
        at += waits_for

    left = scheme.breaching.between(at, task.due_at)

    assert ran + left == scheme.resolve_within
