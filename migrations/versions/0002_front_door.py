"""The front door: sources, what they sent, test keys, imports; owners with dates."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from hashlib import blake2b
from typing import Any

import sqlalchemy as sa
from alembic import op

from shared.db.base import Json, UtcDateTime
from shared.ids import new_id

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    _make_requests_anew()
    _date_the_owners()
    op.create_table(
        "ingest_payloads",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("source", sa.String(length=100), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("content_type", sa.String(length=200), nullable=False),
        sa.Column("outcome", sa.String(length=12), nullable=False),
        sa.Column("reason", sa.String(length=80), nullable=True),
        sa.Column("path", sa.String(length=400), nullable=True),
        sa.Column("person_refs", Json, nullable=False),
        sa.Column("sealed_body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ingest_payloads")),
    )
    op.create_index(op.f("ix_ingest_payloads_at"), "ingest_payloads", ["at"], unique=False)
    op.create_index(
        "ix_ingest_payloads_of_source", "ingest_payloads", ["source", "id"], unique=False
    )
    op.create_table(
        "ingest_sources",
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("sender", sa.String(length=40), nullable=True),
        sa.Column("mapping", Json, nullable=True),
        sa.Column("namespace", sa.String(length=100), nullable=True),
        sa.Column("silent_after_hours", sa.Integer(), nullable=True),
        sa.Column("silent_since", UtcDateTime(), nullable=True),
        sa.Column("sealed_secrets", sa.LargeBinary(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("changed_at", UtcDateTime(), nullable=False),
        sa.Column("changed_by", sa.String(length=40), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_ingest_sources")),
    )
    op.create_table(
        "ingest_tallies",
        sa.Column("source", sa.String(length=100), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("outcome", sa.String(length=12), nullable=False),
        sa.Column("reason", sa.String(length=80), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint(
            "source", "day", "outcome", "reason", name=op.f("pk_ingest_tallies")
        ),
    )
    op.create_table(
        "loop_answer_rollups",
        sa.Column("key", sa.String(length=32), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("code", sa.String(length=200), nullable=False),
        sa.Column("emotion", sa.String(length=200), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_loop_answer_rollups")),
    )
    op.create_index(
        "ix_loop_answer_rollups_of_kind", "loop_answer_rollups", ["kind", "day"], unique=False
    )
    op.create_table(
        "loop_codes",
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("code", sa.String(length=200), nullable=False),
        sa.Column("labels", Json, nullable=False),
        sa.Column("alias_of", sa.String(length=200), nullable=True),
        sa.Column("described", sa.Boolean(), nullable=False),
        sa.Column("retired_at", UtcDateTime(), nullable=True),
        sa.Column("first_seen_at", UtcDateTime(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "code", name=op.f("pk_loop_codes")),
    )
    op.create_table(
        "notify_summary_items",
        sa.Column("delivery_id", sa.String(length=40), nullable=False),
        sa.Column("event_id", sa.String(length=80), nullable=False),
        sa.Column("target", sa.String(length=40), nullable=False),
        sa.Column("task_id", sa.String(length=40), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["delivery_id"],
            ["notify_deliveries.id"],
            name=op.f("fk_notify_summary_items_delivery_id"),
        ),
        sa.PrimaryKeyConstraint(
            "delivery_id", "event_id", name=op.f("pk_notify_summary_items")
        ),
        sa.UniqueConstraint(
            "event_id", "target", name=op.f("uq_notify_summary_items_event_id_target")
        ),
    )
    op.create_index(
        "ix_notify_summary_items_task_id", "notify_summary_items", ["task_id"], unique=False
    )
    op.add_column(
        "ingest_responses", sa.Column("import_id", sa.String(length=40), nullable=True)
    )
    op.create_index(
        "ix_ingest_responses_import_id",
        "ingest_responses",
        ["import_id"],
        unique=False,
        sqlite_where=sa.text("import_id IS NOT NULL"),
        postgresql_where=sa.text("import_id IS NOT NULL"),
    )
    op.create_index(
        "ix_ingest_responses_of_source", "ingest_responses", ["source", "id"], unique=False
    )
    op.add_column("loop_responses", sa.Column("import_id", sa.String(length=40), nullable=True))
    op.add_column(
        "loop_score_rollups",
        sa.Column("reason", sa.String(length=200), server_default="unknown", nullable=False),
    )
    op.add_column("loop_tasks", sa.Column("import_id", sa.String(length=40), nullable=True))
    op.add_column(
        "notify_deliveries", sa.Column("import_id", sa.String(length=40), nullable=True)
    )
    op.add_column(
        "notify_deliveries", sa.Column("gathering", sa.String(length=160), nullable=True)
    )
    op.create_index(
        "ix_notify_deliveries_gathering",
        "notify_deliveries",
        ["gathering"],
        unique=True,
        sqlite_where=sa.text("gathering IS NOT NULL"),
        postgresql_where=sa.text("gathering IS NOT NULL"),
    )
    op.create_index(
        "ix_notify_deliveries_import_id",
        "notify_deliveries",
        ["import_id", "id"],
        unique=False,
        sqlite_where=sa.text("import_id IS NOT NULL"),
        postgresql_where=sa.text("import_id IS NOT NULL"),
    )
    op.create_index(
        "ix_notify_deliveries_task_done",
        "notify_deliveries",
        ["task_id"],
        unique=False,
        sqlite_where=sa.text("reason = 'task_done'"),
        postgresql_where=sa.text("reason = 'task_done'"),
    )
    op.add_column(
        "shared_api_keys",
        sa.Column("test", sa.Boolean(), server_default=sa.false(), nullable=False),
    )
    op.add_column(
        "shared_api_keys", sa.Column("replaced_by", sa.String(length=40), nullable=True)
    )
    op.add_column(
        "shared_departments",
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
    )
    _count_again()


def _make_requests_anew() -> None:
    """Replace three ways of answering a repeated request by one.

    What was promised before is forgotten with it; a response is a duplicate all the same.
    """
    for name in ("ingest_idempotency", "loop_task_requests", "notify_requests"):
        op.drop_table(name)
    for service in ("ingest", "loop", "notify"):
        name = f"{service}_requests"
        op.create_table(
            name,
            sa.Column("key_digest", sa.String(length=64), nullable=False),
            sa.Column("fingerprint", sa.String(length=64), nullable=False),
            sa.Column("sealed_answer", sa.LargeBinary(), nullable=False),
            sa.Column("person_ref", sa.String(length=40), nullable=True),
            sa.Column("created_at", UtcDateTime(), nullable=False),
            sa.PrimaryKeyConstraint("key_digest", name=f"pk_{name}"),
        )
        op.create_index(f"ix_{name}_created_at", name, ["created_at"])


def _date_the_owners() -> None:
    """Give every touchpoint's owner a period: from when the touchpoint was first seen."""
    with op.batch_alter_table("loop_touchpoints") as batch:
        batch.add_column(
            sa.Column("key", sa.Boolean(), server_default=sa.false(), nullable=False)
        )
        batch.add_column(sa.Column("alias_of", sa.String(length=200), nullable=True))
        batch.create_foreign_key(
            "fk_loop_touchpoints_alias_of", "loop_touchpoints", ["alias_of"], ["code"]
        )
    op.create_index("ix_loop_touchpoints_alias_of", "loop_touchpoints", ["alias_of"])
    op.create_table(
        "loop_touchpoint_owners",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("code", sa.String(length=200), nullable=False),
        sa.Column("owner_id", sa.String(length=40), nullable=True),
        sa.Column("owner_kind", sa.String(length=10), nullable=True),
        sa.Column("department_id", sa.String(length=40), nullable=True),
        sa.Column("valid_from", UtcDateTime(), nullable=False),
        sa.Column("valid_until", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["code"], ["loop_touchpoints.code"], name=op.f("fk_loop_touchpoint_owners_code")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_loop_touchpoint_owners")),
    )
    op.create_index(
        "ix_loop_touchpoint_owners_of_touchpoint",
        "loop_touchpoint_owners",
        ["code", "valid_from"],
        unique=True,
    )
    op.create_index(
        op.f("ix_loop_touchpoint_owners_owner_id"),
        "loop_touchpoint_owners",
        ["owner_id"],
        unique=False,
    )

    touchpoints = sa.table(
        "loop_touchpoints",
        *(sa.column(name) for name in ("code", "owner_id", "owner_kind", "department_id")),
        sa.column("first_seen_at", UtcDateTime()),
    )
    periods = sa.table(
        "loop_touchpoint_owners",
        *(sa.column(name) for name in ("id", "code", "owner_id", "owner_kind")),
        sa.column("department_id"),
        sa.column("valid_from", UtcDateTime()),
    )
    owned = op.get_bind().execute(
        sa.select(touchpoints).where(
            touchpoints.c.owner_id.is_not(None) | touchpoints.c.department_id.is_not(None)
        )
    )
    op.bulk_insert(
        periods,
        [
            {
                "id": new_id("own"),
                "code": row.code,
                "owner_id": row.owner_id,
                "owner_kind": row.owner_kind,
                "department_id": row.department_id,
                "valid_from": row.first_seen_at,
            }
            for row in owned
        ],
    )
    for name in ("owner_id", "owner_kind", "department_id"):
        op.drop_column("loop_touchpoints", name)


def _count_again() -> None:
    """Count the stored responses by what is counted from now on."""
    responses = sa.table(
        "loop_responses",
        *(
            sa.column(name)
            for name in (
                "metric", "measurement", "score", "category",
                "touchpoint", "segment", "product", "channel", "reason", "emotion",
            )
        ),
        sa.column("answered_at", UtcDateTime()),
        sa.column("received_at", UtcDateTime()),
    )  # fmt: skip
    scores: dict[tuple[Any, ...], Counter[str]] = {}
    named: Counter[tuple[Any, ...]] = Counter()
    seen: dict[tuple[str, str], datetime] = {}
    for row in op.get_bind().execute(sa.select(responses)):
        day = row.answered_at.date()
        for kind in ("touchpoint", "segment", "product", "reason"):
            code = getattr(row, kind)
            emotion = (row.emotion or "") if kind == "reason" else ""
            named[day, kind, code or "unknown", emotion] += 1
            if code and code != "unknown" and kind != "touchpoint":
                known = seen.get((kind, code), row.received_at)
                seen[kind, code] = min(known, row.received_at)
        if row.score is not None:
            cell = (
                day, row.metric, row.measurement, row.touchpoint or "unknown",
                row.segment or "unknown", row.product or "unknown", row.channel or "unknown",
                row.reason or "unknown",
            )  # fmt: skip
            band = _BANDS.get(row.category, "middle")
            scores.setdefault(cell, Counter()).update(
                {"n": 1, band: 1, "total": row.score, "squares": row.score * row.score}
            )

    op.execute(sa.delete(_SCORES))
    columns = ("day", "metric", "measurement", "touchpoint", "segment", "product", "channel")
    op.bulk_insert(
        _SCORES,
        [
            {
                "key": _digest(cell),
                **dict(zip((*columns, "reason"), cell, strict=True)),
                **{name: sums[name] for name in _SUMS},
            }
            for cell, sums in scores.items()
        ],
    )
    op.bulk_insert(
        sa.table(
            "loop_answer_rollups",
            *(sa.column(name) for name in ("key", "kind", "code", "emotion", "n")),
            sa.column("day", sa.Date()),
        ),
        [
            {
                "key": _digest(cell),
                **dict(zip(("day", "kind", "code", "emotion"), cell, strict=True)),
                "n": n,
            }
            for cell, n in named.items()
        ],
    )
    op.bulk_insert(
        sa.table(
            "loop_codes",
            *(sa.column(name) for name in ("kind", "code", "version")),
            sa.column("labels", Json),
            sa.column("described", sa.Boolean()),
            sa.column("first_seen_at", UtcDateTime()),
        ),
        [
            {
                "kind": kind,
                "code": code,
                "labels": {},
                "described": False,
                "first_seen_at": first_seen_at,
                "version": 1,
            }
            for (kind, code), first_seen_at in seen.items()
        ],
    )


_SUMS = ("n", "high", "middle", "low", "total", "squares")
_SCORES = sa.table(
    "loop_score_rollups",
    *(
        sa.column(name)
        for name in (
            "key", "metric", "measurement", "touchpoint", "segment", "product", "channel",
            "reason", *_SUMS,
        )
    ),
    sa.column("day", sa.Date()),
)  # fmt: skip
_BANDS = {
    "promoter": "high", "satisfied": "high", "detractor": "low", "dissatisfied": "low",
}  # fmt: skip


def _digest(cell: tuple[Any, ...]) -> str:
    return blake2b("\x1f".join(map(str, cell)).encode(), digest_size=16).hexdigest()


def downgrade() -> None:
    """Refuse: owners' periods and what sources sent have no place in the former tables."""
    raise NotImplementedError
