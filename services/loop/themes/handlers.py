"""The use cases of themes: finding mentions in a poll, listing them, changing the taxonomy."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from services.loop.journey.handlers import meant_by
from services.loop.responses.domain import Response
from services.loop.themes import store
from services.loop.themes.domain import (
    Classifier,
    Mention,
    Taxonomy,
    Theme,
    parse_taxonomy,
    starter_taxonomy,
)
from services.loop.themes.domain.counts import EVERY_COMMENT, NO_THEME, Counts, moves
from services.loop.themes.store import Dimension, MentionRow, TaxonomyRow
from shared.db.transaction import Reading, Transaction
from shared.errors import NotFound, Stale

# Below this many comments a thread costs more than the event loop's patience.
_FEW: Final = 20


@dataclass(frozen=True, kw_only=True)
class ThemeSummary:
    """One theme in a period, beside the period of equal length before it."""

    theme: Theme
    in_use: bool
    counts: Counts
    comments: int
    former: Counts
    former_comments: int


@dataclass(frozen=True, kw_only=True)
class ThemeList:
    """What customers talked about in a period; days are UTC and both included."""

    first: date
    last: date
    comments: int
    former_comments: int
    without: int
    """Comments that touch no theme."""
    former_without: int
    themes: Sequence[ThemeSummary]


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


@dataclass(frozen=True, kw_only=True)
class CurrentTaxonomy:
    """The taxonomy in use and its number."""

    version: int
    taxonomy: Taxonomy


async def install_starter(tx: Transaction, *, now: datetime) -> None:
    """Put the shipped taxonomy into use where there is none yet."""
    if await store.current_version(tx) is None:
        first = TaxonomyRow(
            version=1,
            document=starter_taxonomy().as_document(),
            created_at=now,
            created_by=None,
        )
        await store.add_taxonomy(tx, first)


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


async def current_taxonomy(view: Reading) -> CurrentTaxonomy:
    """Return the taxonomy in use; version 0 and empty before the first one."""
    row = await store.current_taxonomy(view)
    if row is None:
        return CurrentTaxonomy(version=0, taxonomy=Taxonomy())
    return CurrentTaxonomy(version=row.version, taxonomy=parse_taxonomy(row.document))


async def change_taxonomy(
    tx: Transaction,
    taxonomy: Taxonomy,
    *,
    expected: int | None,
    by: str,
    now: datetime,
) -> CurrentTaxonomy:
    """Put a new version into use; what was found before keeps the version that found it.

    ``expected`` is the version the caller knows; None takes the risk of overwriting.
    """
    current = await store.current_version(tx) or 0
    if expected is not None and expected != current:
        raise _stale(current)
    changed = CurrentTaxonomy(version=current + 1, taxonomy=taxonomy)

    saved = await store.add_taxonomy(
        tx,
        TaxonomyRow(
            version=changed.version,
            document=taxonomy.as_document(),
            created_at=now,
            created_by=by,
        ),
    )
    if not saved:
        raise _stale(changed.version)
    return changed


async def list_themes(
    view: Reading,
    *,
    first: date,
    last: date,
    of: Mapping[Dimension, str] | None = None,
    department: str | None = None,
) -> ThemeList:
    """Return every theme with its mentions from ``first`` to ``last``, the most first.

    Themes that the taxonomy no longer holds appear while they have mentions.
    """
    length = last - first + timedelta(days=1)
    taxonomy = (await current_taxonomy(view)).taxonomy
    meant = await meant_by(view, of or {})
    now = await store.counts_by_theme(view, first=first, last=last, of=meant)
    then = await store.counts_by_theme(
        view, first=first - length, last=first - timedelta(days=1), of=meant
    )
    comments = now.get(EVERY_COMMENT, Counts()).mentions
    former_comments = then.get(EVERY_COMMENT, Counts()).mentions
    summaries = [
        ThemeSummary(
            theme=theme,
            in_use=in_use,
            counts=now.get(theme.id, Counts()),
            comments=comments,
            former=then.get(theme.id, Counts()),
            former_comments=former_comments,
        )
        for theme, in_use in _themes(taxonomy, {*now, *then})
        if department is None or theme.department == department
    ]
    summaries.sort(key=lambda summary: (-summary.counts.mentions, summary.theme.id))
    return ThemeList(
        first=first,
        last=last,
        comments=comments,
        former_comments=former_comments,
        without=now.get(NO_THEME, Counts()).mentions,
        former_without=then.get(NO_THEME, Counts()).mentions,
        themes=summaries,
    )


async def find_theme(
    view: Reading,
    theme_id: str,
    *,
    first: date,
    last: date,
    of: Mapping[Dimension, str] | None = None,
) -> ThemeSummary:
    """Return one theme with its counts in these days, or raise ``NotFound``."""
    listed = await list_themes(view, first=first, last=last, of=of)
    for summary in listed.themes:
        if summary.theme.id == theme_id:
            return summary
    raise NotFound("There is no theme with this id. List them at /v1/themes.")


async def latest_mentions(
    view: Reading, theme_id: str, *, before: tuple[datetime, str] | None = None, most: int
) -> Sequence[MentionRow]:
    """Return mentions of one theme, the latest answers first."""
    return await store.latest_mentions(view, theme_id, before=before, most=most)


async def themes_of(
    view: Reading, response_ids: Sequence[str]
) -> Mapping[str, Sequence[MentionRow]]:
    """Return the mentions of these responses, the surest first."""
    return await store.themes_of(view, response_ids)


def _themes(taxonomy: Taxonomy, counted: set[str]) -> Iterable[tuple[Theme, bool]]:
    known = {theme.id for theme in taxonomy.themes}
    yield from ((theme, True) for theme in taxonomy.themes)
    for theme_id in sorted(counted - known - {EVERY_COMMENT, NO_THEME}):
        yield Theme(id=theme_id, name=theme_id), False


def _stale(current: int) -> Stale:
    return Stale(
        "Somebody changed the taxonomy meanwhile. Read it again and repeat the change.",
        extra={"version": current},
    )
