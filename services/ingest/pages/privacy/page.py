"""What the pages about customers' data show, and what things are called there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from services.ingest.handlers.persons import ARCHIVES_KEPT
from services.ingest.store import Presence
from shared.i18n import Reader, marked
from shared.identity.person_requests import Kind, PersonRequest, State
from shared.web.forms import Form, Option

PATH: Final = "/settings/privacy"
CONFIRMATION: Final = "ERASE"
"""What somebody types who means it; the same in every language."""

KINDS: Final[Mapping[Kind, str]] = {
    "export": marked("Copy of the data"),
    "erasure": marked("Erasure"),
}
STATES: Final[Mapping[State, tuple[str, str]]] = {
    "searching": (marked("searching"), "soon"),
    "working": (marked("under way"), "soon"),
    "done": (marked("done"), "done"),
}
"""What a state is called, and the class that sets its word off."""

WAYS: Final[Mapping[str, str]] = {
    "email": marked("E-mail address"),
    "customer_id": marked("Customer id of a source"),
    "response_id": marked("Id of a response"),
    "ref": marked("Pseudonym"),
}
RETENTION: Final = marked("end of the time for which data are kept")

SERVICES: Final[Mapping[str, str]] = {
    "ingest": marked("What was sent"),
    "loop": marked("Tasks and search"),
    "notify": marked("Mail and webhooks"),
}
COUNTS: Final[Mapping[str, str]] = {
    "responses": marked("responses"),
    "revisions": marked("parts of responses"),
    "payloads": marked("samples of payloads"),
    "archives": marked("parts of copies"),
    "tasks": marked("tasks"),
    "notes": marked("notes"),
    "search_terms": marked("search terms"),
    "dead_letters": marked("dead letters"),
    "captured_mails": marked("captured mails"),
    "replies": marked("replies of receivers"),
    "deliveries": marked("deliveries"),
    "receivers_told": marked("receivers told"),
}
REMAINS: Final[Mapping[str, str]] = {
    "score": marked("score"),
    "times": marked("times"),
    "touchpoint": marked("touchpoint"),
    "themes": marked("themes"),
}


@dataclass(frozen=True, kw_only=True)
class RequestLine:
    """One request, as it is listed: it names nobody."""

    id: str
    href: str
    kind: str
    named_by: str
    asked_at: datetime
    persons: int
    state: str
    look: str


@dataclass(frozen=True, kw_only=True)
class Discovery:
    """What there is of whoever was named, and the name, to go on with."""

    by: str
    value: str
    source: str
    persons: Sequence[Presence]
    responses: int
    mentions: int
    complete: bool
    export: Form
    erase: Form


@dataclass(frozen=True, kw_only=True)
class PrivacyPage:
    """What the page with all requests shows."""

    now: datetime
    lines: Sequence[RequestLine]
    newer: str | None
    older: str | None
    find: Form
    ways: Sequence[Option]
    found: Discovery | None
    confirmation: str


@dataclass(frozen=True, kw_only=True)
class Counted:
    """What one service did."""

    service: str
    counts: Sequence[tuple[str, int]]


@dataclass(frozen=True, kw_only=True)
class RequestPage:
    """What the page of one request shows."""

    line: RequestLine
    is_erasure: bool
    is_done: bool
    asked_by: str
    done_at: datetime | None
    counted: Sequence[Counted]
    remains: Sequence[str]
    log_until: str
    archive: str | None
    archive_until: datetime | None
    mentions: Sequence[tuple[str, str | None]]
    """Responses of others that seem to name the person, each with its task's page."""


def line_of(one: PersonRequest, reader: Reader) -> RequestLine:
    """Return a request as it is listed."""
    state, look = STATES[one.state]
    named_by = RETENTION if one.reason == "retention" else WAYS.get(one.found_by or "", "")
    return RequestLine(
        id=one.id,
        href=f"{PATH}/{one.id}",
        kind=reader.gettext(KINDS[one.kind]),
        named_by=reader.gettext(named_by) if named_by else "",
        asked_at=one.asked_at,
        persons=one.persons,
        state=reader.gettext(state),
        look=look,
    )


def request_page(
    one: PersonRequest,
    reader: Reader,
    *,
    asked_by: str,
    mentions: Sequence[tuple[str, str | None]],
    now: datetime,
) -> RequestPage:
    """Return what the page of one request shows."""
    certificate = one.certificate or {}
    has_archive = one.kind == "export" and one.done_at is not None and one.persons > 0
    until = one.done_at + ARCHIVES_KEPT if has_archive and one.done_at is not None else None
    return RequestPage(
        line=line_of(one, reader),
        is_erasure=one.kind == "erasure",
        is_done=one.state == "done",
        asked_by=asked_by,
        done_at=one.done_at,
        counted=[
            Counted(
                service=reader.gettext(SERVICES[service]),
                counts=[
                    (reader.gettext(COUNTS[name]) if name in COUNTS else name, n)
                    for name, n in sorted(counts.items())
                    if n
                ],
            )
            for service, counts in certificate.get("services", {}).items()
        ],
        remains=[reader.gettext(REMAINS[each]) for each in certificate.get("remains", ())],
        log_until=certificate.get("log_until", ""),
        archive=f"{PATH}/{one.id}/archive" if until is not None and now < until else None,
        archive_until=until,
        mentions=mentions,
    )
