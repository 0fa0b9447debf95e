"""How good the taxonomy is, as far as people have judged, and drawing what to judge next."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from secrets import randbelow
from typing import Final

from services.loop.responses.domain import Personal, Response
from services.loop.responses.handlers import open_persons
from services.loop.responses.store import draw_commented
from services.loop.themes.domain import Theme
from services.loop.themes.domain.corrections import stands_for
from services.loop.themes.handlers.corrections import Judged, correct, judged
from services.loop.themes.handlers.editing import current_taxonomy
from services.loop.themes.store import quality as kept
from services.loop.themes.store.quality import Tally
from shared.db.transaction import Reading, Transaction
from shared.identity.person_keys import PersonKeys
from shared.identity.principal import Principal
from shared.stats.intervals import Estimate, share

_LATELY: Final = timedelta(days=90)
_TRIES: Final = 20
_FINE: Final = 1 << 53


@dataclass(frozen=True, kw_only=True)
class Quality:
    """How good one theme is in one language, or in all of them where that is None.

    ``precision`` is the part of what is found that is right; ``recall`` the part of what
    should be found that is.
    """

    theme: Theme
    language: str | None
    right: int
    wrong: int
    missed: int

    @property
    def precision(self) -> Estimate:
        """Return the part of what is found that is right."""
        return share(hits=self.right, n=self.right + self.wrong)

    @property
    def recall(self) -> Estimate:
        """Return the part of what should be found that is found."""
        return share(hits=self.right, n=self.right + self.missed)


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A response to be checked, opened, with the themes that stand in it."""

    seen: Judged
    person: Personal


async def quality(view: Reading, *, drawn: bool) -> Sequence[Quality]:
    """Return the quality of every theme in use that was judged: of all languages, then of each.

    Held against each other is what people say and what the words of the taxonomy find now.
    ``drawn`` counts only what was judged in checks of responses that nobody chose.
    """
    taxonomy = (await current_taxonomy(view)).taxonomy
    by_theme: dict[str, dict[str, list[Tally]]] = {}
    for tally in await kept.tallies(view, drawn=drawn):
        languages = by_theme.setdefault(stands_for(taxonomy, tally.theme_id), {})
        languages.setdefault(tally.language, []).append(tally)
    return [
        one
        for theme in sorted(taxonomy.in_use().themes, key=lambda theme: theme.id)
        if theme.id in by_theme
        for one in _of_theme(theme, by_theme[theme.id])
    ]


async def checked(view: Reading) -> int:
    """Return how many drawn responses were checked."""
    return await kept.checks(view)


async def draw(view: Reading, *, person_keys: PersonKeys, now: datetime) -> Drawn | None:
    """Draw a comment of the last 90 days that nobody has checked; None when there is none."""
    for _ in range(_TRIES):
        found = await draw_commented(
            view, since=now - _LATELY, only=kept.not_checked, chance=randbelow(_FINE) / _FINE
        )
        if found is None:
            return None
        person = (await open_persons(view, person_keys, [found])).get(found.id)
        # Of whoever was forgotten there is nothing to read; another one is drawn.
        if person is not None and person.comment:
            return Drawn(seen=await judged(view, found.id), person=person)
    return None


async def check(
    tx: Transaction,
    response_id: str,
    themes: Collection[str],
    *,
    by: Principal,
    person_keys: PersonKeys,
    now: datetime,
) -> Response:
    """Note which themes a drawn response is about, all of them; the rest is not in it."""
    before = await judged(tx, response_id)
    standing = {row.theme_id for row in before.themes}
    for theme_id in sorted({*themes, *standing}):
        belongs = theme_id in themes
        verdict = ("right" if theme_id in standing else "also") if belongs else "not"
        await correct(
            tx,
            response_id,
            theme_id,
            verdict,  # type: ignore[arg-type] # one of the three
            by=by,
            person_keys=person_keys,
            now=now,
            drawn=True,
        )
    await kept.note_check(tx, response_id, by=by.id, now=now)
    return before.response


def _of_theme(theme: Theme, languages: dict[str, list[Tally]]) -> Iterable[Quality]:
    yield _sum(theme, None, [tally for some in languages.values() for tally in some])
    for language in sorted(languages):
        yield _sum(theme, language, languages[language])


def _sum(theme: Theme, language: str | None, some: Sequence[Tally]) -> Quality:
    return Quality(
        theme=theme,
        language=language,
        right=sum(tally.right for tally in some),
        wrong=sum(tally.wrong for tally in some),
        missed=sum(tally.missed for tally in some),
    )
