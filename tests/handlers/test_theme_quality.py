"""Precision and recall of what people judged, checks of drawn comments, proposed words."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from services.loop.jobs import ProposalWork
from services.loop.themes.handlers import current_taxonomy
from services.loop.themes.handlers.proposing import accept, list_proposals, reject
from services.loop.themes.handlers.quality import check, checked, draw, quality
from services.loop.themes.store.quality import Proposal, ProposalState
from services.loop.themes.tables import keyword_proposals
from shared.errors import Conflict, NotFound
from shared.identity.audit import SYSTEM
from shared.identity.erasure import erase_person
from tests.handlers.test_replays import PARKING, PRICE, QUEUE, History, history
from tests.handlers.test_theme_corrections import say

__all__ = ["history"]

Row = tuple[str, str | None, int, int, int]


async def figures(history: History, *, drawn: bool = False) -> list[Row]:
    async with history.database.reading() as view:
        return [
            (one.theme.id, one.language, one.right, one.wrong, one.missed)
            for one in await quality(view, drawn=drawn)
        ]


async def proposals(history: History, state: ProposalState = "open") -> list[Proposal]:
    await ProposalWork(history.loop).step()
    async with history.database.reading() as view:
        return list(await list_proposals(view, state, most=50))


async def test_what_is_judged_is_held_against_what_the_taxonomy_finds(history: History) -> None:
    await history.publish(QUEUE, PARKING)
    right, wrong, missed = await history.answers("A queue", "A line of shoes", "We stood")
    (german,) = await history.answers("Eine queue", language="de-AT")
    await say(history, right, "queue", "right")
    await say(history, wrong, "queue", "not")
    await say(history, missed, "queue", "also")
    await say(history, german, "queue", "right")
    before = await figures(history)

    await history.publish({"id": "queue", "keywords": {"en": ["queue", "stood"]}}, PARKING)
    await history.replayed()

    assert before == [
        ("queue", None, 2, 1, 1),
        ("queue", "de", 1, 0, 0),
        ("queue", "en", 1, 1, 1),
    ]
    assert await figures(history) == [
        ("queue", None, 3, 0, 0),
        ("queue", "de", 1, 0, 0),
        ("queue", "en", 2, 0, 0),
    ]
    async with history.database.reading() as view:
        whole = (await quality(view, drawn=False))[0]
    assert (whole.precision.value, whole.precision.n) == (1.0, 3)
    assert whole.recall.ci95 == pytest.approx((0.4385, 1.0), abs=1e-4)
    assert not whole.recall.enough
    assert await figures(history, drawn=True) == []


async def test_a_check_says_everything_about_a_comment_that_nobody_chose(
    history: History,
) -> None:
    await history.publish(QUEUE, PARKING, PRICE)
    (one,) = await history.answers("A queue and no parking, and we froze at that price")
    async with history.database.reading() as view:
        drawn = await draw(view, person_keys=history.person_keys, now=history.clock.now())
    assert drawn is not None
    assert drawn.seen.response.id == one

    async with history.database.transaction() as tx:
        await check(
            tx,
            one,
            ["parking", "queue"],
            by=SYSTEM,
            person_keys=history.person_keys,
            now=history.clock.now(),
        )

    assert await history.themes() == {one: {"parking", "queue"}}
    assert await figures(history, drawn=True) == [
        ("parking", None, 1, 0, 0),
        ("parking", "en", 1, 0, 0),
        ("price", None, 0, 1, 0),
        ("price", "en", 0, 1, 0),
        ("queue", None, 1, 0, 0),
        ("queue", "en", 1, 0, 0),
    ]
    async with history.database.reading() as view:
        assert await checked(view) == 1
        again = await draw(view, person_keys=history.person_keys, now=history.clock.now())
    assert again is None


async def test_of_whoever_was_forgotten_nothing_is_drawn(history: History) -> None:
    await history.answers("A queue", customer="c-gone")
    async with history.database.transaction() as tx:
        ref = history.person_keys.ref("crm", "c-gone")
        await erase_person(tx, ref, history.clock.now())

    async with history.database.reading() as view:
        drawn = await draw(view, person_keys=history.person_keys, now=history.clock.now())

    assert drawn is None


async def judge_kiosks(history: History) -> None:
    """Have four customers miss a theme by a word that the taxonomy does not know."""
    await history.publish(QUEUE, PARKING)
    await history.answers(*["Nothing of note"] * 60)
    for n, text in enumerate(
        ("The kiosk was dead, says Anna Berg", "No kiosk for Anna", "Anna: a kiosk!", "kiosks")
    ):
        (one,) = await history.answers(text, block={"name": "Anna Berg"}, customer=f"k-{n}")
        await say(history, one, "queue", "also")


async def test_words_that_corrections_suggest_wait_for_a_person(history: History) -> None:
    await judge_kiosks(history)

    (found,) = await proposals(history)
    again = await proposals(history)

    assert (found.kind, found.theme_id, found.language) == ("add", "queue", "en")
    assert (found.words, found.support, found.against) == ("kiosk", 4, 0)
    assert again == [found]
    async with history.database.reading() as view:
        words = (await current_taxonomy(view)).taxonomy.themes[0].keywords
        stored = str([tuple(row) for row in await view.all(select(keyword_proposals))])
    assert words == {"en": ("queue", "line")}
    assert "nna" not in stored


async def test_accepted_words_are_looked_for_and_history_can_be_read_by_them(
    history: History,
) -> None:
    await judge_kiosks(history)
    (found,) = await proposals(history)

    async with history.database.transaction() as tx:
        accepted = await accept(tx, found.id, by=SYSTEM, now=history.clock.now())

    async with history.database.reading() as view:
        current = await current_taxonomy(view)
    assert current.taxonomy.themes[0].keywords == {"en": ("queue", "line", "kiosk")}
    assert (accepted.state, accepted.taxonomy_version) == ("accepted", current.version)
    (late,) = await history.answers("Another kiosk")
    assert (await history.themes())[late] == {"queue"}
    await history.replayed()
    assert ("queue", None, 4, 0, 0) in await figures(history)
    assert await proposals(history) == []
    with pytest.raises(Conflict):
        async with history.database.transaction() as tx:
            await accept(tx, found.id, by=SYSTEM, now=history.clock.now())


async def test_rejected_words_never_come_again(history: History) -> None:
    await judge_kiosks(history)
    (found,) = await proposals(history)

    async with history.database.transaction() as tx:
        await reject(tx, found.id, by=SYSTEM, now=history.clock.now())

    (one,) = await history.answers("One more kiosk", customer="k-9")
    await say(history, one, "queue", "also")
    assert await proposals(history) == []
    assert [each.words for each in await proposals(history, "rejected")] == ["kiosk"]
    with pytest.raises(NotFound):
        async with history.database.transaction() as tx:
            await reject(tx, "kwp_none", by=SYSTEM, now=history.clock.now())


async def test_a_keyword_that_is_mostly_wrong_is_proposed_to_go(history: History) -> None:
    await history.publish(QUEUE, PARKING)
    for one in await history.answers(*["A line of shoes"] * 3):
        await say(history, one, "queue", "not")

    (found,) = await proposals(history)
    async with history.database.transaction() as tx:
        await accept(tx, found.id, by=SYSTEM, now=history.clock.now())

    assert (found.kind, found.words, found.support, found.against) == ("drop", "line", 3, 0)
    async with history.database.reading() as view:
        words = (await current_taxonomy(view)).taxonomy.themes[0].keywords
    assert words == {"en": ("queue",)}


async def test_what_corrections_no_longer_suggest_is_proposed_no_longer(
    history: History,
) -> None:
    await judge_kiosks(history)
    await proposals(history)
    await history.publish({"id": "queue", "keywords": {"en": ["kiosk", "queue"]}})
    await history.replayed()

    assert await proposals(history) == []
