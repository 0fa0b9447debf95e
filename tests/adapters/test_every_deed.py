"""Every door that changes something leaves a line in the audit trail, or is excused with why.

The doors come from the application itself. Each one of the ledger below is gone through in a
furnished house: those of the interface with a body from here, those of the pages with the form
that a page offers, filled in as somebody would. A new door without a line fails.
"""

from __future__ import annotations

import ast
import asyncio
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from sqlalchemy import delete, func, select
from typing_extensions import override

from services.loop.journey.tables import codes
from services.notify import store as mail
from shared.identity.tables import audit
from shared.web.audit.words import ACTIONS
from tests.adapters.excused_doors import EXCUSED
from tests.adapters.test_account import EMAIL, browsing, enter, with_factor
from tests.adapters.web_house import PASSWORD, House
from tests.architecture.composed import doors
from tests.forms import URLENCODED
from tests.full_house import FullHouse, full_house
from tests.staff import audited

ROOT: Final = Path(__file__).parents[2]
RECORDING: Final = frozenset({"audit.record", "record", "self._note", "note_opening"})
DEED: Final = re.compile(r"[a-z]+(-[a-z]+)*\.[a-z]+([-_][a-z]+)*")
URL: Final = "http://127.0.0.1:8000"
CANARY: Final = "Ca9aryQ7"
WORDS: Final = (f"{CANARY} of a person", f"{CANARY} <b>said</b>", f"{CANARY}")


def is_in_a_history(door: str) -> bool:
    """Tell whether a door of the interface is an act on one task."""
    return door.startswith("POST /v1/tasks/{task_id}/")


@dataclass
class Call:
    """How a door of the interface is knocked at, and what the answer is remembered as."""

    path: str
    body: Any = None
    keep: str = ""
    method: str = ""


