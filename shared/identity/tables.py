"""The shared tables: people, teams, departments, keys, sessions, audit."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
)

from shared.db.append_only import grows_only
from shared.db.base import Json, UtcDateTime, metadata
from shared.db.plumbing import Sequence

departments = Table(
    "shared_departments",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("name", String(200), nullable=False, unique=True),
    Column("head_id", String(40)),
    Column("created_at", UtcDateTime, nullable=False),
    Column("version", Integer, nullable=False, server_default="1"),
)

teams = Table(
    "shared_teams",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("name", String(200), nullable=False, unique=True),
    Column("email", String(254)),
    Column("department_id", ForeignKey("shared_departments.id")),
    Column("created_at", UtcDateTime, nullable=False),
)

staff = Table(
    "shared_staff",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("email", String(254), nullable=False, unique=True),
    Column("name", String(200), nullable=False),
    Column("role", String(20), nullable=False),
    Column("language", String(20), nullable=False),
    Column("time_zone", String(60), nullable=False),
    Column("department_id", ForeignKey("shared_departments.id")),
    Column("password_hash", String(200)),
    Column("created_at", UtcDateTime, nullable=False),
    Column("disabled_at", UtcDateTime),
)

team_members = Table(
    "shared_team_members",
    metadata,
    Column("team_id", ForeignKey("shared_teams.id"), primary_key=True),
    Column("staff_id", ForeignKey("shared_staff.id"), primary_key=True, index=True),
)

api_keys = Table(
    "shared_api_keys",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("source", String(100), nullable=False, index=True),
    Column("name", String(200), nullable=False),
    Column("prefix", String(24), nullable=False),
    Column("digest", String(64), nullable=False, unique=True),
    Column("scopes", Json, nullable=False),
    # What is posted with a test key counts nowhere and opens nothing.
    Column("test", Boolean, nullable=False, server_default=false()),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime),
    Column("revoked_at", UtcDateTime),
    Column("last_used_on", Date),
    # The key that took its place; while both count, the systems change over.
    Column("replaced_by", String(40)),
)

sessions = Table(
    "shared_sessions",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("staff_id", ForeignKey("shared_staff.id"), nullable=False, index=True),
    Column("created_at", UtcDateTime, nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    # Such as "Firefox, Windows": enough to know one's own by, and nothing to tell people by.
    Column("browser", String(40), nullable=False, server_default=""),
    # How its person proved who they are: by ``password`` here, or by ``oidc`` elsewhere.
    Column("method", String(10), nullable=False, server_default="password"),
)

second_factors = Table(
    "shared_second_factors",
    metadata,
    Column("staff_id", ForeignKey("shared_staff.id"), primary_key=True),
    # What the authenticator app knows too, under a key of the installation.
    Column("sealed_secret", LargeBinary, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    # Empty while it is being set up.
    Column("confirmed_at", UtcDateTime),
    # The half minute of the last code that was taken: no code counts twice.
    Column("last_step", Integer, nullable=False, server_default="0"),
)
"""What somebody shows beside the password, at most one a person."""

recovery_codes = Table(
    "shared_recovery_codes",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("staff_id", ForeignKey("shared_staff.id"), nullable=False, index=True),
    Column("created_at", UtcDateTime, nullable=False),
)
"""What stands in for a lost authenticator; a code that was used is gone."""

password_resets = Table(
    "shared_password_resets",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("staff_id", ForeignKey("shared_staff.id"), nullable=False, index=True),
    Column("asked_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    # When the mail with the link was made; the link itself is signed as it is sent.
    Column("told_at", UtcDateTime),
    Column("used_at", UtcDateTime),
)
"""Wishes for a new password by mail, each good for one hour and for one time."""

federated_identities = Table(
    "shared_federated_identities",
    metadata,
    Column("issuer", String(300), primary_key=True),
    # SHA-256 of what the provider calls somebody, which never changes hands; some call people
    # by their address.
    Column("subject_digest", String(64), primary_key=True),
    Column("staff_id", ForeignKey("shared_staff.id"), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    UniqueConstraint("staff_id", "issuer"),
)
"""Who somebody is to an OpenID Connect provider: one identity per person and provider."""

sign_in_failures = Table(
    "shared_sign_in_failures",
    metadata,
    Column("id", Sequence, primary_key=True, autoincrement=True),
    Column("subject", String(64), nullable=False, index=True),
    Column("at", UtcDateTime, nullable=False),
)

person_keys = Table(
    "shared_person_keys",
    metadata,
    Column("ref", String(40), primary_key=True),
    Column("wrapped_key", LargeBinary),
    Column("created_at", UtcDateTime, nullable=False),
    Column("erased_at", UtcDateTime),
    # Of a response that was nobody's at first: the person that it turned out to come from.
    Column("belongs_to", String(40), index=True),
)
"""The person's data key, wrapped; a row without a key is a person who was erased."""

