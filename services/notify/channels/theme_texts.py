"""The words of a mail about a theme that rises: names and numbers, and nobody's words."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from services.notify.channels.texts import LONGEST_NAME, Rendered, rendered
from services.notify.domain.mail import header_safe
from services.notify.domain.themes import ThemeFacts, proposals_link, theme_link
from shared.i18n import SOURCE, Reader, supported


@dataclass(frozen=True, kw_only=True)
class _Values:
    """Everything that the templates may name."""

    language: str
    theme: str
    ratio: str
    low: str
    high: str
    mentions: str
    comments: str
    first: str
    last: str
    expected: str
    rated: int
    unhappy: str
    theme_link: str
    link: str


def render_theme(
    kind: str,
    facts: ThemeFacts,
    *,
    language: str,
    time_zone: str,
    public_url: str,
    in_place_of: str | None = None,
) -> Rendered:
    """Return a mail about a theme."""
    reader = Reader(language=supported(language) or SOURCE, time_zone=time_zone)
    low, high = facts.ratio_ci95
    name = facts.names.get(reader.catalogue, facts.name)
    values = _Values(
        language=reader.catalogue,
        theme=header_safe(name, longest=LONGEST_NAME),
        ratio=reader.number(facts.ratio, 1),
        low=reader.number(low, 1),
        high=reader.number(high, 1),
        mentions=reader.number(facts.mentions),
        comments=reader.number(facts.comments),
        first=reader.date(facts.first),
        last=reader.date(facts.last),
        expected=reader.number(round(facts.expected)),
        rated=facts.rated,
        unhappy=reader.number(facts.detractors),
        theme_link=theme_link(facts.theme_id, public_url=public_url),
        link=proposals_link(public_url=public_url),
    )
    return rendered(kind, asdict(values), language=reader.catalogue, in_place_of=in_place_of)