WEEK: Final = {"time_zone": "UTC", "week": {"monday": [{"start": "09:00", "end": "17:00"}]}}
SCHEME: Final = {
    "first_contact_within_hours": 2,
    "resolve_within_hours": 8,
    "attempts": {"number": 3, "days": 1, "channels": 1},
}
CARE: Final = {"id": "team_customer_care", "kind": "team"}
BOOK: Final = {"repeat": {"within_days": 7, "share_of_time": 0.5}, "rules": []}
TAXONOMY: Final = {"version": 1, "themes": [{"id": "t", "name": "T", "keywords": {}}]}
CALLS: Final[Mapping[str, tuple[str, Call]]] = {
    "POST /v1/departments": ("department.created", Call("/v1/departments", {"name": "X"}, "d")),
    "PATCH /v1/departments/{department_id}": (
        "department.changed",
        Call("/v1/departments/{d}", {"name": "Y"}),
    ),
    "POST /v1/touchpoints": ("touchpoint.described", Call("/v1/touchpoints", {"code": "van"})),
    "PATCH /v1/touchpoints/{code}": (
        "touchpoint.changed",
        Call("/v1/touchpoints/van", {"name": "Van"}),
    ),
    "POST /v1/touchpoints/{code}/owners": (
        "touchpoint.owner-planned",
        Call("/v1/touchpoints/van/owners", {"owner": CARE}, "p"),
    ),
    "PATCH /v1/touchpoints/{code}/owners/{period_id}": (
        "touchpoint.owner-ended",
        Call("/v1/touchpoints/van/owners/{p}", {"valid_until": "2027-01-01T00:00:00Z"}),
    ),
    "DELETE /v1/touchpoints/{code}/owners/{period_id}": (
        "touchpoint.owner-ended",
        Call("/v1/touchpoints/van/owners/{p}"),
    ),
    **{
        f"POST /v1/{kind}s": (f"{kind}.described", Call(f"/v1/{kind}s", {"code": "a"}))
        for kind in ("segment", "product", "reason")
    },
    **{
        f"PATCH /v1/{kind}s/{{code}}": (
            f"{kind}.changed",
            Call(f"/v1/{kind}s/a", {"labels": {"en": "A"}}),
        )
        for kind in ("segment", "product", "reason")
    },
    **{
        f"DELETE /v1/{kind}s/{{code}}": (f"{kind}.retired", Call(f"/v1/{kind}s/a"))
        for kind in ("segment", "product", "reason")
    },
    "POST /v1/reasons/starter": (
        "reason.described",
        Call("/v1/reasons/starter", {"set": "bank"}),
    ),
    "POST /v1/calendars": (
        "calendar.published",
        Call("/v1/calendars", {"id": "a", "name": "A", **WEEK}),
    ),
    "PATCH /v1/calendars/{calendar_id}": (
        "calendar.published",
        Call("/v1/calendars/a", {"name": "B"}),
    ),
    "POST /v1/schemes": (
        "scheme.published",
        Call("/v1/schemes", {"id": "a", "name": "A", **SCHEME}),
    ),
    "PATCH /v1/schemes/{scheme_id}": ("scheme.published", Call("/v1/schemes/a", {"name": "B"})),
    "POST /v1/routing-rules/draft/publish": (
        "rules.published",
        Call("/v1/routing-rules/draft/publish"),
    ),
    "POST /v1/routing-rules/versions/{version}/restore": (
        "rules.published",
        Call("/v1/routing-rules/versions/1/restore"),
    ),
    "DELETE /v1/routing-rules/draft": ("rules.draft-dropped", Call("/v1/routing-rules/draft")),
    "PUT /v1/taxonomy": ("taxonomy.changed", Call("/v1/taxonomy", TAXONOMY)),
    "POST /v1/taxonomy/draft/publish": (
        "taxonomy.changed",
        Call("/v1/taxonomy/draft/publish"),
    ),
    "POST /v1/taxonomy/versions/{version}/restore": (
        "taxonomy.changed",
        Call("/v1/taxonomy/versions/1/restore"),
    ),
    "DELETE /v1/taxonomy/draft": ("taxonomy.draft-dropped", Call("/v1/taxonomy/draft")),
    "POST /v1/outer-items/{item_id}/accept": (
        "outer-item.accepted",
        Call("/v1/outer-items/{item_id}/accept", {}),
    ),
    "POST /v1/outer-items/{item_id}/reopen": (
        "outer-item.reopened",
        Call("/v1/outer-items/{item_id}/reopen"),
    ),
    "POST /v1/outer-items/{item_id}/merge": (
        "outer-item.merged",
        Call("/v1/outer-items/{merging}/merge", {"into": "{item_id}"}),
    ),
    "POST /v1/outer-items/{item_id}/dismiss": (
        "outer-item.dismissed",
        Call("/v1/outer-items/{dismissing}/dismiss", {"reason": "known"}),
    ),
    "POST /v1/taxonomy/replays": (
        "replay.started",
        Call("/v1/taxonomy/replays", keep="replay"),
    ),
    "POST /v1/taxonomy/replays/{replay_id}/pause": (
        "replay.paused",
        Call("/v1/taxonomy/replays/{replay}/pause"),
    ),
    "POST /v1/taxonomy/replays/{replay_id}/resume": (
        "replay.resumed",
        Call("/v1/taxonomy/replays/{replay}/resume"),
    ),
    "POST /v1/taxonomy/replays/{replay_id}/stop": (
        "replay.stopped",
        Call("/v1/taxonomy/replays/{replay}/stop"),
    ),
    "POST /v1/discoveries/{discovery_id}/adopt": (
        "discovery.adopted",
        Call("/v1/discoveries/{adoptable}/adopt", {"name": "Lockers"}),
    ),
    "POST /v1/discoveries/{discovery_id}/dismiss": (
        "discovery.dismissed",
        Call("/v1/discoveries/{discovery_id}/dismiss"),
    ),
    "POST /v1/discoveries/{discovery_id}/restore": (
        "discovery.restored",
        Call("/v1/discoveries/{discovery_id}/restore"),
    ),
    "POST /v1/absences": (
        "absence.noted",
        Call("/v1/absences", {"staff_id": "{staff_id}"}, "a"),
    ),
    "DELETE /v1/absences/{absence_id}": ("absence.ended", Call("/v1/absences/{a}")),
    "PUT /v1/workloads/{staff_id}": (
        "workload.limited",
        Call("/v1/workloads/{staff_id}", {"most_open": 5}),
    ),
    "POST /v1/staff/{staff_id}/handover": (
        "staff.handed-over",
        Call("/v1/staff/{staff_id}/handover", {"to": "team_customer_care"}),
    ),
    "POST /v1/keys": (
        "key.created",
        Call("/v1/keys", {"source": "till", "name": "k", "scopes": ["responses:write"]}, "k"),
    ),
    "POST /v1/keys/{key_id}/rotate": ("key.rotated", Call("/v1/keys/{k}/rotate")),
    "DELETE /v1/keys/{key_id}": ("key.revoked", Call("/v1/keys/{k}")),
    "PUT /v1/sources/{name}": (
        "source.changed",
        Call("/v1/sources/crm", {"silent_after_hours": 24}),
    ),
    "POST /v1/sources/{name}/secrets": (
        "source.secret_added",
        Call("/v1/sources/crm/secrets", {"secret": CANARY}, "s"),
    ),
    "DELETE /v1/sources/{name}/secrets/{secret_id}": (
        "source.secret_deleted",
        Call("/v1/sources/crm/secrets/{s}"),
    ),
    "POST /v1/sources/{name}/payloads/{payload_id}/receive": (
        "payload.received",
        Call("/v1/sources/crm/payloads/{payload_id}/receive"),
    ),
    "POST /v1/webhooks": (
        "webhook.created",
        Call("/v1/webhooks", {"url": "https://hooks.example.org/z"}, "w"),
    ),
    "PATCH /v1/webhooks/{webhook_id}": (
        "webhook.changed",
        Call("/v1/webhooks/{w}", {"state": "disabled"}),
    ),
    "POST /v1/webhooks/{webhook_id}/enable": (
        "webhook.changed",
        Call("/v1/webhooks/{w}/enable"),
    ),
    "POST /v1/webhooks/{webhook_id}/rotate": (
        "webhook.rotated",
        Call("/v1/webhooks/{w}/rotate"),
    ),
    "POST /v1/webhooks/{webhook_id}/recover": (
        "webhook.recovered",
        Call("/v1/webhooks/{webhook_id}/recover", {"since": "2026-03-01T00:00:00Z"}),
    ),
    "DELETE /v1/webhooks/{webhook_id}": ("webhook.deleted", Call("/v1/webhooks/{w}")),
    "POST /v1/deliveries/{delivery_id}/resend": (
        "delivery.resent",
        Call("/v1/deliveries/{mailed}/resend"),
    ),
    "DELETE /v1/suppressions/{suppression_id}": (
        "mail.unsuppressed",
        Call("/v1/suppressions/{suppression_id}"),
    ),
    "PUT /v1/retention": (
        "retention.changed",
        Call("/v1/retention", {"customers_months": 48}),
    ),
    "POST /v1/person-requests/find": (
        "person.searched",
        Call("/v1/person-requests/find", {"person": {"ref": "{ref}"}}),
    ),
    "POST /v1/person-requests": (
        "person.export-asked",
        Call(
            "/v1/person-requests", {"kind": "export", "person": {"ref": "{ref}"}}, "request_id"
        ),
    ),
}
"""What each door of the interface is recorded as, in the order in which they are tried."""


