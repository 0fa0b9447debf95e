"""Doors that change something, or seem to, and stand in no trail: each with its reason."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

HISTORY: Final = "it stands in the history of the task, with the words of whoever did it"
INTAKE: Final = "what a source sends is counted and kept; nobody here did it"
DRAFT: Final = "a draft applies to nobody until it is published, and that is audited"
NOTHING: Final = "it changes nothing: it says what would be"
TEST_EVENT: Final = "a test event holds nothing, and its delivery is listed"
OWN_VIEW: Final = "a way of looking at the queue; it changes nothing in it"
STEPS: Final = "which of the first steps somebody put off; it changes nothing else"
EXCUSED: Final[Mapping[str, str]] = {
    "POST /v1/responses": INTAKE,
    "POST /v1/responses/batch": INTAKE,
    "POST /v1/hooks/{source}": INTAKE,
    "POST /v1/hooks/{source}/{token}": INTAKE,
    "POST /settings/test-response": INTAKE,
    "POST /settled/{token}": "what the customer says stands in the history of the task",
    "POST /next": HISTORY,
    "POST /tasks/{task_id}/{name}": HISTORY,
    "POST /v1/tasks/next": HISTORY,
    "PUT /v1/routing-rules/draft": DRAFT,
    "POST /v1/routing-rules": DRAFT,
    "PATCH /v1/routing-rules/{rule_id}": DRAFT,
    "DELETE /v1/routing-rules/{rule_id}": DRAFT,
    **dict.fromkeys(
        (f"POST /settings/rules/{act}" for act in ("common", "move", "one", "remove")), DRAFT
    ),
    **dict.fromkeys(
        (
            f"POST /settings/taxonomy/{act}"
            for act in (
                "bring-back",
                "common",
                "import",
                "merge",
                "one",
                "refresh",
                "retire",
                "split",
            )
        ),
        DRAFT,
    ),
    "PUT /v1/taxonomy/draft": DRAFT,
    "POST /v1/taxonomy/preview": NOTHING,
    "POST /settings/taxonomy/try": NOTHING,
    "POST /v1/routing-rules/try": NOTHING,
    "POST /v1/sources/{name}/try": NOTHING,
    "POST /settings/sources/{name}/try": NOTHING,
    "POST /settings/sources/{name}/payloads/{payload_id}/try": NOTHING,
    **dict.fromkeys(
        (
            f"POST /settings/dead-letters/{owner}{one}/rehearse"
            for owner in ("ingest", "loop", "notify")
            for one in ("", "/{letter_id}")
        ),
        NOTHING,
    ),
    "POST /v1/webhooks/{webhook_id}/test": TEST_EVENT,
    "POST /settings/webhooks/{webhook_id}/test": TEST_EVENT,
    "POST /account/second-factor/begin": "it applies to nobody before a code has confirmed it",
    "POST /queue/views": OWN_VIEW,
    "POST /queue/views/delete": OWN_VIEW,
    "POST /welcome/later": STEPS,
    "POST /welcome/dismiss": STEPS,
}
