"""Recording responses: a natural key is new, a duplicate, or gets a revision.

``record_responses`` takes everything that arrived together and costs a handful of statements
however many that is. It never commits; whoever opened the transaction does.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from services.ingest import store
from services.ingest.domain.merging import Merged, Posted, check, merge
from services.ingest.domain.part import Part, identifier_of, unusable_in
from services.ingest.store import NaturalKey, Promise, StoredPart, StoredResponse
from shared.errors import Finding, Invalid, Refused
from shared.events.envelope import Envelope, wrap
from shared.events.ingest import ResponseReceived, ResponseRevised
from shared.faults import fault_point
from shared.ids import new_id
from shared.sealing import CannotOpen, open_document, seal_document

if TYPE_CHECKING:
    from shared.clock import Clock
    from shared.db.group import GroupCommit
    from shared.db.transaction import Database, Transaction
    from shared.identity.person_keys import PersonKeys
    from shared.sealing import Keyring

ANNOUNCE_AGAIN_AFTER: Final = timedelta(minutes=15)
MOST_REVISIONS: Final = 1_000
_AT_ONCE: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordResponse:
    """Record one posted part under its natural key."""

    source: str
    external_id: str
    part: Part
    namespace: str | None = None
    as_new: bool = False
    correlation_id: str | None = None
    idempotency_key: str | None = field(default=None, repr=False)

    @property
    def natural_key(self) -> NaturalKey:
        """Return what the sender knows the response by."""
        return self.source, self.external_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """The part is in the database; ``revision`` is the one that it made."""

    id: str
    duplicate: bool
    revision: int
    replayed: bool = False


Outcome = Recorded | Refused
"""What became of one command; a refusal is a value here, so that it costs nobody else."""


@dataclass(frozen=True, kw_only=True)
class Ingest:
    """What the doors of ingest hold."""

    clock: Clock
    database: Database
    keyring: Keyring
    person_keys: PersonKeys
    record: GroupCommit[RecordResponse, Outcome] = field(repr=False)


async def record_many(
    ingest: Ingest,
    commands: Sequence[RecordResponse],
    *,
    finally_: Callable[[Transaction, Sequence[Outcome]], Awaitable[None]] | None = None,
) -> list[Outcome]:
    """Record any number of responses, a thousand to a transaction; one outcome each, in order.

    ``finally_`` is called with every outcome inside the last transaction. Raises ``TryLater``;
    what was recorded until then stands and is a duplicate next time.
    """
    outcomes: list[Outcome] = []
    for start in range(0, max(len(commands), 1), _AT_ONCE):
        async with ingest.database.transaction() as tx:
            outcomes += await record_responses(
                tx,
                commands[start : start + _AT_ONCE],
                now=ingest.clock.now(),
                keyring=ingest.keyring,
                person_keys=ingest.person_keys,
            )
            if finally_ is not None and len(outcomes) == len(commands):
                await finally_(tx, outcomes)
    return outcomes


async def record_responses(
    tx: Transaction,
    commands: Sequence[RecordResponse],
    *,
    now: datetime,
    keyring: Keyring,
    person_keys: PersonKeys,
) -> list[Outcome]:
    """Record what arrived together; return one outcome for each command, in order."""
    recording = _Recording(tx, now, keyring, person_keys)
    outcomes = await recording.run(commands)
    fault_point("ingest.recorded")
    return outcomes


def meanings(keyring: Keyring, purpose: str, *parts: str) -> list[str]:
    """Return the digest of a meaning, and the former secret's while it is being replaced."""
    message = "\x00".join(parts).encode("utf-8", "surrogatepass")
    return [hmac.digest(key, message, sha256).hex() for key in keyring.subkeys(purpose)]


@dataclass(slots=True)
class _Draft:
    """One natural key while a batch is being recorded."""

    id: str
    known: StoredResponse | None
    revisions: dict[str, int]  # by fingerprint
    posted: list[Posted] = field(default_factory=list)
    before: Merged | None = None
    after: Merged | None = None
    fresh: list[tuple[Posted, str, RecordResponse]] = field(default_factory=list)

    @property
    def last(self) -> RecordResponse:
        """Return the command that arrived last."""
        return self.fresh[-1][2]


