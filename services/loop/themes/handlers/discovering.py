"""Looking at night through the comments that no theme covers, for what they have in common.

Comments are opened in slices, covered up and held in memory only; what is written down are
groups, their words and which responses belong to them. All of a night is written at once: who
dies before that looks again, and nobody writes what a night found twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from services.loop.resources import Loop
from services.loop.responses import store as responses
from services.loop.responses.handlers import open_persons
from services.loop.themes import store
from services.loop.themes.domain.discoveries import (
    WEEKS,
    Found,
    Read,
    begun,
    same_as,
    without_covers,
    worth_telling,
)
from services.loop.themes.domain.masking import masked, secrets_of
from services.loop.themes.store.discoveries import (
    Member,
    Night,
    add_discoveries,
    all_to_change,
    last_night,
    members_of,
    note_night,
    put_members,
    remove_discoveries,
    save_discoveries,
)
from services.loop.themes.store.mentions import touches_nothing
from shared.clock import next_quiet_hour
from shared.db.transaction import Reading, Transaction
from shared.faults import fault_point
from shared.identity.installation import organisation
from shared.identity.people import list_staff
from shared.identity.retention import begun_at
from shared.ids import new_id
from shared.text.tokens import tokens

MOST: Final = 10_000
"""So many comments are looked through in a night, the latest.

That takes half a minute of one core, and 250 MB that are given back afterwards.
"""
_AT_ONCE: Final = 500
_SHORTEST_NAME: Final = 2
_LONGEST: Final = 2_000
"""What a long comment is about stands at its beginning; memory is bounded by this."""


async def next_night(view: Reading) -> datetime | None:
    """Return the quiet hour at which comments are looked through next."""
    last = await last_night(view)
    since = last.ended_at if last is not None else await begun_at(view)
    if since is None:
        return None
    here = await organisation(view)
    return next_quiet_hour(since, ZoneInfo(here.time_zone if here else "UTC"))


async def due_night(view: Reading, *, now: datetime) -> datetime | None:
    """Return the quiet hour that has come and was not made use of yet."""
    night = await next_night(view)
    return night if night is not None and night <= now else None


async def read_comments(
    loop: Loop, *, now: datetime, after_slice: Callable[[], Awaitable[object]]
) -> Mapping[str, Read]:
    """Open the latest comments without a theme, without whoever wrote them."""
    found: dict[str, Read] = {}
    before: tuple[datetime, str] | None = None
    while len(found) < MOST:
        async with loop.database.reading() as view:
            answers = await responses.with_comment(
                view,
                since=now - timedelta(weeks=WEEKS),
                only=touches_nothing,
                before=before,
                most=_AT_ONCE,
            )
            persons = await open_persons(view, loop.person_keys, answers)

        def covered() -> dict[str, Read]:
            return {
                answer.id: Read(response=replace(answer, sealed_person=None), text=text)
                for answer in answers  # noqa: B023 - called before the next round
                if (person := persons.get(answer.id)) is not None  # noqa: B023 - as above
                and (
                    text := without_covers(
                        masked(
                            (person.comment or "")[:_LONGEST],
                            secrets_of(
                                person.customer, person.attributes, person.transaction_id
                            ),
                        )
                        or ""
                    )
                )
            }

        found |= await asyncio.to_thread(covered)
        await after_slice()
        if len(answers) < _AT_ONCE:
            break
        before = (answers[-1].answered_at, answers[-1].id)
    return found


async def note_found(
    tx: Transaction,
    night: datetime,
    found: Sequence[Found],
    *,
    read: Mapping[str, Read],
    now: datetime,
) -> bool:
    """Write down what a night found, each group under the identity it had the night before.

    False where somebody else has written of this night already.
    """
    done = await note_night(
        tx,
        Night(
            night=night,
            ended_at=now,
            taxonomy_version=await store.current_version(tx) or 0,
            read=len(read),
            found=len(found),
        ),
    )
    if not done:
        return False
    known = {one.id: one for one in await all_to_change(tx)}
    same = same_as(await members_of(tx, known), [one.members for one in found])
    new = {
        place: begun(new_id("dsc"), one, now=now)
        for place, one in enumerate(found)
        if place not in same
    }
    again = {place: known[one].seen(found[place], now=now) for place, one in same.items()}
    missed = {
        one: known[one].missing(now=now) for one in sorted(known.keys() - set(same.values()))
    }
    await add_discoveries(tx, list(new.values()))
    await save_discoveries(tx, [*again.values(), *(one for one in missed.values() if one)])
    await remove_discoveries(tx, [one for one, left in missed.items() if left is None])
    await put_members(
        tx, {one.id: _members(found[place], read) for place, one in {**new, **again}.items()}
    )
    fault_point("discovery.written")
    return True


async def names_of_staff(view: Reading) -> frozenset[str]:
    """Return what colleagues are called, in parts, folded."""
    names: set[str] = set()
    after: str | None = None
    while found := await list_staff(view, after=after, with_disabled=True):
        names |= {token.word for one in found for token in tokens(one.name)}
        after = found[-1].id
    return frozenset(name for name in names if len(name) > _SHORTEST_NAME)


def grouped(
    read: Mapping[str, Read], *, names: Collection[str], now: datetime
) -> Sequence[Found]:
    """Group comments by what they have in common, in the words of several customers."""
    # Only at night, and only where it is done: it brings a library of its own along.
    from services.loop.themes.domain.discovery import (  # noqa: PLC0415 - as said
        Verbatim,
        discover,
    )

    clusters = discover(
        [Verbatim(id_, one.text, one.response.language) for id_, one in read.items()]
    )
    told = (worth_telling(cluster, read, names=names, now=now) for cluster in clusters)
    return [found for found in told if found is not None]


def _members(found: Found, read: Mapping[str, Read]) -> Sequence[Member]:
    typical = {one: place for place, one in enumerate(found.typical, start=1)}
    return [
        Member(
            response_id=one,
            person_ref=read[one].response.person_ref,
            typical=typical.get(one),
        )
        for one in found.members
    ]
