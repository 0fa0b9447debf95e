"""Public holidays by country and region: the one file that knows the library of them.

It is loaded late, since most installations start without a calendar that asks for it.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from datetime import date
from functools import cache, lru_cache
from typing import Any, Final

from shared.i18n import SOURCE

_FIRST_YEAR: Final = 2000
_LAST_YEAR: Final = 2100


@cache
def holiday_regions() -> Mapping[str, Sequence[str]]:
    """Return the countries whose holidays are known, each with its regions, by ISO code."""
    import holidays  # noqa: PLC0415 - late, see above

    known = holidays.list_supported_countries(include_aliases=False)
    return {country: tuple(known[country]) for country in sorted(known)}


@lru_cache(maxsize=64)
def holidays_of(country: str, region: str | None) -> frozenset[date]:
    """Return every public holiday of a region, as far back and ahead as it is known."""
    return frozenset(_known(country, region, range(_FIRST_YEAR, _LAST_YEAR + 1)))


def holiday_names(
    country: str, region: str | None, year: int, *, language: str = SOURCE
) -> Mapping[date, str]:
    """Return the public holidays of a year in order, by their names in a language if known."""
    import holidays  # noqa: PLC0415 - late, see above

    spoken = getattr(holidays, country).supported_languages
    known = next((one for one in spoken if one.split("_")[0] == language), None)
    found = _known(country, region, [year], language=known)
    return {day: str(found[day]) for day in sorted(found)}


def _known(
    country: str, region: str | None, years: Sequence[int], *, language: str | None = None
) -> Mapping[date, Any]:
    import holidays  # noqa: PLC0415 - late, see above

    with warnings.catch_warnings():
        # Of some countries less than a century is known; the rest has weekends only.
        warnings.simplefilter("ignore")
        return dict(
            holidays.country_holidays(country, subdiv=region, years=years, language=language)
        )
