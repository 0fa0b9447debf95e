"""Themes: drafts, corrections and replays, discoveries, risers, and what a theme costs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from shared.db.base import Json, UtcDateTime

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_ENDED = (
    "state IN ('delivered', 'failed', 'held') AND coalesce(reason, '') != 'nobody_to_tell'"
    " AND (channel = 'email' OR coalesce(sealed_person, 'erased') = 'erased')"
)


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "loop_discoveries",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("label", sa.String(length=200), nullable=False),
        sa.Column("keywords", Json, nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("persons", sa.Integer(), nullable=False),
        sa.Column("rated", sa.Integer(), nullable=False),
        sa.Column("low", sa.Integer(), nullable=False),
        sa.Column("weekly", Json, nullable=False),
        sa.Column("nights", sa.Integer(), nullable=False),
        sa.Column("missed", sa.Integer(), nullable=False),
        sa.Column("first_seen_at", UtcDateTime(), nullable=False),
        sa.Column("last_seen_at", UtcDateTime(), nullable=False),
        sa.Column("decided_at", UtcDateTime(), nullable=True),
        sa.Column("decided_by", sa.String(length=40), nullable=True),
        sa.Column("theme_id", sa.String(length=100), nullable=True),
        sa.Column("taxonomy_version", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_loop_discoveries")),
    )
    op.create_index(
        op.f("ix_loop_discoveries_state"), "loop_discoveries", ["state"], unique=False
    )
    op.create_table(
        "loop_discovery_members",
        sa.Column("discovery_id", sa.String(length=40), nullable=False),
        sa.Column("response_id", sa.String(length=40), nullable=False),
        sa.Column("person_ref", sa.String(length=40), nullable=False),
        sa.Column("typical", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint(
            "discovery_id", "response_id", name=op.f("pk_loop_discovery_members")
        ),
    )
    op.create_index(
        "ix_loop_discovery_members_of_response",
        "loop_discovery_members",
        ["response_id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_loop_discovery_members_person_ref"),
        "loop_discovery_members",
        ["person_ref"],
        unique=False,
    )
    op.create_table(
        "loop_discovery_nights",
        sa.Column("night", UtcDateTime(), nullable=False),
        sa.Column("ended_at", UtcDateTime(), nullable=False),
        sa.Column("taxonomy_version", sa.Integer(), nullable=False),
        sa.Column("read", sa.Integer(), nullable=False),
        sa.Column("found", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("night", name=op.f("pk_loop_discovery_nights")),
    )
    op.create_table(
        "loop_keyword_proposals",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("theme_id", sa.String(length=100), nullable=False),
        sa.Column("language", sa.String(length=20), nullable=False),
        sa.Column("words", sa.String(length=200), nullable=False),
        sa.Column("support", sa.Integer(), nullable=False),
        sa.Column("against", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("proposed_at", UtcDateTime(), nullable=False),
        sa.Column("decided_at", UtcDateTime(), nullable=True),
        sa.Column("decided_by", sa.String(length=40), nullable=True),
        sa.Column("taxonomy_version", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_loop_keyword_proposals")),
        sa.UniqueConstraint(
            "theme_id", "language", "words", "kind", name="uq_loop_keyword_proposals_words"
        ),
    )
    op.create_table(
        "loop_outer_items",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("theme_id", sa.String(length=100), nullable=False),
        sa.Column("open_theme", sa.String(length=100), nullable=True),
        sa.Column("department", sa.String(length=200), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("reason", sa.String(length=20), nullable=True),
        sa.Column("merged_into", sa.String(length=40), nullable=True),
        sa.Column("owner_id", sa.String(length=40), nullable=True),
        sa.Column("owner_kind", sa.String(length=10), nullable=True),
        sa.Column("evidence", Json, nullable=False),
        sa.Column("first_week", sa.Date(), nullable=False),
        sa.Column("last_week", sa.Date(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("proposed_at", UtcDateTime(), nullable=False),
        sa.Column("decided_at", UtcDateTime(), nullable=True),
        sa.Column("decided_by", sa.String(length=40), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_loop_outer_items")),
        sa.UniqueConstraint("open_theme", name=op.f("uq_loop_outer_items_open_theme")),
    )
    op.create_index(
        "ix_loop_outer_items_latest", "loop_outer_items", ["proposed_at", "id"], unique=False
    )
    op.create_table(
        "loop_replays",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("slot", sa.Integer(), nullable=True),
        sa.Column("taxonomy_version", sa.Integer(), nullable=False),
        sa.Column("after_id", sa.String(length=40), nullable=False),
        sa.Column("last_id", sa.String(length=40), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("changed", sa.Integer(), nullable=False),
        sa.Column("unread", sa.Integer(), nullable=False),
        sa.Column("restarts", sa.Integer(), nullable=False),
        sa.Column("themes", Json, nullable=False),
        sa.Column("fingerprint", sa.String(length=32), nullable=False),
        sa.Column("started_at", UtcDateTime(), nullable=False),
        sa.Column("started_by", sa.String(length=40), nullable=False),
        sa.Column("moved_at", UtcDateTime(), nullable=False),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_loop_replays")),
        sa.UniqueConstraint("slot", name=op.f("uq_loop_replays_slot")),
    )
    op.create_index(
        "ix_loop_replays_latest", "loop_replays", ["started_at", "id"], unique=False
    )
    op.create_table(
        "loop_riser_weeks",
        sa.Column("week", sa.Date(), nullable=False),
        sa.Column("department", sa.String(length=200), nullable=False),
        sa.Column("judged_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("week", "department", name=op.f("pk_loop_riser_weeks")),
    )
    op.create_table(
        "loop_risers",
        sa.Column("week", sa.Date(), nullable=False),
        sa.Column("department", sa.String(length=200), nullable=False),
        sa.Column("theme_id", sa.String(length=100), nullable=False),
        sa.Column("word", sa.String(length=10), nullable=False),
        sa.Column("rises", sa.Boolean(), nullable=False),
        sa.Column("is_sharp", sa.Boolean(), nullable=False),
        sa.Column("weeks", sa.Integer(), nullable=False),
        sa.Column("mentions", sa.Integer(), nullable=False),
        sa.Column("comments", sa.Integer(), nullable=False),
        sa.Column("former_mentions", sa.Integer(), nullable=False),
        sa.Column("former_comments", sa.Integer(), nullable=False),
        sa.Column("former_weeks", sa.Integer(), nullable=False),
        sa.Column("expected", sa.Double(), nullable=True),
        sa.Column("range_low", sa.Integer(), nullable=True),
        sa.Column("range_high", sa.Integer(), nullable=True),
        sa.Column("ratio", sa.Double(), nullable=True),
        sa.Column("ratio_low", sa.Double(), nullable=True),
        sa.Column("ratio_high", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("week", "department", "theme_id", name=op.f("pk_loop_risers")),
    )
    op.create_index(
        "ix_loop_risers_of_theme", "loop_risers", ["theme_id", "week"], unique=False
    )
    op.create_table(
        "loop_taxonomy_drafts",
        sa.Column("name", sa.String(length=20), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("based_on", sa.Integer(), nullable=False),
        sa.Column("document", Json, nullable=False),
        sa.Column("changed_at", UtcDateTime(), nullable=False),
        sa.Column("changed_by", sa.String(length=40), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_loop_taxonomy_drafts")),
    )
    op.create_table(
        "loop_theme_checks",
        sa.Column("response_id", sa.String(length=40), nullable=False),
        sa.Column("checked_at", UtcDateTime(), nullable=False),
        sa.Column("checked_by", sa.String(length=40), nullable=False),
        sa.PrimaryKeyConstraint("response_id", name=op.f("pk_loop_theme_checks")),
    )
    op.create_table(
        "loop_theme_corrections",
        sa.Column("response_id", sa.String(length=40), nullable=False),
        sa.Column("theme_id", sa.String(length=100), nullable=False),
        sa.Column("verdict", sa.String(length=8), nullable=False),
        sa.Column("language", sa.String(length=20), nullable=False),
        sa.Column("drawn", sa.Boolean(), nullable=False),
        sa.Column("judged_at", UtcDateTime(), nullable=False),
        sa.Column("judged_by", sa.String(length=40), nullable=False),
        sa.Column("score", sa.Double(), nullable=True),
        sa.Column("evidence_start", sa.Integer(), nullable=True),
        sa.Column("evidence_end", sa.Integer(), nullable=True),
        sa.Column("by", sa.String(length=200), nullable=True),
        sa.Column("taxonomy_version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint(
            "response_id", "theme_id", name=op.f("pk_loop_theme_corrections")
        ),
    )
    op.create_index(
        "ix_loop_theme_corrections_latest",
        "loop_theme_corrections",
        ["judged_at"],
        unique=False,
    )
    op.create_index(
        "ix_loop_theme_corrections_of_theme",
        "loop_theme_corrections",
        ["theme_id", "language"],
        unique=False,
    )
    op.create_index(
        "ix_ingest_responses_kept",
        "ingest_responses",
        ["received_at"],
        unique=False,
        sqlite_where=sa.text("sealed_person != 'erased'"),
        postgresql_where=sa.text("sealed_person != 'erased'"),
    )
    op.create_index(
        "ix_ingest_responses_task_open",
        "ingest_responses",
        ["person_ref"],
        unique=False,
        sqlite_where=sa.text("state = 'task_open'"),
        postgresql_where=sa.text("state = 'task_open'"),
    )
    op.add_column("loop_mentions", sa.Column("by", sa.String(length=200), nullable=True))
    op.add_column(
        "loop_theme_rollups",
        sa.Column("source", sa.String(length=100), server_default="unknown", nullable=False),
    )
    op.add_column(
        "loop_theme_rollups",
        sa.Column(
            "measurement", sa.String(length=20), server_default="unknown", nullable=False
        ),
    )
    op.add_column(
        "loop_theme_rollups",
        sa.Column("promoters", sa.Integer(), server_default="0", nullable=False),
    )
    op.add_column(
        "loop_theme_rollups",
        sa.Column("passives", sa.Integer(), server_default="0", nullable=False),
    )
    op.add_column(
        "loop_theme_rollups",
        sa.Column("detractors", sa.Integer(), server_default="0", nullable=False),
    )
    op.create_index(
        "ix_notify_deliveries_ended",
        "notify_deliveries",
        ["created_at"],
        unique=False,
        sqlite_where=sa.text(_ENDED),
        postgresql_where=sa.text(_ENDED),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_index(
        "ix_notify_deliveries_ended",
        table_name="notify_deliveries",
        sqlite_where=sa.text(_ENDED),
        postgresql_where=sa.text(_ENDED),
    )
    op.drop_column("loop_theme_rollups", "detractors")
    op.drop_column("loop_theme_rollups", "passives")
    op.drop_column("loop_theme_rollups", "promoters")
    op.drop_column("loop_theme_rollups", "measurement")
    op.drop_column("loop_theme_rollups", "source")
    op.drop_column("loop_mentions", "by")
    op.drop_index(
        "ix_ingest_responses_task_open",
        table_name="ingest_responses",
        sqlite_where=sa.text("state = 'task_open'"),
        postgresql_where=sa.text("state = 'task_open'"),
    )
    op.drop_index(
        "ix_ingest_responses_kept",
        table_name="ingest_responses",
        sqlite_where=sa.text("sealed_person != 'erased'"),
        postgresql_where=sa.text("sealed_person != 'erased'"),
    )
    op.drop_index("ix_loop_theme_corrections_of_theme", table_name="loop_theme_corrections")
    op.drop_index("ix_loop_theme_corrections_latest", table_name="loop_theme_corrections")
    op.drop_table("loop_theme_corrections")
    op.drop_table("loop_theme_checks")
    op.drop_table("loop_taxonomy_drafts")
    op.drop_index("ix_loop_risers_of_theme", table_name="loop_risers")
    op.drop_table("loop_risers")
    op.drop_table("loop_riser_weeks")
    op.drop_index("ix_loop_replays_latest", table_name="loop_replays")
    op.drop_table("loop_replays")
    op.drop_index("ix_loop_outer_items_latest", table_name="loop_outer_items")
    op.drop_table("loop_outer_items")
    op.drop_table("loop_keyword_proposals")
    op.drop_table("loop_discovery_nights")
    op.drop_index(
        op.f("ix_loop_discovery_members_person_ref"), table_name="loop_discovery_members"
    )
    op.drop_index("ix_loop_discovery_members_of_response", table_name="loop_discovery_members")
    op.drop_table("loop_discovery_members")
    op.drop_index(op.f("ix_loop_discoveries_state"), table_name="loop_discoveries")
    op.drop_table("loop_discoveries")
