"""The workbench: rules, schemes and calendars in versions, views, search, proved closure."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from shared.db.base import Json, UtcDateTime

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

FORMER_ROLES = {"staff": "agent", "head": "department_head", "board": "board_member"}


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "loop_absences",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("staff_id", sa.String(length=40), nullable=False),
        sa.Column("deputy_id", sa.String(length=40), nullable=True),
        sa.Column("begins_at", UtcDateTime(), nullable=False),
        sa.Column("ends_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_loop_absences")),
    )
    op.create_index(
        op.f("ix_loop_absences_staff_id"), "loop_absences", ["staff_id"], unique=False
    )
    op.create_table(
        "loop_bulk_acts",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("staff_id", sa.String(length=40), nullable=False),
        sa.Column("act", sa.String(length=20), nullable=False),
        sa.Column("done", Json, nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_loop_bulk_acts")),
    )
    op.create_index(
        op.f("ix_loop_bulk_acts_staff_id"), "loop_bulk_acts", ["staff_id"], unique=False
    )
    op.create_table(
        "loop_calendars",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("document", Json, nullable=False),
        sa.Column("published_at", UtcDateTime(), nullable=False),
        sa.Column("published_by", sa.String(length=40), nullable=False),
        sa.PrimaryKeyConstraint("id", "version", name=op.f("pk_loop_calendars")),
    )
    op.create_table(
        "loop_rule_drafts",
        sa.Column("name", sa.String(length=20), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("based_on", sa.Integer(), nullable=False),
        sa.Column("document", Json, nullable=False),
        sa.Column("changed_at", UtcDateTime(), nullable=False),
        sa.Column("changed_by", sa.String(length=40), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_loop_rule_drafts")),
    )
    op.create_table(
        "loop_saved_views",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("staff_id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("query", sa.String(length=1000), nullable=False),
        sa.Column("shared", sa.Boolean(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_loop_saved_views")),
    )
    op.create_index(
        op.f("ix_loop_saved_views_staff_id"), "loop_saved_views", ["staff_id"], unique=False
    )
    op.create_table(
        "loop_search",
        sa.Column("term", sa.String(length=24), nullable=False),
        sa.Column("response_id", sa.String(length=40), nullable=False),
        sa.Column("task_id", sa.String(length=40), nullable=False),
        sa.Column("person_ref", sa.String(length=40), nullable=False),
        sa.PrimaryKeyConstraint("term", "response_id", name=op.f("pk_loop_search")),
    )
    op.create_index("ix_loop_search_of_person", "loop_search", ["person_ref"], unique=False)
    op.create_index("ix_loop_search_of_response", "loop_search", ["response_id"], unique=False)
    op.create_table(
        "loop_task_viewers",
        sa.Column("task_id", sa.String(length=40), nullable=False),
        sa.Column("staff_id", sa.String(length=40), nullable=False),
        sa.Column("seen_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("task_id", "staff_id", name=op.f("pk_loop_task_viewers")),
    )
    op.create_index(
        op.f("ix_loop_task_viewers_seen_at"), "loop_task_viewers", ["seen_at"], unique=False
    )
    op.create_table(
        "loop_workloads",
        sa.Column("staff_id", sa.String(length=40), nullable=False),
        sa.Column("most_open", sa.Integer(), nullable=True),
        sa.Column("deputy_id", sa.String(length=40), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("staff_id", name=op.f("pk_loop_workloads")),
    )
    op.create_table(
        "loop_task_escalations",
        sa.Column("owner_id", sa.String(length=40), nullable=False),
        sa.Column("task_id", sa.String(length=40), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["task_id"], ["loop_tasks.id"], name=op.f("fk_loop_task_escalations_task_id")
        ),
        sa.PrimaryKeyConstraint("owner_id", "task_id", name=op.f("pk_loop_task_escalations")),
    )
    op.create_index(
        "ix_loop_task_escalations_of_task", "loop_task_escalations", ["task_id"], unique=False
    )
    op.create_table(
        "loop_task_responses",
        sa.Column("response_id", sa.String(length=40), nullable=False),
        sa.Column("task_id", sa.String(length=40), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("joined_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["task_id"], ["loop_tasks.id"], name=op.f("fk_loop_task_responses_task_id")
        ),
        sa.PrimaryKeyConstraint("response_id", name=op.f("pk_loop_task_responses")),
    )
    op.create_index(
        op.f("ix_loop_task_responses_task_id"), "loop_task_responses", ["task_id"], unique=False
    )
    op.add_column("ingest_sources", sa.Column("former", Json, nullable=True))
    op.add_column("loop_tasks", sa.Column("snoozed_until", UtcDateTime(), nullable=True))
    op.add_column("loop_tasks", sa.Column("paused_since", UtcDateTime(), nullable=True))
    op.add_column("loop_tasks", sa.Column("reached_at", UtcDateTime(), nullable=True))
    op.add_column("loop_tasks", sa.Column("asked_at", UtcDateTime(), nullable=True))
    op.add_column("loop_tasks", sa.Column("denied_at", UtcDateTime(), nullable=True))
    op.add_column("loop_tasks", sa.Column("confirmed_at", UtcDateTime(), nullable=True))
    op.add_column("loop_tasks", sa.Column("saved_until", UtcDateTime(), nullable=True))
    op.add_column("loop_tasks", sa.Column("example_at", UtcDateTime(), nullable=True))
    op.add_column(
        "loop_tasks",
        sa.Column("repeat", sa.Boolean(), server_default=sa.false(), nullable=False),
    )
    op.add_column(
        "loop_tasks", sa.Column("other_responses", Json, server_default="[]", nullable=False)
    )
    op.create_index(
        "ix_loop_tasks_denied",
        "loop_tasks",
        ["denied_at", "id"],
        unique=False,
        sqlite_where=sa.text("denied_at IS NOT NULL"),
        postgresql_where=sa.text("denied_at IS NOT NULL"),
    )
    op.create_index(
        "ix_loop_tasks_examples",
        "loop_tasks",
        ["example_at", "id"],
        unique=False,
        sqlite_where=sa.text("example_at IS NOT NULL"),
        postgresql_where=sa.text("example_at IS NOT NULL"),
    )
    op.create_index(
        "ix_loop_tasks_open_by_state",
        "loop_tasks",
        ["state", "owner_id", "next_due_at", "id"],
        unique=False,
        sqlite_where=sa.text("ended_at IS NULL"),
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_index("ix_loop_tasks_opened_at", "loop_tasks", ["opened_at"], unique=False)
    op.execute(
        "UPDATE loop_tasks SET reached_at = first_contact_at"
        " WHERE state IN ('resolved', 'confirmed')"
    )
    for former, name in FORMER_ROLES.items():
        op.execute(f"UPDATE shared_staff SET role = '{name}' WHERE role = '{former}'")  # noqa: S608 - our own words


def downgrade() -> None:
    """Take back."""
    for former, name in FORMER_ROLES.items():
        op.execute(f"UPDATE shared_staff SET role = '{former}' WHERE role = '{name}'")  # noqa: S608
    op.drop_index("ix_loop_tasks_opened_at", table_name="loop_tasks")
    op.drop_index(
        "ix_loop_tasks_open_by_state",
        table_name="loop_tasks",
        sqlite_where=sa.text("ended_at IS NULL"),
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.drop_index(
        "ix_loop_tasks_examples",
        table_name="loop_tasks",
        sqlite_where=sa.text("example_at IS NOT NULL"),
        postgresql_where=sa.text("example_at IS NOT NULL"),
    )
    op.drop_index(
        "ix_loop_tasks_denied",
        table_name="loop_tasks",
        sqlite_where=sa.text("denied_at IS NOT NULL"),
        postgresql_where=sa.text("denied_at IS NOT NULL"),
    )
    op.drop_column("loop_tasks", "other_responses")
    op.drop_column("loop_tasks", "repeat")
    op.drop_column("loop_tasks", "example_at")
    op.drop_column("loop_tasks", "saved_until")
    op.drop_column("loop_tasks", "confirmed_at")
    op.drop_column("loop_tasks", "denied_at")
    op.drop_column("loop_tasks", "asked_at")
    op.drop_column("loop_tasks", "reached_at")
    op.drop_column("loop_tasks", "paused_since")
    op.drop_column("loop_tasks", "snoozed_until")
    op.drop_column("ingest_sources", "former")
    op.drop_index(op.f("ix_loop_task_responses_task_id"), table_name="loop_task_responses")
    op.drop_table("loop_task_responses")
    op.drop_index("ix_loop_task_escalations_of_task", table_name="loop_task_escalations")
    op.drop_table("loop_task_escalations")
    op.drop_table("loop_workloads")
    op.drop_index(op.f("ix_loop_task_viewers_seen_at"), table_name="loop_task_viewers")
    op.drop_table("loop_task_viewers")
    op.drop_index("ix_loop_search_of_response", table_name="loop_search")
    op.drop_index("ix_loop_search_of_person", table_name="loop_search")
    op.drop_table("loop_search")
    op.drop_index(op.f("ix_loop_saved_views_staff_id"), table_name="loop_saved_views")
    op.drop_table("loop_saved_views")
    op.drop_table("loop_rule_drafts")
    op.drop_table("loop_calendars")
    op.drop_index(op.f("ix_loop_bulk_acts_staff_id"), table_name="loop_bulk_acts")
    op.drop_table("loop_bulk_acts")
    op.drop_index(op.f("ix_loop_absences_staff_id"), table_name="loop_absences")
    op.drop_table("loop_absences")
