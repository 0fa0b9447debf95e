"""The checker finds what it is there for: each lie in the evidence breaks its invariant."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from services.notify.channels.webhook import message_id
from shared.events import topics
from tests.faults.checker import unfinished, violations
from tests.faults.evidence import Announced, Evidence, Logged
from tests.faults.history import History


def announced(seq: int, event_id: str, topic: str, kind: str, **data: Any) -> Announced:
    return Announced(
        seq=seq,
        event_id=event_id,
        topic=topic,
        key="prs_a",
        kind=kind,
        data=data,
        is_published=True,
    )


def logged(topic: str, offset: int, event_id: str, kind: str) -> Logged:
    return Logged(place=(topic, 0, offset), key="prs_a", event_id=event_id, kind=kind)


def delivery(number: int, channel: str, target: str) -> Any:
    return SimpleNamespace(
        id=f"dlv_{number}",
        event_id="evt_opened",
        event_type="task.opened",
        channel=channel,
        target=target,
        purpose="task",
        task_id="tsk_1",
        import_id=None,
        state="delivered",
        reason=None,
        attempts=1,
        in_doubt=False,
    )


def response(number: int, score: int, task_id: str | None) -> Any:
    return SimpleNamespace(
        id=f"rsp_{number}",
        external_id=f"a-{number}",
        revision=1,
        score=score,
        import_id=None,
        event_id=f"evt_{number}",
        announced=1,
        handled=1,
        state="task_open" if task_id else "no_action",
        task_id=task_id,
    )


def truth() -> tuple[History, Evidence]:
    """Two responses of one customer, one after the other; the first one has a task."""
    history = History()
    for number in (1, 2):
        operation = history.invoke(0, f"a-{number}", customer="C-1")
        history.ok(operation, f"rsp_{number}")
    wrong = history.invoke(0, "a-3", is_wrong=True)
    history.failed(wrong, 422)
    received, handled = "response.received.v1", "response.handled.v1"
    evidence = Evidence(
        responses=[response(1, 2, "tsk_1"), response(2, 10, None)],
        taken_in={"rsp_1": 1, "rsp_2": 1},
        tasks=[
            SimpleNamespace(
                id="tsk_1",
                response_id="rsp_1",
                other_responses=[],
                import_id=None,
                state="open",
            )
        ],
        outboxes={
            "ingest": [
                announced(1, "evt_1", topics.RESPONSES, received, response_id="rsp_1"),
                announced(2, "evt_2", topics.RESPONSES, received, response_id="rsp_2"),
            ],
            "loop": [
                announced(1, "evt_opened", topics.TASKS, "task.opened.v1", task_id="tsk_1"),
                announced(
                    2, "evt_h1", topics.HANDLED, handled, response_id="rsp_1", revision=1
                ),
                announced(
                    3, "evt_h2", topics.HANDLED, handled, response_id="rsp_2", revision=1
                ),
            ],
        },
        inbox={
            ("loop", "evt_1"),
            ("loop", "evt_2"),
            ("notify", "evt_opened"),
            ("ingest", "evt_h1"),
            ("ingest", "evt_h2"),
        },
        deliveries=[delivery(1, "email", "stf_1"), delivery(2, "webhook", "whk_1")],
        webhooks=1,
        log=[
            logged(topics.RESPONSES, 0, "evt_1", received),
            logged(topics.RESPONSES, 1, "evt_2", received),
            logged(topics.RESPONSES, 2, "evt_1", received),  # a repetition harms nobody
            logged(topics.TASKS, 0, "evt_opened", "task.opened.v1"),
            logged(topics.HANDLED, 0, "evt_h1", handled),
            logged(topics.HANDLED, 1, "evt_h2", handled),
        ],
        positions={
            ("loop", topics.RESPONSES, 0): 3,
            ("notify", topics.TASKS, 0): 1,
            ("ingest", topics.HANDLED, 0): 2,
        },
        mails={"dlv_1": 1},
        calls={message_id("dlv_2"): 1},
    )
    return history, evidence


def test_nothing_is_found_where_nothing_is_wrong() -> None:
    history, evidence = truth()

    assert violations(history, evidence) == {}
    assert unfinished(evidence) == []


def test_answers_that_are_given_at_the_same_moment_come_in_any_order() -> None:
    history, evidence = truth()
    first, second, *_ = history.operations
    first.completed_at, second.invoked_at = second.invoked_at, 0
    _overtaken(history, evidence)
    _effects_swapped(history, evidence)

    assert "I7" not in " ".join(violations(history, evidence))


def test_mails_about_many_tasks_come_in_any_order() -> None:
    history, evidence = truth()
    delivered = "alert.delivered.v1"
    evidence.outboxes = {
        **evidence.outboxes,
        "notify": [
            announced(1, "evt_m1", topics.ALERTS, delivered, task_id=None),
            announced(2, "evt_m2", topics.ALERTS, delivered, task_id=None),
        ],
    }
    evidence.log = [
        *evidence.log,
        logged(topics.ALERTS, 0, "evt_m2", delivered),
        logged(topics.ALERTS, 1, "evt_m1", delivered),
    ]

    assert violations(history, evidence) == {}


Lie = Callable[[History, Evidence], object]


def _forget_the_second(_: History, evidence: Evidence) -> None:
    evidence.responses = evidence.responses[:1]


def _another_id(_: History, evidence: Evidence) -> None:
    evidence.responses[0].id = "rsp_9"


def _twice(_: History, evidence: Evidence) -> None:
    evidence.responses = [*evidence.responses, evidence.responses[0]]


def _out_of_the_log(_: History, evidence: Evidence) -> None:
    evidence.log = [*evidence.log[1:2], *evidence.log[3:]]


def _no_task(_: History, evidence: Evidence) -> None:
    evidence.tasks = []


def _two_tasks(_: History, evidence: Evidence) -> None:
    evidence.tasks = [*evidence.tasks, evidence.tasks[0]]


def _a_task_too_many(_: History, evidence: Evidence) -> None:
    evidence.responses[0].score = 9


def _nobody_told(_: History, evidence: Evidence) -> None:
    evidence.deliveries = evidence.deliveries[1:]


def _receiver_not_told(_: History, evidence: Evidence) -> None:
    evidence.deliveries = evidence.deliveries[:1]


def _told_twice(_: History, evidence: Evidence) -> None:
    evidence.deliveries = [*evidence.deliveries, delivery(3, "email", "stf_1")]
    evidence.mails = {"dlv_1": 1, "dlv_3": 1}


def _in_limbo(_: History, evidence: Evidence) -> None:
    evidence.deliveries[0].state = "sending"


def _never_sent(_: History, evidence: Evidence) -> None:
    evidence.mails = {}


def _doubled_in_silence(_: History, evidence: Evidence) -> None:
    evidence.mails = {"dlv_1": 2}
    evidence.deliveries[0].attempts = 2


def _called_twice_in_silence(_: History, evidence: Evidence) -> None:
    evidence.calls = {message_id("dlv_2"): 2}
    evidence.deliveries[1].attempts = 2


def _forged(_: History, evidence: Evidence) -> None:
    evidence.unverified = 1


def _overtaken(_: History, evidence: Evidence) -> None:
    first, second, _again, *others = evidence.log
    evidence.log = [
        logged(topics.RESPONSES, 0, second.event_id, second.kind),
        logged(topics.RESPONSES, 1, first.event_id, first.kind),
        *others,
    ]


def _part_overtaken(_: History, evidence: Evidence) -> None:
    revised = "response.revised.v1"
    evidence.outboxes = {
        **evidence.outboxes,
        "ingest": [
            *evidence.outboxes["ingest"],
            announced(3, "evt_p1", topics.RESPONSES, revised, response_id="rsp_1"),
            announced(4, "evt_p2", topics.RESPONSES, revised, response_id="rsp_1"),
        ],
    }
    evidence.log = [
        *evidence.log,
        logged(topics.RESPONSES, 3, "evt_p2", revised),
        logged(topics.RESPONSES, 4, "evt_p1", revised),
    ]


def _effects_swapped(_: History, evidence: Evidence) -> None:
    opened, first, second = evidence.outboxes["loop"]
    evidence.outboxes = {
        **evidence.outboxes,
        "loop": [
            opened,
            announced(2, "evt_h2", topics.HANDLED, second.kind, **second.data),
            announced(3, "evt_h1", topics.HANDLED, first.kind, **first.data),
        ],
    }
    evidence.log = [
        *evidence.log[:4],
        logged(topics.HANDLED, 0, "evt_h2", second.kind),
        logged(topics.HANDLED, 1, "evt_h1", first.kind),
    ]


def _accepted_in_another_order(history: History, _: Evidence) -> None:
    first, second, *others = history.operations
    first.response_id, second.response_id = second.response_id, first.response_id
    first.key, second.key = second.key, first.key
    history.operations = [first, second, *others]


def _refused_and_kept(history: History, _: Evidence) -> None:
    history.operations = [one for one in history.operations if one.key != "a-2"]
    history.failed(history.invoke(1, "a-2"), 422)


def _of_nobody(history: History, _: Evidence) -> None:
    history.operations = [one for one in history.operations if one.key != "a-2"]


def _passed_over(_: History, evidence: Evidence) -> None:
    evidence.inbox.discard(("loop", "evt_2"))


@pytest.mark.parametrize(
    ("lie", "invariant"),
    [
        (_forget_the_second, "I1"),
        (_another_id, "I1"),
        (_twice, "I1"),
        (_out_of_the_log, "I2"),
        (_no_task, "I3"),
        (_two_tasks, "I3"),
        (_a_task_too_many, "I3"),
        (_nobody_told, "I4"),
        (_receiver_not_told, "I4"),
        (_told_twice, "I4"),
        (_in_limbo, "I5"),
        (_never_sent, "I6"),
        (_doubled_in_silence, "I6"),
        (_called_twice_in_silence, "I6"),
        (_forged, "I6"),
        (_overtaken, "I7"),
        (_part_overtaken, "I7"),
        (_effects_swapped, "I7"),
        (_accepted_in_another_order, "I7"),
        (_refused_and_kept, "I8"),
        (_of_nobody, "I8"),
        (_passed_over, "I9"),
    ],
)
def test_each_lie_breaks_its_invariant(lie: Lie, invariant: str) -> None:
    history, evidence = truth()

    lie(history, evidence)

    assert invariant in {name.partition(" ")[0] for name in violations(history, evidence)}


def test_what_is_under_way_is_not_quiet() -> None:
    _, evidence = truth()
    evidence.deliveries[0].state = "due"
    evidence.inbox.discard(("ingest", "evt_h1"))

    assert unfinished(evidence) == ["unsent dlv_1", "not taken in by ingest: evt_h1"]