person_requests = Table(
    "shared_person_requests",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("kind", String(10), nullable=False),
    Column("reason", String(10), nullable=False),
    Column("state", String(10), nullable=False, index=True),
    Column("asked_at", UtcDateTime, nullable=False),
    Column("asked_by", String(40), nullable=False),
    # By what the person was named, and that name, until the request is done.
    Column("found_by", String(12)),
    Column("sealed_subject", LargeBinary),
    Column("subject_digest", String(64), index=True),
    # Who was found, as pseudonyms, and which answers of others somebody should read.
    Column("found", Json),
    Column("mentions", Json),
    Column("persons", Integer, nullable=False, server_default="0"),
    # How far the search has read.
    Column("cursor", String(40)),
    Column("done_at", UtcDateTime),
    Column("certificate", Json),
    # When the database was made to let go of the bytes that were scrubbed.
    Column("swept_at", UtcDateTime),
)
"""What was asked for about persons: to hand out what is known of them, or to forget it."""

person_request_parts = Table(
    "shared_person_request_parts",
    metadata,
    Column("request_id", ForeignKey("shared_person_requests.id"), primary_key=True),
    Column("service", String(10), primary_key=True),
    Column("persons_done", Integer, nullable=False),
    Column("counts", Json, nullable=False),
    # A line per person: pseudonym and document, each under that person's own key.
    Column("sealed_part", Text),
)
"""What each service did for a request; an archive dies with the person whose it is."""

contact_refusals = Table(
    "shared_contact_refusals",
    metadata,
    Column("person_ref", String(40), primary_key=True),
    Column("refusal", String(20), primary_key=True),
    Column("said_at", UtcDateTime, nullable=False),
)
"""Who asked not to be contacted, at all or about their answers, and when they said so last."""

audit = Table(
    "shared_audit",
    metadata,
    Column("n", Sequence, primary_key=True, autoincrement=True),
    Column("at", UtcDateTime, nullable=False, index=True),
    Column("actor_kind", String(10), nullable=False),
    Column("actor_id", String(40), nullable=False),
    Column("action", String(80), nullable=False, index=True),
    Column("subject", String(80), nullable=False, index=True),
    Column("detail", Json, nullable=False),
    # What somebody did, and whether they did the same just now.
    Index(None, "actor_id", "action", "at"),
)
grows_only(audit)

audit_seals = Table(
    "shared_audit_seals",
    metadata,
    Column("from_n", BigInteger, primary_key=True, autoincrement=False),
    Column("to_n", BigInteger, nullable=False),
    Column("lines", Integer, nullable=False),
    # Of each line its number and a mark of what it says, eight bytes each.
    Column("marks", LargeBinary, nullable=False),
    Column("mac", String(64), nullable=False),
    Column("made_at", UtcDateTime, nullable=False),
)
"""What shows whether a line of the audit trail was changed, removed or put in between."""
grows_only(audit_seals)

installation = Table(
    "shared_installation",
    metadata,
    Column("name", String(60), primary_key=True),
    Column("value", Text, nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
)
"""Facts about the installation that are no settings, such as a check value of its secret."""

ORGANISATION_NAME = "organisation-name"
"""The fact that stands above every page: whose installation it is."""

SECOND_FACTOR_ROLES = "second-factor-roles"
"""The fact that says who must have a second factor."""
