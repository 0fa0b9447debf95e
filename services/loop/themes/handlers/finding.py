"""Finding the themes of the responses of a poll, and counting them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

from services.loop.responses.domain import Response
from services.loop.responses.handlers import open_persons
from services.loop.themes import store
from services.loop.themes.domain import Classifier, Mention, Taxonomy
from services.loop.themes.domain.corrections import (
    Correction,
    corrected,
    in_force,
    read_again,
)
from services.loop.themes.domain.counts import moves
from services.loop.themes.handlers.editing import current_taxonomy
from services.loop.themes.store.discoveries import forget_members, remove_empty
from shared.db.transaction import Reading, Transaction
from shared.identity.person_keys import PersonKeys

# Below this many comments a thread costs more than the event loop's patience.
_FEW: Final = 20


class Classifiers:
    """The classifier of the taxonomy in use, built once per version."""

    def __init__(self) -> None:
        self._held: tuple[int, Classifier] | None = None

    async def current(self, view: Reading) -> tuple[int, Classifier]:
        """Return the version in use and its classifier; before the first version, nothing's."""
        version = await store.current_version(view)
        if version is None:
            return 0, Classifier(Taxonomy())
        if self._held is None or self._held[0] != version:
            taxonomy = await current_taxonomy(view)
            # Compiling thousands of words takes a while; the event loop has others to serve.
            built = await asyncio.to_thread(Classifier, taxonomy.taxonomy)
            self._held = (taxonomy.version, built)
        return self._held


async def find_mentions(
    tx: Transaction,
    responses: Sequence[Response],
    *,
    former: Mapping[str, Response],
    comments: Mapping[str, str | None],
    classifiers: Classifiers,
    person_keys: PersonKeys,
) -> Mapping[str, Sequence[str]]:
    """Find the themes of these responses and count them; return the theme ids by response.

    ``comments`` holds the words that could be opened; where they are gone for good, what was
    found before stays. ``former`` are the facts that a revision replaced. What people said of
    themes holds as long as the comment stays as it was.
    """
    # Until this is committed no other version comes into use: a replay of that one finds all
    # that was read by this one.
    await store.hold_version(tx)
    version, classifier = await classifiers.current(tx)
    texts = {r.id: (words, r.language) for r in responses if (words := comments.get(r.id))}
    found = await classify(classifier, texts)
    revised = [r for r in former.values() if r.id in comments]
    judged = await _still_judged(tx, revised, comments, person_keys)
    if judged:
        taxonomy = (await current_taxonomy(tx)).taxonomy
        for response_id, corrections in judged.items():
            own = found.get(response_id, [])
            judged[response_id] = read_again(
                corrections, own, taxonomy=taxonomy, version=version
            )
            found[response_id] = corrected(own, in_force(judged[response_id], taxonomy))
        await store.replace_corrections(
            tx, list(judged), [one for some in judged.values() for one in some]
        )
    before = await store.themes_of(tx, list(former)) if former else {}
    was = {response_id: [m.theme_id for m in rows] for response_id, rows in before.items()}
    themes = {
        r.id: (
            [mention.theme_id for mention in found.get(r.id, ())]
            if r.id in comments
            else was.get(r.id, [])
        )
        for r in responses
    }

    await store.remove_mentions(tx, [r.id for r in revised])
    await store.add_mentions(
        tx, found, answered_at={r.id: r.answered_at for r in responses}, version=version
    )
    await store.move_rollups(
        tx,
        moves(
            ((r, themes[r.id]) for r in responses if not r.is_sample),
            ((r, was[r.id]) for r in former.values() if not r.is_sample),
        ),
    )
    return themes


async def forget_mentions(tx: Transaction, removed: Sequence[Response]) -> None:
    """Forget what was found in responses that are no more, and take it out of the counts."""
    found = await store.themes_of(tx, [response.id for response in removed])
    await store.remove_mentions(tx, list(found))
    await store.forget_corrections(tx, list(found))
    await forget_members(tx, responses=list(found))
    await remove_empty(tx)
    was = {response_id: [m.theme_id for m in rows] for response_id, rows in found.items()}
    await store.move_rollups(
        tx, moves((), ((r, was[r.id]) for r in removed if not r.is_sample))
    )


async def forget_in_discoveries(
    tx: Transaction, *, persons: Sequence[str], responses: Sequence[str]
) -> None:
    """Take these persons, and these responses, out of what was discovered."""
    await forget_members(tx, persons=persons, responses=responses)


async def classify(
    classifier: Classifier, texts: Mapping[str, tuple[str, str | None]]
) -> dict[str, list[Mention]]:
    """Find what is in these texts, each given with its language, but what touches nothing."""

    def every_text() -> dict[str, list[Mention]]:
        return {
            response_id: found
            for response_id, (words, language) in texts.items()
            if (found := classifier.classify(words, language))
        }

    # Heartbeats and other requests go on while many texts are read.
    return every_text() if len(texts) < _FEW else await asyncio.to_thread(every_text)


async def _still_judged(
    tx: Transaction,
    revised: Sequence[Response],
    comments: Mapping[str, str | None],
    person_keys: PersonKeys,
) -> dict[str, Sequence[Correction]]:
    """Return the corrections of comments that a revision left as they were.

    Those of comments that say something else now are about words that nobody said.
    """
    judged = dict(await store.corrections_of(tx, [r.id for r in revised]))
    if not judged:
        return {}
    before = await open_persons(tx, person_keys, [r for r in revised if r.id in judged])
    over = [
        response_id
        for response_id in judged
        if response_id not in before or before[response_id].comment != comments[response_id]
    ]
    await store.forget_corrections(tx, over)
    return {one: some for one, some in judged.items() if one not in over}
