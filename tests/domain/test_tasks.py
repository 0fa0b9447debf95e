"""What opens a task, what may be done with it from where, and what no sequence can reach."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.loop.journey.domain import OwnerRef
from services.loop.tasks.domain.acts import (
    ALLOWED_FROM,
    Act,
    AddNote,
    Assign,
    Claim,
    Close,
    FinishAction,
    LogContact,
    PromiseAction,
    Reopen,
    Resume,
    TakeStep,
    Wait,
)
from services.loop.tasks.domain.facts import (
    Assigned,
    Closed,
    Contacted,
    Reopened,
    Resolved,
)
from services.loop.tasks.domain.playbook import carry_out
from services.loop.tasks.domain.rules import NoAction, OpenTask, decide
from services.loop.tasks.domain.task import (
    OPEN,
    Step,
    TaskState,
)
from shared.errors import Conflict, NotFound
from tests.follow_up import (
    AGREED,
    ANA,
    CARE,
    ELIMINATED,
    HOUR,
    NO_ANSWER,
    NOT_NEEDED,
    NOW,
    OLE,
    REACHED,
    RESOLVED,
    RULES,
    SCHEME,
    TO_RESOLVE,
    a_response,
    a_task,
    after,
)

OLE_OWNS = OwnerRef(id=OLE.id, kind="person")
PROMISED = PromiseAction(what="book a slot", owner=OLE_OWNS, due_at=NOW + 4 * HOUR)

# ------------------------------------------------------------------ the rules


@pytest.mark.parametrize(
    ("metric", "opens", "not_any_more"),
    [("nps", range(7), range(7, 11)), ("csat", (1, 2), (3, 4, 5)), ("ces", (1, 2, 3), (4, 7))],
)
def test_a_low_score_calls_for_follow_up(metric, opens, not_any_more) -> None:
    for score in opens:
        assert isinstance(decide(a_response(metric=metric, score=score), RULES), OpenTask)
    for score in not_any_more:
        assert decide(a_response(metric=metric, score=score), RULES) == NoAction(
            reason="no_rule"
        )


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"score": None, "measurement": "unsolicited", "sentiment": "negative"}, None),
        ({"score": None, "measurement": "unsolicited", "sentiment": "neutral"}, "no_rule"),
        ({"score": None, "measurement": "unsolicited", "sentiment": None}, "no_rule"),
        ({"score": 3, "measurement": "unsolicited"}, None),
        ({"score": 9, "sentiment": "negative"}, "no_rule"),
        ({"score": 0, "measurement": "periodic"}, "periodic"),
        ({"score": 9, "measurement": "periodic"}, "no_rule"),
        ({"score": 0, "answered_at": NOW - timedelta(days=30)}, None),
        ({"score": 0, "answered_at": NOW - timedelta(days=30, seconds=1)}, "too_old"),
        ({"score": 10, "answered_at": NOW - timedelta(days=31)}, "too_old"),
        ({"score": 0, "answered_at": NOW - timedelta(days=900), "as_new": True}, None),
        ({"score": 0, "answered_at": NOW + timedelta(hours=20)}, None),
    ],
)
def test_a_response_opens_a_task_or_has_a_reason_not_to(said, reason) -> None:
    decision = decide(a_response(**said), RULES)

    assert (decision.reason if isinstance(decision, NoAction) else None) == reason


@pytest.mark.parametrize("channel", [None, "web", "telephone", "review site"])
@pytest.mark.parametrize("source", ["crm", "cms", "service-desk"])
def test_the_shipped_rule_cares_for_no_channel_and_no_source(channel, source) -> None:
    assert isinstance(decide(a_response(channel=channel, source=source), RULES), OpenTask)
    happy = a_response(score=9, channel=channel, source=source)
    assert decide(happy, RULES) == NoAction(reason="no_rule")


def test_the_first_rule_that_matches_wins() -> None:
    decision = decide(a_response(), RULES)

    assert isinstance(decision, OpenTask)
    assert decision.rule is RULES.rules[0]


# ------------------------------------------------------------------ the opening


def test_a_task_has_an_owner_and_two_deadlines_from_its_first_second() -> None:
    task = a_task()

    assert task.owner == CARE
    assert task.first_contact_due_at == NOW + 8 * HOUR
    assert task.due_at == NOW + 24 * HOUR
    assert SCHEME.deadlines(NOW).reminders == (NOW + 18 * HOUR,)
    assert (task.state, task.version) == (TaskState.ASSIGNED, 1)
    assert (task.scheme.id, task.scheme.version) == ("standard", 1)


def test_the_customers_clock_runs_from_the_answer_and_ours_from_the_opening() -> None:
    assert a_task().waiting_since == NOW - HOUR


def test_first_contact_breaks_first_then_the_resolution() -> None:
    task = a_task()
    assert task.next_due_at == task.first_contact_due_at
    assert task.is_first_contact_late(NOW + 9 * HOUR)

    tried = after(task, NO_ANSWER)

    assert tried.next_due_at == task.due_at
    assert not tried.is_first_contact_late(NOW + 9 * HOUR)
    assert not tried.is_overdue(NOW + 24 * HOUR)
    assert tried.is_overdue(NOW + 24 * HOUR + timedelta(seconds=1))


# ------------------------------------------------------------------ acts and states


def in_state(state: TaskState):
    """Return a task in this state, ready for whatever the state allows."""
    ready = after(a_task(), REACHED, AGREED, PROMISED)
    return {
        TaskState.ASSIGNED: a_task(record=ready.record, version=ready.version),
        TaskState.IN_PROGRESS: ready,
        TaskState.WAITING_CUSTOMER: after(ready, Wait(waiting_for="customer")),
        TaskState.WAITING_INTERNAL: after(ready, Wait(waiting_for="internal")),
        TaskState.RESOLVED: after(ready, FinishAction(n=1), RESOLVED),
        TaskState.CONFIRMED: a_task(state=TaskState.CONFIRMED, ended_at=NOW),
        TaskState.CLOSED: after(ready, NOT_NEEDED),
    }[state]


SAME = None
LEADS_TO: list[tuple[Act, TaskState | None]] = [
    (Claim(), SAME),
    (Assign(owner=OLE_OWNS, reason="knows them"), SAME),
    (NO_ANSWER, TaskState.IN_PROGRESS),
    (TakeStep(step=Step.LISTEN), SAME),
    (AGREED, SAME),
    (PROMISED, SAME),
    (FinishAction(n=1), SAME),
    (Wait(waiting_for="customer"), TaskState.WAITING_CUSTOMER),
    (Wait(waiting_for="internal"), TaskState.WAITING_INTERNAL),
    (Resume(), TaskState.IN_PROGRESS),
    (AddNote(text="rang twice"), SAME),
    (NOT_NEEDED, TaskState.CLOSED),
    (Reopen(reason="not solved"), TaskState.IN_PROGRESS),
]


@pytest.mark.parametrize("state", list(TaskState))
@pytest.mark.parametrize(("act", "leads_to"), LEADS_TO, ids=lambda value: str(value)[:20])
def test_each_act_leads_where_the_table_says_or_is_refused(state, act, leads_to) -> None:
    task = in_state(state)
    if state in ALLOWED_FROM[act.NAME]:
        acted = carry_out(task, act, by=ANA, now=NOW)
        assert acted.task.state is (leads_to or state)
        assert acted.task.version == acted.entry.version == task.version + 1
        assert (acted.entry.act, acted.entry.by, acted.entry.at) == (act.NAME, ANA, NOW)
    else:
        with pytest.raises(Conflict) as refused:
            carry_out(task, act, by=ANA, now=NOW)
        assert refused.value.extra["state"] == state.value
        allowed = [one.value for one in TaskState if one in ALLOWED_FROM[act.NAME]]
        assert refused.value.extra["allowed_from"] == allowed


def test_the_first_claim_wins_and_the_second_is_told_whose_it_is() -> None:
    acted = carry_out(a_task(), Claim(), by=ANA, now=NOW)
    assert acted.task.owner == OwnerRef(id=ANA.id, kind="person")
    assert acted.fact == Assigned(former_owner=CARE)

    with pytest.raises(Conflict, match="a colleague's already"):
        carry_out(acted.task, Claim(), by=OLE, now=NOW)
    with pytest.raises(Conflict, match="yours already"):
        carry_out(acted.task, Claim(), by=ANA, now=NOW)


def test_a_task_is_not_assigned_to_whoever_owns_it() -> None:
    with pytest.raises(Conflict):
        carry_out(a_task(), Assign(owner=CARE, reason="again"), by=ANA, now=NOW)


def test_only_the_first_contact_stops_the_first_contact_clock() -> None:
    first = carry_out(a_task(), NO_ANSWER, by=ANA, now=NOW + HOUR)
    second = carry_out(first.task, REACHED, by=ANA, now=NOW + 2 * HOUR)

    assert isinstance(first.fact, Contacted)
    assert isinstance(second.fact, Contacted)
    assert (first.fact.first, second.fact.first) == (True, False)
    assert second.task.first_contact_at == NOW + HOUR
    assert second.task.tries == 2


def test_reaching_the_customer_is_the_step_respond() -> None:
    assert after(a_task(), NO_ANSWER).letters == "........"
    assert after(a_task(), NO_ANSWER, REACHED, REACHED).letters == "R......."


def test_an_agreed_next_call_stays_on_the_task_until_the_next_contact() -> None:
    call = LogContact(mode="phone", result="reached", next_contact_at=NOW + 5 * HOUR)

    assert after(a_task(), call).next_contact_at == NOW + 5 * HOUR
    assert after(a_task(), call, REACHED).next_contact_at is None


# ------------------------------------------------------------------ V before E before D


def test_eliminate_comes_after_verify() -> None:
    with pytest.raises(Conflict) as refused:
        carry_out(after(a_task(), REACHED), ELIMINATED, by=ANA, now=NOW)
    assert refused.value.extra["missing"] == ["verify"]

    for verified in (AGREED, TakeStep(step=Step.VERIFY)):
        assert after(a_task(), REACHED, verified, ELIMINATED).has_step(Step.ELIMINATE)


def test_documenting_is_resolving() -> None:
    with pytest.raises(Conflict, match="use resolve"):
        carry_out(a_task(), TakeStep(step=Step.DOCUMENT), by=ANA, now=NOW)


@pytest.mark.parametrize(
    ("done", "missing"),
    [
        ((), ["reached_contact", "verify", "eliminate"]),
        ((NO_ANSWER,), ["reached_contact", "verify", "eliminate"]),
        ((REACHED,), ["verify", "eliminate"]),
        ((REACHED, AGREED), ["eliminate"]),
        ((AGREED, ELIMINATED), ["reached_contact"]),
        ((REACHED, AGREED, ELIMINATED, PROMISED), ["actions/1"]),
        ((REACHED, AGREED, PROMISED), ["eliminate", "actions/1"]),
        ((REACHED, PROMISED, FinishAction(n=1)), ["verify"]),
        ((REACHED, AGREED, PROMISED, PROMISED, FinishAction(n=2)), ["eliminate", "actions/1"]),
    ],
)
def test_resolving_names_what_is_missing(done, missing) -> None:
    with pytest.raises(Conflict) as refused:
        carry_out(after(a_task(), *done), RESOLVED, by=ANA, now=NOW)
    assert refused.value.extra["missing"] == missing


@pytest.mark.parametrize(
    "done",
    [
        (REACHED, AGREED, ELIMINATED),
        (REACHED, AGREED, PROMISED, FinishAction(n=1)),
        (REACHED, PROMISED, FinishAction(n=1), AGREED),
        (REACHED, TakeStep(step=Step.VERIFY), ELIMINATED, Wait(waiting_for="customer")),
    ],
)
def test_a_task_is_resolved_when_what_was_agreed_is_carried_out(done) -> None:
    acted = carry_out(after(a_task(), *done), RESOLVED, by=ANA, now=NOW + 23 * HOUR)

    assert acted.task.state is TaskState.RESOLVED
    assert acted.task.ended_at == NOW + 23 * HOUR
    assert acted.task.letters == "R....VED"
    assert isinstance(acted.fact, Resolved)
    assert acted.fact.resolution.within_deadline
    assert not acted.task.is_overdue(NOW + 99 * HOUR)
    assert acted.entry.words == {"root_cause": "no slots"}


def test_a_late_resolution_says_so() -> None:
    task = after(a_task(), REACHED, AGREED, ELIMINATED)

    fact = carry_out(task, RESOLVED, by=ANA, now=NOW + 25 * HOUR).fact

    assert isinstance(fact, Resolved)
    assert not fact.resolution.within_deadline


def test_an_action_is_done_once() -> None:
    task = after(a_task(), AGREED, PROMISED, FinishAction(n=1))
    assert task.record.actions[0].finished is not None

    with pytest.raises(Conflict):
        carry_out(task, FinishAction(n=1), by=ANA, now=NOW)
    for n in (0, 2):
        with pytest.raises(NotFound):
            carry_out(task, FinishAction(n=n), by=ANA, now=NOW)


# ------------------------------------------------------------------ the end and after it


@pytest.mark.parametrize(
    ("tries", "is_allowed"),
    [
        ((NO_ANSWER,) * 2, False),
        ((NO_ANSWER,) * 3, True),
        ((NO_ANSWER, REACHED, NO_ANSWER), False),
        ((REACHED,) * 3, False),
    ],
)
def test_unreachable_takes_the_tries_that_the_scheme_asks_for(tries, is_allowed) -> None:
    task = after(a_task(), *tries)
    unreachable = Close(reason="unreachable", note="three tries")
    if is_allowed:
        fact = carry_out(task, unreachable, by=ANA, now=NOW).fact
        assert isinstance(fact, Closed)
        assert fact.closure.reason == "unreachable"
    else:
        with pytest.raises(Conflict, match="after 3 tries"):
            carry_out(task, unreachable, by=ANA, now=NOW)


@pytest.mark.parametrize("reason", ["not_needed", "customer_revised", "duplicate"])
def test_other_reasons_to_close_need_no_tries(reason) -> None:
    assert after(a_task(), Close(reason=reason, note="…")).state is TaskState.CLOSED


def test_a_reopened_task_runs_on_its_old_clock_and_agrees_anew() -> None:
    resolved = after(a_task(), *TO_RESOLVE)

    acted = carry_out(resolved, Reopen(reason="it broke again"), by=OLE, now=NOW + 30 * HOUR)

    assert acted.fact == Reopened(former_state=TaskState.RESOLVED, by=OLE)
    assert acted.task.due_at == resolved.due_at
    assert acted.task.is_overdue(NOW + 30 * HOUR)
    assert acted.task.ended_at is None
    assert acted.task.letters == "R......."
    assert acted.task.record.resolution is None
    assert acted.task.missing_to_resolve() == ("verify", "eliminate")


def test_actions_of_an_earlier_round_do_not_count_for_the_next() -> None:
    task = after(
        a_task(), REACHED, AGREED, PROMISED, FinishAction(n=1), RESOLVED, Reopen(reason="no")
    )

    assert after(task, AGREED).missing_to_resolve() == ("eliminate",)
    assert after(task, AGREED, PROMISED, FinishAction(n=2)).missing_to_resolve() == ()


def test_words_stay_out_of_the_task_and_of_every_text_form() -> None:
    secret = "the customer's very own words"
    acted = carry_out(a_task(), AddNote(text=secret), by=ANA, now=NOW)

    assert acted.entry.words == {"text": secret}
    assert secret not in repr(acted)
    assert secret not in repr(AddNote(text=secret))


# ------------------------------------------------------------------ walks

ANY_ACT = st.sampled_from(
    [
        *(act for act, _ in LEADS_TO),
        REACHED,
        ELIMINATED,
        RESOLVED,
        FinishAction(n=2),
        TakeStep(step=Step.VERIFY),
        Close(reason="unreachable", note="…"),
    ]
)


@given(st.lists(ANY_ACT, max_size=40))
def test_no_sequence_of_acts_reaches_an_impossible_state(acts) -> None:
    task = a_task()
    for n, act in enumerate(acts):
        now = NOW + n * HOUR
        try:
            acted = carry_out(task, act, by=ANA, now=now)
        except (Conflict, NotFound):
            continue
        assert acted.task.version == task.version + 1
        assert acted.entry.version == acted.task.version
        task = acted.task

        assert task.owner.id
        assert (task.due_at, task.opened_at) == (NOW + 24 * HOUR, NOW)
        assert task.is_open == (task.ended_at is None) == (task.state in OPEN)
        assert (task.state is TaskState.RESOLVED) == (task.record.resolution is not None)
        assert (task.state is TaskState.CLOSED) == (task.record.closure is not None)
        if task.has_step(Step.ELIMINATE):
            assert task.has_step(Step.VERIFY)
        if task.state is TaskState.RESOLVED:
            assert task.letters.endswith("VED")
            assert task.missing_to_resolve() == ()
            assert any(a.result == "reached" for a in task.record.attempts)
        else:
            assert not task.has_step(Step.DOCUMENT)
        if task.record.closure is not None and task.record.closure.reason == "unreachable":
            assert task.failed_tries >= task.scheme.attempts
