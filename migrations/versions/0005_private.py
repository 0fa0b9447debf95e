"""Private and answerable: requests about persons, seals of the trail, accounts, sealed ids."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from shared.db.append_only import statements
from shared.db.base import Json, UtcDateTime

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "shared_audit_seals",
        sa.Column("from_n", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("to_n", sa.BigInteger(), nullable=False),
        sa.Column("lines", sa.Integer(), nullable=False),
        sa.Column("marks", sa.LargeBinary(), nullable=False),
        sa.Column("mac", sa.String(length=64), nullable=False),
        sa.Column("made_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("from_n", name=op.f("pk_shared_audit_seals")),
    )
    for statement in statements(op.get_bind().dialect.name, "shared_audit_seals"):
        op.execute(statement)
    op.create_table(
        "shared_contact_refusals",
        sa.Column("person_ref", sa.String(length=40), nullable=False),
        sa.Column("refusal", sa.String(length=20), nullable=False),
        sa.Column("said_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint(
            "person_ref", "refusal", name=op.f("pk_shared_contact_refusals")
        ),
    )
    op.create_table(
        "shared_person_requests",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("reason", sa.String(length=10), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("asked_at", UtcDateTime(), nullable=False),
        sa.Column("asked_by", sa.String(length=40), nullable=False),
        sa.Column("found_by", sa.String(length=12), nullable=True),
        sa.Column("sealed_subject", sa.LargeBinary(), nullable=True),
        sa.Column("subject_digest", sa.String(length=64), nullable=True),
        sa.Column("found", Json, nullable=True),
        sa.Column("mentions", Json, nullable=True),
        sa.Column("persons", sa.Integer(), server_default="0", nullable=False),
        sa.Column("cursor", sa.String(length=40), nullable=True),
        sa.Column("done_at", UtcDateTime(), nullable=True),
        sa.Column("certificate", Json, nullable=True),
        sa.Column("swept_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shared_person_requests")),
    )
    op.create_index(
        op.f("ix_shared_person_requests_state"),
        "shared_person_requests",
        ["state"],
        unique=False,
    )
    op.create_index(
        op.f("ix_shared_person_requests_subject_digest"),
        "shared_person_requests",
        ["subject_digest"],
        unique=False,
    )
    op.create_table(
        "shared_person_request_parts",
        sa.Column("request_id", sa.String(length=40), nullable=False),
        sa.Column("service", sa.String(length=10), nullable=False),
        sa.Column("persons_done", sa.Integer(), nullable=False),
        sa.Column("counts", Json, nullable=False),
        sa.Column("sealed_part", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["request_id"],
            ["shared_person_requests.id"],
            name=op.f("fk_shared_person_request_parts_request_id"),
        ),
        sa.PrimaryKeyConstraint(
            "request_id", "service", name=op.f("pk_shared_person_request_parts")
        ),
    )
    op.create_table(
        "shared_federated_identities",
        sa.Column("issuer", sa.String(length=300), nullable=False),
        sa.Column("subject_digest", sa.String(length=64), nullable=False),
        sa.Column("staff_id", sa.String(length=40), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["staff_id"],
            ["shared_staff.id"],
            name=op.f("fk_shared_federated_identities_staff_id"),
        ),
        sa.PrimaryKeyConstraint(
            "issuer", "subject_digest", name=op.f("pk_shared_federated_identities")
        ),
        sa.UniqueConstraint(
            "staff_id", "issuer", name=op.f("uq_shared_federated_identities_staff_id_issuer")
        ),
    )
    op.create_table(
        "shared_password_resets",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("staff_id", sa.String(length=40), nullable=False),
        sa.Column("asked_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.Column("told_at", UtcDateTime(), nullable=True),
        sa.Column("used_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["staff_id"], ["shared_staff.id"], name=op.f("fk_shared_password_resets_staff_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shared_password_resets")),
    )
    op.create_index(
        op.f("ix_shared_password_resets_staff_id"),
        "shared_password_resets",
        ["staff_id"],
        unique=False,
    )
    op.create_table(
        "shared_recovery_codes",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("staff_id", sa.String(length=40), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["staff_id"], ["shared_staff.id"], name=op.f("fk_shared_recovery_codes_staff_id")
        ),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_shared_recovery_codes")),
    )
    op.create_index(
        op.f("ix_shared_recovery_codes_staff_id"),
        "shared_recovery_codes",
        ["staff_id"],
        unique=False,
    )
    op.create_table(
        "shared_second_factors",
        sa.Column("staff_id", sa.String(length=40), nullable=False),
        sa.Column("sealed_secret", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("confirmed_at", UtcDateTime(), nullable=True),
        sa.Column("last_step", sa.Integer(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(
            ["staff_id"], ["shared_staff.id"], name=op.f("fk_shared_second_factors_staff_id")
        ),
        sa.PrimaryKeyConstraint("staff_id", name=op.f("pk_shared_second_factors")),
    )
    # What it holds stays as it is: the program puts a keyed digest in its place, row by row,
    # because the keys are not ours to know. The constraint follows the column.
    op.execute("ALTER TABLE ingest_responses RENAME COLUMN external_id TO natural_key")
    op.add_column(
        "ingest_responses",
        sa.Column("keyed", sa.Boolean(), server_default=sa.false(), nullable=False),
    )
    op.create_index(
        "ix_ingest_responses_not_keyed",
        "ingest_responses",
        ["id"],
        unique=False,
        sqlite_where=sa.text("keyed = 0"),
        postgresql_where=sa.text("NOT keyed"),
    )
    op.create_index(
        op.f("ix_ingest_revisions_person_ref"), "ingest_revisions", ["person_ref"], unique=False
    )
    op.create_index(
        "ix_loop_responses_in_the_clear",
        "loop_responses",
        ["id"],
        unique=False,
        sqlite_where=sa.text("transaction_id IS NOT NULL"),
        postgresql_where=sa.text("transaction_id IS NOT NULL"),
    )
    op.drop_column("loop_responses", "external_id")
    op.create_index(
        "ix_loop_task_history_of_person", "loop_task_history", ["person_ref"], unique=False
    )
    op.create_index(op.f("ix_shared_audit_action"), "shared_audit", ["action"], unique=False)
    op.create_index(
        op.f("ix_shared_audit_actor_id_action_at"),
        "shared_audit",
        ["actor_id", "action", "at"],
        unique=False,
    )
    op.create_index(op.f("ix_shared_audit_at"), "shared_audit", ["at"], unique=False)
    op.create_index(op.f("ix_shared_audit_subject"), "shared_audit", ["subject"], unique=False)
    op.add_column(
        "shared_sessions",
        sa.Column("browser", sa.String(length=40), server_default="", nullable=False),
    )
    op.add_column(
        "shared_sessions",
        sa.Column("method", sa.String(length=10), server_default="password", nullable=False),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_column("shared_sessions", "method")
    op.drop_column("shared_sessions", "browser")
    op.drop_index(op.f("ix_shared_audit_subject"), table_name="shared_audit")
    op.drop_index(op.f("ix_shared_audit_at"), table_name="shared_audit")
    op.drop_index(op.f("ix_shared_audit_actor_id_action_at"), table_name="shared_audit")
    op.drop_index(op.f("ix_shared_audit_action"), table_name="shared_audit")
    op.drop_index("ix_loop_task_history_of_person", table_name="loop_task_history")
    op.add_column(
        "loop_responses",
        sa.Column("external_id", sa.String(length=200), server_default="", nullable=False),
    )
    op.drop_index(
        "ix_loop_responses_in_the_clear",
        table_name="loop_responses",
        sqlite_where=sa.text("transaction_id IS NOT NULL"),
        postgresql_where=sa.text("transaction_id IS NOT NULL"),
    )
    op.drop_index(op.f("ix_ingest_revisions_person_ref"), table_name="ingest_revisions")
    op.drop_index(
        "ix_ingest_responses_not_keyed",
        table_name="ingest_responses",
        sqlite_where=sa.text("keyed = 0"),
        postgresql_where=sa.text("NOT keyed"),
    )
    op.drop_column("ingest_responses", "keyed")
    op.execute("ALTER TABLE ingest_responses RENAME COLUMN natural_key TO external_id")
    op.drop_table("shared_second_factors")
    op.drop_index(op.f("ix_shared_recovery_codes_staff_id"), table_name="shared_recovery_codes")
    op.drop_table("shared_recovery_codes")
    op.drop_index(
        op.f("ix_shared_password_resets_staff_id"), table_name="shared_password_resets"
    )
    op.drop_table("shared_password_resets")
    op.drop_table("shared_federated_identities")
    op.drop_table("shared_person_request_parts")
    op.drop_index(
        op.f("ix_shared_person_requests_subject_digest"), table_name="shared_person_requests"
    )
    op.drop_index(op.f("ix_shared_person_requests_state"), table_name="shared_person_requests")
    op.drop_table("shared_person_requests")
    op.drop_table("shared_contact_refusals")
    op.drop_table("shared_audit_seals")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION shared_audit_seals_refuse()")
