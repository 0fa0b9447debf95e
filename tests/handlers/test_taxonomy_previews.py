"""A preview comes to what a replay comes to, and writes nothing; drafts on both databases."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from services.loop.themes.domain import Taxonomy, Theme, parse_taxonomy
from services.loop.themes.domain.revising import merged, retired
from services.loop.themes.handlers import add_theme, current_taxonomy, previewing
from services.loop.themes.handlers.corrections import correct
from services.loop.themes.handlers.drafting import (
    Draft,
    change_draft,
    drafted_taxonomy,
    publish,
    publish_draft,
)
from services.loop.themes.handlers.previewing import Preview, preview
from shared.errors import Invalid, Stale
from shared.identity.audit import SYSTEM
from shared.identity.erasure import erase_person
from tests.handlers.test_replays import PARKING, PRICE, QUEUE, History, history, small

__all__ = ["history", "small"]

COMMENTS = (
    "A long queue at the door",
    "No parking, and a long line",
    "The price is fair",
    "The price of parking",
    "Nothing to say",
    None,
)


async def previewed(history: History, taxonomy: Taxonomy) -> Preview:
    async with history.database.reading() as view:
        return await preview(
            view, taxonomy, person_keys=history.person_keys, now=history.clock.now()
        )


async def in_use(history: History) -> Taxonomy:
    async with history.database.reading() as view:
        return (await current_taxonomy(view)).taxonomy


async def use(history: History, taxonomy: Taxonomy) -> None:
    async with history.database.transaction() as tx:
        await publish(tx, taxonomy, expected=None, by=SYSTEM, now=history.clock.now())


async def said(history: History, response_id: str, theme_id: str, verdict: Any) -> None:
    async with history.database.transaction() as tx:
        await correct(
            tx,
            response_id,
            theme_id,
            verdict,
            by=SYSTEM,
            person_keys=history.person_keys,
            now=history.clock.now(),
        )


def counted(themes: dict[str, set[str]]) -> Counter[str]:
    return Counter(theme_id for found in themes.values() for theme_id in found)


@pytest.mark.parametrize("change", ["words", "merge", "retire"])
async def test_a_preview_comes_to_what_a_replay_comes_to(
    history: History, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(previewing, "_AT_ONCE", 2)
    await history.publish(QUEUE, PARKING, PRICE)
    ids = await history.answers(*COMMENTS, *COMMENTS)
    await said(history, ids[0], "price", "also")
    await said(history, ids[1], "parking", "not")
    before = await in_use(history)
    words = {"id": "queue", "keywords": {"en": ["door", "parking"]}}
    after = {
        "words": parse_taxonomy({"themes": [words, PRICE]}),
        "merge": merged(before, "parking", "price"),
        "retire": retired(before, "queue"),
    }[change]
    stood = await history.themes()

    made = await previewed(history, after)

    assert await history.themes() == stood
    assert await in_use(history) == before
    await use(history, after)
    replay = await history.replayed()
    stands = await history.themes()
    assert made.comparison.before == counted(stood)
    assert made.comparison.after == counted(stands)
    assert (made.comparison.responses, made.comparison.changed) == (10, replay.changed)
    told = {
        one.theme_id: (one.gained, one.lost)
        for one in made.comparison.shifts()
        if one.gained or one.lost
    }
    assert told == replay.themes


async def test_words_that_nobody_can_read_any_more_are_counted_and_left(
    history: History,
) -> None:
    await history.answers("A queue", person_ref="prs_1")
    await history.answers("A queue", person_ref="prs_2")
    async with history.database.transaction() as tx:
        await erase_person(tx, "prs_1", history.clock.now())

    made = await previewed(history, Taxonomy())

    assert (made.comparison.responses, made.unreadable) == (1, 1)
    assert made.comparison.lost == Counter({"queue": 1})


async def test_only_the_latest_are_read_where_there_are_too_many(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(previewing, "MOST_READ", 3)
    await history.answers("A queue", "A queue", "A queue")
    assert (await previewed(history, Taxonomy())).whole
    await history.answers("A queue")

    made = await previewed(history, Taxonomy())

    assert not made.whole
    assert made.comparison.responses == 3


async def test_of_two_who_begin_a_draft_at_once_one_is_told(history: History) -> None:
    async def begin(name: str) -> Draft:
        async with history.database.transaction() as tx:
            return await change_draft(
                tx,
                lambda _before: Taxonomy(themes=(Theme(id=name, name=name),)),
                expected=0,
                by=SYSTEM,
                now=history.clock.now(),
            )

    answers = await asyncio.gather(begin("a"), begin("b"), return_exceptions=True)

    made = [one for one in answers if isinstance(one, Draft)]
    assert len(made) == 1
    assert sum(isinstance(one, Stale) for one in answers) == 1
    async with history.database.reading() as view:
        assert await drafted_taxonomy(view) == made[0]


async def test_a_theme_is_added_to_what_is_in_use_and_the_draft_can_follow(
    history: History,
) -> None:
    now = history.clock.now()
    new = Theme(id="new", name="New", keywords={"en": ("new",)})
    async with history.database.transaction() as tx:
        added = await add_theme(tx, new, by="stf_ada", now=now)
    async with history.database.transaction() as tx:
        with pytest.raises(Invalid):
            await add_theme(tx, new, by="stf_ada", now=now)
    async with history.database.transaction() as tx:
        await change_draft(
            tx, lambda before: retired(before, "new"), expected=0, by=SYSTEM, now=now
        )
        published = await publish_draft(tx, expected=1, by=SYSTEM, now=now)

    assert published.version == added.version + 1
    found = (await in_use(history)).find("new")
    assert found is not None
    assert found.retired
