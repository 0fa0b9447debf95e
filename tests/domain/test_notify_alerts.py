"""What is told about a task: bodies, patterns, deadlines."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from services.notify.domain.alerts import (
    LARGEST_BODY,
    TaskFacts,
    facts_document,
    facts_from,
    is_wanted,
    pattern_problem,
    public_type,
    webhook_body,
    with_person,
)

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
FACTS = TaskFacts(
    event_id="evt_1",
    type="task.opened",
    happened_at=NOW,
    task_id="tsk_1",
    response_id="rsp_1",
    version=1,
    state="assigned",
    owner_id="team_customer_care",
    owner_kind="team",
    metric="nps",
    score=4,
    touchpoint="door",
    segment=None,
    product=None,
    opened_at=NOW,
    first_contact_due_at=NOW + HOUR,
    due_at=NOW + 24 * HOUR,
    person_ref="per_1",
    person="s1.sealed",
)


def test_a_webhook_body_holds_ids_state_score_times_and_links_and_no_person() -> None:
    body = webhook_body(FACTS, public_url="https://loop.example.org")

    assert json.loads(body) == {
        "type": "task.opened",
        "timestamp": "2026-03-02T09:00:00Z",
        "data": {
            "task_id": "tsk_1",
            "response_id": "rsp_1",
            "version": 1,
            "state": "assigned",
            "metric": "nps",
            "score": 4,
            "touchpoint_name": None,
            "touchpoint": "door",
            "segment": None,
            "product": None,
            "owner": {"id": "team_customer_care", "kind": "team"},
            "opened_at": "2026-03-02T09:00:00Z",
            "first_contact_due_at": "2026-03-02T10:00:00Z",
            "due_at": "2026-03-03T09:00:00Z",
            "links": {
                "task": "https://loop.example.org/tasks/tsk_1",
                "api": "https://loop.example.org/v1/tasks/tsk_1",
            },
        },
    }
    assert b": " not in body
    assert b", " not in body


def test_a_full_body_is_the_same_with_the_person_added() -> None:
    body = webhook_body(FACTS, public_url="https://loop.example.org")
    person = {"customer": {"name": "Änne"}, "comment": "schade", "attributes": {"x": 1}}

    full = with_person(body, person)

    assert json.loads(full)["data"] == {
        **json.loads(body)["data"],
        "customer": {"name": "Änne"},
        "comment": "schade",
    }
    assert full == with_person(body, person)


def test_a_full_body_stays_within_what_receivers_like() -> None:
    body = webhook_body(FACTS, public_url="https://loop.example.org")

    full = with_person(body, {"customer": {}, "comment": '"\n你' * 9_000})

    assert len(full) <= LARGEST_BODY
    data = json.loads(full)["data"]
    assert data["comment_cut"] is True
    assert data["comment"].startswith('"\n你')


def test_facts_come_back_from_their_document_without_the_person() -> None:
    assert facts_from(facts_document(FACTS)) == replace(FACTS, person=None)
    assert b"sealed" not in facts_document(FACTS)


@pytest.mark.parametrize(
    ("event_type", "patterns", "wanted"),
    [
        ("task.opened", ["task.*"], True),
        ("task.opened", ["task.opened"], True),
        ("task.opened", ["task.closed", "task.opened"], True),
        ("task.opened", ["task.closed"], False),
        ("task.opened", ["tas.*"], False),
        ("task.opened", ["task.open"], False),
        ("task.opened", [], False),
        ("task.opened", ["*"], True),
        ("source.silent", ["task.closed", "*"], True),
        ("theme.rising", ["task.*"], False),
    ],
)
def test_patterns(event_type: str, patterns: list[str], wanted: bool) -> None:
    assert is_wanted(event_type, patterns) is wanted


@pytest.mark.parametrize("pattern", ["*", "task.*", "task.opened", "task.due-soon"])
def test_known_patterns_are_taken(pattern: str) -> None:
    assert pattern_problem(pattern) is None


@pytest.mark.parametrize("pattern", ["", "task", "task.", "task.opend", "tasks.*", ".*"])
def test_patterns_that_never_match_are_refused(pattern: str) -> None:
    assert pattern_problem(pattern) == "unknown_event"


def test_receivers_see_types_without_our_version() -> None:
    assert public_type("task.due-soon.v1") == "task.due-soon"
    assert public_type("webhook.test") == "webhook.test"


@pytest.mark.parametrize(
    ("kind", "state", "happened_after", "is_first_contact"),
    [
        ("task.opened", "assigned", 0, True),
        ("task.due-soon", "assigned", 0.5, True),
        ("task.due-soon", "assigned", 20, False),
        ("task.due-soon", "in_progress", 0.5, False),
        ("task.overdue", "assigned", 1, True),
        ("task.overdue", "assigned", 24, False),
        ("task.overdue", "in_progress", 24, False),
    ],
)
def test_an_event_is_about_the_deadline_that_is_next_or_just_broken(
    kind: str, state: str, happened_after: float, is_first_contact: bool
) -> None:
    facts = replace(FACTS, type=kind, state=state, happened_at=NOW + happened_after * HOUR)

    expected = FACTS.first_contact_due_at if is_first_contact else FACTS.due_at
    assert facts.deadline == expected