FORMS: Final[Mapping[str, str]] = {
    "POST /queue/bulk": "tasks.changed_in_bulk",
    "POST /queue/undo": "tasks.bulk_taken_back",
    "POST /settings/absences": "absence.noted",
    "POST /settings/absences/end": "absence.ended",
    "POST /settings/absences/limit": "workload.limited",
    "POST /settings/calendars/one": "calendar.published",
    "POST /settings/calendars/restore": "calendar.published",
    "POST /settings/departments": "department.created",
    "POST /settings/handover": "staff.handed-over",
    "POST /settings/keys": "key.created",
    "POST /settings/keys/{key_id}/rotate": "key.rotated",
    "POST /settings/keys/{key_id}/revoke": "key.revoked",
    "POST /settings/lists": "segment.described",
    "POST /settings/lists/starter": "reason.described",
    "POST /settings/lists/{act}": "segment.changed",
    "POST /settings/mail/deliveries/{delivery_id}/resend": "delivery.resent",
    "POST /settings/mail/resume": "mail.resumed",
    "POST /settings/mail/suppressions/{suppression_id}/lift": "mail.unsuppressed",
    "POST /settings/organisation": "organisation.changed",
    "POST /settings/people": "staff.created",
    "POST /settings/people/{staff_id}": "staff.changed",
    "POST /settings/people/{staff_id}/password": "staff.password-set",
    "POST /settings/privacy/find": "person.searched",
    "POST /settings/privacy": "person.export-asked",
    "POST /settings/privacy/retention": "retention.changed",
    "POST /settings/rules/publish": "rules.published",
    "POST /settings/rules/restore": "rules.published",
    "POST /settings/rules/drop": "rules.draft-dropped",
    "POST /settings/taxonomy/publish": "taxonomy.changed",
    "POST /settings/taxonomy/restore": "taxonomy.changed",
    "POST /settings/taxonomy/drop": "taxonomy.draft-dropped",
    "POST /settings/schemes/one": "scheme.published",
    "POST /settings/schemes/restore": "scheme.published",
    "POST /settings/sources": "source.changed",
    "POST /settings/sources/{name}": "source.changed",
    "POST /settings/sources/{name}/mapping": "source.changed",
    "POST /settings/sources/{name}/payloads/{payload_id}/mapping": "source.changed",
    "POST /settings/sources/{name}/payloads/{payload_id}/again": "payload.received",
    "POST /settings/sources/{name}/secrets": "source.secret_added",
    "POST /settings/sources/{name}/secrets/{secret_id}/delete": "source.secret_deleted",
    "POST /settings/touchpoints": "touchpoint.described",
    "POST /settings/touchpoints/describe": "touchpoint.changed",
    "POST /settings/touchpoints/owners": "touchpoint.owner-planned",
    "POST /settings/touchpoints/end": "touchpoint.owner-ended",
    "POST /settings/touchpoints/map": "touchpoint.changed",
    "POST /settings/webhooks": "webhook.created",
    "POST /settings/webhooks/{webhook_id}": "webhook.changed",
    "POST /settings/webhooks/{webhook_id}/rotate": "webhook.rotated",
    "POST /settings/webhooks/{webhook_id}/disable": "webhook.changed",
    "POST /settings/webhooks/{webhook_id}/enable": "webhook.changed",
    "POST /settings/webhooks/{webhook_id}/recover": "webhook.recovered",
    "POST /settings/webhooks/{webhook_id}/deliveries/{delivery_id}/resend": "delivery.resent",
    **{
        f"POST /settings/dead-letters/{owner}{act}": f"dead-letter.{deed}"
        for owner in ("ingest", "loop", "notify")
        for act, deed in (
            ("/{letter_id}/open", "opened"),
            ("/{letter_id}/discard", "discarded"),
        )
    },
    "POST /settings/people/{staff_id}/disable": "staff.disabled",
    "POST /settings/people/{staff_id}/enable": "staff.enabled",
    "POST /settings/people/second-factor": "second-factor.required",
    "POST /settings/webhooks/{webhook_id}/delete": "webhook.deleted",
    "POST /themes/new/{discovery_id}/adopt": "discovery.adopted",
    "POST /themes/new/{discovery_id}/dismiss": "discovery.dismissed",
    "POST /themes/new/{discovery_id}/restore": "discovery.restored",
    "POST /themes/rising/{item_id}/accept": "outer-item.accepted",
    "POST /themes/rising/{item_id}/dismiss": "outer-item.dismissed",
    "POST /themes/rising/{item_id}/merge": "outer-item.merged",
    "POST /themes/rising/{item_id}/reopen": "outer-item.reopened",
}
"""What each form of the pages is recorded as, in the order in which they are sent."""

