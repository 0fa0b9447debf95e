"""The follow-up tasks, their history, and the rules and schemes that open them.

What was said stands sealed in the history, one row an act, and is never rewritten; the task's
own row holds where it stands, so that a queue is one scan of one index.
"""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    false,
    text,
)

from shared.db.base import Json, UtcDateTime, metadata
from shared.db.plumbing import Sequence
from shared.identity.erasure import PersonalColumn

tasks = Table(
    "loop_tasks",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("version", Integer, nullable=False),
    # One task per response, whatever is delivered twice.
    Column("response_id", String(40), nullable=False, unique=True),
    Column("response_revision", Integer, nullable=False),
    Column("person_ref", String(40), nullable=False, index=True),
    Column("state", String(20), nullable=False),
    # No promise is nobody's: neither owner nor deadline can be missing.
    Column("owner_id", String(40), nullable=False),
    Column("owner_kind", String(10), nullable=False),
    Column("opened_at", UtcDateTime, nullable=False),
    Column("first_contact_due_at", UtcDateTime, nullable=False),
    Column("due_at", UtcDateTime, nullable=False),
    Column("next_due_at", UtcDateTime, nullable=False),
    Column("waiting_since", UtcDateTime, nullable=False),
    Column("first_contact_at", UtcDateTime),
    Column("next_contact_at", UtcDateTime),
    Column("waiting_until", UtcDateTime),
    Column("snoozed_until", UtcDateTime),
    # While it is the customer's turn the deadline does not come closer.
    Column("paused_since", UtcDateTime),
    Column("ended_at", UtcDateTime),
    # Out of the record, for lists and rates: what the customer said of it, and what is awaited.
    Column("reached_at", UtcDateTime),
    Column("asked_at", UtcDateTime),
    Column("denied_at", UtcDateTime),
    Column("confirmed_at", UtcDateTime),
    Column("saved_until", UtcDateTime),
    Column("example_at", UtcDateTime),
    Column("rule", String(80), nullable=False),
    Column("rule_name", String(200), nullable=False),
    Column("scheme", Json, nullable=False),
    Column("metric", String(8), nullable=False),
    Column("score", Integer),
    Column("touchpoint", String(200)),
    Column("segment", String(200)),
    Column("product", String(200)),
    # The response's token, unchanged: customer block and comment under the person's key.
    Column("sealed_person", Text),
    # The import that the answer came with: its owner gets one mail about all of its tasks.
    Column("import_id", String(40)),
    # A customer who was unhappy before: further answers stand in loop_task_responses too.
    Column("repeat", Boolean, nullable=False, server_default=false()),
    Column("other_responses", Json, nullable=False, server_default="[]"),
    Column("record", Json, nullable=False),
    Index(
        "ix_loop_tasks_open_by_owner",
        "owner_id",
        "next_due_at",
        "id",
        sqlite_where=text("ended_at IS NULL"),
        postgresql_where=text("ended_at IS NULL"),
    ),
    Index(
        "ix_loop_tasks_open_by_due",
        "next_due_at",
        "id",
        sqlite_where=text("ended_at IS NULL"),
        postgresql_where=text("ended_at IS NULL"),
    ),
    Index(
        "ix_loop_tasks_open_by_state",
        "state",
        "owner_id",
        "next_due_at",
        "id",
        sqlite_where=text("ended_at IS NULL"),
        postgresql_where=text("ended_at IS NULL"),
    ),
    Index(
        "ix_loop_tasks_denied",
        "denied_at",
        "id",
        sqlite_where=text("denied_at IS NOT NULL"),
        postgresql_where=text("denied_at IS NOT NULL"),
    ),
    Index(
        "ix_loop_tasks_examples",
        "example_at",
        "id",
        sqlite_where=text("example_at IS NOT NULL"),
        postgresql_where=text("example_at IS NOT NULL"),
    ),
    Index("ix_loop_tasks_by_due", "next_due_at", "id"),
    Index("ix_loop_tasks_opened_at", "opened_at"),
    Index("ix_loop_tasks_ended_by_owner", "owner_id", "ended_at", "id"),
)

