"""Which period the pages of closure are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from starlette.requests import Request

from shared.i18n import Reader
from shared.web.forms import Option

_WEEKS: Final = (4, 12, 26, 52)
_DEFAULT_WEEKS: Final = 12


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The period up to today, and the touchpoint if it is about one."""

    weeks: int
    last: date
    touchpoint: str

    @property
    def first(self) -> date:
        """Return the first day of the period."""
        return self.last - timedelta(weeks=self.weeks) + timedelta(days=1)

    @property
    def days(self) -> tuple[date, date]:
        """Return the first and the last day, both included."""
        return self.first, self.last


def asked_of(request: Request, now: datetime) -> Asked:
    """Return what the address asks for; what cannot be is the usual."""
    weeks = request.query_params.get("weeks", "")
    return Asked(
        weeks=int(weeks) if weeks in {str(n) for n in _WEEKS} else _DEFAULT_WEEKS,
        last=now.date(),
        touchpoint=request.query_params.get("touchpoint", "")[:200].replace("\0", ""),
    )


def periods(reader: Reader) -> Sequence[Option]:
    """Return the periods to choose from."""
    return [
        Option(value=str(n), label=reader.ngettext("last %(n)s week", "last %(n)s weeks", n))
        for n in _WEEKS
    ]
