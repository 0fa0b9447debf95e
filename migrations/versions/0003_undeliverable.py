"""What does not get through: dead addresses, channels that pause, endpoints in trouble."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from shared.db.base import UtcDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "notify_pauses",
        sa.Column("lane", sa.String(length=40), nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=False),
        sa.Column("code", sa.Integer(), nullable=True),
        sa.Column("reply", sa.String(length=2000), nullable=False),
        sa.Column("settings", sa.String(length=64), nullable=False),
        sa.Column("since", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("lane", name=op.f("pk_notify_pauses")),
    )
    op.create_table(
        "notify_suppressions",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("address", sa.String(length=254), nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=False),
        sa.Column("code", sa.Integer(), nullable=True),
        sa.Column("delivery_id", sa.String(length=40), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notify_suppressions")),
        sa.UniqueConstraint("address", name=op.f("uq_notify_suppressions_address")),
    )
    op.add_column(
        "notify_deliveries", sa.Column("instead_of", sa.String(length=40), nullable=True)
    )
    op.create_index(
        "ix_notify_deliveries_in_doubt",
        "notify_deliveries",
        ["id"],
        unique=False,
        sqlite_where=sa.text("in_doubt = 1"),
        postgresql_where=sa.text("in_doubt"),
    )
    op.add_column("notify_webhooks", sa.Column("failing_since", UtcDateTime(), nullable=True))
    op.add_column(
        "notify_webhooks",
        sa.Column("failures", sa.Integer(), server_default=sa.text("0"), nullable=False),
    )
    op.add_column("notify_webhooks", sa.Column("warned_at", UtcDateTime(), nullable=True))
    op.add_column("notify_webhooks", sa.Column("disabled_at", UtcDateTime(), nullable=True))
    op.execute("UPDATE notify_webhooks SET disabled_at = changed_at WHERE state = 'disabled'")


def downgrade() -> None:
    """Refuse: which addresses are dead must not be forgotten."""
    raise NotImplementedError
