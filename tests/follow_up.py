"""Builders for follow-up: defaults that mean nothing, so that what a test states matters."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from services.loop.journey.domain import OwnerRef
from services.loop.responses.domain import Response
from services.loop.tasks.domain.acts import (
    Act,
    Agree,
    Close,
    LogContact,
    Resolve,
    TakeStep,
)
from services.loop.tasks.domain.opening import (
    opened,
)
from services.loop.tasks.domain.playbook import carry_out
from services.loop.tasks.domain.rules import DEFAULT_RULES, OpenTask, decide, rules_from
from services.loop.tasks.domain.schemes import DEFAULT_SCHEME, scheme_from
from services.loop.tasks.domain.task import (
    Actor,
    FollowUpTask,
    Step,
)
from shared.stats.categories import category_of

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
ANA = Actor(id="stf_ana", name="Ana Ruiz", kind="staff")
OLE = Actor(id="stf_ole", name="Ole Berg", kind="staff")
CARE = OwnerRef(id="team_customer_care", kind="team")
RULES = rules_from(DEFAULT_RULES)
SCHEME = scheme_from(DEFAULT_SCHEME)

REACHED = LogContact(mode="phone", result="reached", note="said sorry")
NO_ANSWER = LogContact(mode="phone", result="no_answer")
AGREED = Agree(agreed="a new courier slot", asked_for="a call before")
ELIMINATED = TakeStep(step=Step.ELIMINATE)
RESOLVED = Resolve(
    outcome="solved", cause_area="process", cause="no slots", content="yes", avoidable="yes"
)
NOT_NEEDED = Close(reason="not_needed", note="sent by mistake")
TO_RESOLVE: tuple[Act, ...] = (REACHED, AGREED, ELIMINATED, RESOLVED)


def a_response(**said: Any) -> Response:
    """Return a detractor's answer about a support call."""
    plain: dict[str, Any] = {
        "id": "rsp_1",
        "revision": 1,
        "source": "crm",
        "measurement": "transactional",
        "metric": "nps",
        "score": 2,
        "sentiment": None,
        "language": "en",
        "touchpoint": "support-call",
        "segment": None,
        "product": None,
        "channel": None,
        "reason": None,
        "emotion": None,
        "question_version": None,
        "answered_at": NOW - HOUR,
        "received_at": NOW,
        "as_new": False,
        "person_ref": "per_1",
        "has_comment": True,
        "sealed_person": None,
    }
    # Each answer is another customer's, unless a test says otherwise.
    plain["person_ref"] = f"per_{said.get('id', plain['id']).removeprefix('rsp_')}"
    values = plain | said
    values["category"] = category_of(values["metric"], values["score"])
    return Response(**values)


def a_task(**said: Any) -> FollowUpTask:
    """Return a task just opened for a response, held by the team Customer care."""
    decision = decide(a_response(), RULES)
    assert isinstance(decision, OpenTask)
    task = opened(
        a_response(),
        task_id="tsk_1",
        rule=decision.rule,
        scheme=SCHEME,
        owner=CARE,
        now=NOW,
    ).task
    return replace(task, **said)


def after(task: FollowUpTask, *acts: Act, by: Actor = ANA, at: datetime = NOW) -> FollowUpTask:
    """Return the task after these acts, a minute apart."""
    for n, act in enumerate(acts):
        task = carry_out(task, act, by=by, now=at + n * timedelta(minutes=1)).task
    return task


SOLVED = (
    REACHED,
    Agree(agreed="A new slot."),
    TakeStep(step=Step.ELIMINATE),
    Resolve(
        outcome="solved",
        cause_area="process",
        cause="no slots",
        content="yes",
        avoidable="yes",
    ),
)
"""A task resolved as the playbook asks for."""