class _Recording:
    """One batch in one transaction."""

    def __init__(
        self, tx: Transaction, now: datetime, keyring: Keyring, person_keys: PersonKeys
    ) -> None:
        self._tx = tx
        self._now = now
        self._keyring = keyring
        self._person_keys = person_keys

    async def run(self, commands: Sequence[RecordResponse]) -> list[Outcome]:
        prints = [
            meanings(
                self._keyring,
                "response-meanings",
                command.source,
                command.external_id,
                command.part.meaning(),
            )
            for command in commands
        ]
        outcomes: dict[int, Outcome] = {}
        promised = await self._promised(commands, prints, outcomes)
        open_ = [
            n for n in range(len(commands)) if n not in outcomes and n not in promised.later
        ]
        while open_:
            # A key that another process took at the same moment is looked at again.
            open_ = await self._record(commands, prints, open_, outcomes)
        await self._settle(promised, outcomes)
        return [outcomes[n] for n in range(len(commands))]

    async def _record(
        self,
        commands: Sequence[RecordResponse],
        prints: Sequence[list[str]],
        open_: Sequence[int],
        outcomes: dict[int, Outcome],
    ) -> list[int]:
        known = await store.find_by_natural_keys(
            self._tx, {commands[n].natural_key for n in open_}
        )
        drafts = await self._drafts(known, commands, prints, open_)
        changed: dict[NaturalKey, _Draft] = {}
        for n in open_:
            command = commands[n]
            key = command.natural_key
            draft = drafts.get(key)
            if draft is None:
                draft = drafts[key] = _Draft(new_id("rsp"), None, {})
            if (outcome := self._decide(draft, command, prints[n])) is not None:
                outcomes[n] = outcome
            if draft.fresh:
                changed[key] = draft
        lost = await self._save(list(changed.values()))
        if not lost:
            return []
        again = [n for n in open_ if drafts[commands[n].natural_key].id in lost]
        for n in again:
            outcomes.pop(n)
        return again

    async def _drafts(
        self,
        known: Mapping[NaturalKey, StoredResponse],
        commands: Sequence[RecordResponse],
        prints: Sequence[list[str]],
        open_: Sequence[int],
    ) -> dict[NaturalKey, _Draft]:
        """Load what is known under these keys; the parts only where one is to be added."""
        if not known:
            return {}
        revisions = await store.fingerprints_of(
            self._tx, [response.id for response in known.values()]
        )
        drafts = {
            key: _Draft(response.id, response, revisions.get(response.id, {}))
            for key, response in known.items()
        }
        growing = {
            draft.id: draft
            for n in open_
            if (draft := drafts.get(commands[n].natural_key)) is not None
            and draft.revisions.keys().isdisjoint(prints[n])
        }
        if growing:
            parts = await store.parts_of(self._tx, list(growing))
            keys = await self._person_keys.for_reading(
                self._tx, sorted({part.person_ref for rows in parts.values() for part in rows})
            )
            for response_id, draft in growing.items():
                draft.posted = [_posted(part, keys) for part in parts[response_id]]
                draft.before = draft.after = merge(draft.posted)
        return drafts

    def _decide(self, draft: _Draft, command: RecordResponse, prints: Sequence[str]) -> Outcome:
        for fingerprint in prints:
            if (revision := draft.revisions.get(fingerprint)) is not None:
                return Recorded(id=draft.id, duplicate=True, revision=revision)
        revision = max(draft.revisions.values(), default=0) + 1
        posted = Posted(part=command.part, revision=revision, received_at=self._now)
        merged = (
            merge([*draft.posted, posted])
            if draft.posted
            else Merged(part=command.part, answered_at=command.part.answered_at or self._now)
        )
        if revision > MOST_REVISIONS:
            return _too_many_revisions()
        try:
            check(merged.part)
        except Refused as refusal:
            return refusal
        draft.posted.append(posted)
        draft.after = merged
        draft.revisions[prints[0]] = revision
        draft.fresh.append((posted, prints[0], command))
        return Recorded(id=draft.id, duplicate=False, revision=revision)

    async def _save(self, changed: Sequence[_Draft]) -> set[str]:
        """Write and announce; return the ids that another process was faster with."""
        if not changed:
            return set()
        refs = {draft.id: self._ref(draft.id, draft.after, draft.last) for draft in changed}
        part_refs = {
            (draft.id, posted.revision): self._own_ref(posted.part, command) or refs[draft.id]
            for draft in changed
            for posted, _, command in draft.fresh
        }
        personal = {
            refs[draft.id] for draft in changed if draft.after and draft.after.part.is_personal
        } | {
            part_refs[draft.id, posted.revision]
            for draft in changed
            for posted, _, _ in draft.fresh
            if posted.part.is_personal
        }
        keys = await self._person_keys.for_sealing(self._tx, sorted(personal), now=self._now)

        announced: list[tuple[StoredResponse, Envelope]] = []
        added: list[StoredResponse] = []
        saved: list[StoredResponse] = []
        parts: list[StoredPart] = []
        for draft in changed:
            response, envelope = self._response(draft, refs[draft.id], keys)
            (saved if draft.known else added).append(response)
            if envelope is not None:
                announced.append((response, envelope))
            for posted, fingerprint, _ in draft.fresh:
                ref = part_refs[draft.id, posted.revision]
                parts.append(
                    StoredPart(
                        response_id=draft.id,
                        revision=posted.revision,
                        fingerprint=fingerprint,
                        received_at=posted.received_at,
                        answered_at=posted.part.answered_at,
                        members=posted.part.clear,
                        person_ref=ref,
                        sealed_person=response.sealed_person
                        if len(draft.posted) == 1
                        else _sealed(posted.part, keys.get(ref), draft.id),
                    )
                )

        lost = {one.id for one in added} - await store.add_responses(self._tx, added)
        await store.save_responses(self._tx, saved)
        await store.add_parts(self._tx, [p for p in parts if p.response_id not in lost])
        for response, envelope in announced:
            if response.id not in lost:
                self._tx.announce_again(
                    envelope,
                    topic=ResponseReceived.TOPIC,
                    key=response.person_ref,
                    at=self._now,
                )
        return lost

    def _response(
        self, draft: _Draft, ref: str, keys: Mapping[str, bytes]
    ) -> tuple[StoredResponse, Envelope | None]:
        merged, known = draft.after, draft.known
        assert merged is not None  # noqa: S101 - a changed draft has been decided
        revision = draft.posted[-1].revision
        as_new = any(command.as_new for _, _, command in draft.fresh)
        if known is not None and merged == draft.before and (known.as_new or not as_new):
            return replace(known, revision=revision), None  # a loser is stored only
        sealed = _sealed(merged.part, keys.get(ref), draft.id)
        comment = merged.part.comment
        response = StoredResponse(
            id=draft.id,
            source=draft.last.source,
            external_id=draft.last.external_id,
            revision=revision,
            person_ref=ref,
            clear=merged.part.clear,
            answered_at=merged.answered_at,
            received_at=known.received_at if known else self._now,
            as_new=as_new or (known is not None and known.as_new),
            has_comment=sealed is not None and bool(comment and not comment.isspace()),
            sealed_person=sealed,
            event_id=new_id("evt"),
            announced=revision,
            announced_at=self._now,
            state=known.state if known else "received",
            reason=known.reason if known else None,
            task_id=known.task_id if known else None,
            themes=known.themes if known else (),
            handled=known.handled if known else None,
            announce_again_at=self._now + ANNOUNCE_AGAIN_AFTER,
        )
        return response, envelope_of(
            response, first=known is None, correlation_id=draft.last.correlation_id
        )

    def _ref(self, response_id: str, merged: Merged | None, command: RecordResponse) -> str:
        own = self._own_ref(merged.part, command) if merged else None
        return own or response_id

    def _own_ref(self, part: Part, command: RecordResponse) -> str | None:
        identifier = identifier_of(part.customer) if part.customer else None
        if identifier is None:
            return None
        return self._person_keys.ref(command.namespace or command.source, identifier)

    async def _promised(
        self,
        commands: Sequence[RecordResponse],
        prints: Sequence[list[str]],
        outcomes: dict[int, Outcome],
    ) -> _Promised:
        """Answer what was answered before under the same key; claim the other keys."""
        promised = _Promised()
        keyed = {
            n: key_digest(self._keyring, command.source, "POST /v1/responses", key)
            for n, command in enumerate(commands)
            if (key := command.idempotency_key) is not None
        }
        if not keyed:
            return promised
        first: dict[str, int] = {}
        for n, digest in keyed.items():
            if first.setdefault(digest, n) != n:
                promised.later[n] = first[digest]
                if prints[n] != prints[first[digest]]:
                    outcomes[n] = key_reused()
        given = await claim_promises(
            self._tx, {digest: prints[n][0] for digest, n in first.items()}, now=self._now
        )
        for digest, n in first.items():
            if (promise := given.get(digest)) is None:
                promised.claimed[digest] = n
            elif promise.fingerprint in prints[n]:
                outcomes[n] = Recorded(**promise.answer, replayed=True)
            else:
                outcomes[n] = key_reused()
        return promised

    async def _settle(self, promised: _Promised, outcomes: dict[int, Outcome]) -> None:
        for n, first in promised.later.items():
            outcome = outcomes[first]
            if n not in outcomes:
                outcomes[n] = (
                    replace(outcome, replayed=True)
                    if isinstance(outcome, Recorded)
                    else outcome
                )
        answers: dict[str, dict[str, Any]] = {}
        refused: list[str] = []
        for digest, n in promised.claimed.items():
            outcome = outcomes[n]
            if isinstance(outcome, Recorded):
                answers[digest] = {
                    "id": outcome.id,
                    "duplicate": outcome.duplicate,
                    "revision": outcome.revision,
                }
            else:
                refused.append(digest)
        await store.keep_promises(self._tx, answers)
        await store.drop_promises(self._tx, refused)


