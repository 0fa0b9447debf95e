"""The tables every service owns a set of, and the few that all share.

Each service has its own outbox, inbox, dead letters, timers and remembered requests under its
own prefix, so that on the scaled-out footing its database user needs rights on nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    UniqueConstraint,
    text,
)

from shared.db.base import Json, UtcDateTime, metadata

# SQLite counts only an INTEGER PRIMARY KEY by itself.
Sequence = BigInteger().with_variant(Integer, "sqlite")


@dataclass(frozen=True, kw_only=True)
class Plumbing:
    """One service's hand-over tables."""

    owner: str
    outbox: Table
    inbox: Table
    dead_letters: Table
    timers: Table
    requests: Table


def plumbing(owner: str) -> Plumbing:
    """Declare the hand-over tables of one service on the common metadata."""
    outbox = Table(
        f"{owner}_outbox",
        metadata,
        Column("seq", Sequence, primary_key=True, autoincrement=True),
        Column("event_id", String(40), nullable=False, unique=True),
        Column("topic", String(80), nullable=False),
        Column("key", String(80), nullable=False),
        Column("body", LargeBinary, nullable=False),
        Column("created_at", UtcDateTime, nullable=False),
        Column("published_at", UtcDateTime),
        Index(
            f"ix_{owner}_outbox_unpublished",
            "seq",
            sqlite_where=text("published_at IS NULL"),
            postgresql_where=text("published_at IS NULL"),
        ),
        sqlite_autoincrement=True,
    )
    inbox = Table(
        f"{owner}_inbox",
        metadata,
        Column("consumer", String(40), primary_key=True),
        # As long as an envelope lets an id be: other programs may publish to our topics too.
        Column("event_id", String(80), primary_key=True),
        Column("handled_at", UtcDateTime, nullable=False),
    )
    dead_letters = Table(
        f"{owner}_dead_letters",
        metadata,
        Column("id", String(40), primary_key=True),
        Column("consumer", String(40), nullable=False),
        Column("topic", String(80), nullable=False),
        Column("partition", Integer, nullable=False),
        Column("offset", BigInteger, nullable=False),
        Column("event_id", String(80)),
        Column("event_type", String(80)),
        Column("key", String(200)),
        # The record as it was read, under a key of the installation: it may hold anything.
        Column("sealed_body", LargeBinary, nullable=False),
        Column("headers", Json, nullable=False),
        Column("error", String(200), nullable=False),
        Column("digest", String(64), nullable=False),
        Column("tries", Integer, nullable=False),
        Column("state", String(12), nullable=False, index=True),
        Column("parked_at", UtcDateTime, nullable=False),
        Column("settled_at", UtcDateTime),
        UniqueConstraint("consumer", "topic", "partition", "offset"),
    )
    timers = Table(
        f"{owner}_timers",
        metadata,
        Column("id", String(40), primary_key=True),
        Column("kind", String(40), nullable=False),
        Column("subject", String(40), nullable=False),
        Column("due_at", UtcDateTime, nullable=False),
        Column("done_at", UtcDateTime),
        Column("outcome", String(20)),
        Column("token", String(60)),
        Column("lease_until", Double),
        UniqueConstraint("kind", "subject"),
        Index(
            f"ix_{owner}_timers_open",
            "due_at",
            sqlite_where=text("done_at IS NULL"),
            postgresql_where=text("done_at IS NULL"),
        ),
    )
    requests = Table(
        f"{owner}_requests",
        metadata,
        # A digest of caller, route and key: some senders put an address into the key.
        Column("key_digest", String(64), primary_key=True),
        Column("fingerprint", String(64), nullable=False),
        # The answer as it was given, sealed: it may show a secret. Empty while it is made.
        Column("sealed_answer", LargeBinary, nullable=False),
        # Whose key it is sealed under, where it holds somebody's words.
        Column("person_ref", String(40)),
        Column("created_at", UtcDateTime, nullable=False, index=True),
    )
    return Plumbing(
        owner=owner,
        outbox=outbox,
        inbox=inbox,
        dead_letters=dead_letters,
        timers=timers,
        requests=requests,
    )


leases = Table(
    "shared_leases",
    metadata,
    Column("name", String(80), primary_key=True),
    Column("token", String(60), nullable=False),
    Column("lease_until", Double, nullable=False),
)
"""Who may do a thing that only one worker at a time may do; times by the database's clock."""

log = Table(
    "shared_log",
    metadata,
    Column("topic", String(80), primary_key=True),
    Column("offset", BigInteger, primary_key=True, autoincrement=False),
    Column("key", String(80), nullable=False),
    Column("body", LargeBinary),
    Column("headers", Json, nullable=False),
    Column("appended_at", UtcDateTime, nullable=False),
)
"""The embedded bus: what Kafka's partitions are elsewhere."""

log_heads = Table(
    "shared_log_heads",
    metadata,
    Column("topic", String(80), primary_key=True),
    Column("next_offset", BigInteger, nullable=False),
)
"""The next free offset per topic; its row lock makes offset order equal commit order."""

log_positions = Table(
    "shared_log_positions",
    metadata,
    Column("consumer", String(40), primary_key=True),
    Column("topic", String(80), primary_key=True),
    Column("next_offset", BigInteger, nullable=False),
)
"""How far each consumer of the embedded bus has read."""
