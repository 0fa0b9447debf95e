"""A slice of a replay: some comments, read again and counted again, in one transaction.

The words are opened and held against the taxonomy while nothing is locked; then what was found
is written where it still holds. A killed process, or two that work at once, neither skip nor
repeat anything: the place up to which it is done moves in the same transaction.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Final

from services.loop.responses.domain import Response
from services.loop.responses.handlers import open_persons
from services.loop.responses.store import commented_after, find_to_change
from services.loop.themes import store
from services.loop.themes.domain import Mention, Taxonomy
from services.loop.themes.domain.corrections import (
    Correction,
    corrected,
    in_force,
    read_again,
)
from services.loop.themes.domain.counts import moves
from services.loop.themes.handlers.editing import current_taxonomy
from services.loop.themes.handlers.finding import Classifiers, classify
from services.loop.themes.handlers.replaying import begin_anew
from services.loop.themes.store import MentionRow, Replay
from shared.clock import Clock
from shared.db.transaction import Database, Reading, Transaction
from shared.faults import fault_point
from shared.identity.person_keys import PersonKeys

AT_ONCE: Final = 200
"""So many comments are read in one slice."""

_WHOLE: Final = 1 << 128


@dataclass(frozen=True, kw_only=True)
class _Slice:
    """Some responses, and what is in the words of those that can be opened."""

    version: int
    taxonomy: Taxonomy
    responses: Sequence[Response]
    found: Mapping[str, Sequence[Mention]]


async def replay_on(
    database: Database, *, person_keys: PersonKeys, classifiers: Classifiers, clock: Clock
) -> bool:
    """Read the next comments of the running replay again; return whether there is one."""
    async with database.reading() as view:
        replay = await store.replay_under_way(view)
        if replay is None or replay.state != "running":
            return False
        part = await _read(view, replay, person_keys, classifiers)
    async with database.transaction() as tx:
        here = await store.find_replay(tx, replay.id, to_change=True)
        if here == replay:
            locked = await find_to_change(tx, [one.id for one in part.responses])
            if await store.hold_version(tx) == part.version == here.taxonomy_version:
                await _write(tx, here, part, locked, clock=clock)
            else:
                await begin_anew(tx, here, now=clock.now())
        fault_point("replay.slice")
    return True


async def _read(
    view: Reading, replay: Replay, person_keys: PersonKeys, classifiers: Classifiers
) -> _Slice:
    version, classifier = await classifiers.current(view)
    some = await commented_after(view, replay.after_id, until=replay.last_id, most=AT_ONCE)
    persons = await open_persons(view, person_keys, [r for r in some if not r.is_sample])
    texts = {
        r.id: (person.comment or "", r.language) for r in some if (person := persons.get(r.id))
    }
    found = await classify(classifier, texts)
    return _Slice(
        version=version,
        taxonomy=(await current_taxonomy(view)).taxonomy,
        responses=some,
        found={response_id: found.get(response_id, []) for response_id in texts},
    )


async def _write(
    tx: Transaction,
    replay: Replay,
    part: _Slice,
    locked: Mapping[str, Response],
    *,
    clock: Clock,
) -> None:
    """Write what the slice brought, and how far the replay is with it.

    What was revised since it was read has been read by this version as it came.
    """
    same = [r for r in part.responses if locked.get(r.id) == r and r.id in part.found]
    stored = await store.themes_of(tx, [r.id for r in part.responses if r.id in locked])
    judged = await store.corrections_of(tx, [r.id for r in same])
    after = {r.id: _settled(r, part, stored[r.id], judged.get(r.id, ())) for r in same}
    await _replace(tx, stored, after)
    await store.replace_corrections(
        tx, list(judged), [one for i in judged for one in after[i].corrections]
    )
    was = {r.id: {row.theme_id for row in stored[r.id]} for r in same}
    becomes = {r.id: {row.theme_id for row in after[r.id].rows} for r in same}
    changed = [r for r in same if was[r.id] != becomes[r.id]]
    await store.move_rollups(
        tx,
        moves(
            ((r, sorted(becomes[r.id])) for r in changed),
            ((r, sorted(was[r.id])) for r in changed),
        ),
    )
    over = len(part.responses) < AT_ONCE
    at = clock.now()
    await store.save_replay(
        tx,
        replace(
            replay,
            state="done" if over else "running",
            after_id=part.responses[-1].id if part.responses else replay.after_id,
            done=replay.done + len(part.responses),
            changed=replay.changed + len(changed),
            unread=replay.unread
            + sum(r.id not in part.found and not r.is_sample for r in part.responses),
            themes=_moved(replay.themes, [(was[r.id], becomes[r.id]) for r in changed]),
            fingerprint=_printed(
                replay.fingerprint,
                {i: after[i].rows if i in after else rows for i, rows in stored.items()},
            ),
            moved_at=at,
            ended_at=at if over else None,
        ),
    )


@dataclass(frozen=True, kw_only=True)
class _Settled:
    rows: Sequence[MentionRow]
    corrections: Sequence[Correction]


def _settled(
    response: Response,
    part: _Slice,
    stored: Sequence[MentionRow],
    judged: Sequence[Correction],
) -> _Settled:
    """Return what stands in a response by this version, and what people say of it."""
    found = part.found[response.id]
    corrections = read_again(judged, found, taxonomy=part.taxonomy, version=part.version)
    standing = corrected(found, in_force(corrections, part.taxonomy))
    rows = [
        MentionRow.of(
            response.id, mention, answered_at=response.answered_at, version=part.version
        )
        for mention in standing
    ]
    # What is looked for no more was found all the same; what was merged stands elsewhere now.
    kept = {
        theme.id
        for theme in part.taxonomy.themes
        if theme.retired and theme.merged_into is None
    } - {row.theme_id for row in rows}
    rows += [row for row in stored if row.theme_id in kept]
    return _Settled(rows=rows, corrections=corrections)


async def _replace(
    tx: Transaction,
    stored: Mapping[str, Sequence[MentionRow]],
    after: Mapping[str, _Settled],
) -> None:
    """Write the mentions of those responses of which anything differs."""

    def by_theme(rows: Iterable[MentionRow]) -> list[MentionRow]:
        return sorted(rows, key=lambda row: row.theme_id)

    other = [i for i in after if by_theme(stored[i]) != by_theme(after[i].rows)]
    await store.remove_mentions(tx, other)
    await store.add_mention_rows(tx, [row for i in other for row in after[i].rows])


def _moved(
    themes: Mapping[str, tuple[int, int]], changes: Iterable[tuple[set[str], set[str]]]
) -> Mapping[str, tuple[int, int]]:
    """Count on which themes were gained and lost."""
    counted = {theme_id: list(pair) for theme_id, pair in themes.items()}
    for was, becomes in changes:
        for theme_id in becomes - was:
            counted.setdefault(theme_id, [0, 0])[0] += 1
        for theme_id in was - becomes:
            counted.setdefault(theme_id, [0, 0])[1] += 1
    return {theme_id: (pair[0], pair[1]) for theme_id, pair in sorted(counted.items())}


def _printed(fingerprint: str, rows: Mapping[str, Sequence[MentionRow]]) -> str:
    """Take these responses' mentions into the fingerprint, in whatever slices they come."""
    total = int(fingerprint, 16)
    for response_id, mentions in rows.items():
        said = sorted((row.theme_id, row.score, row.evidence, row.by) for row in mentions)
        digest = blake2b(json.dumps([response_id, said]).encode(), digest_size=16).digest()
        total += int.from_bytes(digest, "big")
    return f"{total % _WHOLE:032x}"
