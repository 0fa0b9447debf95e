"""The first tables of all three services."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from shared.db.base import Json, UtcDateTime
from shared.db.plumbing import Sequence

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "ingest_dead_letters",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("consumer", sa.String(length=40), nullable=False),
        sa.Column("topic", sa.String(length=80), nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.Column("event_id", sa.String(length=80), nullable=True),
        sa.Column("event_type", sa.String(length=80), nullable=True),
        sa.Column("key", sa.String(length=200), nullable=True),
        sa.Column("sealed_body", sa.LargeBinary(), nullable=False),
        sa.Column("headers", Json, nullable=False),
        sa.Column("error", sa.String(length=200), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("parked_at", UtcDateTime(), nullable=False),
        sa.Column("settled_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ingest_dead_letters")),
        sa.UniqueConstraint(
            "consumer",
            "topic",
            "partition",
            "offset",
            name=op.f("uq_ingest_dead_letters_consumer_topic_partition_offset"),
        ),
    )
    op.create_index(
        op.f("ix_ingest_dead_letters_state"), "ingest_dead_letters", ["state"], unique=False
    )
    op.create_table(
        "ingest_idempotency",
        sa.Column("key_digest", sa.String(length=64), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("answer", Json, nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("key_digest", name=op.f("pk_ingest_idempotency")),
    )
    op.create_index(
        op.f("ix_ingest_idempotency_created_at"),
        "ingest_idempotency",
        ["created_at"],
        unique=False,
    )
    op.create_table(
        "ingest_inbox",
        sa.Column("consumer", sa.String(length=40), nullable=False),
        sa.Column("event_id", sa.String(length=80), nullable=False),
        sa.Column("handled_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("consumer", "event_id", name=op.f("pk_ingest_inbox")),
    )
    op.create_table(
        "ingest_outbox",
        sa.Column("seq", Sequence, autoincrement=True, nullable=False),
        sa.Column("event_id", sa.String(length=40), nullable=False),
        sa.Column("topic", sa.String(length=80), nullable=False),
        sa.Column("key", sa.String(length=80), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("published_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_ingest_outbox")),
        sa.UniqueConstraint("event_id", name=op.f("uq_ingest_outbox_event_id")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_ingest_outbox_unpublished",
        "ingest_outbox",
        ["seq"],
        unique=False,
        sqlite_where=sa.text("published_at IS NULL"),
        postgresql_where=sa.text("published_at IS NULL"),
    )
    op.create_table(
        "ingest_responses",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("source", sa.String(length=100), nullable=False),
        sa.Column("external_id", sa.String(length=200), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("person_ref", sa.String(length=40), nullable=False),
        sa.Column("measurement", sa.String(length=20), nullable=True),
        sa.Column("metric", sa.String(length=10), nullable=True),
        sa.Column("score", sa.SmallInteger(), nullable=True),
        sa.Column("sentiment", sa.String(length=10), nullable=True),
        sa.Column("language", sa.String(length=200), nullable=True),
        sa.Column("touchpoint", sa.String(length=200), nullable=True),
        sa.Column("transaction_id", sa.String(length=200), nullable=True),
        sa.Column("segment", sa.String(length=200), nullable=True),
        sa.Column("product", sa.String(length=200), nullable=True),
        sa.Column("channel", sa.String(length=200), nullable=True),
        sa.Column("reason", sa.String(length=200), nullable=True),
        sa.Column("emotion", sa.String(length=200), nullable=True),
        sa.Column("question_version", sa.String(length=200), nullable=True),
        sa.Column("answered_at", UtcDateTime(), nullable=False),
        sa.Column("dated", sa.Boolean(), nullable=False),
        sa.Column("received_at", UtcDateTime(), nullable=False),
        sa.Column("as_new", sa.Boolean(), nullable=False),
        sa.Column("has_comment", sa.Boolean(), nullable=False),
        sa.Column("sealed_person", sa.Text(), nullable=True),
        sa.Column("first_fingerprint", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("outcome_reason", sa.String(length=200), nullable=True),
        sa.Column("task_id", sa.String(length=40), nullable=True),
        sa.Column("task_version", sa.Integer(), nullable=True),
        sa.Column("themes", Json, nullable=True),
        sa.Column("event_id", sa.String(length=40), nullable=False),
        sa.Column("announced", sa.Integer(), nullable=False),
        sa.Column("announced_at", UtcDateTime(), nullable=False),
        sa.Column("handled", sa.Integer(), nullable=True),
        sa.Column("announcements", sa.Integer(), nullable=False),
        sa.Column("announce_again_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ingest_responses")),
        sa.UniqueConstraint(
            "source", "external_id", name=op.f("uq_ingest_responses_source_external_id")
        ),
    )
    op.create_index(
        op.f("ix_ingest_responses_person_ref"), "ingest_responses", ["person_ref"], unique=False
    )
    op.create_index(
        "ix_ingest_responses_unhandled",
        "ingest_responses",
        ["announce_again_at"],
        unique=False,
        sqlite_where=sa.text("announce_again_at IS NOT NULL"),
        postgresql_where=sa.text("announce_again_at IS NOT NULL"),
    )
    op.create_table(
        "ingest_timers",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("subject", sa.String(length=40), nullable=False),
        sa.Column("due_at", UtcDateTime(), nullable=False),
        sa.Column("done_at", UtcDateTime(), nullable=True),
        sa.Column("outcome", sa.String(length=20), nullable=True),
        sa.Column("token", sa.String(length=60), nullable=True),
        sa.Column("lease_until", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ingest_timers")),
        sa.UniqueConstraint("kind", "subject", name=op.f("uq_ingest_timers_kind_subject")),
    )
    op.create_index(
        "ix_ingest_timers_open",
        "ingest_timers",
        ["due_at"],
        unique=False,
        sqlite_where=sa.text("done_at IS NULL"),
        postgresql_where=sa.text("done_at IS NULL"),
    )
    op.create_table(
        "loop_dead_letters",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("consumer", sa.String(length=40), nullable=False),
        sa.Column("topic", sa.String(length=80), nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.Column("event_id", sa.String(length=80), nullable=True),
        sa.Column("event_type", sa.String(length=80), nullable=True),
        sa.Column("key", sa.String(length=200), nullable=True),
        sa.Column("sealed_body", sa.LargeBinary(), nullable=False),
        sa.Column("headers", Json, nullable=False),
        sa.Column("error", sa.String(length=200), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("parked_at", UtcDateTime(), nullable=False),
        sa.Column("settled_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_loop_dead_letters")),
        sa.UniqueConstraint(
            "consumer",
            "topic",
            "partition",
            "offset",
            name=op.f("uq_loop_dead_letters_consumer_topic_partition_offset"),
        ),
    )
    op.create_index(
        op.f("ix_loop_dead_letters_state"), "loop_dead_letters", ["state"], unique=False
    )
    op.create_table(
        "loop_inbox",
        sa.Column("consumer", sa.String(length=40), nullable=False),
        sa.Column("event_id", sa.String(length=80), nullable=False),
        sa.Column("handled_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("consumer", "event_id", name=op.f("pk_loop_inbox")),
    )
    op.create_table(
        "loop_mentions",
        sa.Column("response_id", sa.String(length=40), nullable=False),
        sa.Column("theme_id", sa.String(length=100), nullable=False),
        sa.Column("score", sa.Double(), nullable=False),
        sa.Column("evidence_start", sa.Integer(), nullable=True),
        sa.Column("evidence_end", sa.Integer(), nullable=True),
        sa.Column("taxonomy_version", sa.Integer(), nullable=False),
        sa.Column("answered_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("response_id", "theme_id", name=op.f("pk_loop_mentions")),
    )
    op.create_index(
        "ix_loop_mentions_latest",
        "loop_mentions",
        ["theme_id", "answered_at", "response_id"],
        unique=False,
    )
    op.create_table(
        "loop_outbox",
        sa.Column("seq", Sequence, autoincrement=True, nullable=False),
        sa.Column("event_id", sa.String(length=40), nullable=False),
        sa.Column("topic", sa.String(length=80), nullable=False),
        sa.Column("key", sa.String(length=80), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("published_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_loop_outbox")),
        sa.UniqueConstraint("event_id", name=op.f("uq_loop_outbox_event_id")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_loop_outbox_unpublished",
        "loop_outbox",
        ["seq"],
        unique=False,
        sqlite_where=sa.text("published_at IS NULL"),
        postgresql_where=sa.text("published_at IS NULL"),
    )
    op.create_table(
        "loop_responses",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("source", sa.String(length=100), nullable=False),
        sa.Column("external_id", sa.String(length=200), nullable=False),
        sa.Column("measurement", sa.String(length=20), nullable=False),
        sa.Column("metric", sa.String(length=8), nullable=False),
        sa.Column("score", sa.Integer(), nullable=True),
        sa.Column("category", sa.String(length=16), nullable=True),
        sa.Column("sentiment", sa.String(length=10), nullable=True),
        sa.Column("language", sa.String(length=200), nullable=True),
        sa.Column("touchpoint", sa.String(length=200), nullable=True),
        sa.Column("transaction_id", sa.String(length=200), nullable=True),
        sa.Column("segment", sa.String(length=200), nullable=True),
        sa.Column("product", sa.String(length=200), nullable=True),
        sa.Column("channel", sa.String(length=200), nullable=True),
        sa.Column("reason", sa.String(length=200), nullable=True),
        sa.Column("emotion", sa.String(length=200), nullable=True),
        sa.Column("question_version", sa.String(length=200), nullable=True),
        sa.Column("answered_at", UtcDateTime(), nullable=False),
        sa.Column("received_at", UtcDateTime(), nullable=False),
        sa.Column("as_new", sa.Boolean(), nullable=False),
        sa.Column("person_ref", sa.String(length=40), nullable=False),
        sa.Column("has_comment", sa.Boolean(), nullable=False),
        sa.Column("sealed_person", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_loop_responses")),
    )
    op.create_index(
        op.f("ix_loop_responses_answered_at"), "loop_responses", ["answered_at"], unique=False
    )
    op.create_index(
        op.f("ix_loop_responses_person_ref"), "loop_responses", ["person_ref"], unique=False
    )
    op.create_index(
        op.f("ix_loop_responses_touchpoint"), "loop_responses", ["touchpoint"], unique=False
    )
    op.create_table(
        "loop_rules",
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("document", Json, nullable=False),
        sa.Column("published_at", UtcDateTime(), nullable=False),
        sa.Column("published_by", sa.String(length=40), nullable=False),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_loop_rules")),
    )
    op.create_table(
        "loop_schemes",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("document", Json, nullable=False),
        sa.Column("published_at", UtcDateTime(), nullable=False),
        sa.Column("published_by", sa.String(length=40), nullable=False),
        sa.PrimaryKeyConstraint("id", "version", name=op.f("pk_loop_schemes")),
    )
    op.create_table(
        "loop_score_rollups",
        sa.Column("key", sa.String(length=32), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("metric", sa.String(length=8), nullable=False),
        sa.Column("measurement", sa.String(length=20), nullable=False),
        sa.Column("touchpoint", sa.String(length=200), nullable=False),
        sa.Column("segment", sa.String(length=200), nullable=False),
        sa.Column("product", sa.String(length=200), nullable=False),
        sa.Column("channel", sa.String(length=200), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("high", sa.Integer(), nullable=False),
        sa.Column("middle", sa.Integer(), nullable=False),
        sa.Column("low", sa.Integer(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("squares", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_loop_score_rollups")),
    )
    op.create_index(
        "ix_loop_score_rollups_of_metric",
        "loop_score_rollups",
        ["metric", "measurement", "day"],
        unique=False,
    )
    op.create_table(
        "loop_task_requests",
        sa.Column("key_digest", sa.String(length=64), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("key_digest", name=op.f("pk_loop_task_requests")),
    )
    op.create_index(
        op.f("ix_loop_task_requests_created_at"),
        "loop_task_requests",
        ["created_at"],
        unique=False,
    )
    op.create_table(
        "loop_tasks",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("response_id", sa.String(length=40), nullable=False),
        sa.Column("response_revision", sa.Integer(), nullable=False),
        sa.Column("person_ref", sa.String(length=40), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("owner_id", sa.String(length=40), nullable=False),
        sa.Column("owner_kind", sa.String(length=10), nullable=False),
        sa.Column("opened_at", UtcDateTime(), nullable=False),
        sa.Column("first_contact_due_at", UtcDateTime(), nullable=False),
        sa.Column("due_at", UtcDateTime(), nullable=False),
        sa.Column("next_due_at", UtcDateTime(), nullable=False),
        sa.Column("waiting_since", UtcDateTime(), nullable=False),
        sa.Column("first_contact_at", UtcDateTime(), nullable=True),
        sa.Column("next_contact_at", UtcDateTime(), nullable=True),
        sa.Column("waiting_until", UtcDateTime(), nullable=True),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.Column("rule", sa.String(length=80), nullable=False),
        sa.Column("rule_name", sa.String(length=200), nullable=False),
        sa.Column("scheme", Json, nullable=False),
        sa.Column("metric", sa.String(length=8), nullable=False),
        sa.Column("score", sa.Integer(), nullable=True),
        sa.Column("touchpoint", sa.String(length=200), nullable=True),
        sa.Column("segment", sa.String(length=200), nullable=True),
        sa.Column("product", sa.String(length=200), nullable=True),
        sa.Column("sealed_person", sa.Text(), nullable=True),
        sa.Column("record", Json, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_loop_tasks")),
        sa.UniqueConstraint("response_id", name=op.f("uq_loop_tasks_response_id")),
    )
    op.create_index("ix_loop_tasks_by_due", "loop_tasks", ["next_due_at", "id"], unique=False)
    op.create_index(
        "ix_loop_tasks_ended_by_owner",
        "loop_tasks",
        ["owner_id", "ended_at", "id"],
        unique=False,
    )
    op.create_index(
        "ix_loop_tasks_open_by_due",
        "loop_tasks",
        ["next_due_at", "id"],
        unique=False,
        sqlite_where=sa.text("ended_at IS NULL"),
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_index(
        "ix_loop_tasks_open_by_owner",
        "loop_tasks",
        ["owner_id", "next_due_at", "id"],
        unique=False,
        sqlite_where=sa.text("ended_at IS NULL"),
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_index(
        op.f("ix_loop_tasks_person_ref"), "loop_tasks", ["person_ref"], unique=False
    )
    op.create_table(
        "loop_taxonomies",
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("document", Json, nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("created_by", sa.String(length=40), nullable=True),
        sa.Column("current", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_loop_taxonomies")),
    )
    op.create_table(
        "loop_theme_rollups",
        sa.Column("key", sa.String(length=32), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("theme_id", sa.String(length=100), nullable=False),
        sa.Column("touchpoint", sa.String(length=200), nullable=False),
        sa.Column("segment", sa.String(length=200), nullable=False),
        sa.Column("product", sa.String(length=200), nullable=False),
        sa.Column("mentions", sa.Integer(), nullable=False),
        sa.Column("rated", sa.Integer(), nullable=False),
        sa.Column("low", sa.Integer(), nullable=False),
        sa.Column("high", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_loop_theme_rollups")),
    )
    op.create_index("ix_loop_theme_rollups_of_day", "loop_theme_rollups", ["day"], unique=False)
    op.create_index(
        "ix_loop_theme_rollups_of_theme",
        "loop_theme_rollups",
        ["theme_id", "day"],
        unique=False,
    )
    op.create_table(
        "loop_timers",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("subject", sa.String(length=40), nullable=False),
        sa.Column("due_at", UtcDateTime(), nullable=False),
        sa.Column("done_at", UtcDateTime(), nullable=True),
        sa.Column("outcome", sa.String(length=20), nullable=True),
        sa.Column("token", sa.String(length=60), nullable=True),
        sa.Column("lease_until", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_loop_timers")),
        sa.UniqueConstraint("kind", "subject", name=op.f("uq_loop_timers_kind_subject")),
    )
    op.create_index(
        "ix_loop_timers_open",
        "loop_timers",
        ["due_at"],
        unique=False,
        sqlite_where=sa.text("done_at IS NULL"),
        postgresql_where=sa.text("done_at IS NULL"),
    )
    op.create_table(
        "loop_touchpoints",
        sa.Column("code", sa.String(length=200), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=True),
        sa.Column("macro", sa.String(length=200), nullable=True),
        sa.Column("owner_id", sa.String(length=40), nullable=True),
        sa.Column("owner_kind", sa.String(length=10), nullable=True),
        sa.Column("department_id", sa.String(length=40), nullable=True),
        sa.Column("mapped", sa.Boolean(), nullable=False),
        sa.Column("first_seen_at", UtcDateTime(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_loop_touchpoints")),
    )
    op.create_table(
        "notify_captured_mails",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("delivery_id", sa.String(length=40), nullable=False),
        sa.Column("recipient_address", sa.String(length=254), nullable=False),
        sa.Column("subject", sa.String(length=400), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("person_ref", sa.String(length=40), nullable=True),
        sa.Column("sealed_message", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notify_captured_mails")),
        sa.UniqueConstraint("delivery_id", name=op.f("uq_notify_captured_mails_delivery_id")),
    )
    op.create_index(
        op.f("ix_notify_captured_mails_person_ref"),
        "notify_captured_mails",
        ["person_ref"],
        unique=False,
    )
    op.create_table(
        "notify_dead_letters",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("consumer", sa.String(length=40), nullable=False),
        sa.Column("topic", sa.String(length=80), nullable=False),
        sa.Column("partition", sa.Integer(), nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.Column("event_id", sa.String(length=80), nullable=True),
        sa.Column("event_type", sa.String(length=80), nullable=True),
        sa.Column("key", sa.String(length=200), nullable=True),
        sa.Column("sealed_body", sa.LargeBinary(), nullable=False),
        sa.Column("headers", Json, nullable=False),
        sa.Column("error", sa.String(length=200), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("parked_at", UtcDateTime(), nullable=False),
        sa.Column("settled_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notify_dead_letters")),
        sa.UniqueConstraint(
            "consumer",
            "topic",
            "partition",
            "offset",
            name=op.f("uq_notify_dead_letters_consumer_topic_partition_offset"),
        ),
    )
    op.create_index(
        op.f("ix_notify_dead_letters_state"), "notify_dead_letters", ["state"], unique=False
    )
    op.create_table(
        "notify_deliveries",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("event_id", sa.String(length=80), nullable=False),
        sa.Column("event_type", sa.String(length=80), nullable=False),
        sa.Column("channel", sa.String(length=10), nullable=False),
        sa.Column("target", sa.String(length=40), nullable=False),
        sa.Column("purpose", sa.String(length=40), nullable=False),
        sa.Column("lane", sa.String(length=40), nullable=False),
        sa.Column("task_id", sa.String(length=40), nullable=True),
        sa.Column("response_id", sa.String(length=40), nullable=True),
        sa.Column("correlation_id", sa.String(length=80), nullable=True),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("person_ref", sa.String(length=40), nullable=True),
        sa.Column("sealed_person", sa.Text(), nullable=True),
        sa.Column("recipient", Json, nullable=True),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("in_doubt", sa.Boolean(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("first_tried_at", UtcDateTime(), nullable=True),
        sa.Column("next_attempt_at", UtcDateTime(), nullable=True),
        sa.Column("settled_at", UtcDateTime(), nullable=True),
        sa.Column("token", sa.String(length=60), nullable=True),
        sa.Column("lease_until", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notify_deliveries")),
        sa.UniqueConstraint(
            "event_id",
            "channel",
            "target",
            "purpose",
            name=op.f("uq_notify_deliveries_event_id_channel_target_purpose"),
        ),
    )
    op.create_index(
        "ix_notify_deliveries_due",
        "notify_deliveries",
        ["next_attempt_at"],
        unique=False,
        sqlite_where=sa.text("state = 'due'"),
        postgresql_where=sa.text("state = 'due'"),
    )
    op.create_index(
        op.f("ix_notify_deliveries_person_ref"),
        "notify_deliveries",
        ["person_ref"],
        unique=False,
    )
    op.create_index(
        "ix_notify_deliveries_sending",
        "notify_deliveries",
        ["lease_until"],
        unique=False,
        sqlite_where=sa.text("state = 'sending'"),
        postgresql_where=sa.text("state = 'sending'"),
    )
    op.create_index(
        "ix_notify_deliveries_state_id", "notify_deliveries", ["state", "id"], unique=False
    )
    op.create_index(
        "ix_notify_deliveries_target_id", "notify_deliveries", ["target", "id"], unique=False
    )
    op.create_index(
        "ix_notify_deliveries_unaddressed",
        "notify_deliveries",
        ["target", "id"],
        unique=False,
        sqlite_where=sa.text("reason = 'nobody_to_tell'"),
        postgresql_where=sa.text("reason = 'nobody_to_tell'"),
    )
    op.create_table(
        "notify_inbox",
        sa.Column("consumer", sa.String(length=40), nullable=False),
        sa.Column("event_id", sa.String(length=80), nullable=False),
        sa.Column("handled_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("consumer", "event_id", name=op.f("pk_notify_inbox")),
    )
    op.create_table(
        "notify_outbox",
        sa.Column("seq", Sequence, autoincrement=True, nullable=False),
        sa.Column("event_id", sa.String(length=40), nullable=False),
        sa.Column("topic", sa.String(length=80), nullable=False),
        sa.Column("key", sa.String(length=80), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("published_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_notify_outbox")),
        sa.UniqueConstraint("event_id", name=op.f("uq_notify_outbox_event_id")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_notify_outbox_unpublished",
        "notify_outbox",
        ["seq"],
        unique=False,
        sqlite_where=sa.text("published_at IS NULL"),
        postgresql_where=sa.text("published_at IS NULL"),
    )
    op.create_table(
        "notify_requests",
        sa.Column("key_digest", sa.String(length=64), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("sealed_answer", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("key_digest", name=op.f("pk_notify_requests")),
    )
    op.create_index(
        op.f("ix_notify_requests_created_at"), "notify_requests", ["created_at"], unique=False
    )
    op.create_table(
        "notify_tasks_done",
        sa.Column("task_id", sa.String(length=40), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("task_id", name=op.f("pk_notify_tasks_done")),
    )
    op.create_table(
        "notify_timers",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("subject", sa.String(length=40), nullable=False),
        sa.Column("due_at", UtcDateTime(), nullable=False),
        sa.Column("done_at", UtcDateTime(), nullable=True),
        sa.Column("outcome", sa.String(length=20), nullable=True),
        sa.Column("token", sa.String(length=60), nullable=True),
        sa.Column("lease_until", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notify_timers")),
        sa.UniqueConstraint("kind", "subject", name=op.f("uq_notify_timers_kind_subject")),
    )
    op.create_index(
        "ix_notify_timers_open",
        "notify_timers",
        ["due_at"],
        unique=False,
        sqlite_where=sa.text("done_at IS NULL"),
        postgresql_where=sa.text("done_at IS NULL"),
    )
    op.create_table(
        "notify_webhooks",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("url", sa.String(length=2048), nullable=False),
        sa.Column("events", Json, nullable=False),
        sa.Column("detail", sa.String(length=4), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("disabled_reason", sa.String(length=40), nullable=True),
        sa.Column("sealed_secrets", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("created_by", sa.String(length=40), nullable=False),
        sa.Column("changed_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notify_webhooks")),
    )
    op.create_table(
        "shared_api_keys",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("source", sa.String(length=100), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("prefix", sa.String(length=24), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("scopes", Json, nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=True),
        sa.Column("revoked_at", UtcDateTime(), nullable=True),
        sa.Column("last_used_on", sa.Date(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shared_api_keys")),
        sa.UniqueConstraint("digest", name=op.f("uq_shared_api_keys_digest")),
    )
    op.create_index(
        op.f("ix_shared_api_keys_source"), "shared_api_keys", ["source"], unique=False
    )
    op.create_table(
        "shared_audit",
        sa.Column("n", Sequence, autoincrement=True, nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("actor_kind", sa.String(length=10), nullable=False),
        sa.Column("actor_id", sa.String(length=40), nullable=False),
        sa.Column("action", sa.String(length=80), nullable=False),
        sa.Column("subject", sa.String(length=80), nullable=False),
        sa.Column("detail", Json, nullable=False),
        sa.PrimaryKeyConstraint("n", name=op.f("pk_shared_audit")),
    )
    op.create_table(
        "shared_departments",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("head_id", sa.String(length=40), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shared_departments")),
        sa.UniqueConstraint("name", name=op.f("uq_shared_departments_name")),
    )
    op.create_table(
        "shared_installation",
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("changed_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_shared_installation")),
    )
    op.create_table(
        "shared_leases",
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("token", sa.String(length=60), nullable=False),
        sa.Column("lease_until", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_shared_leases")),
    )
    op.create_table(
        "shared_log",
        sa.Column("topic", sa.String(length=80), nullable=False),
        sa.Column("offset", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("key", sa.String(length=80), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("headers", Json, nullable=False),
        sa.Column("appended_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("topic", "offset", name=op.f("pk_shared_log")),
    )
    op.create_table(
        "shared_log_heads",
        sa.Column("topic", sa.String(length=80), nullable=False),
        sa.Column("next_offset", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("topic", name=op.f("pk_shared_log_heads")),
    )
    op.create_table(
        "shared_log_positions",
        sa.Column("consumer", sa.String(length=40), nullable=False),
        sa.Column("topic", sa.String(length=80), nullable=False),
        sa.Column("next_offset", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("consumer", "topic", name=op.f("pk_shared_log_positions")),
    )
    op.create_table(
        "shared_person_keys",
        sa.Column("ref", sa.String(length=40), nullable=False),
        sa.Column("wrapped_key", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("erased_at", UtcDateTime(), nullable=True),
        sa.Column("belongs_to", sa.String(length=40), nullable=True),
        sa.PrimaryKeyConstraint("ref", name=op.f("pk_shared_person_keys")),
    )
    op.create_index(
        op.f("ix_shared_person_keys_belongs_to"),
        "shared_person_keys",
        ["belongs_to"],
        unique=False,
    )
    op.create_table(
        "shared_sign_in_failures",
        sa.Column("id", Sequence, autoincrement=True, nullable=False),
        sa.Column("subject", sa.String(length=64), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shared_sign_in_failures")),
    )
    op.create_index(
        op.f("ix_shared_sign_in_failures_subject"),
        "shared_sign_in_failures",
        ["subject"],
        unique=False,
    )
    op.create_table(
        "ingest_revisions",
        sa.Column("response_id", sa.String(length=40), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("received_at", UtcDateTime(), nullable=False),
        sa.Column("answered_at", UtcDateTime(), nullable=True),
        sa.Column("members", Json, nullable=False),
        sa.Column("person_ref", sa.String(length=40), nullable=False),
        sa.Column("sealed_person", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["response_id"],
            ["ingest_responses.id"],
            name=op.f("fk_ingest_revisions_response_id"),
        ),
        sa.PrimaryKeyConstraint("response_id", "revision", name=op.f("pk_ingest_revisions")),
    )
    op.create_table(
        "loop_task_history",
        sa.Column("n", Sequence, autoincrement=True, nullable=False),
        sa.Column("task_id", sa.String(length=40), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("act", sa.String(length=20), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("by_id", sa.String(length=40), nullable=False),
        sa.Column("by_name", sa.String(length=200), nullable=False),
        sa.Column("by_kind", sa.String(length=10), nullable=False),
        sa.Column("detail", Json, nullable=False),
        sa.Column("sealed_words", sa.Text(), nullable=True),
        sa.Column("person_ref", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(
            ["task_id"], ["loop_tasks.id"], name=op.f("fk_loop_task_history_task_id")
        ),
        sa.PrimaryKeyConstraint("n", name=op.f("pk_loop_task_history")),
    )
    op.create_index(
        "ix_loop_task_history_of_task", "loop_task_history", ["task_id", "n"], unique=False
    )
    op.create_table(
        "notify_attempts",
        sa.Column("delivery_id", sa.String(length=40), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("started_at", UtcDateTime(), nullable=False),
        sa.Column("milliseconds", sa.Integer(), nullable=False),
        sa.Column("result", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=False),
        sa.Column("code", sa.Integer(), nullable=True),
        sa.Column("reply", sa.String(length=2000), nullable=False),
        sa.ForeignKeyConstraint(
            ["delivery_id"],
            ["notify_deliveries.id"],
            name=op.f("fk_notify_attempts_delivery_id"),
        ),
        sa.PrimaryKeyConstraint("delivery_id", "n", name=op.f("pk_notify_attempts")),
    )
    op.create_table(
        "shared_staff",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("language", sa.String(length=20), nullable=False),
        sa.Column("time_zone", sa.String(length=60), nullable=False),
        sa.Column("department_id", sa.String(length=40), nullable=True),
        sa.Column("password_hash", sa.String(length=200), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("disabled_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["department_id"],
            ["shared_departments.id"],
            name=op.f("fk_shared_staff_department_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shared_staff")),
        sa.UniqueConstraint("email", name=op.f("uq_shared_staff_email")),
    )
    op.create_table(
        "shared_teams",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=True),
        sa.Column("department_id", sa.String(length=40), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["department_id"],
            ["shared_departments.id"],
            name=op.f("fk_shared_teams_department_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shared_teams")),
        sa.UniqueConstraint("name", name=op.f("uq_shared_teams_name")),
    )
    op.create_table(
        "shared_sessions",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("staff_id", sa.String(length=40), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("seen_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["staff_id"], ["shared_staff.id"], name=op.f("fk_shared_sessions_staff_id")
        ),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_shared_sessions")),
    )
    op.create_index(
        op.f("ix_shared_sessions_staff_id"), "shared_sessions", ["staff_id"], unique=False
    )
    op.create_table(
        "shared_team_members",
        sa.Column("team_id", sa.String(length=40), nullable=False),
        sa.Column("staff_id", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(
            ["staff_id"], ["shared_staff.id"], name=op.f("fk_shared_team_members_staff_id")
        ),
        sa.ForeignKeyConstraint(
            ["team_id"], ["shared_teams.id"], name=op.f("fk_shared_team_members_team_id")
        ),
        sa.PrimaryKeyConstraint("team_id", "staff_id", name=op.f("pk_shared_team_members")),
    )
    op.create_index(
        op.f("ix_shared_team_members_staff_id"),
        "shared_team_members",
        ["staff_id"],
        unique=False,
    )

    _make_append_only("shared_audit")


def _make_append_only(table: str) -> None:
    """Have the database itself refuse to change or remove a row."""
    if op.get_bind().dialect.name == "sqlite":
        for act in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{act.lower()} BEFORE {act} ON {table}"
                f" BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            )
        return
    op.execute(
        f"CREATE FUNCTION {table}_refuse() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN RAISE EXCEPTION '{table} is append-only'; END $$"
    )
    op.execute(
        f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}"
        f" EXECUTE FUNCTION {table}_refuse()"
    )


def downgrade() -> None:
    """There is nothing before this: remove the database instead."""
    message = "the first migration cannot be taken back"
    raise NotImplementedError(message)
