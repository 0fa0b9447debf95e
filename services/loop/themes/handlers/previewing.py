"""What another taxonomy would find in the responses of the last 90 days, before it is used."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from services.loop.responses.domain import Response
from services.loop.responses.handlers import open_persons
from services.loop.responses.store import received_between
from services.loop.themes import store
from services.loop.themes.domain import Classifier, Mention, Taxonomy
from services.loop.themes.domain.comparing import Comparison
from services.loop.themes.domain.corrections import (
    Correction,
    corrected,
    in_force,
    read_again,
)
from services.loop.themes.handlers.finding import classify
from shared.db.transaction import Reading
from shared.identity.person_keys import PersonKeys

PERIOD: Final = timedelta(days=90)
MOST_READ: Final = 10_000
"""More responses than these are not looked at: a preview is made while somebody waits."""
_AT_ONCE: Final = 500
"""So many persons' words are open at the same time."""


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What would be found instead; ``unreadable`` are comments of those who were forgotten."""

    comparison: Comparison
    first: datetime
    last: datetime
    whole: bool
    unreadable: int


async def preview(
    view: Reading, taxonomy: Taxonomy, *, person_keys: PersonKeys, now: datetime
) -> Preview:
    """Hold stored comments against ``taxonomy`` and compare with what stands; write nothing.

    This is what a replay would come to: what people corrected stays corrected, and what a
    retired theme once found stays found.
    """
    first = now - PERIOD
    answers = await received_between(view, first, now, most=MOST_READ + 1)
    whole = len(answers) <= MOST_READ
    answers = answers[-MOST_READ:]
    if not whole:
        first = answers[0].received_at
    classifier = await asyncio.to_thread(Classifier, taxonomy)
    comparison, unreadable = Comparison(), 0
    commented = [one for one in answers if one.has_comment and not one.is_sample]
    for start in range(0, len(commented), _AT_ONCE):
        part = commented[start : start + _AT_ONCE]
        unreadable += await _compare(
            view,
            part,
            comparison,
            classifier=classifier,
            taxonomy=taxonomy,
            person_keys=person_keys,
        )
    return Preview(
        comparison=comparison, first=first, last=now, whole=whole, unreadable=unreadable
    )


async def _compare(
    view: Reading,
    part: Sequence[Response],
    comparison: Comparison,
    *,
    classifier: Classifier,
    taxonomy: Taxonomy,
    person_keys: PersonKeys,
) -> int:
    """Count some responses in; return how many of them nobody can read any more."""
    ids = [response.id for response in part]
    persons = await open_persons(view, person_keys, part)
    texts = {r.id: (persons[r.id].comment or "", r.language) for r in part if r.id in persons}
    found = await classify(classifier, texts)
    stands = await store.themes_of(view, ids)
    judged = await store.corrections_of(view, ids)
    kept = {one.id for one in taxonomy.themes if one.retired and one.merged_into is None}
    for response_id in texts:
        before = {mention.theme_id for mention in stands.get(response_id, ())}
        after = _after(found.get(response_id, ()), judged.get(response_id, ()), taxonomy)
        comparison.add(response_id, before, after | (before & kept))
    return len(part) - len(texts)


def _after(
    found: Collection[Mention], judged: Sequence[Correction], taxonomy: Taxonomy
) -> set[str]:
    """Return the themes that would stand; the number of a version matters to nobody here."""
    said = read_again(judged, list(found), taxonomy=taxonomy, version=0)
    return {mention.theme_id for mention in corrected(found, in_force(said, taxonomy))}
