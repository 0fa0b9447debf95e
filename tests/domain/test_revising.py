"""What a later answer does to a task: nothing later, nothing twice, no promise broken."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.loop.journey.domain import OwnerRef
from services.loop.tasks.domain.acts import (
    Act,
    Claim,
    Close,
    FinishAction,
    LogContact,
    PromiseAction,
    Wait,
)
from services.loop.tasks.domain.facts import (
    Acted,
    Closed,
    Reopened,
)
from services.loop.tasks.domain.revising import Call, revised
from services.loop.tasks.domain.rules import NoAction, OpenTask, decide, decide_at_any_age
from services.loop.tasks.domain.task import (
    SYSTEM,
    Closure,
    FollowUpTask,
    TaskState,
)
from shared.errors import Conflict
from tests.follow_up import (
    AGREED,
    ANA,
    ELIMINATED,
    HOUR,
    NO_ANSWER,
    NOT_NEEDED,
    NOW,
    REACHED,
    RULES,
    SCHEME,
    TO_RESOLVE,
    a_response,
    a_task,
    after,
)

RULE = RULES.rules[0]
CALLS = Call(rule=RULE, scheme=SCHEME)
URGENT = Call(
    rule=replace(RULE, id="very-unhappy", name="Very unhappy"),
    scheme=replace(
        SCHEME,
        id="urgent",
        name="4 hours",
        first_contact_within=HOUR,
        resolve_within=4 * HOUR,
    ),
)
SLOW = Call(
    rule=replace(RULE, id="mild", name="Mild"),
    scheme=replace(SCHEME, id="slow", name="Three days", resolve_within=timedelta(days=3)),
)
LATER = NOW + 2 * HOUR
PROMISED = PromiseAction(
    what="book a slot", owner=OwnerRef(id=ANA.id, kind="person"), due_at=NOW + 4 * HOUR
)
CALLS_BACK = LogContact(mode="phone", result="reached", next_contact_at=NOW + 5 * HOUR)


def answered(task: FollowUpTask, score: int | None, call: Call | None) -> tuple[Acted, ...]:
    """Return what the next answer leads to."""
    answer = a_response(revision=task.response_revision + 1, score=score)
    return tuple(revised(task, answer, call=call, now=LATER))


def the_last(acted: tuple[Acted, ...]) -> FollowUpTask:
    """Return the task after everything."""
    return acted[-1].task


def test_an_answer_that_calls_no_more_closes_the_task() -> None:
    revision, closing = answered(a_task(), 9, None)

    assert (revision.entry.act, closing.entry.act) == ("revise", "close")
    assert (revision.fact, closing.entry.by) == (None, SYSTEM)
    assert isinstance(closing.fact, Closed)
    assert closing.fact.closure.reason == "customer_revised"
    assert closing.task.state is TaskState.CLOSED
    assert (closing.task.score, closing.task.version) == (9, 3)
    assert closing.task.ended_at == LATER
    assert closing.task.is_closed_as_revised
    assert revision.entry.detail["score_before"] == 2
    assert answered(replace(closing.task, response_revision=0), 9, None)[0].fact is None


@pytest.mark.parametrize("revision", [1, 0])
def test_an_answer_that_is_known_changes_nothing(revision: int) -> None:
    assert revised(a_task(), a_response(revision=revision), call=None, now=NOW) == ()


@pytest.mark.parametrize(
    "acts",
    [
        (REACHED, AGREED),
        (REACHED, AGREED, PROMISED),
        (PROMISED,),
        (REACHED, AGREED, ELIMINATED, PROMISED),
        (CALLS_BACK,),
        (REACHED, AGREED, Wait(waiting_for="internal")),
    ],
)
def test_what_was_promised_keeps_the_task_open(acts: tuple[Act, ...]) -> None:
    task = after(a_task(), *acts)

    (revision,) = answered(task, 9, None)

    assert revision.task.state is task.state
    assert revision.entry.detail["kept_open"] == "promised"
    assert revision.entry.detail["calls_for_follow_up"] is False
    assert revision.task.score == 9


@pytest.mark.parametrize(
    "acts",
    [
        (),
        (Claim(),),
        (NO_ANSWER,),
        (REACHED, AGREED, ELIMINATED),
        (REACHED, AGREED, PROMISED, FinishAction(n=1)),
        (CALLS_BACK, REACHED),
        (Wait(waiting_for="customer"),),
    ],
)
def test_what_was_done_or_never_promised_keeps_nothing_open(acts: tuple[Act, ...]) -> None:
    assert the_last(answered(after(a_task(), *acts), 9, None)).state is TaskState.CLOSED


def test_an_unhappier_answer_brings_the_earlier_deadlines() -> None:
    task = a_task()

    (revision,) = answered(task, 0, URGENT)

    changed = revision.task
    assert (changed.rule, changed.rule_name) == ("very-unhappy", "Very unhappy")
    assert changed.scheme == URGENT.scheme.ref
    assert changed.first_contact_due_at == task.opened_at + HOUR
    assert changed.due_at == task.opened_at + 4 * HOUR
    assert revision.entry.detail["sooner"] is True
    assert (revision.entry.detail["rule"], revision.entry.detail["scheme"]) == (
        "very-unhappy",
        "urgent",
    )
    assert (changed.owner, changed.opened_at, changed.state) == (
        task.owner,
        task.opened_at,
        task.state,
    )


def test_no_answer_gives_more_time() -> None:
    (revision,) = answered(a_task(), 6, SLOW)

    assert revision.task.scheme == SLOW.scheme.ref
    assert revision.task.due_at == a_task().due_at
    assert "sooner" not in revision.entry.detail


def test_the_same_rule_for_the_same_feeling_changes_no_promise() -> None:
    newer = replace(SCHEME, version=2, resolve_within=HOUR)

    (same,) = answered(a_task(), 2, replace(CALLS, scheme=newer))
    (unhappier,) = answered(a_task(), 1, replace(CALLS, scheme=newer))
    (unscored,) = answered(a_task(), None, replace(CALLS, scheme=newer))

    assert (same.task.scheme, same.task.due_at) == (a_task().scheme, a_task().due_at)
    assert unscored.task.scheme == a_task().scheme
    assert (unhappier.task.scheme.version, unhappier.task.due_at) == (2, NOW + HOUR)


def test_what_the_program_closed_opens_again_with_its_owner_and_clock() -> None:
    task = after(a_task(), Claim(), NO_ANSWER)
    closed = the_last(answered(task, 9, None))

    revision, reopening = answered(closed, 1, CALLS)

    assert (revision.entry.act, reopening.entry.act) == ("revise", "reopen")
    assert reopening.fact == Reopened(former_state=TaskState.CLOSED, by=SYSTEM)
    assert reopening.task.state is TaskState.IN_PROGRESS
    assert (reopening.task.owner, reopening.task.due_at) == (task.owner, task.due_at)
    assert reopening.task.ended_at is None
    assert reopening.task.record.closure is None


def test_what_is_too_old_to_open_a_task_opens_none_again_and_closes_none() -> None:
    old = replace(CALLS, may_open=False)
    closed = the_last(answered(a_task(), 9, None))

    assert not the_last(answered(closed, 1, old)).is_open
    assert the_last(answered(a_task(), 1, old)).is_open


@pytest.mark.parametrize(
    "acts", [TO_RESOLVE, (NOT_NEEDED,), (Close(reason="customer_revised", note="they rang"),)]
)
@pytest.mark.parametrize(("score", "call"), [(1, CALLS), (0, URGENT), (9, None)])
def test_what_staff_ended_stays_ended_and_knows_what_came(
    acts: tuple[Act, ...], score: int, call: Call | None
) -> None:
    ended = after(a_task(), *acts)

    (revision,) = answered(ended, score, call)

    assert revision.task.state is ended.state
    assert (revision.task.record, revision.task.scheme) == (ended.record, ended.scheme)
    assert revision.entry.detail["score"] == score
    assert revision.fact is None


def test_another_metric_is_told_and_not_compared() -> None:
    answer = a_response(revision=2, metric="csat", score=1)

    (revision,) = revised(a_task(), answer, call=CALLS, now=LATER)

    assert revision.entry.detail["metric_before"] == "nps"
    assert revision.task.metric == "csat"


def test_age_opens_nothing_and_closes_nothing() -> None:
    old = a_response(answered_at=NOW - timedelta(days=90))

    assert decide(old, RULES) == NoAction(reason="too_old")
    assert decide_at_any_age(old, RULES) == OpenTask(rule=RULE)
    assert decide_at_any_age(a_response(score=9), RULES) == NoAction(reason="no_rule")


ANSWERS = st.lists(
    st.tuples(st.integers(0, 10), st.sampled_from([CALLS, URGENT, SLOW])), max_size=8
)
ACTS = st.lists(
    st.sampled_from([Claim(), NO_ANSWER, REACHED, AGREED, ELIMINATED, PROMISED]), max_size=4
)


@given(ACTS, ANSWERS)
def test_no_sequence_of_answers_gives_time_or_tells_twice(
    acts: list[Act], answers: list[tuple[int, Call]]
) -> None:
    task: FollowUpTask = a_task()
    for act in acts:
        with suppress(Conflict):
            task = after(task, act)
    facts: list[Any] = []
    for score, call in answers:
        before = task
        for acted in answered(task, score, call if score <= 6 else None):
            assert acted.task.version == task.version + 1
            task = acted.task
            facts += [acted.fact] if acted.fact else []
        assert task.due_at <= before.due_at
        assert task.first_contact_due_at <= before.first_contact_due_at
        assert task.owner == before.owner
        assert task.is_open == (score <= 6 or before.owes)
        closure: Closure | None = task.record.closure
        assert (closure is None) is task.is_open
    # Told in turns: closed, open again, closed, …
    assert [type(fact) for fact in facts] == [Closed, Reopened] * (len(facts) // 2) + [
        Closed
    ] * (len(facts) % 2)
