"""What is asked of ingest, what comes back, and what its doors hold."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from services.ingest.domain.part import Part
from services.ingest.store import NaturalKey
from shared.errors import Refused

if TYPE_CHECKING:
    from services.ingest.handlers.counting import Counted
    from services.ingest.handlers.sources import Namespaces
    from shared.clock import Clock
    from shared.db.group import GroupCommit
    from shared.db.room import Room
    from shared.db.transaction import Database
    from shared.identity.person_keys import PersonKeys
    from shared.sealing import Keyring


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordResponse:
    """Record one posted part under its natural key.

    ``namespace`` is where the customer's id counts, by default the source; ``as_new`` treats
    an old answer as if it had been given today. A hook's first part may lack a score: the
    sender cannot be asked to wait until it has one.
    """

    source: str
    external_id: str
    part: Part
    namespace: str | None = None
    as_new: bool = False
    import_id: str | None = None
    may_lack_score: bool = False
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
    """What the doors of ingest hold; ``record`` and ``count`` share commits between requests.

    Both count what they are given: what goes through them needs no counting elsewhere.
    """

    clock: Clock
    database: Database
    keyring: Keyring
    person_keys: PersonKeys
    namespaces: Namespaces = field(repr=False)
    record: GroupCommit[RecordResponse, Outcome] = field(repr=False)
    count: GroupCommit[Counted, None] = field(repr=False)
    room: Room = field(repr=False)
