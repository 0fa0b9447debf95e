"""Every event type by its name, and their JSON schemas as checked in under ``docs/events``."""

from __future__ import annotations

from typing import Any

from shared.events import ingest, loop, notify
from shared.events.envelope import Envelope, Event

EVENTS: dict[str, type[Event]] = {
    kind.TYPE: kind
    for kind in (
        ingest.ResponseReceived,
        ingest.ResponseRevised,
        ingest.ResponseRemoved,
        ingest.SourceSilent,
        ingest.SourceResumed,
        ingest.CustomerErased,
        ingest.CustomerExportRequested,
        loop.ResponseHandled,
        loop.TaskOpened,
        loop.TaskAssigned,
        loop.TaskContacted,
        loop.TaskDueSoon,
        loop.TaskOverdue,
        loop.TaskEscalated,
        loop.TaskPromiseDue,
        loop.TaskApprovalAsked,
        loop.TaskRecognised,
        loop.TaskResolved,
        loop.TaskConfirmed,
        loop.TaskClosed,
        loop.TaskReopened,
        loop.TaskRemoved,
        loop.ThemeRising,
        notify.AlertDelivered,
        notify.AlertUndeliverable,
    )
}


def schema_of(kind: type[Event]) -> dict[str, Any]:
    """Return the JSON schema (draft 2020-12) of one whole record of this type."""
    envelope = Envelope.model_json_schema(mode="serialization")
    data = kind.model_json_schema(mode="serialization", ref_template="#/$defs/{model}")
    definitions = data.pop("$defs", {})
    properties = envelope["properties"]
    properties["type"] = {"const": kind.TYPE}
    properties["data"] = data
    required = [name for name in properties if name != "causationid"]
    properties["causationid"] = {"type": "string", "minLength": 1}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:closed-loop:event:{kind.TYPE}",
        "title": kind.TYPE,
        "description": " ".join((kind.__doc__ or "").split()),
        "x-topic": kind.TOPIC,
        "x-owner": kind.OWNER,
        "type": "object",
        "properties": properties,
        "required": required,
        **({"$defs": definitions} if definitions else {}),
    }
