"""What the queue's filters and forms offer, and the names that stand in its lines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from services.loop.journey import store as journey
from services.loop.journey.domain import ListKind
from services.loop.journey.handlers import names_of
from services.loop.pages.labels import STATES
from services.loop.pages.queue.asked import SCORES
from services.loop.pages.queue.page import Choices
from services.loop.tasks.domain.task import OPEN, TaskState
from services.loop.themes.handlers import current_taxonomy
from shared.db.transaction import Reading
from shared.i18n import Reader
from shared.identity.groups import list_teams
from shared.identity.people import list_staff
from shared.stats.categories import RANGES
from shared.web.forms import Option


@dataclass(frozen=True, kw_only=True)
class Names:
    """What the codes in a line are called."""

    touchpoints: Mapping[str, str]
    segments: Mapping[str, str]
    themes: Mapping[str, str]


async def names_for(view: Reading, reader: Reader) -> Names:
    """Return what codes are called in the reader's language."""
    themes = (await current_taxonomy(view)).taxonomy.themes
    return Names(
        touchpoints=await journey.named(view),
        segments=await names_of(view, "segment", reader.catalogue),
        themes={theme.id: theme.name_in(reader.catalogue) for theme in themes},
    )


async def choices_for(view: Reading, names: Names, reader: Reader) -> Choices:
    """Return what can be chosen from."""
    return Choices(
        touchpoints=_sorted((await journey.offered(view)).items()),
        segments=await _codes(view, "segment", reader),
        products=await _codes(view, "product", reader),
        metrics=[Option(value=name, label=name.upper()) for name in RANGES],
        scores=[Option(value=value, label=_band(value, reader)) for value in SCORES],
        themes=_sorted(names.themes.items()),
        owners=[
            *_sorted((person.id, person.name) for person in await list_staff(view)),
            *_sorted((team.id, team.name) for team in await list_teams(view)),
        ],
        states=[
            Option(value=state.value, label=reader.gettext(STATES[state]))
            for state in TaskState
            if state in OPEN
        ],
    )


async def _codes(view: Reading, kind: ListKind, reader: Reader) -> list[Option]:
    wanted = journey.CodeFilter(kind=kind)
    codes = await journey.page_of_codes(view, wanted, after=None, most=200)
    return _sorted(
        (code.code, code.name_in(reader.catalogue)) for code in codes if code.alias_of is None
    )


def _sorted(pairs: Iterable[tuple[str, str]]) -> list[Option]:
    found = [Option(value=value, label=label) for value, label in pairs]
    return sorted(found, key=lambda option: option.label.casefold())


def _band(value: str, reader: Reader) -> str:
    low, _, high = value.partition("-")
    if not high:
        return reader.gettext("no score")
    return reader.gettext("%(low)s to %(high)s", low=low, high=high)
