"""The use cases of responses: taking a poll's facts in, opening what is sealed, scores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from services.loop.responses import store
from services.loop.responses.domain import Personal, Response, Sums, moves
from services.loop.responses.store import Dimension, ScoreFilter
from shared.db.transaction import Reading, Transaction
from shared.identity.person_keys import PersonKeys
from shared.sealing import open_document
from shared.stats.scores import ScoreRow, score_row

Span = Literal["week", "month"]
GroupBy = Literal[Dimension, Span]


@dataclass(frozen=True, kw_only=True)
class Stored:
    """What became of a poll's responses.

    ``current`` are those whose facts are new, ``former`` what these replaced, by id, and
    ``standing`` holds for every response of the poll the facts that stand now: a revision may
    have been overtaken by a higher one on the way.
    """

    current: Sequence[Response]
    former: Mapping[str, Response]
    standing: Mapping[str, Response]


async def store_responses(tx: Transaction, responses: Sequence[Response]) -> Stored:
    """Keep these facts, each response at most once, and move the score roll-ups with them."""
    known = await store.find_to_change(tx, [response.id for response in responses])

    current = [r for r in responses if r.id not in known or r.revision > known[r.id].revision]
    former = {r.id: known[r.id] for r in current if r.id in known}

    await store.add_all(tx, [r for r in current if r.id not in former])
    await store.replace_all(tx, [r for r in current if r.id in former])
    await store.move_rollups(tx, moves(current, former.values()))
    return Stored(
        current=current,
        former=former,
        standing={**known, **{r.id: r for r in current}},
    )


async def keys_of(
    view: Reading, person_keys: PersonKeys, responses: Sequence[Response]
) -> Mapping[str, bytes]:
    """Return the keys that open these responses, by person; an erased person has none."""
    sealed = [r.person_ref for r in responses if r.sealed_person is not None]
    return await person_keys.for_reading(view, sealed) if sealed else {}


def open_person(response: Response, keys: Mapping[str, bytes]) -> Personal | None:
    """Open the sealed part of a response; None when the person was erased.

    A response that never had a sealed part opens as an empty one.
    """
    if response.sealed_person is None:
        return Personal()
    key = keys.get(response.person_ref)
    if key is None:
        return None
    return Personal.read(open_document(key, response.sealed_person, context=response.id))


async def open_persons(
    view: Reading, person_keys: PersonKeys, responses: Sequence[Response]
) -> Mapping[str, Personal]:
    """Open the sealed parts of these responses, by response id, without the erased ones."""
    keys = await keys_of(view, person_keys, responses)
    opened = {response.id: open_person(response, keys) for response in responses}
    return {response_id: person for response_id, person in opened.items() if person}


@dataclass(frozen=True, kw_only=True)
class GroupedScore:
    """The score of one group: ``{"touchpoint": "door"}``, or ``{}`` for all answers."""

    group: Mapping[GroupBy, str]
    row: ScoreRow


async def scores(
    view: Reading, wanted: ScoreFilter, group_by: GroupBy | None = None
) -> Sequence[GroupedScore]:
    """Return the scores of one metric and one measurement, in the order of their groups.

    Weeks (ISO 8601, from Monday) and months without an answer appear too: a gap is a finding.
    Groups of the other kinds appear when they have answers; without a group there is one row.
    """
    if group_by is None:
        return [_grouped({}, wanted, (await store.sums_by(view, wanted, None))[None])]
    if group_by == "week" or group_by == "month":  # noqa: PLR1714 - narrows the type
        spans = {_span(day, group_by): Sums() for day in _days(wanted)}
        for day, sums in (await store.sums_by(view, wanted, "day")).items():
            spans[_span(day, group_by)].merge(sums)
        return [_grouped({group_by: span}, wanted, sums) for span, sums in spans.items()]
    found = await store.sums_by(view, wanted, group_by)
    return [
        _grouped({group_by: value}, wanted, sums)
        for value, sums in sorted(found.items())
        if sums.n
    ]


def _grouped(group: Mapping[GroupBy, str], wanted: ScoreFilter, sums: Sums) -> GroupedScore:
    row = score_row(
        wanted.metric,
        promoters=sums.high,
        passives=sums.middle,
        detractors=sums.low,
        total=sums.total,
        squares=sums.squares,
    )
    return GroupedScore(group=group, row=row)


def _days(wanted: ScoreFilter) -> Iterator[date]:
    for number in range((wanted.last - wanted.first).days + 1):
        yield wanted.first + timedelta(days=number)


def _span(day: date, kind: Span) -> str:
    if kind == "month":
        return f"{day.year:04}-{day.month:02}"
    year, week, _ = day.isocalendar()
    return f"{year:04}-W{week:02}"
