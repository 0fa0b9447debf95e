"""A poll becomes facts, sums, mentions, tasks and announcements, or nothing at all."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest_asyncio

from services.loop.journey.domain import OwnerRef, Touchpoint
from services.loop.journey.handlers import add_touchpoint
from services.loop.journey.tables import touchpoints
from services.loop.responses.tables import responses, score_rollups
from services.loop.tasks.tables import tasks
from services.loop.themes.tables import mentions, theme_rollups
from shared.db.transaction import Database
from shared.events.loop import ResponseHandled, TaskOpened
from shared.identity.erasure import erase_person
from shared.identity.person_keys import PersonKeys
from shared.sealing import Keyring
from tests.fakes import ManualClock
from tests.handlers.intake import WAITED, Intake


@pytest_asyncio.fixture
async def intake(
    database_of: Callable[[str], Database],
    clock: ManualClock,
    keyring: Keyring,
    person_keys: PersonKeys,
) -> Intake:
    made = Intake(
        database=database_of("loop"), clock=clock, keyring=keyring, person_keys=person_keys
    )
    await made.prepare()
    return made


def _counted(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return sorted(
        (row["touchpoint"], row["n"], row["high"], row["middle"], row["low"], row["total"])
        for row in rows
        if row["n"]
    )


def _mentioned(rows: list[dict[str, Any]]) -> dict[str, tuple[int, int, int]]:
    found: dict[str, tuple[int, int, int]] = {}
    for row in rows:
        before = found.get(row["theme_id"], (0, 0, 0))
        added = (row["mentions"], row["low"], row["high"])
        found[row["theme_id"]] = tuple(map(sum, zip(before, added, strict=True)))  # type: ignore[assignment] # three counts
    return {theme_id: counts for theme_id, counts in found.items() if any(counts)}


async def test_an_unhappy_customer_becomes_a_fact_a_sum_a_mention_and_a_task(
    intake: Intake,
) -> None:
    event = await intake.response(comment=WAITED)
    arrived = intake.arrived(event)

    await intake.take_in_arrived([arrived])

    (row,) = await intake.rows(responses)
    assert (row["id"], row["category"], row["sealed_person"]) == (
        event.response_id,
        "detractor",
        event.person,
    )
    assert _counted(await intake.rows(score_rollups)) == [("support-call", 1, 0, 0, 1, 2)]

    (mention,) = [row for row in await intake.rows(mentions) if row["theme_id"] == "waiting"]
    words = WAITED[mention["evidence_start"] : mention["evidence_end"]]
    assert "waited" in words
    assert mention["taxonomy_version"] == 1
    assert _mentioned(await intake.rows(theme_rollups))["waiting"] == (1, 1, 0)

    (task,) = await intake.rows(tasks)
    assert task["response_id"] == event.response_id

    opened, handled = [event for _, event in await intake.announced()]
    assert isinstance(opened, TaskOpened)
    assert isinstance(handled, ResponseHandled)
    assert (handled.state, handled.task_id) == ("task_open", task["id"])
    assert "waiting" in handled.themes
    for envelope, _ in await intake.announced():
        assert envelope.causationid == arrived.envelope.id
        assert envelope.correlationid == arrived.envelope.correlationid


async def test_a_poll_that_fails_leaves_nothing_behind(intake: Intake) -> None:
    good = await intake.response(comment=WAITED)
    # A sealed part that no key of ours opens cannot be handled by trying again.
    bad = (await intake.response(comment=WAITED)).model_copy(update={"person": "s1.AAAA"})

    try:
        await intake.take_in(good, bad)
    except Exception as error:  # noqa: BLE001 - whatever it is, the transaction must be gone
        assert "open" in str(error) or "key" in str(error)  # noqa: PT017 - either reason is right
    else:
        raise AssertionError("it should have been refused")

    for table in (responses, score_rollups, mentions, theme_rollups, tasks):
        assert await intake.rows(table) == []
    assert await intake.announced() == []


async def test_the_same_response_again_changes_nothing_and_is_answered_again(
    intake: Intake,
) -> None:
    event = await intake.response(comment=WAITED)
    await intake.take_in(event)
    before = [
        await intake.rows(table)
        for table in (responses, score_rollups, mentions, theme_rollups, tasks)
    ]

    await intake.take_in(event)

    after = [
        await intake.rows(table)
        for table in (responses, score_rollups, mentions, theme_rollups, tasks)
    ]
    assert after == before
    first, second = await intake.handled()
    assert second == first


async def test_a_revision_moves_the_sums_and_finds_the_themes_again(intake: Intake) -> None:
    event = await intake.response(comment=WAITED)
    await intake.take_in(event)
    revised = await intake.response(
        response_id=event.response_id,
        revision=2,
        score=9,
        touchpoint="branch",
        comment="The adviser was friendly and polite.",
    )

    await intake.take_in(revised)

    (row,) = await intake.rows(responses)
    assert (row["revision"], row["score"], row["category"]) == (2, 9, "promoter")
    assert _counted(await intake.rows(score_rollups)) == [("branch", 1, 1, 0, 0, 9)]
    found = _mentioned(await intake.rows(theme_rollups))
    assert "waiting" not in found
    assert found[""] == (1, 0, 1)
    assert {row["theme_id"] for row in await intake.rows(mentions)} == set(found) - {""}
    first, second = await intake.handled()
    assert second.revision == 2
    assert (second.state, second.task_id) == ("closed", first.task_id)


async def test_a_revision_that_calls_for_follow_up_opens_the_task(intake: Intake) -> None:
    event = await intake.response(score=9)
    await intake.take_in(event)
    revised = await intake.response(response_id=event.response_id, revision=2, score=3)

    await intake.take_in(revised)

    (task,) = await intake.rows(tasks)
    first, second = await intake.handled()
    assert (first.state, first.reason, first.task_id) == ("no_action", "no_rule", None)
    assert (second.state, second.task_id) == ("task_open", task["id"])


async def test_a_response_and_its_revision_in_one_poll_are_taken_in_one_after_the_other(
    intake: Intake,
) -> None:
    event = await intake.response(score=9, comment=WAITED)
    revised = await intake.response(
        response_id=event.response_id, revision=2, score=3, comment=WAITED
    )

    await intake.take_in(event, revised)

    assert [(h.revision, h.state) for h in await intake.handled()] == [
        (1, "no_action"),
        (2, "task_open"),
    ]
    assert _counted(await intake.rows(score_rollups)) == [("support-call", 1, 0, 0, 1, 3)]
    assert _mentioned(await intake.rows(theme_rollups))[""] == (1, 1, 0)


async def test_a_revision_that_was_overtaken_changes_no_fact_and_is_answered(
    intake: Intake,
) -> None:
    late = await intake.response(score=2, comment=WAITED)
    winner = await intake.response(
        response_id=late.response_id, revision=2, score=10, comment=WAITED
    )
    await intake.take_in(winner)

    await intake.take_in(late)

    (row,) = await intake.rows(responses)
    assert (row["revision"], row["score"]) == (2, 10)
    assert await intake.rows(tasks) == []
    second, first = await intake.handled()
    assert (first.revision, first.state, first.themes) == (1, "no_action", second.themes)


async def test_what_was_overtaken_belongs_to_whom_the_later_answer_names(
    intake: Intake,
) -> None:
    late = await intake.response(customer=None, comment=WAITED)
    winner = await intake.response(response_id=late.response_id, revision=2, comment=WAITED)
    await intake.take_in(winner)

    await intake.take_in(late)

    (row,) = await intake.rows(responses)
    assert (row["person_ref"], row["sealed_person"]) == (winner.person_ref, winner.person)
    (task,) = await intake.rows(tasks)
    assert [(one.state, one.task_id) for one in await intake.handled()] == [
        ("task_open", task["id"]),
        ("task_open", task["id"]),
    ]


async def test_a_person_who_was_erased_leaves_a_number_and_no_task(intake: Intake) -> None:
    event = await intake.response(comment=WAITED)
    async with intake.database.transaction() as tx:
        await erase_person(tx, event.person_ref, intake.clock.now())

    await intake.take_in(event)

    assert _counted(await intake.rows(score_rollups)) == [("support-call", 1, 0, 0, 1, 2)]
    assert await intake.rows(mentions) == []
    assert await intake.rows(tasks) == []
    (handled,) = await intake.handled()
    assert (handled.state, handled.reason, handled.themes) == ("no_action", "erased", [])


async def test_themes_that_were_found_before_an_erasure_stay(intake: Intake) -> None:
    event = await intake.response(comment=WAITED)
    revised = await intake.response(
        response_id=event.response_id, revision=2, score=3, comment=WAITED
    )
    await intake.take_in(event)
    before = _mentioned(await intake.rows(theme_rollups))
    async with intake.database.transaction() as tx:
        await erase_person(tx, event.person_ref, intake.clock.now())

    await intake.take_in(revised)

    assert _mentioned(await intake.rows(theme_rollups)) == before
    assert {row["theme_id"] for row in await intake.rows(mentions)} == set(before) - {""}


async def test_an_unknown_touchpoint_is_kept_and_listed_as_unmapped(intake: Intake) -> None:
    events = [await intake.response(touchpoint="kiosk 7") for _ in range(2)]
    nowhere = await intake.response(touchpoint=None)

    await intake.take_in(*events, nowhere)

    (row,) = await intake.rows(touchpoints)
    assert (row["code"], row["mapped"]) == ("kiosk 7", False)
    assert row["first_seen_at"] == intake.clock.now()
    assert _counted(await intake.rows(score_rollups)) == [
        ("kiosk 7", 2, 0, 0, 2, 4),
        ("unknown", 1, 0, 0, 1, 2),
    ]


async def test_the_touchpoints_owner_keeps_the_promise(intake: Intake) -> None:
    async with intake.database.transaction() as tx:
        await add_touchpoint(
            tx,
            Touchpoint(
                code="support-call",
                name="Support call",
                macro="Service",
                owner=OwnerRef(id="team_support", kind="team"),
                department_id=None,
                mapped=True,
                first_seen_at=intake.clock.now(),
                version=1,
            ),
        )

    await intake.take_in(await intake.response())

    (task,) = await intake.rows(tasks)
    assert task["owner_id"] == "team_support"


async def test_what_is_unscored_counts_in_themes_and_not_in_scores(intake: Intake) -> None:
    event = await intake.response(
        score=None, measurement="unsolicited", sentiment="negative", comment=WAITED
    )

    await intake.take_in(event)

    assert await intake.rows(score_rollups) == []
    assert _mentioned(await intake.rows(theme_rollups))["waiting"] == (1, 1, 0)
    (handled,) = await intake.handled()
    assert handled.state == "task_open"


async def test_history_counts_and_opens_no_task(intake: Intake) -> None:
    event = await intake.response(
        comment=WAITED, answered_at=intake.clock.now() - timedelta(days=400)
    )

    await intake.take_in(event)

    assert len(await intake.rows(score_rollups)) == 1
    (handled,) = await intake.handled()
    assert (handled.state, handled.reason) == ("no_action", "too_old")


async def test_the_longest_members_fit_into_every_sum(intake: Intake) -> None:
    longest = "\U0001f6aa" * 200
    event = await intake.response(
        comment=WAITED, touchpoint=longest, segment=longest, product=longest, channel=longest
    )

    await intake.take_in(event)

    assert _counted(await intake.rows(score_rollups)) == [(longest, 1, 0, 0, 1, 2)]


async def test_a_poll_of_a_thousand_responses_is_taken_in_as_one(intake: Intake) -> None:
    events = await intake.responses(
        [
            {
                "customer": f"c-{number}",
                "score": number % 11,
                "comment": WAITED if number % 2 else "All was well, thank you.",
                "touchpoint": f"place-{number % 20}",
                "answered_at": intake.clock.now() - timedelta(days=number % 25),
            }
            for number in range(1000)
        ]
    )

    await intake.take_in(*events)

    assert len(await intake.rows(responses)) == 1000
    assert sum(row["n"] for row in await intake.rows(score_rollups)) == 1000
    assert _mentioned(await intake.rows(theme_rollups))[""][0] == 1000
    assert len(await intake.rows(tasks)) == sum((event.score or 0) <= 6 for event in events)
    assert [h.response_id for h in await intake.handled()] == [e.response_id for e in events]
