"""The document of a task, as the interface shows it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from services.loop.responses.domain import Personal
from services.loop.tasks.domain.advice import Advice
from services.loop.tasks.domain.clocks import clocks_of
from services.loop.tasks.domain.facts import (
    Entry,
)
from services.loop.tasks.domain.task import (
    Actor,
    AgreedAction,
    Agreement,
    Asked,
    ContactAttempt,
    FollowUpTask,
    GrantedRemedy,
    Resolution,
    StepDone,
)
from services.loop.tasks.handlers import TaskView


def document_of(seen: TaskView, now: datetime) -> dict[str, object]:
    """Return a task as the interface shows it."""
    task, record = seen.task, seen.task.record
    personal = seen.personal
    return {
        "id": task.id,
        "version": task.version,
        "response_id": task.response_id,
        "state": task.state.value,
        "flags": list(seen.flags(now)),
        "owner": {"id": seen.owner.id, "name": seen.owner.name, "kind": seen.owner.kind},
        "opened_at": moment(task.opened_at),
        "first_contact_due_at": moment(task.first_contact_due_at),
        "due_at": moment(task.due_at),
        "overdue": task.is_overdue(now),
        "scheme": {
            "id": task.scheme.id,
            "name": task.scheme.name,
            "version": task.scheme.version,
        },
        "clocks": _clocks(seen, now),
        "rule": task.rule,
        "customer_id": task.person_ref,
        "customer": _customer(personal),
        "metric": task.metric,
        "score": task.score,
        "comment": personal.comment if personal else None,
        "touchpoint": task.touchpoint,
        "segment": task.segment,
        "product": task.product,
        "themes": [
            {
                "id": mention.theme_id,
                "score": mention.score,
                "evidence": list(mention.evidence) if mention.evidence else None,
            }
            for mention in seen.themes
        ],
        "steps": [_step(seen, step) for step in record.steps],
        "attempts": [
            _attempt(seen, n, attempt) for n, attempt in enumerate(record.attempts, 1)
        ],
        "agreement": _agreement(seen, record.agreement),
        "actions": [_action(seen, action) for action in record.actions],
        "remedies": [_remedy(remedy) for remedy in record.remedies],
        "recognitions": [
            {
                "to": {
                    "id": each.to.id,
                    "name": seen.names.get(each.to.id, each.to.id),
                    "kind": each.to.kind,
                },
                "note": seen.words_of(each.entry).get("note"),
                "at": moment(each.at),
                "by": _by(each.by),
            }
            for each in record.recognitions
        ],
        "example": record.example is not None,
        "snoozed_until": moment(task.snoozed_until) if task.is_snoozed(now) else None,
        "outcome": _outcome(seen),
        "history": [_entry(entry) for entry in seen.history],
    }


def _clocks(seen: TaskView, now: datetime) -> dict[str, object]:
    """Return both clocks; the team's is null where the scheme has no calendar."""
    found = clocks_of(seen.task, seen.scheme, now=now)
    return {
        "breaches": found.breaches,
        "customer_waits_seconds": _seconds(found.customer_waits),
        "team_used_seconds": _seconds(found.team_used),
        "team_left_seconds": _seconds(found.team_left),
        "paused_since": moment(seen.task.paused_since),
    }


def _seconds(span: timedelta | None) -> int | None:
    return None if span is None else int(span.total_seconds())


def _customer(personal: Personal | None) -> dict[str, object] | None:
    """Return the customer block as it was sent, with what in it reaches nobody."""
    if personal is None or not personal.customer:
        return None
    unusable = {"unusable": sorted(personal.unusable)} if personal.unusable else {}
    return {**personal.customer, **unusable}


def moment(at: datetime | None) -> str | None:
    """Return a time as RFC 3339 in UTC."""
    return None if at is None else at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _by(actor: Actor) -> dict[str, str]:
    return {"id": actor.id, "name": actor.name, "kind": actor.kind}


def _step(seen: TaskView, step: StepDone) -> dict[str, object]:
    return {
        "step": step.step.value,
        "letter": step.step.letter,
        "at": moment(step.at),
        "by": _by(step.by),
        "note": seen.words_of(step.entry).get("note"),
    }


def _attempt(seen: TaskView, n: int, attempt: ContactAttempt) -> dict[str, object]:
    return {
        "n": n,
        "at": moment(attempt.at),
        "by": _by(attempt.by),
        "mode": attempt.mode,
        "result": attempt.result,
        "note": seen.words_of(attempt.entry).get("note"),
        "next_contact_at": moment(attempt.next_contact_at),
        "emotion_before": attempt.emotion_before,
        "emotion_after": attempt.emotion_after,
    }


