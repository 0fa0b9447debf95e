"""Finding the themes of the responses of a poll, and counting them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

from services.loop.responses.domain import Response
from services.loop.themes import store
from services.loop.themes.domain import Classifier, Mention, Taxonomy
from services.loop.themes.domain.counts import moves
from services.loop.themes.handlers.editing import current_taxonomy
from shared.db.transaction import Reading, Transaction

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
) -> Mapping[str, Sequence[str]]:
    """Find the themes of these responses and count them; return the theme ids by response.

    ``comments`` holds the words that could be opened; where they are gone for good, what was
    found before stays. ``former`` are the facts that a revision replaced.
    """
    version, classifier = await classifiers.current(tx)
    texts = {r.id: (words, r.language) for r in responses if (words := comments.get(r.id))}
    found = await _classify(classifier, texts)
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

    await store.remove_mentions(tx, [r.id for r in former.values() if r.id in comments])
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
    was = {response_id: [m.theme_id for m in rows] for response_id, rows in found.items()}
    await store.move_rollups(
        tx, moves((), ((r, was[r.id]) for r in removed if not r.is_sample))
    )


async def _classify(
    classifier: Classifier, texts: Mapping[str, tuple[str, str | None]]
) -> dict[str, list[Mention]]:
    def every_text() -> dict[str, list[Mention]]:
        return {
            response_id: found
            for response_id, (words, language) in texts.items()
            if (found := classifier.classify(words, language))
        }

    # Heartbeats and other requests go on while many texts are read.
    return every_text() if len(texts) < _FEW else await asyncio.to_thread(every_text)
