"""What no theme covers is looked through at night, once, whoever dies. On both databases."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import select

from services.loop.jobs import DiscoveryWork
from services.loop.tasks.handlers.forgetting import forget_customer
from services.loop.tasks.handlers.removing import take_out
from services.loop.themes.handlers import discoveries, discovering
from services.loop.themes.handlers.discoveries import watch_other
from services.loop.themes.tables import (
    discoveries as groups,
)
from services.loop.themes.tables import (
    discovery_members,
    discovery_nights,
)
from shared.db import leases
from shared.db.transaction import Database
from shared.errors import Conflict, Invalid, NotFound, Stale
from shared.events.ingest import CustomerErased, ResponseRemoved
from shared.identity.audit import SYSTEM
from shared.identity.erasure import erase_person
from shared.identity.installation import name_organisation
from shared.identity.people import create_staff
from shared.identity.person_keys import PersonKeys
from shared.identity.principal import Role
from shared.ids import new_id
from shared.sealing import Keyring
from tests.fakes import ManualClock
from tests.handlers.intake import Intake
from tests.nights import JACKETS, LOCKERS

NIGHT = timedelta(days=1)


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
    async with made.database.transaction() as tx:
        await name_organisation(tx, "A shop", "Europe/Berlin", by=SYSTEM, now=clock.now())
    return made


async def hear(intake: Intake, *comments: str, **more: Any) -> list[str]:
    """Take comments in, each of another customer; return the responses."""
    events = await intake.responses([{"comment": each, **more} for each in comments])
    await intake.take_in(*events)
    return [event.response_id for event in events]


async def sleep(intake: Intake, clock: ManualClock, nights: int = 1) -> list[bool]:
    """Let nights pass, each with a worker that is as good as new."""
    done = []
    for _ in range(nights):
        clock.advance(NIGHT)
        done.append(await DiscoveryWork(intake.loop).step())
    return done


async def found(intake: Intake) -> list[dict[str, Any]]:
    rows = await intake.rows(groups)
    return sorted(rows, key=lambda row: str(row["label"]))


async def test_a_group_is_seen_in_two_nights_and_then_shown_as_the_same(
    intake: Intake, clock: ManualClock
) -> None:
    lockers = await hear(intake, *LOCKERS)
    await hear(intake, *JACKETS)
    assert await DiscoveryWork(intake.loop).step() is False  # it is nine in the morning

    assert await sleep(intake, clock) == [True]
    first = await found(intake)
    more = await hear(intake, "A locker so full that it did not close")
    assert await sleep(intake, clock) == [True]
    second = await found(intake)

    assert [row["state"] for row in first] == ["waiting", "waiting"]
    assert [row["state"] for row in second] == ["shown", "shown"]
    assert [row["id"] for row in first] == [row["id"] for row in second]
    (about,) = [row for row in second if "locker" in row["label"]]
    assert "locker" in about["keywords"]["en"]
    assert (about["size"], about["persons"], about["low"]) == (9, 9, 9)
    assert about["weekly"][-1] == 9
    members = await intake.rows(discovery_members)
    mine = {row["response_id"] for row in members if row["discovery_id"] == about["id"]}
    assert mine == {*lockers, *more}
    assert sorted(row["typical"] for row in members if row["typical"]) == [1, 1, 2, 2, 3, 3]


async def test_it_is_done_once_a_night_at_a_quiet_hour_of_the_organisation(
    intake: Intake, clock: ManualClock
) -> None:
    await hear(intake, *LOCKERS)
    worker = DiscoveryWork(intake.loop)

    clock.advance(datetime(2026, 3, 3, 1, 59, tzinfo=UTC) - clock.now())
    early = await worker.step()
    clock.advance(timedelta(minutes=1))  # three in the morning in Berlin
    on_time = await worker.step()
    clock.advance(timedelta(hours=12))
    again = await worker.step()
    clock.advance(timedelta(days=10))  # nobody was there for ten nights
    late = [await worker.step()]
    clock.advance(timedelta(minutes=2))
    late.append(await worker.step())

    assert (early, on_time, again, late) == (False, True, False, [True, False])
    rows = await intake.rows(discovery_nights)
    assert [(row["read"], row["taxonomy_version"]) for row in rows] == [(8, 1), (8, 1)]


async def test_only_one_is_at_it_and_nobody_writes_of_the_same_night_twice(
    intake: Intake, clock: ManualClock
) -> None:
    await hear(intake, *LOCKERS)
    clock.advance(NIGHT)
    async with intake.database.transaction() as tx:
        await leases.take(tx, DiscoveryWork.name, token="another", lasting=timedelta(minutes=1))
    assert await DiscoveryWork(intake.loop).step() is False
    async with intake.database.transaction() as tx:
        await leases.give_back(tx, DiscoveryWork.name, token="another")

    async with intake.database.reading() as view:
        night = await discovering.due_night(view, now=clock.now())
    assert night is not None

    async def nothing() -> None:
        """Hold no lease."""

    now = clock.now()
    read = await discovering.read_comments(intake.loop, now=now, after_slice=nothing)
    seen = discovering.grouped(read, names=(), now=now)
    written = []
    for _ in range(2):
        async with intake.database.transaction() as tx:
            written.append(
                await discovering.note_found(tx, night, seen, read=read, now=clock.now())
            )

    assert written == [True, False]
    assert [row["nights"] for row in await found(intake)] == [1]


async def test_what_a_theme_covers_or_nobody_may_read_is_not_looked_through(
    intake: Intake, clock: ManualClock
) -> None:
    kept = await hear(intake, *LOCKERS[:3])
    await hear(intake, "waited forty minutes")  # the shipped taxonomy knows waiting
    await hear(intake, LOCKERS[4], answered_at=clock.now() - timedelta(weeks=13))
    await hear(intake, LOCKERS[5], source="closed-loop:sample")
    (erased,) = await intake.responses([{"comment": LOCKERS[6]}])
    await intake.take_in(erased)
    async with intake.database.transaction() as tx:
        await erase_person(tx, erased.person_ref, clock.now())

    async def nothing() -> None:
        """Hold no lease."""

    read = await discovering.read_comments(intake.loop, now=clock.now(), after_slice=nothing)

    assert set(read) == set(kept)


async def test_slices_miss_nothing_and_names_and_numbers_are_covered_up(
    intake: Intake, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(discovering, "_AT_ONCE", 3)
    block = {"name": "Agnieszka Nowak", "email": "a.nowak@example.org"}
    events = await intake.responses(
        [
            {
                "comment": f"{each}, says Nowak, order 4711-88123, a.nowak@example.org",
                "block": block,
                "answered_at": clock.now(),  # many at one moment
            }
            for each in (*LOCKERS, *JACKETS)
        ]
    )
    await intake.take_in(*events)
    held: list[int] = []

    async def hold() -> None:
        held.append(len(held))

    read = await discovering.read_comments(intake.loop, now=clock.now(), after_slice=hold)
    await sleep(intake, clock, nights=2)

    assert set(read) == {event.response_id for event in events}
    assert len(held) == 6
    texts = " ".join(one.text for one in read.values()).casefold()
    rows = str([await found(intake), await intake.rows(discovery_nights)]).casefold()
    for secret in ("nowak", "agnieszka", "4711", "example"):
        assert secret not in texts
        assert secret not in rows


async def test_a_colleague_whom_many_name_is_no_theme(
    intake: Intake, clock: ManualClock
) -> None:
    async with intake.database.transaction() as tx:
        await create_staff(
            tx, email="l@example.org", name="Lena Locker", role=Role.AGENT, now=clock.now()
        )
    await hear(intake, *LOCKERS)

    await sleep(intake, clock, nights=2)

    (about,) = await found(intake)
    assert "locker" not in str([about["label"], about["keywords"]]).casefold()
    assert "full" in about["keywords"]["en"]


async def test_no_more_than_so_many_comments_are_held_the_latest(
    intake: Intake, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(discovering, "_AT_ONCE", 2)
    monkeypatch.setattr(discovering, "MOST", 4)
    ids = []
    for number, each in enumerate(LOCKERS):
        ids += await hear(intake, each, answered_at=clock.now() - number * timedelta(hours=1))

    async def nothing() -> None:
        """Hold no lease."""

    read = await discovering.read_comments(intake.loop, now=clock.now(), after_slice=nothing)

    assert list(read) == ids[:4]


async def the_group(intake: Intake, clock: ManualClock) -> str:
    await hear(intake, *LOCKERS)
    await sleep(intake, clock, nights=2)
    (row,) = await found(intake)
    return str(row["id"])


async def test_adopted_it_becomes_a_theme_that_finds_what_comes_next(
    intake: Intake, clock: ManualClock
) -> None:
    one = await the_group(intake, clock)

    async with intake.database.transaction() as tx:
        adopted = await discoveries.adopt(
            tx,
            one,
            name="Lockers are full",
            department_id=None,
            theme_id=None,
            expected=2,
            by=SYSTEM,
            now=clock.now(),
        )
    later = await hear(intake, "Nothing but a full locker again")
    handled = {each.response_id: each.themes for each in await intake.handled()}
    await sleep(intake, clock)

    assert (adopted.state, adopted.theme_id) == ("adopted", "lockers-are-full")
    assert adopted.taxonomy_version == 2
    assert list(handled[later[0]]) == ["lockers-are-full"]
    # Older comments are still without a theme and found again: they are not news twice.
    assert [(row["id"], row["state"]) for row in await found(intake)] == [(one, "adopted")]


async def test_dismissed_it_stays_so_until_somebody_brings_it_back(
    intake: Intake, clock: ManualClock
) -> None:
    one = await the_group(intake, clock)
    now = clock.now()

    async with intake.database.transaction() as tx:
        await discoveries.dismiss(tx, one, expected=None, by=SYSTEM, now=now)
    await sleep(intake, clock)
    async with intake.database.reading() as view:
        shown = await discoveries.shown_discoveries(view, "shown", most=5)
        left = await discoveries.shown_discoveries(view, "dismissed", most=5)
    async with intake.database.transaction() as tx:
        with pytest.raises(Conflict):
            await discoveries.dismiss(tx, one, expected=None, by=SYSTEM, now=now)
        with pytest.raises(Stale):
            await discoveries.restore(tx, one, expected=1, by=SYSTEM, now=now)
        back = await discoveries.restore(
            tx, one, expected=left[0].version, by=SYSTEM, now=clock.now()
        )

    assert shown == []
    assert [each.id for each in left] == [one]
    assert back.state == "shown"


async def test_what_waits_is_there_for_nobody_and_nothing_is_adopted_twice(
    intake: Intake, clock: ManualClock
) -> None:
    await hear(intake, *LOCKERS)
    await sleep(intake, clock)
    (row,) = await found(intake)
    given: dict[str, Any] = {
        "name": "Lockers",
        "theme_id": None,
        "expected": None,
        "by": SYSTEM,
        "now": clock.now(),
    }

    async with intake.database.transaction() as tx:
        with pytest.raises(NotFound):
            await discoveries.adopt(tx, row["id"], department_id=None, **given)
    await sleep(intake, clock)
    async with intake.database.transaction() as tx:
        with pytest.raises(Invalid):
            await discoveries.adopt(tx, row["id"], department_id="dep_none", **given)
        await discoveries.adopt(tx, row["id"], department_id=None, **given)
        with pytest.raises(Conflict) as refused:
            await discoveries.adopt(tx, row["id"], department_id=None, **given)

    assert refused.value.extra["state"] == "adopted"


async def _members(intake: Intake) -> Sequence[str]:
    async with intake.database.reading() as view:
        rows = await view.all(select(discovery_members.c.response_id))
    return [row.response_id for row in rows]


async def test_whoever_is_forgotten_leaves_every_group(
    intake: Intake, clock: ManualClock, keyring: Keyring
) -> None:
    events = await intake.responses([{"comment": each} for each in LOCKERS])
    await intake.take_in(*events)
    await sleep(intake, clock, nights=2)
    before = {*await _members(intake)}
    gone, partly, *_ = [event for event in events if event.response_id in before]
    async with intake.database.transaction() as tx:
        for one, whole in ((gone, True), (partly, False)):
            await forget_customer(
                tx,
                CustomerErased(
                    request_id=new_id("prq"),
                    person_ref=one.person_ref,
                    reason="request",
                    erased_at=clock.now(),
                    whole=whole,
                    response_ids=[] if whole else [one.response_id],
                ),
                keyring=keyring,
                now=clock.now(),
            )

    assert {*await _members(intake)} == before - {gone.response_id, partly.response_id}


async def test_samples_that_are_removed_leave_no_group_behind(
    intake: Intake, clock: ManualClock
) -> None:
    events = await intake.responses([{"comment": each} for each in LOCKERS])
    await intake.take_in(*events)
    await sleep(intake, clock, nights=2)

    async with intake.database.transaction() as tx:
        await take_out(
            tx,
            [
                ResponseRemoved(response_id=each.response_id, person_ref=each.person_ref)
                for each in events
            ],
            now=clock.now(),
        )

    assert await found(intake) == []
    assert await _members(intake) == []


async def test_other_is_watched_week_by_week(intake: Intake, clock: ManualClock) -> None:
    """Twelve quiet weeks, and then a week in which many talk of something else."""
    monday = clock.now() - timedelta(days=clock.now().weekday())
    for week in range(12):
        at = monday + timedelta(weeks=week, days=1)
        many = 40 if week == 11 else 4
        comments = ["waited forty minutes"] * 36 + [LOCKERS[n % 8] for n in range(many)]
        await hear(intake, *comments, answered_at=at, received_at=at)
    today = (monday + timedelta(weeks=12)).date()

    async with intake.database.reading() as view:
        before = await watch_other(view, today=today - timedelta(weeks=1))
        after = await watch_other(view, today=today)
        nothing = await watch_other(view, today=today - timedelta(weeks=20))

    assert (before.verdict.word, before.verdict.rises) == ("inside", False)
    assert (after.verdict.word, after.verdict.rises) == ("beyond", True)
    last = after.weeks[-1]
    assert (last.first, last.comments, last.without) == (today - timedelta(weeks=1), 76, 40)
    assert last.share.value == pytest.approx(40 / 76)
    assert nothing.verdict.word == "too_few"
    assert [week.comments for week in nothing.weeks] == [0] * 12