def _agreement(seen: TaskView, agreement: Agreement | None) -> dict[str, object] | None:
    if agreement is None:
        return None
    words = seen.words_of(agreement.entry)
    return {
        "asked_for": words.get("asked_for"),
        "agreed": words.get("agreed"),
        "with": words.get("with"),
        "at": moment(agreement.agreed_at),
        "by": _by(agreement.by),
    }


def _action(seen: TaskView, action: AgreedAction) -> dict[str, object]:
    owner = action.owner
    finished = action.finished
    return {
        "n": action.n,
        "what": seen.words_of(action.entry).get("what"),
        "owner": {
            "id": owner.id,
            "name": seen.names.get(owner.id, owner.id),
            "kind": owner.kind,
        },
        "due_at": moment(action.due_at),
        "done": finished is not None,
        "done_at": moment(finished.at) if finished else None,
        "done_by": _by(finished.by) if finished else None,
    }


def _remedy(remedy: GrantedRemedy) -> dict[str, object]:
    decided = remedy.decided
    return {
        "n": remedy.n,
        "remedy": remedy.remedy,
        "name": remedy.name,
        "value": (
            None
            if remedy.amount is None
            else {"amount": remedy.amount, "currency": remedy.currency}
        ),
        "state": remedy.state,
        "at": moment(remedy.at),
        "by": _by(remedy.by),
        "decided_at": moment(decided.at) if decided else None,
        "decided_by": _by(decided.by) if decided else None,
    }


def _outcome(seen: TaskView) -> dict[str, object] | None:
    resolution, closure = seen.task.record.resolution, seen.task.record.closure
    if resolution is not None:
        words = seen.words_of(resolution.entry)
        return {
            "kind": "resolved",
            "outcome": resolution.outcome,
            "root_cause": {"area": resolution.cause_area, "text": words.get("root_cause")},
            "content": resolution.content,
            "content_known_by": resolution.content_known_by,
            "avoidable": resolution.avoidable,
            "lesson": words.get("lesson"),
            "benefits": list(resolution.benefits),
            "worth": (
                None
                if resolution.worth is None
                else {"amount": resolution.worth, "currency": resolution.currency}
            ),
            "customer_asked": _asked(resolution),
            "confirmed": _confirmed(seen.task),
            "within_deadline": resolution.within_deadline,
            "at": moment(resolution.at),
            "by": _by(resolution.by),
        }
    if closure is not None:
        return {
            "kind": "closed",
            "reason": closure.reason,
            "note": seen.words_of(closure.entry).get("note"),
            "at": moment(closure.at),
            "by": _by(closure.by),
        }
    return None


def _asked(resolution: Resolution) -> dict[str, object] | None:
    """Return whether the customer is asked if it is settled; None for what ended before."""
    asking = resolution.asking
    if isinstance(asking, Asked):
        return {"at": moment(asking.at), "until": moment(asking.until), "why_not": None}
    return None if asking is None else {"at": None, "until": None, "why_not": asking.why}


def _confirmed(task: FollowUpTask) -> dict[str, object] | None:
    confirmation = task.record.confirmation
    if confirmation is None:
        return None
    return {
        "at": moment(confirmation.at),
        "by": _by(confirmation.by),
        "by_customer": task.is_confirmed_by_customer,
    }


def _entry(entry: Entry) -> dict[str, object]:
    return {
        "version": entry.version,
        "at": moment(entry.at),
        "act": entry.act,
        "by": _by(entry.by),
        "detail": dict(entry.detail),
        "words": dict(entry.words) or None,
        "erased": entry.erased,
    }


_ADVICE = {
    Advice.POLICY_PHRASE: (
        "the words hide behind a rule, a department or a lack of staff",
        "say what happens now; keep the cause for the root cause",
    ),
    Advice.QUIET_HOURS: (
        "the customer was contacted in the quiet hours of the scheme, by the customer's clock",
        "promise the next contact for another time of day",
    ),
}


def warnings_of(advice: Sequence[Advice]) -> list[dict[str, str]]:
    """Return advice as an answer carries it: the act was carried out all the same."""
    return [
        {"code": one.value, "detail": _ADVICE[one][0], "fix": _ADVICE[one][1]} for one in advice
    ]
