"""The tables of notify; every name begins with ``notify_``.

A delivery is one alert to one target. What it says about the person is either sealed under the
person's key or not in it at all, so that erasing a person reaches what was captured and stored.
"""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from shared.db.base import Json, UtcDateTime, metadata
from shared.db.plumbing import plumbing
from shared.identity.erasure import PersonalColumn
from shared.identity.rewrapping import SealedColumn, plumbing_columns

PLUMBING = plumbing("notify")

webhooks = Table(
    "notify_webhooks",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("url", String(2_048), nullable=False),
    Column("events", Json, nullable=False),
    Column("detail", String(4), nullable=False),
    Column("state", String(10), nullable=False),
    Column("disabled_reason", String(40)),
    # The secrets that sign, newest first, under a key of the installation.
    Column("sealed_secrets", LargeBinary, nullable=False),
    # Since when nothing has got through, how often it failed since, and that we said so.
    Column("failing_since", UtcDateTime),
    Column("failures", Integer, nullable=False, server_default=text("0")),
    Column("warned_at", UtcDateTime),
    Column("disabled_at", UtcDateTime),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", String(40), nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
)

ENDED = (
    "state IN ('delivered', 'failed', 'held') AND coalesce(reason, '') != 'nobody_to_tell'"
    " AND (channel = 'email' OR coalesce(sealed_person, 'erased') = 'erased')"
)
"""Deliveries that go when their time is over: nobody waits for them, and no receiver has words
of a customer by them who is not forgotten yet, and of whom it must be told then."""

