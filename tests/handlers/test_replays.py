"""History is read again by the taxonomy in use: to the end, once, with the counts right."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import select, update

from services.loop.responses.store import find_all
from services.loop.responses.tables import responses
from services.loop.themes.domain import parse_taxonomy
from services.loop.themes.domain.counts import COUNTED, Counts, moves
from services.loop.themes.handlers import change_taxonomy, rereading
from services.loop.themes.handlers.recounting import recount_earlier
from services.loop.themes.handlers.replaying import (
    Act,
    act_on_replay,
    list_replays,
    start_replay,
)
from services.loop.themes.store import Replay
from services.loop.themes.tables import mentions, theme_rollups
from shared.db.transaction import Database
from shared.errors import Conflict, NotFound
from shared.identity.audit import SYSTEM
from shared.identity.erasure import erase_person
from shared.identity.person_keys import PersonKeys
from shared.sealing import Keyring
from tests.fakes import ManualClock
from tests.handlers.intake import Intake

DAY = timedelta(days=1)
QUEUE = {"id": "queue", "keywords": {"en": ["queue", "line"]}}
PARKING = {"id": "parking", "keywords": {"en": ["parking"]}}
PRICE = {"id": "price", "keywords": {"en": ["price"]}}
COMMENTS = (
    "A long queue at the door",
    "No parking, and a long line",
    "The price is fair",
    "Nothing to say",
    None,
)


class History(Intake):
    """Loop's rooms, and a taxonomy that somebody changes."""

    async def publish(self, *themes: dict[str, Any]) -> int:
        """Put a taxonomy into use."""
        async with self.database.transaction() as tx:
            changed = await change_taxonomy(
                tx,
                parse_taxonomy({"themes": list(themes)}),
                expected=None,
                by="stf_ada",
                now=self.clock.now(),
            )
        return changed.version

    async def answers(self, *comments: str | None, **members: Any) -> list[str]:
        """Have customers answer; return the ids."""
        events = await self.responses([{"comment": one, **members} for one in comments])
        await self.take_in(*events)
        return [event.response_id for event in events]

    async def start(self) -> Replay:
        """Start a replay."""
        async with self.database.transaction() as tx:
            return await start_replay(tx, by=SYSTEM, now=self.clock.now())

    async def act(self, replay: Replay, act: Act) -> Replay:
        """Pause, resume or stop."""
        async with self.database.transaction() as tx:
            return await act_on_replay(tx, replay.id, act, by=SYSTEM, now=self.clock.now())

    async def step(self) -> bool:
        """Do one slice."""
        return await rereading.replay_on(
            self.database,
            person_keys=self.person_keys,
            classifiers=self.classifiers,
            clock=self.clock,
        )

    async def replayed(self) -> Replay:
        """Start a replay and let it come to its end."""
        await self.start()
        return await self.finished()

    async def finished(self) -> Replay:
        """Let the replay come to its end."""
        while await self.step():
            pass
        return await self.latest()

    async def latest(self) -> Replay:
        """Return the latest replay."""
        async with self.database.reading() as view:
            return (await list_replays(view, most=1))[0]

    async def themes(self) -> dict[str, set[str]]:
        """Return the themes by response, of those that touch any."""
        found: dict[str, set[str]] = {}
        for row in await self.rows(mentions):
            found.setdefault(row["response_id"], set()).add(row["theme_id"])
        return found

    async def versions(self) -> set[int]:
        """Return the versions that mentions were found by."""
        return {row["taxonomy_version"] for row in await self.rows(mentions)}

    async def counted(self) -> dict[Any, Counts]:
        """Return the roll-ups that count anything, by their cells."""
        return {
            tuple(row[name] for name in CELL): counts
            for row in await self.rows(theme_rollups)
            if (counts := Counts(**{name: row[name] for name in COUNTED})) != Counts()
        }

    async def recounted(self) -> dict[Any, Counts]:
        """Return what the roll-ups would be if everything were counted now."""
        themes = await self.themes()
        async with self.database.reading() as view:
            ids = [row.id for row in await view.all(select(responses.c.id))]
            stored = await find_all(view, ids)
        return {
            tuple(cell): counts
            for cell, counts in moves(
                (one, sorted(themes.get(one.id, ()))) for one in stored.values()
            ).items()
        }


CELL = (
    "day",
    "theme_id",
    "touchpoint",
    "segment",
    "product",
    "source",
    "measurement",
)


