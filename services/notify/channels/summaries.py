"""The words of a summary: how many tasks an import brought, and which are due first.

It names no customer: who opens a task from it sees the customer there.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime

from services.notify.channels.texts import (
    Rendered,
    in_full,
    rendered,
    shortly,
    what_of,
)
from services.notify.domain.gathering import Summary
from shared.i18n import SOURCE, Reader, supported


@dataclass(frozen=True, kw_only=True)
class _Line:
    """One task that is named."""

    what: str
    due: str
    link: str


@dataclass(frozen=True, kw_only=True)
class _Values:
    """Everything that a summary's templates may name."""

    language: str
    number: int
    due: str
    due_in_full: str
    is_late: bool
    is_burst: bool
    tasks: tuple[_Line, ...]
    more: int
    link: str


def render_summary(
    kind: str,
    summary: Summary,
    *,
    language: str,
    time_zone: str,
    public_url: str,
    now: datetime,
    in_place_of: str | None = None,
) -> Rendered:
    """Return a mail about many tasks; there is at least one."""
    reader = Reader(language=supported(language) or SOURCE, time_zone=time_zone)
    earliest, number = summary.earliest, len(summary.tasks)
    values = _Values(
        language=reader.catalogue,
        number=number,
        due=shortly(reader, earliest, now),
        due_in_full=in_full(reader, earliest),
        is_late=now > earliest,
        is_burst=summary.is_burst,
        tasks=tuple(
            _Line(
                what=what_of(reader, task),
                due=_due(reader, task.deadline, now),
                link=f"{public_url}/tasks/{task.task_id}",
            )
            for task in summary.worst
        ),
        more=number - len(summary.worst),
        link=f"{public_url}/",
    )
    return rendered(kind, asdict(values), language=reader.catalogue, in_place_of=in_place_of)


def _due(reader: Reader, deadline: datetime, now: datetime) -> str:
    when = shortly(reader, deadline, now)
    if now > deadline:
        return reader.gettext("was due %(when)s", when=when)
    return reader.gettext("due %(when)s", when=when)
