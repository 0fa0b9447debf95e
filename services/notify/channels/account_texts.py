"""The words of a mail about somebody's own account."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

from services.notify.channels.texts import Rendered, in_full, rendered
from services.notify.domain.accounts import PASSWORD_RESET, ResetFacts
from shared.i18n import SOURCE, Reader, supported


@dataclass(frozen=True, kw_only=True)
class _Values:
    """Everything that the templates may name."""

    language: str
    until: str
    link: str = field(repr=False)


def render_reset(facts: ResetFacts, *, language: str, time_zone: str, link: str) -> Rendered:
    """Return the mail with the link for a new password."""
    reader = Reader(language=supported(language) or SOURCE, time_zone=time_zone)
    until = in_full(reader, facts.expires_at)
    values = _Values(language=reader.catalogue, until=until, link=link)
    return rendered(PASSWORD_RESET, asdict(values), language=reader.catalogue)
