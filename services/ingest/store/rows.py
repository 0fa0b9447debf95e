"""Responses and their parts as values, and how they lie in their tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from services.ingest.domain.part import CLEAR

if TYPE_CHECKING:
    from sqlalchemy import Row

    from shared.sealing import Keyring

NaturalKey = tuple[str, str]
"""Source and external id: what a sender knows a response by."""


def natural_key_of(keyring: Keyring, external_id: str) -> str:
    """Return under what a response lies: a keyed digest of the id that its sender gave it."""
    return keyring.mac("natural-keys", external_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredResponse:
    """A response as all its parts make it, and where it stands."""

    id: str
    source: str
    natural_key: str = field(repr=False)
    keyed: bool = True
    """Whether the key is a digest; of rows of before it is the sender's own id."""
    revision: int
    person_ref: str
    clear: Mapping[str, Any]
    answered_at: datetime
    dated: bool
    received_at: datetime
    as_new: bool
    import_id: str | None = None
    has_comment: bool
    sealed_person: str | None = field(repr=False)
    first_fingerprint: str
    event_id: str
    announced: int
    announced_at: datetime
    state: str = "received"
    reason: str | None = None
    task_id: str | None = None
    task_version: int | None = None
    themes: Sequence[str] = ()
    handled: int | None = None
    announcements: int = 1
    announce_again_at: datetime | None = None

    def only_part(self) -> StoredPart:
        """Return the part that a response of one revision consists of."""
        return StoredPart(
            response_id=self.id,
            revision=1,
            fingerprint=self.first_fingerprint,
            received_at=self.received_at,
            answered_at=self.answered_at if self.dated else None,
            members=self.clear,
            person_ref=self.person_ref,
            sealed_person=self.sealed_person,
        )

    def row(self) -> dict[str, Any]:
        """Return the columns."""
        return {
            "id": self.id,
            "source": self.source,
            "natural_key": self.natural_key,
            "keyed": self.keyed,
            "revision": self.revision,
            "person_ref": self.person_ref,
            **_NOTHING_SENT,
            **self.clear,
            "answered_at": self.answered_at,
            "dated": self.dated,
            "received_at": self.received_at,
            "as_new": self.as_new,
            "import_id": self.import_id,
            "has_comment": self.has_comment,
            "sealed_person": self.sealed_person,
            "first_fingerprint": self.first_fingerprint,
            "event_id": self.event_id,
            "announced": self.announced,
            "announced_at": self.announced_at,
            "state": self.state,
            "outcome_reason": self.reason,
            "task_id": self.task_id,
            "task_version": self.task_version,
            "themes": self.themes or None,
            "handled": self.handled,
            "announcements": self.announcements,
            "announce_again_at": self.announce_again_at,
        }


_NOTHING_SENT: dict[str, Any] = dict.fromkeys(CLEAR)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPart:
    """One posting, as it was."""

    response_id: str
    revision: int
    fingerprint: str
    received_at: datetime
    answered_at: datetime | None
    members: Mapping[str, Any]
    person_ref: str
    sealed_person: str | None = field(repr=False)

    def row(self) -> dict[str, Any]:
        """Return the columns."""
        return {
            "response_id": self.response_id,
            "revision": self.revision,
            "fingerprint": self.fingerprint,
            "received_at": self.received_at,
            "answered_at": self.answered_at,
            "members": self.members,
            "person_ref": self.person_ref,
            "sealed_person": self.sealed_person,
        }


def response_of(row: Row[Any]) -> StoredResponse:
    """Return the response in a row."""
    return StoredResponse(
        id=row.id,
        source=row.source,
        natural_key=row.natural_key,
        keyed=row.keyed,
        revision=row.revision,
        person_ref=row.person_ref,
        clear={name: value for name in CLEAR if (value := getattr(row, name)) is not None},
        answered_at=row.answered_at,
        dated=row.dated,
        received_at=row.received_at,
        as_new=row.as_new,
        import_id=row.import_id,
        has_comment=row.has_comment,
        sealed_person=row.sealed_person,
        first_fingerprint=row.first_fingerprint,
        event_id=row.event_id,
        announced=row.announced,
        announced_at=row.announced_at,
        state=row.state,
        reason=row.outcome_reason,
        task_id=row.task_id,
        task_version=row.task_version,
        themes=row.themes or (),
        handled=row.handled,
        announcements=row.announcements,
        announce_again_at=row.announce_again_at,
    )