task_responses = Table(
    "loop_task_responses",
    metadata,
    Column("response_id", String(40), primary_key=True),
    Column("task_id", ForeignKey("loop_tasks.id"), nullable=False, index=True),
    Column("revision", Integer, nullable=False),
    Column("joined_at", UtcDateTime, nullable=False),
)
"""Answers that belong to a case that another answer of the same customer opened."""

task_history = Table(
    "loop_task_history",
    metadata,
    Column("n", Sequence, primary_key=True, autoincrement=True),
    Column("task_id", ForeignKey("loop_tasks.id"), nullable=False),
    Column("version", Integer, nullable=False),
    Column("act", String(20), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("by_id", String(40), nullable=False),
    Column("by_name", String(200), nullable=False),
    Column("by_kind", String(10), nullable=False),
    Column("detail", Json, nullable=False),
    # Notes, agreements and causes under the customer's key, since they speak of the customer.
    Column("sealed_words", Text),
    # Whose key that is: a later answer may say that the customer is somebody else.
    Column("person_ref", String(40), nullable=False),
    Index("ix_loop_task_history_of_task", "task_id", "n"),
    Index("ix_loop_task_history_of_person", "person_ref"),
)
"""Rows are added and never changed; only the words go, with the person they speak of."""

escalations = Table(
    "loop_task_escalations",
    metadata,
    Column("owner_id", String(40), primary_key=True),
    Column("task_id", ForeignKey("loop_tasks.id"), primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    Index("ix_loop_task_escalations_of_task", "task_id"),
)
"""Who was told, above the owner, that a promise breaks."""

search = Table(
    "loop_search",
    metadata,
    # A keyed digest of a word, an address or an id: it can be compared and not be read.
    Column("term", String(24), primary_key=True),
    Column("response_id", String(40), primary_key=True),
    Column("task_id", String(40), nullable=False),
    Column("person_ref", String(40), nullable=False),
    Index("ix_loop_search_of_response", "response_id"),
    Index("ix_loop_search_of_person", "person_ref"),
)
"""What a task can be found by."""

saved_views = Table(
    "loop_saved_views",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("staff_id", String(40), nullable=False, index=True),
    Column("name", String(80), nullable=False),
    Column("query", String(1000), nullable=False),
    Column("shared", Boolean, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)
"""Filters of the queue under a name; never with words that somebody searched for."""

bulk_acts = Table(
    "loop_bulk_acts",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("staff_id", String(40), nullable=False, index=True),
    Column("act", String(20), nullable=False),
    Column("done", Json, nullable=False),
    Column("at", UtcDateTime, nullable=False),
)
"""What was done to many tasks at once, for as long as it can be taken back."""

task_viewers = Table(
    "loop_task_viewers",
    metadata,
    Column("task_id", String(40), primary_key=True),
    Column("staff_id", String(40), primary_key=True),
    Column("seen_at", UtcDateTime, nullable=False, index=True),
)
"""Who has a task open; a row lives for a minute after the last look."""

rules = Table(
    "loop_rules",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("document", Json, nullable=False),
    Column("published_at", UtcDateTime, nullable=False),
    Column("published_by", String(40), nullable=False),
)
"""The rule books, by version; the highest one applies."""

rule_drafts = Table(
    "loop_rule_drafts",
    metadata,
    # There is one draft at most; its row is always the same one.
    Column("name", String(20), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("based_on", Integer, nullable=False),
    Column("document", Json, nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
    Column("changed_by", String(40), nullable=False),
)
"""The rule book that somebody is working on; nothing goes by it until it is published."""

schemes = Table(
    "loop_schemes",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("document", Json, nullable=False),
    Column("published_at", UtcDateTime, nullable=False),
    Column("published_by", String(40), nullable=False),
)
"""The recovery schemes, by version; of each the highest one applies to new tasks."""

PERSONAL = (
    PersonalColumn(table="loop_tasks", column="sealed_person", how="sealed"),
    PersonalColumn(table="loop_tasks", column="record", how="scrub"),
    PersonalColumn(table="loop_task_history", column="sealed_words", how="sealed"),
    PersonalColumn(table="loop_task_history", column="by_name", how="scrub"),
    PersonalColumn(table="loop_search", column="term", how="scrub"),
)
"""What dies with a customer's key, and where the names of those who acted stand."""