@dataclass(slots=True)
class _Promised:
    claimed: dict[str, int] = field(default_factory=dict)
    later: dict[int, int] = field(default_factory=dict)


def key_digest(keyring: Keyring, source: str, route: str, key: str) -> str:
    """Return under what an Idempotency-Key is remembered."""
    return keyring.mac("idempotency-keys", source, route, key)


async def claim_promises(
    tx: Transaction, fingerprints: Mapping[str, str], *, now: datetime
) -> dict[str, Promise]:
    """Claim these keys; return the promises of those that were given before."""
    digests = sorted(fingerprints)
    given = await store.find_promises(tx, digests)
    stale = [key for key, one in given.items() if one.is_stale(now)]
    await store.drop_promises(tx, stale)
    for digest in stale:
        del given[digest]
    wanted = [
        Promise(key_digest=digest, fingerprint=fingerprints[digest], answer={}, created_at=now)
        for digest in digests
        if digest not in given
    ]
    claimed = await store.add_promises(tx, wanted)
    beaten = [one.key_digest for one in wanted if one.key_digest not in claimed]
    return given | await store.find_promises(tx, beaten) if beaten else given


def key_reused() -> Invalid:
    """Return the refusal of an Idempotency-Key that came with another meaning before."""
    return Invalid(
        "This Idempotency-Key was used for a request with another meaning. Nothing was changed;"
        " use a new key for a new request.",
        extra={"code": "idempotency_key_reused"},
    )


