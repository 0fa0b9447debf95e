"""What people said of a theme stands: through replays, other versions, revised scores."""

from __future__ import annotations

import random
from typing import Any

import pytest

from services.loop.themes.domain.corrections import Verdict
from services.loop.themes.handlers.corrections import Judged, correct, judged, take_back
from services.loop.themes.handlers.finding import forget_mentions
from services.loop.themes.tables import theme_corrections
from shared.errors import Conflict, Invalid, NotFound
from shared.identity.audit import SYSTEM
from shared.identity.erasure import erase_person
from tests.handlers.test_replays import (
    COMMENTS,
    PARKING,
    PRICE,
    QUEUE,
    History,
    history,
    small,
)

__all__ = ["history", "small"]


async def say(
    history: History, response_id: str, theme_id: str, verdict: Verdict, **more: Any
) -> Judged:
    async with history.database.transaction() as tx:
        return await correct(
            tx,
            response_id,
            theme_id,
            verdict,
            by=SYSTEM,
            person_keys=history.person_keys,
            now=history.clock.now(),
            **more,
        )


async def unsay(history: History, response_id: str, theme_id: str) -> Judged:
    async with history.database.transaction() as tx:
        return await take_back(tx, response_id, theme_id, by=SYSTEM, now=history.clock.now())


async def seen(history: History, response_id: str) -> Judged:
    async with history.database.reading() as view:
        return await judged(view, response_id)


async def test_a_correction_holds_at_once_and_through_every_other_version(
    history: History,
) -> None:
    await history.publish(QUEUE, PARKING, PRICE)
    wrong, missed = await history.answers("A queue", "Nowhere to leave the car")

    await say(history, wrong, "queue", "not")
    await say(history, missed, "parking", "also")

    assert await history.themes() == {missed: {"parking"}}
    assert await history.counted() == await history.recounted()
    for themes in ((PARKING, QUEUE), (QUEUE, PRICE, PARKING)):
        version = await history.publish(*themes)
        replay = await history.replayed()
        assert await history.themes() == {missed: {"parking"}}
        assert await history.versions() == {version}
        assert replay.changed == 0
    assert await history.counted() == await history.recounted()


async def test_taken_back_the_taxonomy_decides_again(history: History) -> None:
    await history.publish(QUEUE, PARKING)
    wrong, missed = await history.answers("A queue", "Nowhere to leave the car")
    before = (await seen(history, wrong)).themes
    await say(history, wrong, "queue", "not")
    await say(history, missed, "parking", "also")

    back = await unsay(history, wrong, "queue")
    await unsay(history, missed, "parking")

    assert back.themes == before
    assert not back.corrections
    assert await history.themes() == {wrong: {"queue"}}
    assert await history.counted() == await history.recounted()
    with pytest.raises(NotFound, match="Nobody has said anything"):
        await unsay(history, wrong, "queue")


async def test_what_the_taxonomy_finds_by_itself_is_remembered_beside_it(
    history: History,
) -> None:
    """So that taking a correction back after a replay gives what the new version finds."""
    await history.publish(QUEUE, PARKING)
    (one,) = await history.answers("A queue, and the car park was full")
    await say(history, one, "queue", "not")
    await say(history, one, "parking", "also")
    await history.publish(
        {"id": "queue", "keywords": {"en": ["line"]}},
        {"id": "parking", "keywords": {"en": ["car park"]}},
    )
    await history.replayed()

    found = {c.theme_id: c.found for c in (await seen(history, one)).corrections}
    await unsay(history, one, "parking")
    after = await unsay(history, one, "queue")

    assert found["queue"] is None
    assert found["parking"] is not None
    assert [(row.theme_id, row.evidence) for row in after.themes] == [("parking", (17, 25))]


async def test_a_later_word_takes_the_place_of_an_earlier_one(history: History) -> None:
    (one,) = await history.answers("A queue")
    await say(history, one, "queue", "not")

    again = await say(history, one, "queue", "also")

    assert [c.verdict for c in again.corrections] == ["also"]
    assert [row.evidence for row in again.themes] == [(2, 7)]
    assert await history.counted() == await history.recounted()
    right = await say(history, one, "queue", "right")
    assert [c.verdict for c in right.corrections] == ["right"]


