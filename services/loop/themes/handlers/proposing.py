"""Words that corrections suggest: mined when something was judged, decided by a person.

The comments are opened in slices and held in memory only; what is kept is single words and
short phrases that at least three customers used, with names, addresses and numbers left out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from services.loop.responses.domain import Response
from services.loop.responses.handlers import open_persons
from services.loop.responses.store import find_all, with_comment
from services.loop.themes.domain import Taxonomy, Theme
from services.loop.themes.domain.masking import masked, secrets_of
from services.loop.themes.domain.mining import (
    PERSONS,
    Kind,
    Said,
    words_to_add,
    words_to_drop,
)
from services.loop.themes.handlers.corrections import language_of
from services.loop.themes.handlers.discovering import names_of_staff
from services.loop.themes.handlers.editing import change_taxonomy, current_taxonomy
from services.loop.themes.store import list_replays
from services.loop.themes.store import quality as kept
from services.loop.themes.store.quality import Judgement, Proposal, ProposalState
from shared.db.transaction import Database, Reading, Transaction
from shared.errors import Conflict, NotFound
from shared.identity import audit
from shared.identity.person_keys import PersonKeys
from shared.identity.principal import Principal

_JUDGED: Final = 20_000
_OTHERS: Final = 2_000
_LATELY: Final = timedelta(days=365)
_AT_ONCE: Final = 200

Found = tuple[str, str, Kind, str, int, int]


@dataclass
class _Open:
    """A comment, opened for as long as words are mined."""

    person: str
    language: str
    text: str = field(repr=False)


async def mine(
    database: Database, *, person_keys: PersonKeys, now: datetime
) -> Sequence[Found]:
    """Return the words that corrections suggest at this moment; nothing is written."""
    async with database.reading() as view:
        judgements = await kept.judgements(view, most=_JUDGED)
        taxonomy = (await current_taxonomy(view)).taxonomy
        names = await names_of_staff(view)
    missed: dict[tuple[str, str], list[str]] = {}
    for one in judgements:
        if one.belongs and not one.found and one.language:
            missed.setdefault((one.theme_id, one.language), []).append(one.response_id)
    themes = {theme.id: theme for theme in taxonomy.in_use().themes}
    missed = {
        key: ids for key, ids in missed.items() if len(ids) >= PERSONS and key[0] in themes
    }
    dropped = _dropped(judgements, taxonomy)
    if not missed:
        return dropped
    ids = sorted({one for some in missed.values() for one in some})
    opened = await _open(database, person_keys, ids)
    others = await _others(database, person_keys, now=now)
    about = {(one.response_id, one.theme_id) for one in judgements if one.belongs}

    def every_theme() -> list[Found]:
        return [
            (theme_id, language, one.kind, one.words, one.support, one.against)
            for (theme_id, language), some in sorted(missed.items())
            for one in words_to_add(
                [
                    Said(person=opened[i].person, text=opened[i].text)
                    for i in sorted(some)
                    if i in opened
                ],
                [
                    other.text
                    for response_id, other in others.items()
                    if other.language == language and (response_id, theme_id) not in about
                ],
                language=language,
                known=_words(themes[theme_id], language),
                names=names,
            )
        ]

    return [*dropped, *await asyncio.to_thread(every_theme)]


async def propose(tx: Transaction, found: Sequence[Found], *, now: datetime) -> None:
    """Let these be the open proposals."""
    await kept.note_proposals(tx, found, now=now)


async def mark_of(view: Reading) -> object:
    """Return what changes with every correction and replay: then words are mined again."""
    latest = await list_replays(view, most=1)
    return *await kept.corrections_stand_at(view), *(replay.ended_at for replay in latest)


async def list_proposals(
    view: Reading, state: ProposalState, *, after: str | None = None, most: int
) -> Sequence[Proposal]:
    """Return proposals in the order in which they came up."""
    return await kept.list_proposals(view, state, after=after, most=most)


async def accept(
    tx: Transaction, proposal_id: str, *, by: Principal, now: datetime
) -> Proposal:
    """Put a version of the taxonomy into use with the words in it, or without them.

    It decides from the next response on; a replay applies it to history.
    """
    proposal = await _undecided(tx, proposal_id)
    current = await current_taxonomy(tx)
    theme = current.taxonomy.find(proposal.theme_id)
    if theme is None or theme.retired:
        raise Conflict(
            "The theme is not looked for any more. Reject the proposal.", slug="theme-retired"
        )
    changed = await change_taxonomy(
        tx,
        _with(current.taxonomy, _changed(theme, proposal)),
        expected=current.version,
        by=by.id,
        now=now,
    )
    await audit.record(
        tx,
        by,
        "taxonomy.changed",
        f"taxonomy/{changed.version}",
        {"theme": theme.id, "proposal": proposal.id, "kind": proposal.kind},
        now=now,
    )
    decided = replace(
        proposal,
        state="accepted",
        decided_at=now,
        decided_by=by.id,
        taxonomy_version=changed.version,
    )
    await kept.decide_proposal(tx, decided)
    return decided


async def reject(
    tx: Transaction, proposal_id: str, *, by: Principal, now: datetime
) -> Proposal:
    """Say that these words are not to be proposed again."""
    proposal = await _undecided(tx, proposal_id)
    decided = replace(proposal, state="rejected", decided_at=now, decided_by=by.id)
    await kept.decide_proposal(tx, decided)
    await audit.record(
        tx,
        by,
        "proposal.rejected",
        f"proposal/{proposal.id}",
        {"theme": proposal.theme_id, "kind": proposal.kind},
        now=now,
    )
    return decided


async def _undecided(tx: Transaction, proposal_id: str) -> Proposal:
    proposal = await kept.find_proposal(tx, proposal_id, to_change=True)
    if proposal is None:
        raise NotFound(
            "There is no proposal with this id. List them at /v1/taxonomy/proposals."
        )
    if proposal.state != "open":
        raise Conflict(
            "Somebody has decided about this proposal.", extra={"state": proposal.state}
        )
    return proposal


def _changed(theme: Theme, proposal: Proposal) -> Theme:
    """Return the theme with the words added to its language, or taken out wherever they are."""
    if proposal.kind == "drop":
        keywords = {
            language: tuple(word for word in words if word != proposal.words)
            for language, words in theme.keywords.items()
        }
        return replace(theme, keywords=keywords)
    words = dict.fromkeys(theme.keywords.get(proposal.language, ()))
    words[proposal.words] = None
    return replace(theme, keywords={**theme.keywords, proposal.language: tuple(words)})


def _with(taxonomy: Taxonomy, changed: Theme) -> Taxonomy:
    return replace(
        taxonomy,
        themes=tuple(changed if one.id == changed.id else one for one in taxonomy.themes),
    )


def _words(theme: Theme, language: str) -> Sequence[str]:
    lists = (theme.keywords, theme.exclude)
    return [word for one in lists for word in (*one.get(language, ()), *one.get("*", ()))]


def _dropped(judgements: Sequence[Judgement], taxonomy: Taxonomy) -> list[Found]:
    """Return the keywords of today that were wrong far more often than right."""
    counted: dict[tuple[str, str], dict[str, tuple[int, int]]] = {}
    for one in judgements:
        theme = taxonomy.find(one.theme_id)
        if theme is None or not one.found or one.by is None:
            continue
        if any(one.by in words for words in theme.keywords.values()):
            keywords = counted.setdefault((one.theme_id, one.language), {})
            wrong, right = keywords.get(one.by, (0, 0))
            keywords[one.by] = (wrong + (not one.belongs), right + one.belongs)
    return [
        (theme_id, language, one.kind, one.words, one.support, one.against)
        for (theme_id, language), judged in sorted(counted.items())
        for one in words_to_drop(judged)
    ]


async def _others(
    database: Database, person_keys: PersonKeys, *, now: datetime
) -> Mapping[str, _Open]:
    """Open the latest comments, whatever they are about."""
    opened: dict[str, _Open] = {}
    before: tuple[datetime, str] | None = None
    while len(opened) < _OTHERS:
        async with database.reading() as view:
            some = await with_comment(
                view,
                since=now - _LATELY,
                before=before,
                most=_AT_ONCE,
            )
            opened |= await _opened(view, person_keys, some)
        if len(some) < _AT_ONCE:
            break
        before = (some[-1].answered_at, some[-1].id)
    return opened


async def _open(
    database: Database, person_keys: PersonKeys, ids: Sequence[str]
) -> Mapping[str, _Open]:
    opened: dict[str, _Open] = {}
    for start in range(0, len(ids), _AT_ONCE):
        async with database.reading() as view:
            some = await find_all(view, ids[start : start + _AT_ONCE])
            opened |= await _opened(view, person_keys, list(some.values()))
    return opened


async def _opened(
    view: Reading, person_keys: PersonKeys, some: Sequence[Response]
) -> Mapping[str, _Open]:
    persons = await open_persons(view, person_keys, some)
    found: dict[str, _Open] = {}
    for response in some:
        person = persons.get(response.id)
        if person is None or not person.comment:
            continue
        secrets = secrets_of(person.customer, person.attributes, person.transaction_id)
        found[response.id] = _Open(
            person=response.person_ref,
            language=language_of(response, person.comment),
            text=masked(person.comment, secrets) or "",
        )
    return found