def _too_many_revisions() -> Invalid:
    return Invalid(
        "This response has too many revisions.",
        [
            Finding(
                pointer="/external_id",
                code="too_many_revisions",
                detail=f"A response can be revised {MOST_REVISIONS:,} times.",
                fix="Use one external_id for one answer.",
            )
        ],
    )


def envelope_of(
    response: StoredResponse, *, first: bool, correlation_id: str | None = None
) -> Envelope:
    """Return the announcement of a response as it stands, under its own event id."""
    clear = response.clear
    kind = ResponseReceived if first else ResponseRevised
    event = kind(
        response_id=response.id,
        revision=response.announced,
        source=response.source,
        external_id=response.external_id,
        **{"measurement": "transactional", "metric": "nps", "score": None, **clear},
        answered_at=response.answered_at,
        received_at=response.received_at,
        as_new=response.as_new,
        person_ref=response.person_ref,
        has_comment=response.has_comment,
        person=response.sealed_person,
    )
    return wrap(
        event,
        event_id=response.event_id,
        at=response.announced_at,
        correlation_id=correlation_id,
    )


def _posted(stored: StoredPart, keys: Mapping[str, bytes]) -> Posted:
    """Return a part as it was posted; what was erased stays away."""
    document: dict[str, Any] = {}
    if stored.sealed_person is not None and (key := keys.get(stored.person_ref)) is not None:
        try:
            document = open_document(key, stored.sealed_person, context=stored.response_id)
        except CannotOpen:
            document = {}  # sealed under a key that was erased and made anew
    return Posted(
        part=Part(
            clear=stored.members,
            answered_at=stored.answered_at,
            comment=document.get("comment"),
            customer=document.get("customer", {}),
            attributes=document.get("attributes", {}),
        ),
        revision=stored.revision,
        received_at=stored.received_at,
    )


def _sealed(part: Part, key: bytes | None, response_id: str) -> str | None:
    """Seal what is personal; None if there is nothing, or if the person was erased."""
    if key is None or not part.is_personal:
        return None
    document: dict[str, Any] = {
        "customer": part.customer,
        "comment": part.comment,
        "attributes": part.attributes,
    }
    if unusable := unusable_in(part.customer):
        document["unusable"] = unusable
    return seal_document(key, document, context=response_id)
