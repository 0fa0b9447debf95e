"""Rows of ingest in and out: the only file that knows its tables.

Everything takes sequences; a whole batch costs as many statements as one response does.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, delete, insert, or_, select, update

from services.ingest.domain.part import CLEAR
from services.ingest.tables import PLUMBING, idempotency, responses, revisions

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import ColumnElement, Row, Select

    from shared.db.transaction import Reading, Transaction

PROMISED_FOR = timedelta(days=7)
"""How long the answer to a request with an Idempotency-Key is kept."""

_CHUNK = 500

NaturalKey = tuple[str, str]
"""Source and external id: what a sender knows a response by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredResponse:
    """A response as all its parts make it, and where it stands."""

    id: str
    source: str
    external_id: str
    revision: int
    person_ref: str
    clear: Mapping[str, Any]
    answered_at: datetime
    received_at: datetime
    as_new: bool
    has_comment: bool
    sealed_person: str | None = field(repr=False)
    event_id: str
    announced: int
    announced_at: datetime
    state: str = "received"
    reason: str | None = None
    task_id: str | None = None
    themes: Sequence[str] = ()
    handled: int | None = None
    announcements: int = 1
    announce_again_at: datetime | None = None

    def row(self) -> dict[str, Any]:
        """Return the columns."""
        return {
            "id": self.id,
            "source": self.source,
            "external_id": self.external_id,
            "revision": self.revision,
            "person_ref": self.person_ref,
            **_NOTHING_SENT,
            **self.clear,
            "answered_at": self.answered_at,
            "received_at": self.received_at,
            "as_new": self.as_new,
            "has_comment": self.has_comment,
            "sealed_person": self.sealed_person,
            "event_id": self.event_id,
            "announced": self.announced,
            "announced_at": self.announced_at,
            "state": self.state,
            "outcome_reason": self.reason,
            "task_id": self.task_id,
            "themes": self.themes,
            "handled": self.handled,
            "announcements": self.announcements,
            "announce_again_at": self.announce_again_at,
        }


