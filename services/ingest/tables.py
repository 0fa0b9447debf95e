"""The tables of ingest; every name begins with ``ingest_``.

A response's row holds what all its parts together say, as they said it: members that nobody
sent are NULL, defaults are applied on reading. What is personal is sealed.
"""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    Date,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)

from shared.db.base import Json, UtcDateTime, metadata
from shared.db.plumbing import plumbing
from shared.identity.erasure import PersonalColumn
from shared.identity.rewrapping import SealedColumn, plumbing_columns

PLUMBING = plumbing("ingest")

responses = Table(
    "ingest_responses",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("source", String(100), nullable=False),
    # A keyed digest of the sender's id: that may be an order, or an address. Rows of before
    # hold the id itself until they are sealed.
    Column("natural_key", String(200), nullable=False),
    Column("keyed", Boolean, nullable=False, server_default=false()),
    Column("revision", Integer, nullable=False),
    Column("person_ref", String(40), nullable=False, index=True),
    Column("measurement", String(20)),
    Column("metric", String(10)),
    Column("score", SmallInteger),
    Column("sentiment", String(10)),
    Column("language", String(200)),
    Column("touchpoint", String(200)),
    # Of rows of before, until they are sealed.
    Column("transaction_id", String(200)),
    Column("segment", String(200)),
    Column("product", String(200)),
    Column("channel", String(200)),
    Column("reason", String(200)),
    Column("emotion", String(200)),
    Column("question_version", String(200)),
    Column("answered_at", UtcDateTime, nullable=False),
    # Whether a sender said when; otherwise it is the time of arrival.
    Column("dated", Boolean, nullable=False),
    Column("received_at", UtcDateTime, nullable=False),
    Column("as_new", Boolean, nullable=False),
    # The import it came with, NULL for what a system posted by itself.
    Column("import_id", String(40)),
    Column("has_comment", Boolean, nullable=False),
    Column("sealed_person", Text),
    Column("first_fingerprint", String(64), nullable=False),
    # What the loop made of it, as far as we have been told.
    Column("state", String(12), nullable=False),
    Column("outcome_reason", String(200)),
    Column("task_id", String(40)),
    # Of which version of the task ``state`` speaks; NULL while only a verdict is known.
    Column("task_version", Integer),
    Column("themes", Json),
    # Which revision was announced last and which one the loop has taken in.
    Column("event_id", String(40), nullable=False),
    Column("announced", Integer, nullable=False),
    Column("announced_at", UtcDateTime, nullable=False),
    Column("handled", Integer),
    Column("announcements", Integer, nullable=False),
    Column("announce_again_at", UtcDateTime),
    # Under the name of before: on SQLite a constraint cannot be renamed.
    UniqueConstraint("source", "natural_key", name="uq_ingest_responses_source_external_id"),
    Index(
        "ix_ingest_responses_not_keyed",
        "id",
        sqlite_where=text("keyed = 0"),
        postgresql_where=text("NOT keyed"),
    ),
    # Ids sort by time: a source's latest response and how many came today are one look-up.
    Index("ix_ingest_responses_of_source", "source", "id"),
    Index(
        "ix_ingest_responses_import_id",
        "import_id",
        sqlite_where=text("import_id IS NOT NULL"),
        postgresql_where=text("import_id IS NOT NULL"),
    ),
    # What still tells whose it is, by age; and whose open task needs them.
    Index(
        "ix_ingest_responses_kept",
        "received_at",
        sqlite_where=text("sealed_person != 'erased'"),
        postgresql_where=text("sealed_person != 'erased'"),
    ),
    Index(
        "ix_ingest_responses_task_open",
        "person_ref",
        sqlite_where=text("state = 'task_open'"),
        postgresql_where=text("state = 'task_open'"),
    ),
    Index(
        "ix_ingest_responses_unhandled",
        "announce_again_at",
        sqlite_where=text("announce_again_at IS NOT NULL"),
        postgresql_where=text("announce_again_at IS NOT NULL"),
    ),
)

revisions = Table(
    "ingest_revisions",
    metadata,
    Column("response_id", ForeignKey("ingest_responses.id"), primary_key=True),
    Column("revision", Integer, primary_key=True),
    Column("fingerprint", String(64), nullable=False),
    Column("received_at", UtcDateTime, nullable=False),
    # NULL: the sender did not say.
    Column("answered_at", UtcDateTime),
    Column("members", Json, nullable=False),
    Column("person_ref", String(40), nullable=False, index=True),
    Column("sealed_person", Text),
)
"""Each part of a response that came in several, as it was posted.

While there is only one, the response's own row says the same, and nothing is written twice.
"""

sources = Table(
    "ingest_sources",
    metadata,
    Column("name", String(100), primary_key=True),
    Column("sender", String(40)),
    Column("mapping", Json),
    Column("namespace", String(100)),
    Column("silent_after_hours", Integer),
    # What the last change replaced, so that it can be brought back.
    Column("former", Json),
    # Since when it is silent and somebody was told; NULL while it delivers.
    Column("silent_since", UtcDateTime),
    # What its signatures are checked with, under a key of the installation.
    Column("sealed_secrets", LargeBinary),
    Column("version", Integer, nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
    Column("changed_by", String(40), nullable=False),
)
"""Settings of those sources that have any."""

tallies = Table(
    "ingest_tallies",
    metadata,
    Column("source", String(100), primary_key=True),
    Column("day", Date, primary_key=True),
    Column("outcome", String(12), primary_key=True),
    # A stable code, never the sender's words.
    Column("reason", String(80), primary_key=True),
    Column("n", Integer, nullable=False),
)
"""What became of what a source sent, by day; accepted responses are counted where they lie."""

payloads = Table(
    "ingest_payloads",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("source", String(100), nullable=False),
    Column("at", UtcDateTime, nullable=False, index=True),
    Column("content_type", String(200), nullable=False),
    Column("outcome", String(12), nullable=False),
    Column("reason", String(80)),
    # Where in the payload something was missing or wrong, in the mapping's words.
    Column("path", String(400)),
    # Whose words are in it, as far as it could be read.
    Column("person_refs", Json, nullable=False),
    # The body as it came, under a key of the installation.
    Column("sealed_body", LargeBinary, nullable=False),
    Index("ix_ingest_payloads_of_source", "source", "id"),
)
"""The last things that sources sent, for seven days: to try a mapping on."""

PERSONAL = (
    PersonalColumn(table="ingest_responses", column="sealed_person", how="sealed"),
    PersonalColumn(table="ingest_responses", column="natural_key", how="scrub"),
    PersonalColumn(table="ingest_responses", column="transaction_id", how="scrub"),
    PersonalColumn(table="ingest_revisions", column="sealed_person", how="sealed"),
    PersonalColumn(table="ingest_payloads", column="sealed_body", how="scrub"),
    PersonalColumn(table="ingest_dead_letters", column="sealed_body", how="scrub"),
    PersonalColumn(table="ingest_requests", column="sealed_answer", how="sealed"),
)
"""What dies with a person's key. A response also goes by its own id as a person of its own,
whose key goes with that of whoever it turns out to be; what could not be handled is wiped once
somebody has looked at it."""

SEALED = (
    SealedColumn(
        table=sources, column="sealed_secrets", purpose="source-secrets", context=("name",)
    ),
    SealedColumn(table=payloads, column="sealed_body", purpose="payload-samples"),
    *plumbing_columns(PLUMBING),
)
"""What is under a key of the installation."""