THEMES_DRAFTED: Final = Call("/v1/taxonomy/draft", TAXONOMY, method="PUT")
DRAFTED: Final = Call("/v1/routing-rules/draft", BOOK, method="PUT")
SILENCED: Final = (
    Call("/v1/webhooks/{webhook_id}/enable", method="POST"),
    Call("/v1/webhooks/{webhook_id}/test", method="POST", keep="held"),
    Call("/v1/webhooks/{webhook_id}", {"state": "disabled"}, method="PATCH"),
    Call("/v1/webhooks/{webhook_id}/enable", method="POST"),
)
"""Switched off while a message waits for it: that one is held."""
BEFORE: Final[Mapping[str, Sequence[Call]]] = {
    "POST /v1/routing-rules/draft/publish": (DRAFTED,),
    "DELETE /v1/routing-rules/draft": (DRAFTED,),
    "POST /v1/taxonomy/draft/publish": (THEMES_DRAFTED,),
    "DELETE /v1/taxonomy/draft": (THEMES_DRAFTED,),
    "POST /settings/taxonomy/publish": (THEMES_DRAFTED,),
    "POST /settings/taxonomy/drop": (THEMES_DRAFTED,),
    "POST /settings/rules/publish": (DRAFTED,),
    "POST /settings/rules/drop": (DRAFTED,),
    "POST /v1/webhooks/{webhook_id}/recover": SILENCED,
    "POST /settings/webhooks/{webhook_id}/recover": SILENCED,
    "POST /settings/webhooks/{webhook_id}/deliveries/{delivery_id}/resend": SILENCED,
    "POST /settings/calendars/restore": (
        Call("/v1/calendars/office", {"name": "Office"}, method="PATCH"),
    ),
}
"""What has to be so before a door can be gone through."""