deliveries = Table(
    "notify_deliveries",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("event_id", String(80), nullable=False),
    Column("event_type", String(80), nullable=False),
    Column("channel", String(10), nullable=False),
    # A webhook's id, a member of staff's, or a team's.
    Column("target", String(40), nullable=False),
    Column("purpose", String(40), nullable=False),
    # What waits its turn together: one endpoint, or all mail.
    Column("lane", String(40), nullable=False),
    Column("task_id", String(40)),
    Column("response_id", String(40)),
    # The import that its tasks came with.
    Column("import_id", String(40)),
    # What a summary gathers, while it does: of each kind one that may still grow.
    Column("gathering", String(160)),
    Column("correlation_id", String(80)),
    # The webhook's body as it is signed, or what a mail is made of; without personal members.
    Column("payload", LargeBinary, nullable=False),
    Column("person_ref", String(40), index=True),
    # The person's words and customer block, sealed as the event carried them.
    Column("sealed_person", Text),
    # The delivery in whose place this one is: it could not be delivered, or not in time.
    Column("instead_of", String(40)),
    # The mailbox and its language of a member of staff or a team; empty for webhooks.
    Column("recipient", Json),
    Column("state", String(10), nullable=False),
    Column("reason", String(40)),
    Column("attempts", Integer, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("in_doubt", Boolean, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("first_tried_at", UtcDateTime),
    Column("next_attempt_at", UtcDateTime),
    Column("settled_at", UtcDateTime),
    Column("token", String(60)),
    Column("lease_until", Double),
    UniqueConstraint("event_id", "channel", "target", "purpose"),
    Index(
        "ix_notify_deliveries_due",
        "next_attempt_at",
        sqlite_where=text("state = 'due'"),
        postgresql_where=text("state = 'due'"),
    ),
    Index(
        "ix_notify_deliveries_sending",
        "lease_until",
        sqlite_where=text("state = 'sending'"),
        postgresql_where=text("state = 'sending'"),
    ),
    Index(
        "ix_notify_deliveries_unaddressed",
        "target",
        "id",
        sqlite_where=text("reason = 'nobody_to_tell'"),
        postgresql_where=text("reason = 'nobody_to_tell'"),
    ),
    Index(
        "ix_notify_deliveries_in_doubt",
        "id",
        sqlite_where=text("in_doubt = 1"),
        postgresql_where=text("in_doubt"),
    ),
    Index(
        "ix_notify_deliveries_task_done",
        "task_id",
        sqlite_where=text("reason = 'task_done'"),
        postgresql_where=text("reason = 'task_done'"),
    ),
    Index(
        "ix_notify_deliveries_gathering",
        "gathering",
        unique=True,
        sqlite_where=text("gathering IS NOT NULL"),
        postgresql_where=text("gathering IS NOT NULL"),
    ),
    Index(
        "ix_notify_deliveries_import_id",
        "import_id",
        "id",
        sqlite_where=text("import_id IS NOT NULL"),
        postgresql_where=text("import_id IS NOT NULL"),
    ),
    Index(
        "ix_notify_deliveries_ended",
        "created_at",
        sqlite_where=text(ENDED),
        postgresql_where=text(ENDED),
    ),
    Index("ix_notify_deliveries_state_id", "state", "id"),
    Index("ix_notify_deliveries_target_id", "target", "id"),
)

summary_items = Table(
    "notify_summary_items",
    metadata,
    Column("delivery_id", ForeignKey("notify_deliveries.id"), primary_key=True),
    Column("event_id", String(80), primary_key=True),
    # The delivery's own: whoever is told of an event is told of it once.
    Column("target", String(40), nullable=False),
    Column("task_id", String(40), nullable=False),
    # What a line of the mail is made of; without personal members.
    Column("payload", LargeBinary, nullable=False),
    UniqueConstraint("event_id", "target"),
    Index("ix_notify_summary_items_task_id", "task_id"),
)
"""What a summary tells of, one row an event of a task."""

attempts = Table(
    "notify_attempts",
    metadata,
    Column("delivery_id", ForeignKey("notify_deliveries.id"), primary_key=True),
    Column("n", Integer, primary_key=True),
    Column("started_at", UtcDateTime, nullable=False),
    Column("milliseconds", Integer, nullable=False),
    Column("result", String(16), nullable=False),
    Column("reason", String(40), nullable=False),
    Column("code", Integer),
    # The other side's words, cleaned; at most 2,000 characters.
    Column("reply", String(2_000), nullable=False),
)

captured_mails = Table(
    "notify_captured_mails",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("delivery_id", String(40), nullable=False, unique=True),
    Column("recipient_address", String(254), nullable=False),
    # Subjects hold no personal data by rule.
    Column("subject", String(400), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("person_ref", String(40), index=True),
    # The whole message, under the person's key; under the installation's without a person.
    Column("sealed_message", LargeBinary, nullable=False),
)

tasks_done = Table(
    "notify_tasks_done",
    metadata,
    Column("task_id", String(40), primary_key=True),
    Column("version", Integer, nullable=False),
)
"""Tasks that nobody needs to be reminded of any more."""

suppressions = Table(
    "notify_suppressions",
    metadata,
    Column("id", String(40), primary_key=True),
    # In lower case; nothing is sent there.
    Column("address", String(254), nullable=False, unique=True),
    Column("reason", String(40), nullable=False),
    Column("code", Integer),
    Column("delivery_id", String(40), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)
"""Mailboxes that are dead, until somebody says otherwise."""

pauses = Table(
    "notify_pauses",
    metadata,
    Column("lane", String(40), primary_key=True),
    Column("reason", String(40), nullable=False),
    Column("code", Integer),
    # The other side's words, cleaned; at most 2,000 characters.
    Column("reply", String(2_000), nullable=False),
    # A keyed digest of the settings that were refused: other settings are tried at once.
    Column("settings", String(64), nullable=False),
    Column("since", UtcDateTime, nullable=False),
)
"""What is not sent before somebody has mended a setting."""

PERSONAL = (
    PersonalColumn(table="notify_deliveries", column="sealed_person", how="sealed"),
    PersonalColumn(table="notify_deliveries", column="recipient", how="scrub"),
    PersonalColumn(table="notify_captured_mails", column="recipient_address", how="scrub"),
    PersonalColumn(table="notify_captured_mails", column="sealed_message", how="sealed"),
    PersonalColumn(table="notify_suppressions", column="address", how="scrub"),
    PersonalColumn(table="notify_dead_letters", column="sealed_body", how="scrub"),
    PersonalColumn(table="notify_requests", column="sealed_answer", how="sealed"),
)
"""The personal columns of notify; addresses are those of staff, never of customers."""

SEALED = (
    SealedColumn(table=webhooks, column="sealed_secrets", purpose="webhook-secrets"),
    SealedColumn(
        table=captured_mails,
        column="sealed_message",
        purpose="captured-mails",
        context=("delivery_id",),
        unless="person_ref",
    ),
    *plumbing_columns(PLUMBING),
)
"""What is under a key of the installation."""
