"""What is told about a theme that customers mention far more often than before."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from services.notify.domain.alerts import compact, rfc3339

if TYPE_CHECKING:
    from collections.abc import Mapping
    from zoneinfo import ZoneInfo

THEME_MAIL_KINDS: Final[Mapping[str, str]] = {"theme.rising": "theme_rising"}
"""The events of a theme that are worth a mail, and the mail's kind."""

_DAY_BEGINS, _DAY_ENDS = time(7), time(20)


@dataclass(frozen=True, kw_only=True)
class ThemeFacts:
    """One rise of a theme; nothing of it is about a person."""

    event_id: str
    type: str
    happened_at: datetime
    theme_id: str
    name: str
    names: Mapping[str, str]
    department: str | None
    week: date
    first: date
    last: date
    mentions: int
    comments: int
    former_mentions: int
    former_comments: int
    former_weeks: int
    expected: float
    ratio: float
    ratio_ci95: tuple[float, float]
    rated: int
    detractors: int
    response_ids: tuple[str, ...]
    item_id: str
    correlation_id: str | None = None


def by_day(moment: datetime, zone: ZoneInfo) -> datetime:
    """Return when it is next day there, from seven to eight in the evening, else the moment.

    A rise took a week to be seen: nobody has to be woken for it.
    """
    local = moment.astimezone(zone)
    if _DAY_BEGINS <= local.time() < _DAY_ENDS:
        return moment
    morning = local.replace(hour=_DAY_BEGINS.hour, minute=0, second=0, microsecond=0)
    if local.time() >= _DAY_ENDS:
        morning += timedelta(days=1)
    return morning.astimezone(moment.tzinfo)


def theme_link(theme_id: str, *, public_url: str) -> str:
    """Return the address of a theme's page."""
    return f"{public_url}/themes/{quote(theme_id, safe='')}"


def proposals_link(*, public_url: str) -> str:
    """Return the address of the page on which people decide what to look into."""
    return f"{public_url}/themes/rising"


def theme_body(facts: ThemeFacts, *, public_url: str) -> bytes:
    """Return the body of a webhook, compact, as it will be signed."""
    data = _members(facts)
    for name in ("event_id", "type", "happened_at", "correlation_id"):
        del data[name]
    return compact(
        {
            "type": facts.type,
            "timestamp": rfc3339(facts.happened_at),
            "data": {
                **data,
                "links": {
                    "theme": theme_link(facts.theme_id, public_url=public_url),
                    "api": f"{public_url}/v1/themes/{quote(facts.theme_id, safe='')}",
                    "item": f"{public_url}/v1/outer-items/{facts.item_id}",
                },
            },
        }
    )


def theme_document(facts: ThemeFacts) -> bytes:
    """Return what a mail is made of later."""
    return compact(_members(facts))


def theme_facts_from(document: bytes) -> ThemeFacts:
    """Read what ``theme_document`` wrote."""
    members = json.loads(document)
    members["happened_at"] = datetime.fromisoformat(members["happened_at"])
    for name in ("week", "first", "last"):
        members[name] = date.fromisoformat(members[name])
    for name in ("ratio_ci95", "response_ids"):
        members[name] = tuple(members[name])
    return ThemeFacts(**members)


def _members(facts: ThemeFacts) -> dict[str, Any]:
    members = asdict(facts)
    members["happened_at"] = rfc3339(facts.happened_at)
    for name in ("week", "first", "last"):
        members[name] = members[name].isoformat()
    return members
