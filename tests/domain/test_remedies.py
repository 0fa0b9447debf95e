"""Remedies within limits, when a customer counts as unreachable, and words that hide."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from services.loop.responses.domain import Personal
from services.loop.tasks.domain.acts import (
    Agree,
    Approve,
    Close,
    Decline,
    Grant,
    LogContact,
    Snooze,
)
from services.loop.tasks.domain.advice import Advice, advice_on
from services.loop.tasks.domain.attempts import attempts_left, is_quiet, zone_of
from services.loop.tasks.domain.facts import (
    ApprovalAsked,
)
from services.loop.tasks.domain.phrases import policy_phrase
from services.loop.tasks.domain.playbook import carry_out
from services.loop.tasks.domain.schemes import DEFAULT_SCHEME, RecoveryScheme, scheme_from
from services.loop.tasks.domain.task import (
    FollowUpTask,
)
from shared.errors import Conflict, Invalid, NotFound
from tests.follow_up import AGREED, ANA, ELIMINATED, NOW, OLE, REACHED, RESOLVED, a_task, after

UTC = ZoneInfo("UTC")
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
SCHEME = scheme_from(
    {
        **DEFAULT_SCHEME,
        "remedies": [
            {
                "id": "voucher",
                "name": "Voucher",
                "kind": "money",
                "limit": {"amount": 30, "currency": "EUR"},
            },
            {"id": "refund", "name": "Refund", "kind": "money", "limit": None},
            {"id": "flowers", "name": "Flowers", "kind": "kind", "limit": None},
        ],
        "attempts": {
            "number": 3,
            "days": 2,
            "channels": 2,
            "quiet_hours": {"from": "20:00", "to": "08:00"},
        },
    }
)


def done(task: FollowUpTask, *acts: Any, at: datetime = NOW) -> FollowUpTask:
    for act in acts:
        task = carry_out(task, act, by=ANA, now=at, scheme=SCHEME).task
    return task


def money(remedy: str, amount: str, currency: str = "EUR") -> Grant:
    return Grant(remedy=remedy, amount=Decimal(amount), currency=currency)


@pytest.mark.parametrize(
    ("act", "state"),
    [
        (money("voucher", "30"), "granted"),
        (money("voucher", "30.01"), "asked"),
        (money("voucher", "10", "DKK"), "asked"),
        (money("refund", "1"), "asked"),
        (Grant(remedy="flowers"), "granted"),
    ],
)
def test_within_its_limit_a_remedy_is_granted_alone(act: Grant, state: str) -> None:
    acted = carry_out(a_task(), act, by=ANA, now=NOW, scheme=SCHEME)

    (remedy,) = acted.task.record.remedies
    assert remedy.state == state
    assert isinstance(acted.fact, ApprovalAsked) is (state == "asked")


@pytest.mark.parametrize(
    ("act", "pointer"),
    [(Grant(remedy="car"), "/remedy"), (Grant(remedy="voucher"), "/value")],
)
def test_only_what_the_scheme_offers_is_granted(act: Grant, pointer: str) -> None:
    with pytest.raises(Invalid) as refused:
        done(a_task(), act)
    assert refused.value.findings[0].pointer == pointer


def test_somebody_else_approves_or_declines_once() -> None:
    asked = done(a_task(), money("refund", "80"))

    with pytest.raises(Conflict, match="does not decide"):
        done(asked, Approve())
    approved = carry_out(asked, Approve(), by=OLE, now=NOW).task
    declined = carry_out(asked, Decline(n=1, reason="no"), by=OLE, now=NOW).task

    assert approved.record.remedies[0].state == "approved"
    assert declined.record.remedies[0].state == "declined"
    with pytest.raises(Conflict, match="No remedy"):
        carry_out(approved, Decline(), by=OLE, now=NOW)
    with pytest.raises(NotFound):
        carry_out(approved, Approve(n=7), by=OLE, now=NOW)


def test_of_several_the_one_meant_has_to_be_named() -> None:
    asked = done(a_task(), money("refund", "80"), money("refund", "90"))

    with pytest.raises(Conflict, match="which one"):
        carry_out(asked, Approve(), by=OLE, now=NOW)
    decided = carry_out(asked, Approve(n=2), by=OLE, now=NOW).task
    assert [each.state for each in decided.record.remedies] == ["asked", "approved"]


def test_nothing_is_resolved_while_a_remedy_waits_for_approval() -> None:
    asked = done(a_task(), REACHED, AGREED, ELIMINATED, money("refund", "80"))

    with pytest.raises(Conflict) as refused:
        done(asked, RESOLVED)
    assert refused.value.extra["missing"] == ["remedies/1"]
    decided = carry_out(asked, Decline(), by=OLE, now=NOW).task
    assert not done(decided, RESOLVED).is_open


# ------------------------------------------------------------------ unreachable


def tried(*moments: tuple[timedelta, str]) -> FollowUpTask:
    task = a_task()
    for when, mode in moments:
        act = LogContact(mode=mode, result="no_answer")  # type: ignore[arg-type] # one of them
        task = after(task, act, at=NOW + when)
    return task


@pytest.mark.parametrize(
    ("task", "left"),
    [
        (a_task(), {"attempts": 3, "days": 1, "channels": 1}),
        (tried((0 * DAY, "phone")), {"attempts": 2, "days": 1, "channels": 1}),
        (
            tried((0 * DAY, "phone"), (HOUR, "phone"), (2 * HOUR, "phone")),
            {"days": 1, "channels": 1},
        ),
        (tried((0 * DAY, "phone"), (HOUR, "email"), (2 * HOUR, "phone")), {"days": 1}),
        (tried((0 * DAY, "phone"), (HOUR, "email"), (DAY, "phone")), {}),
    ],
)
def test_unreachable_takes_tries_days_and_channels(
    task: FollowUpTask, left: dict[str, int]
) -> None:
    assert attempts_left(task, SCHEME.attempt_policy, UTC) == left
    close = Close(reason="unreachable", note="gone")
    if left:
        with pytest.raises(Conflict) as refused:
            carry_out(task, close, by=ANA, now=NOW + 2 * DAY, scheme=SCHEME)
        assert refused.value.extra["missing"] == [f"{k}:{n}" for k, n in left.items()]
    else:
        assert not carry_out(task, close, by=ANA, now=NOW + 2 * DAY, scheme=SCHEME).task.is_open


def test_a_day_is_one_of_the_customers_calendar() -> None:
    """23:30 and 00:30 are two days in Copenhagen, and one day in New York."""
    late = tried((13 * HOUR + HOUR / 2, "phone"), (14 * HOUR + HOUR / 2, "email"))

    assert "days" not in attempts_left(
        late, SCHEME.attempt_policy, ZoneInfo("Europe/Copenhagen")
    )
    assert attempts_left(late, SCHEME.attempt_policy, ZoneInfo("America/New_York"))["days"] == 1


def test_somebody_who_was_reached_does_not_count_as_a_try_in_vain() -> None:
    task = done(a_task(), REACHED)

    assert attempts_left(task, SCHEME.attempt_policy, UTC)["attempts"] == 3


@pytest.mark.parametrize(
    ("hour", "zone", "mode", "quiet"),
    [
        (7, "UTC", "phone", True),
        (8, "UTC", "phone", False),
        (20, "UTC", "message", True),
        (20, "UTC", "email", False),
        (19, "Europe/Copenhagen", "phone", True),
        (12, "Asia/Tokyo", "phone", True),
        (12, "UTC", "phone", False),
    ],
)
def test_quiet_hours_are_those_of_the_customers_clock(
    hour: int, zone: str, mode: str, quiet: bool
) -> None:
    at = NOW.replace(hour=hour)

    assert is_quiet(at, SCHEME.attempt_policy.quiet_hours, ZoneInfo(zone), mode=mode) is quiet


def test_the_customers_zone_is_the_one_that_was_sent() -> None:
    sent = Personal(attributes={"time_zone": "Asia/Tokyo"})
    wrong = Personal(attributes={"time_zone": "Not/AZone"})

    assert zone_of(sent, SCHEME).key == "Asia/Tokyo"
    assert zone_of(wrong, SCHEME).key == "UTC"
    assert zone_of(None, SCHEME).key == "UTC"


def test_a_task_is_put_off_to_a_later_time_only() -> None:
    later = done(a_task(), Snooze(until=NOW + HOUR))

    assert later.is_snoozed(NOW)
    assert not later.is_snoozed(NOW + HOUR)
    assert later.due_at == a_task().due_at
    with pytest.raises(Invalid):
        done(a_task(), Snooze(until=NOW))


# ------------------------------------------------------------------ words that hide


@pytest.mark.parametrize(
    "text",
    [
        "I told her it's our policy, sorry.",
        "OUR  POLICY\nis clear",
        "There is nothing I can do about it",
        "Das ist leider unsere Richtlinie.",
        "Dafür bin ich nicht zuständig, das macht die Technik",
        "Taki jest regulamin, proszę pani",
        "To nie mój dział",
        "Sådan er reglerne hos os",
        "Taková jsou pravidla",
        "Nemůžeme s tím nic dělat",
        "Согласно нашим правилам это невозможно",
        "Это не мой отдел",
    ],
)
def test_words_that_hide_behind_a_rule_are_noticed(text: str) -> None:
    assert policy_phrase(text)


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "Said sorry, and a new courier comes at six.",
        "The police came.",
        "Der Kurier kommt heute, ich rufe danach an.",
        "Kurier przyjedzie jutro, zadzwonię potem.",
        "Vi sender en ny pakke i dag.",
        "Pošleme nový balík ještě dnes.",
        "Курьер приедет сегодня вечером.",
        "policyholder number 4711",
    ],
)
def test_plain_words_are_left_alone(text: str | None) -> None:
    assert not policy_phrase(text)


def test_advice_is_about_what_staff_said_and_when() -> None:
    night = NOW.replace(hour=22)
    call = LogContact(mode="phone", result="reached", note="our policy")

    def advice(act: Any, scheme: RecoveryScheme = SCHEME) -> tuple[Advice, ...]:
        return advice_on(act, scheme, UTC, now=night)

    assert advice(call) == (Advice.POLICY_PHRASE, Advice.QUIET_HOURS)
    assert advice(Agree(agreed="it is our policy")) == (Advice.POLICY_PHRASE,)
    assert advice(replace(call, note=None, mode="email")) == ()
    assert advice(Close(reason="not_needed", note="our policy")) == ()