_NOTHING_SENT: dict[str, Any] = dict.fromkeys(CLEAR)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPart:
    """One posting, as it was."""

    response_id: str
    revision: int
    fingerprint: str
    received_at: datetime
    answered_at: datetime | None
    members: Mapping[str, Any]
    person_ref: str
    sealed_person: str | None = field(repr=False)

    def row(self) -> dict[str, Any]:
        """Return the columns."""
        return {
            "response_id": self.response_id,
            "revision": self.revision,
            "fingerprint": self.fingerprint,
            "received_at": self.received_at,
            "answered_at": self.answered_at,
            "members": self.members,
            "person_ref": self.person_ref,
            "sealed_person": self.sealed_person,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Handled:
    """What the loop made of one revision of a response."""

    response_id: str
    revision: int
    state: str
    reason: str | None
    task_id: str | None
    themes: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """The answer once given to a request with an Idempotency-Key."""

    key_digest: str
    fingerprint: str
    answer: Mapping[str, Any]
    created_at: datetime

    def is_stale(self, now: datetime) -> bool:
        """Tell whether its time is over."""
        return self.created_at <= now - PROMISED_FOR


async def find_by_natural_keys(
    tx: Transaction, keys: Iterable[NaturalKey]
) -> dict[NaturalKey, StoredResponse]:
    """Return the responses known under these natural keys, locked until the commit."""
    by_source: dict[str, list[str]] = {}
    for source, external_id in sorted(keys):
        by_source.setdefault(source, []).append(external_id)
    found: dict[NaturalKey, StoredResponse] = {}
    for source, external_ids in by_source.items():
        for start in range(0, len(external_ids), _CHUNK):
            rows = await tx.all(
                select(responses)
                .where(
                    responses.c.source == source,
                    responses.c.external_id.in_(external_ids[start : start + _CHUNK]),
                )
                .order_by(responses.c.id)
                .with_for_update()
            )
            found |= {(row.source, row.external_id): _response(row) for row in rows}
    return found


async def fingerprints_of(
    view: Reading, response_ids: Sequence[str]
) -> dict[str, dict[str, int]]:
    """Return per response the fingerprint of every part and the revision that it made."""
    known: dict[str, dict[str, int]] = {}
    for start in range(0, len(response_ids), _CHUNK):
        rows = await view.all(
            select(
                revisions.c.response_id, revisions.c.fingerprint, revisions.c.revision
            ).where(revisions.c.response_id.in_(response_ids[start : start + _CHUNK]))
        )
        for row in rows:
            known.setdefault(row.response_id, {})[row.fingerprint] = row.revision
    return known


async def parts_of(view: Reading, response_ids: Sequence[str]) -> dict[str, list[StoredPart]]:
    """Return per response every part, in the order of arrival."""
    parts: dict[str, list[StoredPart]] = {}
    for start in range(0, len(response_ids), _CHUNK):
        rows = await view.all(
            select(revisions)
            .where(revisions.c.response_id.in_(response_ids[start : start + _CHUNK]))
            .order_by(revisions.c.response_id, revisions.c.revision)
        )
        for row in rows:
            parts.setdefault(row.response_id, []).append(StoredPart(**row._asdict()))
    return parts


async def add_responses(tx: Transaction, fresh: Sequence[StoredResponse]) -> set[str]:
    """Insert responses in the order of their natural keys; return the ids that got in.

    One that another process recorded first, under the same natural key, is left out.
    """
    if not fresh:
        return set()
    ordered = sorted(fresh, key=lambda one: (one.source, one.external_id))
    await tx.execute(
        tx.insert(responses).on_conflict_do_nothing(index_elements=["source", "external_id"]),
        [one.row() for one in ordered],
    )
    ids = [one.id for one in ordered]
    if tx.dialect == "sqlite":
        return set(ids)  # the only writer has already seen that there was none
    got_in: set[str] = set()
    for start in range(0, len(ids), _CHUNK):
        rows = await tx.all(
            select(responses.c.id).where(responses.c.id.in_(ids[start : start + _CHUNK]))
        )
        got_in |= {row.id for row in rows}
    return got_in


async def add_parts(tx: Transaction, parts: Sequence[StoredPart]) -> None:
    """Insert parts."""
    if parts:
        await tx.execute(insert(revisions), [part.row() for part in parts])


async def save_responses(tx: Transaction, changed: Sequence[StoredResponse]) -> None:
    """Write what became of known responses."""
    if changed:
        columns = [name for name in changed[0].row() if name != "id"]
        await tx.execute(
            update(responses)
            .where(responses.c.id == bindparam("the_id"))
            .values({name: bindparam(f"new_{name}") for name in columns}),
            [
                {"the_id": row.pop("id")} | {f"new_{name}": row[name] for name in columns}
                for row in (one.row() for one in changed)
            ],
        )


async def mark_handled(tx: Transaction, verdicts: Sequence[Handled]) -> None:
    """Write what the loop said; an older revision never overwrites a newer one."""
    if verdicts:
        await tx.execute(
            update(responses)
            .where(
                responses.c.id == bindparam("the_id"),
                or_(
                    responses.c.handled.is_(None),
                    responses.c.handled <= bindparam("the_revision"),
                ),
            )
            .values(
                state=bindparam("new_state"),
                outcome_reason=bindparam("new_reason"),
                task_id=bindparam("new_task"),
                themes=bindparam("new_themes"),
                handled=bindparam("the_revision"),
            ),
            [
                {
                    "the_id": one.response_id,
                    "the_revision": one.revision,
                    "new_state": one.state,
                    "new_reason": one.reason,
                    "new_task": one.task_id,
                    "new_themes": list(one.themes),
                }
                for one in verdicts
            ],
        )
        # Whoever was announced in a later revision is still waited for.
        await tx.execute(
            update(responses)
            .where(
                responses.c.id.in_([one.response_id for one in verdicts]),
                responses.c.handled >= responses.c.announced,
            )
            .values(announce_again_at=None)
        )


async def find_response(view: Reading, response_id: str) -> StoredResponse | None:
    """Return one response, or None."""
    row = await view.first(select(responses).where(responses.c.id == response_id))
    return None if row is None else _response(row)


async def list_responses(
    view: Reading,
    *,
    state: str | None,
    source: str | None,
    external_id: str | None,
    before: str | None,
    limit: int,
) -> list[StoredResponse]:
    """Return up to ``limit`` responses older than the id ``before``, the latest first."""
    wanted: list[ColumnElement[bool]] = []
    if state is not None:
        wanted.append(responses.c.state == state)
    if source is not None:
        wanted.append(responses.c.source == source)
    if external_id is not None:
        wanted.append(responses.c.external_id == external_id)
    if before is not None:
        wanted.append(responses.c.id < before)
    rows = await view.all(
        select(responses).where(*wanted).order_by(responses.c.id.desc()).limit(limit)
    )
    return [_response(row) for row in rows]


def _due(now: datetime) -> Select[Any]:
    return (
        select(responses)
        .where(responses.c.announce_again_at.is_not(None), responses.c.announce_again_at <= now)
        .order_by(responses.c.announce_again_at)
    )


async def unhandled(
    view: Reading, *, now: datetime, waiting: timedelta, limit: int = 200
) -> list[StoredResponse]:
    """Return responses that were accepted longer ago than ``waiting`` and never handled."""
    rows = await view.all(
        select(responses)
        .where(
            responses.c.announce_again_at.is_not(None),
            responses.c.announced_at <= now - waiting,
        )
        .order_by(responses.c.announced_at)
        .limit(limit)
    )
    return [_response(row) for row in rows]


async def has_upkeep(view: Reading, *, now: datetime, before: datetime) -> bool:
    """Tell whether something is to be announced again, or an answer to be forgotten."""
    due = await view.first(_due(now).with_only_columns(responses.c.id).limit(1))
    if due is not None:
        return True
    old = await view.first(
        select(idempotency.c.key_digest).where(idempotency.c.created_at < before).limit(1)
    )
    return old is not None


async def take_due(tx: Transaction, *, now: datetime, limit: int) -> list[StoredResponse]:
    """Return responses that are due to be announced again, locked until the commit."""
    rows = await tx.all(_due(now).limit(limit).with_for_update(skip_locked=True))
    return [_response(row) for row in rows]


async def publish_again(tx: Transaction, event_ids: Sequence[str]) -> set[str]:
    """Put sent outbox rows back into the queue; return the ids whose rows are still there."""
    if not event_ids:
        return set()
    outbox = PLUMBING.outbox
    await tx.execute(
        update(outbox).where(outbox.c.event_id.in_(event_ids)).values(published_at=None)
    )
    rows = await tx.all(select(outbox.c.event_id).where(outbox.c.event_id.in_(event_ids)))
    return {row.event_id for row in rows}


async def set_next_announcements(
    tx: Transaction, due: Mapping[str, tuple[int, datetime]]
) -> None:
    """Write per response how often it was announced and when it will be again."""
    if due:
        await tx.execute(
            update(responses)
            .where(responses.c.id == bindparam("the_id"))
            .values(
                announcements=bindparam("new_count"), announce_again_at=bindparam("new_time")
            ),
            [
                {"the_id": response_id, "new_count": count, "new_time": at}
                for response_id, (count, at) in due.items()
            ],
        )


async def find_promises(view: Reading, digests: Sequence[str]) -> dict[str, Promise]:
    """Return the answers given under these keys."""
    found: dict[str, Promise] = {}
    for start in range(0, len(digests), _CHUNK):
        rows = await view.all(
            select(idempotency).where(
                idempotency.c.key_digest.in_(digests[start : start + _CHUNK])
            )
        )
        found |= {row.key_digest: Promise(**row._asdict()) for row in rows}
    return found


async def add_promises(tx: Transaction, promises: Sequence[Promise]) -> set[str]:
    """Insert answers; return the digests of those that were the first under their key.

    Waits for another process that is answering under the same key.
    """
    got_in: set[str] = set()
    ordered = sorted(promises, key=lambda one: one.key_digest)
    for start in range(0, len(ordered), _CHUNK):
        rows = await tx.all(
            tx.insert(idempotency)
            .values(
                [
                    {
                        "key_digest": one.key_digest,
                        "fingerprint": one.fingerprint,
                        "answer": one.answer,
                        "created_at": one.created_at,
                    }
                    for one in ordered[start : start + _CHUNK]
                ]
            )
            .on_conflict_do_nothing()
            .returning(idempotency.c.key_digest)
        )
        got_in |= {row.key_digest for row in rows}
    return got_in


async def keep_promises(tx: Transaction, answers: Mapping[str, Mapping[str, Any]]) -> None:
    """Write the answers of promises that were added before they were known."""
    if answers:
        await tx.execute(
            update(idempotency)
            .where(idempotency.c.key_digest == bindparam("the_key"))
            .values(answer=bindparam("new_answer")),
            [{"the_key": key, "new_answer": answer} for key, answer in answers.items()],
        )


async def drop_promises(tx: Transaction, digests: Sequence[str]) -> None:
    """Forget answers: the request was refused after all, or its time is over."""
    if digests:
        await tx.execute(delete(idempotency).where(idempotency.c.key_digest.in_(digests)))


async def forget_promises(tx: Transaction, *, before: datetime, limit: int) -> int:
    """Delete up to ``limit`` answers given before a moment; return how many."""
    oldest = (
        select(idempotency.c.key_digest)
        .where(idempotency.c.created_at < before)
        .order_by(idempotency.c.created_at)
        .limit(limit)
    )
    result = await tx.execute(
        delete(idempotency).where(
            idempotency.c.created_at < before, idempotency.c.key_digest.in_(oldest)
        )
    )
    return result.rowcount


def _response(row: Row[Any]) -> StoredResponse:
    return StoredResponse(
        id=row.id,
        source=row.source,
        external_id=row.external_id,
        revision=row.revision,
        person_ref=row.person_ref,
        clear={name: value for name in CLEAR if (value := getattr(row, name)) is not None},
        answered_at=row.answered_at,
        received_at=row.received_at,
        as_new=row.as_new,
        has_comment=row.has_comment,
        sealed_person=row.sealed_person,
        event_id=row.event_id,
        announced=row.announced,
        announced_at=row.announced_at,
        state=row.state,
        reason=row.outcome_reason,
        task_id=row.task_id,
        themes=row.themes,
        handled=row.handled,
        announcements=row.announcements,
        announce_again_at=row.announce_again_at,
    )
