"""The use cases of responses: taking a poll's facts in, opening what is sealed, scores."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Literal, Protocol

from services.loop.journey.domain import Selection
from services.loop.journey.handlers import (
    Folds,
    Named,
    count_answers,
    folds_of,
)
from services.loop.responses import store
from services.loop.responses.domain import Personal, Response, Sums, moves
from services.loop.responses.store import Dimension, Duty, InTheClear, ScoreFilter
from shared.db.transaction import Reading, Transaction
from shared.identity.erasure import FORGOTTEN
from shared.identity.person_keys import PersonKeys
from shared.sealing import CannotOpen, open_document, seal_document
from shared.stats.scores import ScoreRow, score_row

Span = Literal["week", "month"]
GroupBy = Literal[Dimension, Duty, Span]


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
    counted = [r for r in current if not r.is_sample]
    uncounted = [r for r in former.values() if not r.is_sample]
    await store.move_rollups(tx, moves(counted, uncounted))
    await count_answers(tx, map(named_by, counted), map(named_by, uncounted))
    return Stored(
        current=current,
        former=former,
        standing={**known, **{r.id: r for r in current}},
    )


async def remove_responses(tx: Transaction, ids: Sequence[str]) -> Sequence[Response]:
    """Forget these responses and take them out of what is counted; return what they were."""
    known = await store.find_to_change(tx, ids)
    await store.remove_all(tx, list(known))
    uncounted = [response for response in known.values() if not response.is_sample]
    await store.move_rollups(tx, moves((), uncounted))
    await count_answers(tx, (), map(named_by, uncounted))
    return list(known.values())


def named_by(response: Response) -> Named:
    """Return the codes that a response names."""
    return Named(
        day=response.day,
        touchpoint=response.touchpoint,
        segment=response.segment,
        product=response.product,
        reason=response.reason,
        emotion=response.emotion,
    )


async def keys_of(
    view: Reading, person_keys: PersonKeys, responses: Sequence[Response]
) -> Mapping[str, bytes]:
    """Return the keys that open these responses, by person; an erased person has none."""
    sealed = [r.person_ref for r in responses if r.sealed_person is not None]
    return await person_keys.for_reading(view, sealed) if sealed else {}


class Sealed(Protocol):
    """What holds a sealed document about a person: a response, or its task."""

    @property
    def person_ref(self) -> str:
        """Return the person's pseudonym."""
        ...

    @property
    def sealed_person(self) -> str | None:
        """Return the sealed document, None where there never was one."""
        ...


def is_forgotten(one: Sealed, keys: Container[str]) -> bool:
    """Tell whether there was something personal that nobody can read any more.

    ``keys`` are the persons whose keys there are.
    """
    return one.sealed_person is not None and (
        one.sealed_person == FORGOTTEN or one.person_ref not in keys
    )


def open_person(response: Response, keys: Mapping[str, bytes]) -> Personal | None:
    """Open the sealed part of a response; None when it was erased.

    A response that never had a sealed part opens as an empty one.
    """
    if response.sealed_person is None:
        return Personal()
    if is_forgotten(response, keys):
        return None
    key = keys[response.person_ref]
    return Personal.read(open_document(key, response.sealed_person, context=response.id))


async def seal_earlier(
    tx: Transaction, *, person_keys: PersonKeys, most: int, now: datetime
) -> Mapping[str, tuple[str | None, str | None]]:
    """Seal what stood in the clear before; return the former and the new document by response.

    Of whoever was erased it is forgotten.
    """
    found = await store.in_the_clear(tx, most=most)
    refs = sorted({one.person_ref for one in found if one.sealed_person != FORGOTTEN})
    keys = await person_keys.for_sealing(tx, refs, now=now)
    sealed = {
        one.id: one.sealed_person
        if is_forgotten(one, keys) or one.person_ref not in keys
        else _with_transaction(one, keys[one.person_ref])
        for one in found
    }
    await store.seal_all(tx, sealed)
    return {one.id: (one.sealed_person, sealed[one.id]) for one in found}


def _with_transaction(one: InTheClear, key: bytes) -> str | None:
    document: Mapping[str, Any] = {}
    if one.sealed_person is not None:
        try:
            document = open_document(key, one.sealed_person, context=one.id)
        except CannotOpen:
            return one.sealed_person  # under a key that was erased and made anew
    words = {"transaction_id": one.transaction_id, **document}
    return seal_document(key, words, context=one.id)


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
    view: Reading, wanted: ScoreFilter, group_by: GroupBy | None = None, *, now: datetime
) -> Sequence[GroupedScore]:
    """Return the scores of one metric and one measurement, in the order of their groups.

    Weeks (ISO 8601, from Monday) and months without an answer appear too: a gap is a finding.
    Groups of the other kinds appear when they have answers; without a group there is one row.
    Codes that stand for others count as those. Departments and owners are those who answer for
    the touchpoint ``now``; of touchpoints without one it is unknown.
    """
    folds = await folds_of(view, now=now)
    meant = [_meant(folds, name, value) for name, value in wanted.of.items()]
    if group_by is None:
        whole = await store.sums_by(view, wanted, None, meant=meant)
        return [_grouped({}, wanted, whole[None])]
    if group_by == "week" or group_by == "month":  # noqa: PLR1714 - narrows the type
        spans = {_span(day, group_by): Sums() for day in _days(wanted)}
        for day, sums in (await store.sums_by(view, wanted, "day", meant=meant)).items():
            spans[_span(day, group_by)].merge(sums)
        return [_grouped({group_by: span}, wanted, sums) for span, sums in spans.items()]
    dimension = _dimension(group_by)
    groups: dict[str, Sums] = {}
    for code, sums in (await store.sums_by(view, wanted, dimension, meant=meant)).items():
        value = folds.resolve(dimension, code)
        if group_by == "department" or group_by == "owner":  # noqa: PLR1714 - as above
            value = folds.duty(group_by, value)
        groups.setdefault(value, Sums()).merge(sums)
    return [
        _grouped({group_by: value}, wanted, sums)
        for value, sums in sorted(groups.items())
        if sums.n
    ]


def _dimension(name: Dimension | Duty) -> Dimension:
    if name == "department" or name == "owner":  # noqa: PLR1714 - as above
        return "touchpoint"
    return name


def _meant(folds: Folds, name: Dimension | Duty, value: str) -> tuple[Dimension, Selection]:
    """Return which codes, as they were sent, a filter means."""
    if name == "department" or name == "owner":  # noqa: PLR1714 - as above
        return "touchpoint", folds.touchpoints_of(name, value)
    return name, Selection(codes=folds.of(name, value))


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