async def test_what_cannot_be_said_is_refused_with_what_to_do(history: History) -> None:
    await history.publish(QUEUE, {**PARKING, "retired": True})
    (one,) = await history.answers("A queue")
    (silent,) = await history.answers(None)

    with pytest.raises(NotFound):
        await say(history, "rsp_none", "queue", "not")
    with pytest.raises(NotFound):
        await unsay(history, "rsp_none", "queue")
    with pytest.raises(NotFound):
        await seen(history, "rsp_none")
    with pytest.raises(Invalid) as unknown:
        await say(history, one, "nothing", "also")
    assert [finding.pointer for finding in unknown.value.findings] == ["/theme_id"]
    with pytest.raises(Conflict, match="retired"):
        await say(history, one, "parking", "also")
    with pytest.raises(Conflict, match="no words"):
        await say(history, silent, "queue", "also")
    (other,) = await history.answers("Nothing to say")
    with pytest.raises(Conflict, match="Say “also”"):
        await say(history, other, "queue", "right")
    assert await history.rows(theme_corrections) == []


async def test_nobody_judges_words_that_are_gone(history: History) -> None:
    (gone,) = await history.answers("A queue", customer="c-gone")
    await say(history, gone, "queue", "not")
    async with history.database.transaction() as tx:
        ref = history.person_keys.ref("crm", "c-gone")
        await erase_person(tx, ref, history.clock.now())

    with pytest.raises(Conflict, match="forgotten"):
        await say(history, gone, "queue", "also")
    await history.replayed()

    assert await history.themes() == {}
    assert await history.counted() == await history.recounted()


async def test_a_revision_of_the_score_leaves_a_correction_and_other_words_end_it(
    history: History,
) -> None:
    (one,) = await history.answers("A queue", customer="c-1")
    await say(history, one, "queue", "not")

    same = await history.response(
        response_id=one, revision=2, comment="A queue", score=9, customer="c-1"
    )
    await history.take_in(same)
    kept = await seen(history, one)
    other = await history.response(
        response_id=one, revision=3, comment="What a queue!", score=9, customer="c-1"
    )
    await history.take_in(other)

    assert (kept.themes, [c.verdict for c in kept.corrections]) == ([], ["not"])
    assert await history.themes() == {one: {"queue"}}
    assert await history.rows(theme_corrections) == []
    assert await history.counted() == await history.recounted()


async def test_what_belongs_to_a_merged_theme_belongs_to_the_other(history: History) -> None:
    await history.publish(QUEUE, PARKING, PRICE)
    also, wrong, both = await history.answers("Nowhere to go", "A queue", "A price")
    await say(history, also, "queue", "also")
    await say(history, wrong, "queue", "not")
    await say(history, both, "queue", "also")
    await say(history, both, "price", "not")
    await history.publish({**QUEUE, "merged_into": "price"}, PARKING, PRICE)

    await history.replayed()

    assert await history.themes() == {also: {"price"}}
    left = {
        (row["response_id"], row["theme_id"], row["verdict"])
        for row in await history.rows(theme_corrections)
    }
    assert left == {(also, "price", "also"), (both, "price", "not")}
    assert await history.counted() == await history.recounted()


async def test_a_theme_that_is_gone_takes_its_corrections_along_and_brings_them_back(
    history: History,
) -> None:
    await history.publish(QUEUE, PARKING)
    (one,) = await history.answers("Nowhere to go")
    await say(history, one, "parking", "also")
    await history.publish(QUEUE)
    await history.replayed()
    gone = await history.themes()
    await history.publish(QUEUE, PARKING)
    await history.replayed()

    assert gone == {}
    assert await history.themes() == {one: {"parking"}}


async def test_a_response_that_is_removed_leaves_nothing(history: History) -> None:
    (one,) = await history.answers("A queue")
    await say(history, one, "queue", "right")
    response = (await seen(history, one)).response

    async with history.database.transaction() as tx:
        await forget_mentions(tx, [response])

    assert await history.rows(theme_corrections) == []


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("seed", [4, 5])
async def test_whatever_is_said_when_it_stands_and_the_counts_are_right(
    history: History, seed: int
) -> None:
    chance = random.Random(seed)
    themes = [QUEUE, PARKING, PRICE]
    await history.publish(*themes)
    ids = await history.answers(*(comment for comment in COMMENTS if comment))
    told: dict[tuple[str, str], bool] = {}
    for _ in range(25):
        one, theme = chance.choice(ids), str(chance.choice(themes)["id"])
        match chance.choice(["say", "say", "unsay", "publish", "step", "step"]):
            case "say":
                verdict = chance.choice(["not", "also"])
                await say(history, one, theme, verdict)  # type: ignore[arg-type] # one of them
                told[one, theme] = verdict == "also"
            case "unsay" if (one, theme) in told:
                await unsay(history, one, theme)
                del told[one, theme]
            case "publish":
                words = chance.choice(["queue", "line", "parking", "price"])
                await history.publish(
                    *({**each, "keywords": {"en": [words]}} for each in themes)
                )
            case "step":
                if not await history.step():
                    await history.start()
            case _:
                pass
        found = await history.themes()
        assert {(one, theme): theme in found.get(one, ()) for one, theme in told} == told
        assert await history.counted() == await history.recounted()
