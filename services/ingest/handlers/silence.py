"""Sources that should have delivered by now: noticed once, and once more when they do.

A source that is silent looks like one whose customers are content. Whoever set how long it may
be silent is told when it is, by one event for each silence, and by one when it is over.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from services.ingest import store
from shared.events.ingest import SourceResumed, SourceSilent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.ingest.store import Watched
    from shared.db.transaction import Reading, Transaction


async def has_news(view: Reading, *, now: datetime) -> bool:
    """Tell whether a source fell silent or delivers again."""
    return any(_change(one, now) for one in await store.watched_sources(view))


async def notice_silence(tx: Transaction, *, now: datetime) -> int:
    """Publish what changed, once; return how many sources that is.

    Rows are locked: a second worker passes over them, and finds them noted afterwards.
    """
    watched: Sequence[Watched] = await store.watched_sources(tx, locked=True)
    changed = 0
    for one in watched:
        match _change(one, now):
            case "silent":
                await store.note_silence(tx, one.name, since=one.since)
                event = SourceSilent(
                    source=one.name,
                    silent_since=one.since,
                    silent_after_hours=one.silent_after_hours,
                    last_response_at=one.last_response_at,
                )
                tx.announce(event, key=_key(one), at=now)
            case "resumed" if one.silent_since is not None and one.last_response_at:
                await store.note_silence(tx, one.name, since=None)
                resumed = SourceResumed(
                    source=one.name,
                    silent_since=one.silent_since,
                    last_response_at=one.last_response_at,
                )
                tx.announce(resumed, key=_key(one), at=now)
            case "allowed":  # it may be silent for longer now: nothing happened to tell
                await store.note_silence(tx, one.name, since=None)
            case _:
                continue
        changed += 1
    return changed


def _change(one: Watched, now: datetime) -> str | None:
    """Return what happened to a source since it was last looked at."""
    is_silent = now - one.since > timedelta(hours=one.silent_after_hours)
    if one.silent_since is None:
        return "silent" if is_silent else None
    if one.last_response_at is not None and one.last_response_at > one.silent_since:
        return "resumed"
    return None if is_silent else "allowed"


def _key(one: Watched) -> str:
    """Return what orders the events of a source; a name may be longer than a key."""
    return one.name[:80]