@pytest_asyncio.fixture
async def history(
    database_of: Callable[[str], Database],
    clock: ManualClock,
    keyring: Keyring,
    person_keys: PersonKeys,
) -> History:
    made = History(database_of("loop"), clock, keyring, person_keys)
    await made.prepare()
    await made.publish(QUEUE)
    return made


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a slice hold two comments."""
    monkeypatch.setattr(rereading, "AT_ONCE", 2)


@pytest.mark.usefixtures("small")
async def test_history_is_read_by_the_version_in_use(history: History) -> None:
    both, line, price, *_ = await history.answers(*COMMENTS)
    assert await history.themes() == {both: {"queue"}, line: {"queue"}}
    version = await history.publish(
        {"id": "queue", "keywords": {"en": ["queue"]}}, PARKING, PRICE
    )

    replay = await history.replayed()

    assert await history.themes() == {both: {"queue"}, line: {"parking"}, price: {"price"}}
    assert await history.versions() == {version}
    assert await history.counted() == await history.recounted()
    assert (replay.state, replay.taxonomy_version) == ("done", version)
    assert (replay.total, replay.done, replay.changed, replay.unread) == (4, 4, 2, 0)
    assert replay.themes == {"parking": (1, 0), "price": (1, 0), "queue": (0, 1)}
    assert replay.ended_at == history.clock.now()


@pytest.mark.usefixtures("small")
async def test_two_replays_are_one(history: History) -> None:
    await history.answers(*COMMENTS * 2)
    await history.publish(QUEUE, PARKING)
    first = await history.replayed()
    found = sorted(map(str, await history.rows(mentions)))
    counted = await history.counted()

    second = await history.replayed()

    assert sorted(map(str, await history.rows(mentions))) == found
    assert await history.counted() == counted
    assert second.fingerprint == first.fingerprint != "0" * 32
    assert (second.changed, second.themes) == (0, {})


async def test_the_fingerprint_does_not_depend_on_slices_and_tells_of_every_change(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    await history.answers(*COMMENTS * 2)
    whole = (await history.replayed()).fingerprint
    monkeypatch.setattr(rereading, "AT_ONCE", 3)
    sliced = (await history.replayed()).fingerprint
    await history.publish({"id": "queue", "keywords": {"en": ["long queue", "line"]}})

    assert sliced == whole
    assert (await history.replayed()).fingerprint != whole


@pytest.mark.usefixtures("small")
async def test_it_can_be_paused_resumed_and_stopped(history: History) -> None:
    await history.answers(*COMMENTS * 2)
    await history.publish(PARKING)
    replay = await history.start()
    await history.step()

    paused = await history.act(replay, "pause")

    assert (paused.state, paused.done) == ("paused", 2)
    assert not await history.step()
    assert await history.act(replay, "pause") == paused
    with pytest.raises(Conflict) as refused:
        await history.start()
    assert refused.value.extra == {"replay": replay.id, "state": "paused"}

    await history.act(replay, "resume")
    await history.step()
    stopped = await history.act(replay, "stop")

    assert (stopped.state, stopped.done) == ("stopped", 4)
    assert not await history.step()
    assert await history.counted() == await history.recounted()
    with pytest.raises(Conflict, match="Start another one"):
        await history.act(replay, "resume")
    assert (await history.replayed()).state == "done"
    with pytest.raises(NotFound):
        await history.act(replace(replay, id="rpl_none"), "stop")


async def test_there_is_never_a_second_one(history: History) -> None:
    await history.answers(*COMMENTS)

    started = await asyncio.gather(*(history.start() for _ in range(3)), return_exceptions=True)

    assert sorted(type(one).__name__ for one in started) == ["Conflict", "Conflict", "Replay"]


@pytest.mark.usefixtures("small")
async def test_it_begins_anew_when_another_version_comes_into_use(history: History) -> None:
    price = (await history.answers(*COMMENTS))[2]
    await history.publish(PARKING)
    await history.start()
    await history.step()
    last = await history.publish(PRICE)

    replay = await history.finished()

    assert (replay.state, replay.taxonomy_version, replay.restarts) == ("done", last, 1)
    assert replay.done == replay.total == 4
    assert await history.themes() == {price: {"price"}}
    assert await history.versions() == {last}
    assert await history.counted() == await history.recounted()


@pytest.mark.usefixtures("small")
async def test_what_arrives_or_is_revised_meanwhile_counts_once(history: History) -> None:
    first, *_ = await history.answers("A queue", "A line", "Parking", "A queue")
    await history.publish(QUEUE, PARKING)
    await history.start()
    await history.step()

    revised = await history.response(response_id=first, revision=2, comment="Parking", score=9)
    await history.take_in(revised)
    (late,) = await history.answers("A queue and no parking")
    replay = await history.finished()

    found = await history.themes()
    assert found[first] == {"parking"}
    assert found[late] == {"queue", "parking"}
    assert replay.done == 4
    assert await history.counted() == await history.recounted()


async def test_a_revision_between_reading_and_writing_is_not_overwritten(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = await history.answers("A queue", "A queue")
    await history.publish(QUEUE, PARKING)
    await history.start()
    read = rereading._read

    async def and_then_revised(*given: Any) -> Any:
        part = await read(*given)
        monkeypatch.setattr(rereading, "_read", read)
        newer = await history.response(response_id=first, revision=2, comment="Parking")
        await history.take_in(newer)
        return part

    monkeypatch.setattr(rereading, "_read", and_then_revised)
    await history.finished()

    assert await history.themes() == {first: {"parking"}, second: {"queue"}}
    assert await history.counted() == await history.recounted()


async def test_of_whoever_was_forgotten_what_was_found_stays(history: History) -> None:
    (gone,) = await history.answers("A queue", customer="c-gone")
    (here,) = await history.answers("A queue", customer="c-here")
    async with history.database.transaction() as tx:
        ref = history.person_keys.ref("crm", "c-gone")
        await erase_person(tx, ref, history.clock.now())
    version = await history.publish(PARKING)

    replay = await history.replayed()

    assert await history.themes() == {gone: {"queue"}}
    assert await history.versions() == {version - 1}
    assert (replay.unread, replay.changed) == (1, 1)
    assert here not in await history.themes()
    assert await history.counted() == await history.recounted()


async def test_a_retired_theme_keeps_what_was_found_and_a_merged_one_moves(
    history: History,
) -> None:
    await history.publish(QUEUE, PARKING, PRICE)
    queue, parking, price = await history.answers("A queue", "Parking", "A price")
    merged = {
        "id": "price",
        "keywords": {"en": ["price", "queue", "line"]},
    }
    await history.publish(
        {**QUEUE, "merged_into": "price"}, {**PARKING, "retired": True}, merged
    )

    await history.replayed()

    found = await history.themes()
    assert found == {queue: {"price"}, parking: {"parking"}, price: {"price"}}
    assert await history.counted() == await history.recounted()


async def test_samples_are_left_alone(history: History) -> None:
    await history.answers("A queue", source="closed-loop:sample")

    replay = await history.replayed()

    assert (replay.done, replay.unread, replay.changed) == (1, 0, 0)
    assert await history.counted() == {}


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_whatever_happens_the_counts_are_right_and_history_is_of_one_version(
    history: History, seed: int
) -> None:
    chance = random.Random(seed)
    known: dict[str, int] = {}
    customers = [f"c-{n}" for n in range(6)]
    for _ in range(25):
        match chance.choice(["answer", "answer", "revise", "publish", "step", "step", "erase"]):
            case "answer":
                for one in await history.answers(
                    *chance.choices(COMMENTS, k=2), customer=chance.choice(customers)
                ):
                    known[one] = 1
            case "revise" if known:
                one = chance.choice(sorted(known))
                known[one] += 1
                newer = await history.response(
                    response_id=one,
                    revision=known[one],
                    comment=chance.choice(COMMENTS),
                    score=chance.choice([1, 7, 9]),
                )
                await history.take_in(newer)
            case "publish":
                await history.publish(*chance.sample([QUEUE, PARKING, PRICE], 2))
            case "step":
                if not await history.step():
                    await history.start()
            case "erase" if len(customers) > 4:
                async with history.database.transaction() as tx:
                    ref = history.person_keys.ref("crm", customers.pop())
                    await erase_person(tx, ref, history.clock.now())
            case _:
                pass
        assert await history.counted() == await history.recounted()

    await history.finished()
    first = await history.replayed()
    second = await history.replayed()

    assert await history.counted() == await history.recounted()
    assert first.fingerprint == second.fingerprint
    assert second.changed == 0
    if not first.unread:
        assert await history.versions() <= {first.taxonomy_version}


async def test_counts_of_before_are_counted_again(history: History) -> None:
    await history.answers(*COMMENTS * 2)
    history.clock.advance(DAY)
    await history.answers(*COMMENTS)
    right = await history.counted()
    async with history.database.transaction() as tx:
        # As an earlier version had counted: by fewer members, under another key.
        await tx.execute(
            update(theme_rollups).values(
                source="unknown",
                measurement="unknown",
                promoters=0,
                passives=0,
                detractors=0,
                mentions=theme_rollups.c.mentions + 1,
            )
        )

    days = 0
    while await recount_earlier(history.database):
        days += 1

    assert days == 2
    assert await history.counted() == right == await history.recounted()