PROVED: Final[Mapping[str, tuple[str, str]]] = {
    "POST /settings/sample/remove": ("sample.removed", "test_sample_data.py"),
    "POST /sign-in/forgot": ("staff.password-reset-asked", "test_forgotten.py"),
    "POST /sign-in/reset": ("staff.password-set", "test_forgotten.py"),
    "POST /settings/people/{staff_id}/second-factor/off": (
        "second-factor.switched-off",
        "test_people_accounts.py",
    ),
    **{
        door: (deed, "test_theme_quality.py")
        for door, deed in (
            ("POST /v1/taxonomy/proposals/{proposal_id}/accept", "taxonomy.changed"),
            ("POST /v1/taxonomy/proposals/{proposal_id}/reject", "proposal.rejected"),
            ("POST /settings/taxonomy/proposals", "proposal.rejected"),
            ("POST /settings/taxonomy/check", "theme.corrected"),
            ("POST /settings/taxonomy/replay", "replay.started"),
            ("POST /settings/taxonomy/replay/{act}", "replay.stopped"),
        )
    },
    **{
        door: (deed, "test_theme_corrections.py")
        for door, deed in (
            ("POST /themes/{theme_id}/corrections", "theme.corrected"),
            ("POST /themes/{theme_id}/corrections/undo", "theme.correction-undone"),
            ("POST /v1/responses/{response_id}/theme-corrections", "theme.corrected"),
            (
                "DELETE /v1/responses/{response_id}/theme-corrections/{theme_id}",
                "theme.correction-undone",
            ),
        )
    },
    **{
        f"POST /settings/dead-letters/{owner}{one}/replay": (
            "dead-letter.replayed",
            "test_dead_letters.py",
        )
        for owner in ("ingest", "loop", "notify")
        for one in ("", "/{letter_id}")
    },
}
"""Doors that take more than a form: what they are recorded as, and where that is tried."""

ACCOUNT: Final[Mapping[str, str]] = {
    "POST /sign-in/first": "staff.created",
    "POST /sign-out": "session.ended",
    "POST /sign-in": "session.refused",
    "POST /account": "staff.changed",
    "POST /account/password": "staff.password-set",
    "POST /account/second-factor/confirm": "second-factor.switched-on",
    "POST /account/second-factor/codes": "second-factor.codes-renewed",
    "POST /account/second-factor/off": "second-factor.switched-off",
    "POST /sign-in/code": "session.started",
    "POST /account/sessions/end": "session.ended",
}
"""What somebody leaves who signs in and minds their own account."""

FILLED: Final[Mapping[str, Mapping[str, str]]] = {
    "POST /settings/absences": {"begins_at": "", "ends_at": "2026-04-01T09:00"},
    "POST /settings/keys": {"responses:write": "yes", "source": "kiosk"},
    "POST /settings/lists": {"label": "Another"},
    "POST /settings/organisation": {"name": "Another organisation"},
    "POST /settings/people/{staff_id}": {"name": "Another name"},
    "POST /settings/people/second-factor": {"role:auditor": "yes"},
    "POST /settings/privacy/find": {"by": "ref", "value": "{ref}"},
    "POST /settings/privacy/retention": {"months": "60"},
    "POST /settings/touchpoints/owners": {"valid_from": "2030-01-01T09:00", "valid_until": ""},
}
"""What is put into fields whose name says too little, or that hold something already."""

ON: Final[Mapping[str, str]] = {
    "POST /settings/calendars/restore": "/settings/calendars/one?id=office",
    "POST /settings/taxonomy/publish": "/settings/taxonomy",
    "POST /settings/taxonomy/drop": "/settings/taxonomy",
    "POST /settings/rules/publish": "/settings/rules",
    "POST /settings/rules/drop": "/settings/rules",
    "POST /settings/sources/{name}/secrets/{secret_id}/delete": "/settings/sources/crm",
    "POST /settings/webhooks/{webhook_id}/enable": "/settings/webhooks/{webhook_id}",
    "POST /settings/people/{staff_id}/enable": "/settings/people/{staff_id}",
}
"""Pages that offer a form only after something else was done."""

POSTED: Final[Mapping[str, tuple[str, Mapping[str, str]]]] = {
    "POST /queue/bulk": (
        "/queue/bulk",
        {
            "act": "snooze",
            "stage": "do",
            "until": "2026-03-09T09:00",
            "pick.{picked}": "{version}",
        },
    ),
    "POST /queue/undo": ("/queue/undo", {"bulk": "{bulk}", "back": "/"}),
    "POST /settings/lists/starter": ("/settings/lists/starter", {"none": ""}),
    "POST /settings/privacy": (
        "/settings/privacy",
        {"kind": "export", "by": "ref", "value": "{ref}"},
    ),
    "POST /settings/mail/deliveries/{delivery_id}/resend": (
        "/settings/mail/deliveries/{mailed_too}/resend",
        {"sure": "yes"},
    ),
    "POST /settings/webhooks/{webhook_id}/deliveries/{delivery_id}/resend": (
        "/settings/webhooks/{webhook_id}/deliveries/{held}/resend",
        {"sure": "yes"},
    ),
}
"""Forms that a page offers at certain times only: sent without it."""


