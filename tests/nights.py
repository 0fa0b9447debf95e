"""What a night has found, put there without waiting for two of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from services.loop.responses.store import find_all
from services.loop.themes.domain.discoveries import WEEKS, Discovery, State
from services.loop.themes.store.discoveries import Member, add_discoveries, put_members
from shared.db.transaction import Database
from shared.ids import new_id

LOCKERS: Final = (
    "The locker at the corner was full again",
    "Locker full, could not drop my bag",
    "Full locker on Monday",
    "Every locker was full when I came",
    "Why is the locker always full",
    "locker full",
    "The locker was full, so I went",
    "Again a full locker",
)
"""Comments of which the shipped taxonomy knows no word."""

JACKETS: Final = (
    "My jacket has a weird zipper",
    "Zipper of the jacket jams",
    "The jacket is warm but its zipper jams",
    "jacket zipper came apart",
    "Zipper, jacket, first day",
    "The zipper of this jacket sticks",
    "This jacket and its zipper",
)
"""As many again about something else."""


async def plant(
    database: Database,
    label: str,
    responses: Sequence[str],
    *,
    now: datetime,
    state: State = "shown",
) -> str:
    """Have a group of these responses been found in two nights; return its id."""
    async with database.transaction() as tx:
        answers = await find_all(tx, responses)
        group = Discovery(
            id=new_id("dsc"),
            version=2,
            state=state,
            label=label,
            keywords={"en": (label,)},
            size=len(answers),
            persons=len({each.person_ref for each in answers.values()}),
            rated=len(answers),
            low=sum(each.is_low for each in answers.values()),
            weekly=(*[0] * (WEEKS - 1), len(answers)),
            nights=2,
            first_seen_at=now,
            last_seen_at=now,
        )
        await add_discoveries(tx, [group])
        members = [
            Member(response_id=one, person_ref=each.person_ref, typical=place)
            for place, (one, each) in enumerate(answers.items(), start=1)
        ]
        await put_members(tx, {group.id: members[:3]})
    return group.id
