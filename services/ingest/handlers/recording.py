"""Recording responses: a natural key is new, a duplicate, or gets a revision.

``record_responses`` takes everything that arrived together and costs a handful of statements
however many that is. It never commits; whoever opened the transaction does.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Final

from services.ingest import store
from services.ingest.domain.merging import Merged, Posted, check, merge
from services.ingest.domain.part import Part, identifier_of
from services.ingest.domain.sources import Outcome as Became
from services.ingest.handlers import promises
from services.ingest.handlers.announcing import ANNOUNCE_AGAIN_AFTER, announce, envelope_of
from services.ingest.handlers.commands import Outcome, Recorded, RecordResponse
from services.ingest.handlers.counting import count_recorded
from services.ingest.handlers.promises import meanings
from services.ingest.handlers.sealing import open_sealed, seal_earlier, sealed_part
from services.ingest.store import NaturalKey, StoredPart, StoredResponse
from shared.errors import Finding, Invalid, Refused
from shared.faults import fault_point
from shared.ids import new_id

if TYPE_CHECKING:
    from services.ingest.handlers.commands import Ingest
    from shared.db.transaction import Transaction
    from shared.identity.person_keys import PersonKeys
    from shared.sealing import Keyring

MOST_REVISIONS: Final = 1_000
_AT_ONCE: Final = 1_000


async def record_many(
    ingest: Ingest,
    commands: Sequence[RecordResponse],
    *,
    besides: Sequence[tuple[str, Became, str, int]] = (),
    finally_: Callable[[Transaction, Sequence[Outcome]], Awaitable[None]] | None = None,
) -> list[Outcome]:
    """Record any number of responses, a thousand to a transaction; one outcome each, in order.

    ``finally_`` is called with every outcome inside the last transaction, and ``besides`` is
    counted there: source, outcome, reason and number of what was no command. Raises
    ``TryLater``; what was recorded until then stands and is a duplicate next time.
    """
    outcomes: list[Outcome] = []
    for start in range(0, max(len(commands), 1), _AT_ONCE):
        async with ingest.database.transaction() as tx:
            now = ingest.clock.now()
            some = commands[start : start + _AT_ONCE]
            await ingest.room.require(tx, len(some))
            recorded = await record_responses(
                tx,
                some,
                now=now,
                keyring=ingest.keyring,
                person_keys=ingest.person_keys,
            )
            outcomes += recorded
            is_last = len(outcomes) == len(commands)
            if finally_ is not None and is_last:
                await finally_(tx, outcomes)
            await count_recorded(tx, some, recorded, besides if is_last else (), now=now)
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


@dataclass(slots=True)
class _Draft:
    """One natural key while a batch is being recorded."""

    id: str
    known: StoredResponse | None
    revisions: dict[str, int]  # by fingerprint
    stored: list[StoredPart] = field(default_factory=list)
    posted: list[Posted] = field(default_factory=list)
    before: Merged | None = None
    fresh: list[tuple[Posted, str, RecordResponse]] = field(default_factory=list)
    after: Merged | None = None
    ref: str = ""
    part_refs: dict[int, str] = field(default_factory=dict)
    is_erased: bool = False  # whoever it was of; what comes later is theirs too

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
        self._digests: dict[NaturalKey, str] = {}

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
        self._digests = {
            command.natural_key: store.natural_key_of(self._keyring, command.external_id)
            for command in commands
        }
        outcomes: dict[int, Outcome] = {}
        promised = await promises.begin(
            self._tx, self._keyring, commands, prints, outcomes, now=self._now
        )
        settled = outcomes.keys() | promised.later.keys()
        open_ = [n for n in range(len(commands)) if n not in settled]
        while open_:
            # A key that another process took at the same moment is looked at again.
            open_ = await self._record(commands, prints, open_, outcomes)
        await promises.settle(self._tx, self._keyring, promised, outcomes)
        return [outcomes[n] for n in range(len(commands))]

    async def _record(
        self,
        commands: Sequence[RecordResponse],
        prints: Sequence[list[str]],
        open_: Sequence[int],
        outcomes: dict[int, Outcome],
    ) -> list[int]:
        """Decide, then write; return the commands that another process was faster with."""
        known = await self._known(
            {key: self._digests[key] for key in (commands[n].natural_key for n in open_)}
        )
        drafts = await self._drafts(known, commands, prints, open_)
        changed: dict[str, _Draft] = {}
        for n in open_:
            command = commands[n]
            draft = drafts.get(command.natural_key)
            if draft is None:
                draft = drafts[command.natural_key] = _Draft(new_id("rsp"), None, {})
            outcomes[n] = self._decide(draft, command, prints[n])
            if draft.fresh:
                changed[draft.id] = draft
        lost = await self._save(list(changed.values()))
        if not lost:
            return []
        again = [n for n in open_ if drafts[commands[n].natural_key].id in lost]
        for n in again:
            del outcomes[n]
        return again

    async def _known(self, keys: Mapping[NaturalKey, str]) -> dict[NaturalKey, StoredResponse]:
        """Return what is known under these keys, locked, and sealed as all is today."""
        known = await store.find_by_natural_keys(self._tx, keys)
        if earlier := [one.id for one in known.values() if not one.keyed]:
            await seal_earlier(
                self._tx,
                earlier,
                keyring=self._keyring,
                person_keys=self._person_keys,
                now=self._now,
            )
            known = await store.find_by_natural_keys(self._tx, keys)
        return known

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
        revisions = await store.fingerprints_of(self._tx, known.values())
        drafts = {
            key: _Draft(response.id, response, revisions[response.id])
            for key, response in known.items()
        }
        growing = {
            response.id: drafts[key]
            for n in open_
            if (response := known.get(key := commands[n].natural_key)) is not None
            and revisions[response.id].keys().isdisjoint(prints[n])
        }
        if growing:
            parts = await store.parts_of(
                self._tx, [one for one in known.values() if one.id in growing]
            )
            keys = await self._person_keys.for_reading(
                self._tx, sorted({part.person_ref for rows in parts.values() for part in rows})
            )
            for response_id, draft in growing.items():
                draft.stored = parts[response_id]
                draft.posted = [_posted(part, keys) for part in draft.stored]
                draft.before = merge(draft.posted)
        return drafts

    def _decide(self, draft: _Draft, command: RecordResponse, prints: Sequence[str]) -> Outcome:
        for fingerprint in prints:
            if (revision := draft.revisions.get(fingerprint)) is not None:
                return Recorded(id=draft.id, duplicate=True, revision=revision)
        revision = len(draft.posted) + 1
        if revision > MOST_REVISIONS:
            return _too_many_revisions()
        posted = Posted(part=command.part, revision=revision, received_at=self._now)
        merged = merge([*draft.posted, posted])
        try:
            check(merged.part, may_lack_score=command.may_lack_score)
        except Refused as refusal:
            return refusal
        draft.posted.append(posted)
        draft.fresh.append((posted, prints[0], command))
        draft.revisions[prints[0]] = revision
        draft.after = merged
        return Recorded(id=draft.id, duplicate=False, revision=revision)

    async def _save(self, changed: Sequence[_Draft]) -> set[str]:
        """Write and announce; return the ids that another process was faster with."""
        if not changed:
            return set()
        known_refs = sorted({one.known.person_ref for one in changed if one.known})
        erased = await self._person_keys.erased(self._tx, known_refs)
        for draft in changed:
            draft.is_erased = draft.known is not None and draft.known.person_ref in erased
        keys = await self._keys(changed)
        await self._person_keys.attribute(
            self._tx,
            {
                draft.id: draft.ref
                for draft in changed
                if draft.known and draft.known.person_ref != draft.ref
            },
            now=self._now,
        )
        added: list[StoredResponse] = []
        saved: list[StoredResponse] = []
        parts: list[StoredPart] = []
        announced: list[StoredResponse] = []
        for draft in changed:
            response, is_news = self._response(draft, keys)
            (saved if draft.known else added).append(response)
            if is_news:
                announced.append(response)
            if response.revision > 1:
                parts += self._parts(draft, keys)

        lost = {one.id for one in added} - await store.add_responses(self._tx, added)
        await store.save_responses(self._tx, saved)
        await store.add_parts(self._tx, [one for one in parts if one.response_id not in lost])
        causes = {draft.id: draft.last.correlation_id for draft in changed}
        known = {one.id for one in saved}
        for response in announced:
            if response.id not in lost:
                envelope = envelope_of(
                    response,
                    first=response.id not in known,
                    correlation_id=causes[response.id],
                )
                announce(self._tx, envelope, response, at=self._now)
        return lost

    async def _keys(self, changed: Sequence[_Draft]) -> dict[str, bytes]:
        """Return the keys under which these drafts will be sealed."""
        own: set[str] = set()
        shared: set[str] = set()
        for draft in changed:
            personal = self._refs(draft)
            if draft.known is None and draft.id in personal:
                personal.remove(draft.id)
                own.add(draft.id)
            shared |= personal
        keys = await self._person_keys.for_sealing(self._tx, sorted(shared), now=self._now)
        return keys | await self._person_keys.for_new(self._tx, sorted(own), now=self._now)

    def _refs(self, draft: _Draft) -> set[str]:
        """Decide whose the response and its new parts are; return who has something to seal.

        A part that names nobody belongs to the person of the whole. What was said for somebody
        who was erased stays theirs, whatever name it comes under. The whole is always sealed:
        the sender's id for it may lead to a person.
        """
        assert draft.after is not None  # noqa: S101 - whoever has fresh parts was merged
        whole = draft.after.part
        named = None if draft.is_erased else self._ref(whole, draft.last)
        draft.ref = named or (
            # Whoever was erased is not named any more, and is it all the same.
            draft.known.person_ref if draft.known else draft.id
        )
        personal = {draft.ref}
        if len(draft.posted) > 1:
            for posted, _, command in draft.fresh:
                own = None if draft.is_erased else self._ref(posted.part, command)
                ref = own or draft.ref
                draft.part_refs[posted.revision] = ref
                if posted.part.is_personal:
                    personal.add(ref)
        return personal

    def _response(
        self, draft: _Draft, keys: Mapping[str, bytes]
    ) -> tuple[StoredResponse, bool]:
        """Return the response as it now stands, and whether there is anything to tell."""
        merged, known = draft.after, draft.known
        assert merged is not None  # noqa: S101 - whoever has fresh parts was merged
        revision = len(draft.posted)
        as_new = any(command.as_new for _, _, command in draft.fresh)
        if known is not None and merged == draft.before and (known.as_new or not as_new):
            return replace(known, revision=revision), False  # a loser is stored only
        external_id = draft.last.external_id
        sealed = sealed_part(
            merged.part, keys.get(draft.ref), draft.id, external_id=external_id
        )
        comment = merged.part.comment
        response = StoredResponse(
            id=draft.id,
            source=draft.last.source,
            natural_key=self._digests[draft.last.natural_key],
            revision=revision,
            person_ref=draft.ref,
            clear=merged.part.clear,
            answered_at=merged.answered_at,
            dated=merged.part.answered_at is not None,
            received_at=self._now,
            as_new=as_new,
            import_id=draft.last.import_id,
            has_comment=sealed is not None and bool(comment and not comment.isspace()),
            sealed_person=sealed,
            first_fingerprint=draft.fresh[0][1],
            event_id=new_id("evt"),
            announced=revision,
            announced_at=self._now,
            announce_again_at=self._now + ANNOUNCE_AGAIN_AFTER,
        )
        if known is None:
            return response, True
        return replace(
            response,
            received_at=known.received_at,
            as_new=as_new or known.as_new,
            first_fingerprint=known.first_fingerprint,
            state=known.state,
            reason=known.reason,
            task_id=known.task_id,
            task_version=known.task_version,
            themes=known.themes,
            handled=known.handled,
        ), True

    def _parts(self, draft: _Draft, keys: Mapping[str, bytes]) -> list[StoredPart]:
        """Return the parts that are to be written: of a single one there was no row yet."""
        parts = draft.stored[:] if draft.known and draft.known.revision == 1 else []
        for posted, fingerprint, _ in draft.fresh:
            ref = draft.part_refs[posted.revision]
            parts.append(
                StoredPart(
                    response_id=draft.id,
                    revision=posted.revision,
                    fingerprint=fingerprint,
                    received_at=posted.received_at,
                    answered_at=posted.part.answered_at,
                    members=posted.part.clear,
                    person_ref=ref,
                    sealed_person=sealed_part(posted.part, keys.get(ref), draft.id),
                )
            )
        return parts

    def _ref(self, part: Part, command: RecordResponse) -> str | None:
        identifier = identifier_of(part.customer) if part.customer else None
        if identifier is None:
            return None
        return self._person_keys.ref(command.namespace or command.source, identifier)


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


def _posted(stored: StoredPart, keys: Mapping[str, bytes]) -> Posted:
    """Return a part as it was posted; what was erased stays away."""
    document = open_sealed(
        stored.sealed_person, keys.get(stored.person_ref), stored.response_id
    )
    return Posted(
        part=Part(
            clear=stored.members,
            answered_at=stored.answered_at,
            transaction_id=document.get("transaction_id"),
            comment=document.get("comment"),
            customer=document.get("customer", {}),
            attributes=document.get("attributes", {}),
        ),
        revision=stored.revision,
        received_at=stored.received_at,
    )