LITERAL: Final = frozenset(door.partition(" ")[2] for door in FORMS if "{" not in door)

# ------------------------------------------------------------------ forms


@dataclass
class Form:
    """A form as a page offers it, filled in with what stands in it."""

    action: str
    values: dict[str, str] = field(default_factory=dict)
    choices: dict[str, list[str]] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)

    def offer(self, name: str, value: str, *, chosen: bool) -> None:
        """Note one thing to choose."""
        self.choices.setdefault(name, []).append(value)
        if chosen:
            self.values[name] = value


class Forms(HTMLParser):
    """Collects the forms of a page that are posted."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Form] = []
        self._form: Form | None = None
        self._into = ""

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form" and given.get("method") == "post":
            self._form = Form(action=given["action"])
            self.found.append(self._form)
        elif self._form is not None:
            self._take(self._form, tag, given)

    def _take(self, form: Form, tag: str, given: Mapping[str, str]) -> None:
        name, value = given.get("name", ""), given.get("value", "")
        kind = given.get("type", tag)
        if tag == "option" and self._into:
            form.offer(self._into, value, chosen="selected" in given)
        elif tag == "button" and "formaction" in given:
            # The same fields, sent elsewhere.
            self.found.append(replace(form, action=given["formaction"]))
        elif name and tag in {"select", "textarea"}:
            self._into = name
            form.kinds[name] = tag
        elif name and kind in {"radio", "checkbox"}:
            form.kinds[name] = kind
            form.offer(name, value or "on", chosen="checked" in given)
        elif name and tag in {"input", "button"}:
            form.kinds[name] = kind
            form.values.setdefault(name, value)

    @override
    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        if tag in {"select", "textarea"}:
            self._into = ""

    @override
    def handle_data(self, data: str) -> None:
        if self._form is not None and self._form.kinds.get(self._into) == "textarea":
            self._form.values[self._into] = data.strip("\n")


def forms_of(page: str) -> list[Form]:
    """Return the forms of a page."""
    parser = Forms()
    parser.feed(page)
    return parser.found


SAYS: Final[Mapping[str, str]] = {
    "email": "somebody.new@example.org",
    "url": "https://hooks.example.org/new",
    "reason": "because of a test",
    "name": "Another name",
    "code": "another",
    "id": "another",
}


def filled(form: Form, more: Mapping[str, str]) -> dict[str, str]:
    """Fill a form in as somebody would who wants what it does."""
    values = dict(form.values)
    for name, kind in form.kinds.items():
        offered = [value for value in form.choices.get(name, ()) if value]
        if kind == "checkbox":
            if name in {"sure", "yes"} and offered:
                values[name] = offered[0]
        elif values.get(name):
            continue
        elif kind in {"select", "radio"} and offered:
            values[name] = offered[0]
        elif kind == "date":
            values[name] = "2026-03-01"
        elif kind == "datetime-local":
            values[name] = "2026-03-01T09:00"
        elif kind in {"text", "textarea", "email", "input"}:
            values[name] = SAYS.get(name, "")
    return {**values, **more}


def _trouble(answer: httpx.Response) -> str:
    """Return what a page or a document says is wrong."""
    alert = answer.text.partition('role="alert"')[2].partition("</div>")[0]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", alert)) or answer.text[:400]


# ------------------------------------------------------------------ going through them


@dataclass
class Walk:
    """A house that is gone through once, and what each door left in the trail."""

    full: FullHouse
    left: dict[str, set[str]] = field(default_factory=dict)
    said: dict[str, str] = field(default_factory=dict)
    """What a door answered, for whoever has to find out why it left nothing."""
    offered: dict[str, list[str]] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    doors: list[str] = field(default_factory=list)

    async def prepare(self) -> None:
        """Let go wrong what somebody can put right."""
        house, now = self.full.house, self.full.house.clock.now()
        notify = next(each for each in house.services if each.name == "notify")
        resources: Any = notify.resources
        async with resources.database.transaction() as tx:
            for n in range(2):
                await mail.suppress(
                    tx,
                    f"dead{n}@example.org",
                    reason="address_dead",
                    code=550,
                    delivery_id="dlv_0",
                    now=now,
                )
            await mail.pause(
                tx,
                mail.Pause(
                    lane=mail.MAIL_LANE,
                    reason="mail_server_refuses_us",
                    code=535,
                    reply="5.7.8 wrong",
                    settings="x",
                    since=now,
                ),
            )
        async with house.client() as system:
            dead = (await system.get("/v1/suppressions")).json()["data"]
            (task, *_) = (await system.get("/v1/tasks")).json()["data"]
            mails = (await system.get("/v1/deliveries", params={"state": "delivered"})).json()
        self.full.things |= {
            "suppression_id": dead[0]["id"],
            "mailed": mails["data"][0]["id"],
            "mailed_too": mails["data"][1]["id"],
            "picked": task["id"],
            "version": str(task["version"]),
            "bulk": "none yet",
        }

    async def newest(self) -> int:
        async with self.full.house.database.reading() as view:
            return int(await view.scalar(select(func.max(audit.c.n))) or 0)

    async def note(self, door: str, before: int, answer: httpx.Response) -> None:
        """Remember what a request left in the trail."""
        async with self.full.house.database.reading() as view:
            rows = await view.all(select(audit).where(audit.c.n > before))
        self.left.setdefault(door, set()).update(row.action for row in rows)
        self.said[door] = f"{answer.status_code} {answer.request.url.path} {_trouble(answer)}"

    async def call(self, door: str, call: Call) -> None:
        """Knock at a door of the interface."""
        async with self.full.house.client() as system:
            await self._make_ready(system, door)
            before = await self.newest()
            await self.note(door, before, await self._knock(system, door, call))

    async def _make_ready(self, system: httpx.AsyncClient, door: str) -> None:
        for call in BEFORE.get(door, ()):
            answer = await self._knock(system, f"{call.method} ", call)
            assert answer.status_code < 300, answer.text

    async def _knock(self, system: httpx.AsyncClient, door: str, call: Call) -> httpx.Response:
        things = self.full.things
        body = call.body
        if body is not None:
            named = re.sub(
                r'"{(\w+)}"', lambda found: f'"{things[found[1]]}"', json.dumps(body)
            )
            body = json.loads(named)
        answer = await system.request(
            door.partition(" ")[0], call.path.format_map(things), json=body
        )
        if call.keep and answer.status_code < 300:
            shown = answer.json()
            things[call.keep] = shown.get("id") or shown["delivery_id"]
        return answer

    async def read(self) -> None:
        """Note which forms each page offers."""
        async with self.full.browsing("ada") as browser:
            for path in await self.full.pages():
                for form in forms_of((await browser.get(path)).text):
                    self.offered.setdefault(form.action.partition("?")[0], []).append(path)

    async def forget_reasons(self) -> None:
        """Have no contact reasons, so that both doors to those of a bank have work to do."""
        async with self.full.house.database.transaction() as tx:
            await tx.execute(delete(codes).where(codes.c.kind == "reason"))

    async def send(self, door: str, deed: str) -> None:
        """Send the forms that lead through a door, until one has done it."""
        path = door.partition(" ")[2]
        shape = re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path)))
        async with self.full.house.client() as system:
            await self._make_ready(system, door)
        async with self.full.browsing("ada") as browser:
            if door in POSTED:
                where, values = POSTED[door]
                await self._post(browser, door, where, values)
                return
            places = dict.fromkeys(
                place
                for action, places in self.offered.items()
                if shape.fullmatch(action) and (action == path or action not in LITERAL)
                for place in places
            )
            if door in ON:
                places = {ON[door].format_map(self.full.things): None}
            for place in places:
                shown = await browser.get(place)
                for form in forms_of(shown.text):
                    if not shape.fullmatch(form.action.partition("?")[0]):
                        continue
                    values = filled(form, FILLED.get(door, {}))
                    await self._post(browser, door, form.action, values)
                    if deed in self.left[door]:
                        return

    async def _post(
        self, browser: httpx.AsyncClient, door: str, path: str, values: Mapping[str, str]
    ) -> None:
        things = self.full.things
        before = await self.newest()
        named = {
            name.format_map(things): value.format_map(things) if value[:1] == "{" else value
            for name, value in values.items()
        }
        answer = await browser.post(path.format_map(things), data=named, headers=URLENCODED)
        await self.note(door, before, answer)
        bulk = re.search(r"[?&]bulk=(\w+)", answer.headers.get("location", ""))
        if bulk:
            things["bulk"] = bulk[1]


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Walk:
    """The house, gone through once."""

    async def go() -> Walk:
        async with full_house(tmp_path_factory.mktemp("deeds"), WORDS, URL) as full:
            made = Walk(full)
            await made.prepare()
            for door, (_, call) in CALLS.items():
                await made.call(door, call)
            await made.forget_reasons()
            await made.read()
            for door, deed in FORMS.items():
                await made.send(door, deed)
            async with full.house.database.reading() as view:
                made.lines = [str(tuple(row)) for row in await view.all(select(audit))]
            made.doors = [one.name for one in doors(full.house.app) if one.method != "GET"]
        return made

    return asyncio.run(go())


def test_every_door_that_changes_something_is_in_the_ledger(walk: Walk) -> None:
    """Either with what it is recorded as, or with a reason; and nothing that is gone."""
    ledger = [*CALLS, *FORMS, *ACCOUNT, *PROVED, *EXCUSED]
    acts = {door for door in walk.doors if is_in_a_history(door)}

    assert sorted(set(walk.doors) - set(ledger) - acts) == []
    assert sorted(set(ledger) - set(walk.doors)) == []
    assert len(ledger) == len(set(ledger))
    assert [door for door, reason in EXCUSED.items() if len(reason.split()) < 6] == []


@pytest.mark.parametrize("door", [*CALLS, *FORMS])
def test_a_deed_leaves_its_line(walk: Walk, door: str) -> None:
    """Each was done, by whoever may, and is on record under its name."""
    deed = FORMS[door] if door in FORMS else CALLS[door][0]

    assert deed in walk.left.get(door, set()), walk.said.get(door, "no page offers it")


async def test_whoever_minds_their_account_leaves_a_line_at_each_door(house: House) -> None:
    """Signing in and out, failing to, a new password, a second factor and its end."""
    done: dict[str, set[str]] = {}
    seen = 0
    async with browsing(house) as browser, browsing(house) as elsewhere:

        async def post(door: str, **data: str) -> httpx.Response:
            nonlocal seen
            answer: httpx.Response = await browser.post(
                door.partition(" ")[2], data=data or {"a": "b"}
            )
            names = await audited(house.database)
            done.setdefault(door, set()).update(names[seen:])
            seen = len(names)
            return answer

        first = {"name": "Ann", "email": EMAIL, "password": PASSWORD}
        await post("POST /sign-in/first", **first)
        await post("POST /sign-out")
        await post("POST /sign-in", email=EMAIL, password="wrong")
        await post("POST /sign-in", email=EMAIL, password=PASSWORD)
        await post("POST /account", name="Bea", language="de", time_zone="UTC")
        await enter(elsewhere)
        listed = await browser.get("/account")
        (other,) = re.findall(r'name="session" value="([0-9a-f]+)"', listed.text)
        seen = len(await audited(house.database))
        await post("POST /account/sessions/end", session=other)
        new = {"old": PASSWORD, "new": PASSWORD + "!", "again": PASSWORD + "!"}
        await post("POST /account/password", **new)
        back = {"old": PASSWORD + "!", "new": PASSWORD, "again": PASSWORD}
        await post("POST /account/password", **back)
        app, _ = await with_factor(house, browser)
        await post("POST /account/second-factor/confirm")
        await post("POST /account/second-factor/codes", password=PASSWORD)
        await post("POST /sign-out")
        house.clock.advance(timedelta(minutes=1))
        await post("POST /sign-in", email=EMAIL, password=PASSWORD)
        await post("POST /sign-in/code", code=app.at(house.clock.now()))
        await post("POST /account/second-factor/off", password=PASSWORD)
        await post("POST /account/sessions/end", session="all")

    missing = {door: deed for door, deed in ACCOUNT.items() if deed not in done.get(door, ())}
    assert missing == {}, done
    assert "session.started" in done["POST /sign-in"]


def test_what_is_tried_elsewhere_is_tried_there() -> None:
    """The file exists and speaks of the deed."""
    folder = Path(__file__).parent
    untried = [
        door
        for door, (deed, name) in PROVED.items()
        if f'"{deed}"' not in (folder / name).read_text(encoding="utf-8")
    ]

    assert untried == []


def test_what_is_recorded_has_words(walk: Walk) -> None:
    """The page calls each deed by what it is in the reader's language.

    Those that no door of the ledger leaves are read in the source: what the machine does by
    itself, and what takes a request of its own.
    """
    recorded = {deed for left in walk.left.values() for deed in left} | set(_named_in_source())

    assert sorted(recorded - set(ACTIONS)) == []
    assert len(recorded) > 50


def _named_in_source() -> Iterator[str]:
    """Return the names of deeds that are written out where something is recorded."""
    for folder in ("services", "shared"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and ast.unparse(node.func) in RECORDING:
                    for given in node.args:
                        if isinstance(given, ast.Constant) and DEED.fullmatch(str(given.value)):
                            yield str(given.value)


def test_the_trail_holds_no_words_of_anybody(walk: Walk) -> None:
    """Whatever was typed into whichever field stands somewhere else."""
    assert [line for line in walk.lines if CANARY in line] == []
