"""CloudEvents 1.0 in structured JSON, one event a record.

An event is a frozen fact; its envelope says when, where and because of what. Additions only
within one version: readers ignore members they do not know.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from shared.errors import Malformed

E = TypeVar("E", bound="Event")

SPEC_VERSION = "1.0"
MAX_BYTES = 1_000_000


class Event(BaseModel):
    """A fact that happened: past tense, frozen, whole, versioned.

    ``TYPE`` is the CloudEvents type, ``TOPIC`` the bus topic, ``OWNER`` the service that alone
    publishes it. ``subject()`` names the thing that it happened to.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_timedelta="iso8601")

    TYPE: ClassVar[str]
    TOPIC: ClassVar[str]
    OWNER: ClassVar[str]

    def subject(self) -> str:
        """Return the id of the thing that this happened to."""
        raise NotImplementedError


class Envelope(BaseModel):
    """One CloudEvent as it lies on the bus."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    specversion: str = SPEC_VERSION
    id: Annotated[str, Field(min_length=1, max_length=80)]
    source: str
    type: Annotated[str, Field(min_length=1, max_length=80)]
    subject: str
    time: AwareDatetime
    datacontenttype: str = "application/json"
    dataschema: str
    correlationid: str
    causationid: str | None = None
    data: dict[str, Any]

    def encode(self) -> bytes:
        """Return the record's bytes: compact JSON, absent members left out."""
        return self.model_dump_json(exclude_none=False, exclude=self._absent()).encode()

    def _absent(self) -> set[str]:
        return {"causationid"} if self.causationid is None else set()


def wrap(
    event: Event,
    *,
    event_id: str,
    at: AwareDatetime,
    correlation_id: str | None = None,
    cause: Envelope | None = None,
) -> Envelope:
    """Put an event into its envelope; the chain of causes keeps one correlation id."""
    return Envelope(
        id=event_id,
        source=f"/closed-loop/{event.OWNER}",
        type=event.TYPE,
        subject=event.subject(),
        time=at,
        dataschema=f"urn:closed-loop:event:{event.TYPE}",
        correlationid=cause.correlationid if cause else correlation_id or event_id,
        causationid=cause.id if cause else None,
        data=event.model_dump(mode="json"),
    )


def decode(body: bytes | None) -> Envelope:
    """Read a record; raise ``Malformed`` with a reason that holds none of its content."""
    if body is None:
        message = "the record has no value"
        raise Malformed(message)
    if len(body) > MAX_BYTES:
        message = f"the record is longer than {MAX_BYTES} bytes"
        raise Malformed(message)
    try:
        document = json.loads(body.decode("utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError):
        message = "the record is not JSON in UTF-8"
        raise Malformed(message) from None
    try:
        envelope = Envelope.model_validate(document)
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"]) or "the document"
        message = f"the record is no CloudEvent of ours: {where}"
        raise Malformed(message) from None
    if envelope.specversion != SPEC_VERSION:
        message = "the record speaks another version of CloudEvents"
        raise Malformed(message)
    return envelope


def read(envelope: Envelope, kind: type[E]) -> E:
    """Return the fact inside; raise ``Malformed`` when its members do not fit."""
    try:
        return kind.model_validate(envelope.data)
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"])
        message = f"{envelope.type} has an unusable member: {where}"
        raise Malformed(message) from None
