"""The checker: what must hold of every history and the evidence it left, I1 to I9.

It is a pure function of the two, so that it can itself be tested with lies. A delivery counts
as undecided until it is delivered, failed or held; the checker is asked when all is quiet.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from services.ingest import listeners as ingest_ears
from services.loop import listeners as loop_ears
from services.notify import listeners as notify_ears
from services.notify.channels.webhook import message_id
from shared.events import topics
from shared.events.ingest import ResponseReceived
from shared.events.loop import ResponseHandled, TaskOpened
from tests.faults.evidence import Evidence
from tests.faults.history import History, Known, Operation

Violations = Mapping[str, Sequence[str]]

HEARD = {
    "ingest": {kind.TYPE for kind in ingest_ears.KINDS},
    "loop": {kind.TYPE for kind in loop_ears.KINDS},
    "notify": {kind.TYPE for kind in (*notify_ears.TASK_EVENTS, *notify_ears.SOURCE_EVENTS)},
}
"""By consumer, the types of events that it handles."""

MOST_FOR_A_TASK = 6
"""The default rule book opens a task up to this score."""

_OPENED = "task.opened"


def violations(history: History, evidence: Evidence) -> Violations:
    """Return what is wrong, by invariant; nothing at all when every promise was kept."""
    found = {
        "refused or taken against the rules": _surprises(history),
        "I1 every 202 has exactly one response": _one_response(history, evidence),
        "I2 every row is in the log": _in_the_log(evidence),
        "I3 exactly one task where the rules call for one": _one_task(evidence),
        "I4 exactly one delivery per recipient and kind": _one_delivery(evidence),
        "I5 every delivery comes to an end": _decided(evidence),
        "I6 sent at least once, and twice only in doubt": _sent(evidence),
        "I7 effects in accepted order": _in_order(history, evidence),
        "I8 what was refused left no row": _left_nothing(history, evidence),
        "I9 no acknowledged offset without its inbox row": _acknowledged(evidence),
    }
    return {name: wrong for name, wrong in found.items() if wrong}


def unfinished(evidence: Evidence) -> Sequence[str]:
    """Return what is still under way; the checker is to be asked when there is nothing."""
    waiting = [f"unpublished {o.event_id}" for o in evidence.announced if not o.is_published]
    waiting += [f"unhandled {r.id}" for r in evidence.responses if r.state == "received"]
    waiting += [f"unsent {d.id}" for d in evidence.deliveries if d.state in {"due", "sending"}]
    parked = {place for _, place in evidence.parked}
    for consumer, kinds in HEARD.items():
        waiting += [
            f"not taken in by {consumer}: {one.event_id}"
            for one in evidence.announced
            if one.kind in kinds and (consumer, one.event_id) not in evidence.inbox
        ]
    return waiting if not parked else [one for one in waiting if "taken in" not in one]


def _surprises(history: History) -> Sequence[str]:
    return [
        f"{one.key}: {one.status}"
        for one in history.operations
        if one.outcome is (Known.OK if one.is_wrong else Known.FAILED)
    ]


def _one_response(history: History, evidence: Evidence) -> Sequence[str]:
    rows: dict[str, list[Any]] = defaultdict(list)
    for row in evidence.responses:
        rows[row.external_id].append(row)
    wrong = [f"{key}: {len(some)} rows" for key, some in rows.items() if len(some) > 1]
    for one in history.of(Known.OK):
        some = rows[one.key]
        if [row.id for row in some] != [one.response_id]:
            wrong.append(f"{one.key}: answered {one.response_id}, there is {some}")
        elif some[0].revision < one.revision:
            wrong.append(f"{one.key}: revision {one.revision} is lost")
    return wrong


def _in_the_log(evidence: Evidence) -> Sequence[str]:
    logged = {one.event_id for one in evidence.log}
    refused = {place for consumer, place in evidence.parked if consumer == "relay"}
    wrong = [r.id for r in evidence.responses if r.event_id not in logged]
    wrong += [
        f"{one.kind} {one.event_id}"
        for one in evidence.announced
        if one.event_id not in logged and (one.topic, -1, one.seq) not in refused
    ]
    announced = {one.event_id for one in evidence.announced}
    return wrong + [f"from nowhere {one}" for one in logged - announced]


def _one_task(evidence: Evidence) -> Sequence[str]:
    tasks = Counter(
        answer for one in evidence.tasks for answer in (one.response_id, *one.other_responses)
    )
    wrong = []
    for row in evidence.responses:
        is_called_for = row.score is not None and row.score <= MOST_FOR_A_TASK
        most = 1 if is_called_for or row.revision > 1 else 0
        if not int(is_called_for) <= tasks[row.id] <= most:
            wrong.append(f"{row.external_id}: {tasks[row.id]} tasks")
        if evidence.taken_in.get(row.id) != row.revision:
            wrong.append(f"{row.external_id}: the loop has another revision")
        if row.task_id is not None and not tasks[row.id]:
            wrong.append(f"{row.external_id}: says that it has a task")
    known = {row.id for row in evidence.responses}
    return wrong + [
        f"{one.id}: of no response" for one in evidence.tasks if one.response_id not in known
    ]


def _one_delivery(evidence: Evidence) -> Sequence[str]:
    rows = Counter(
        (one.event_id, one.channel, one.target, one.purpose) for one in evidence.deliveries
    )
    wrong = [f"{'/'.join(key)}: {count}" for key, count in rows.items() if count > 1]
    told = Counter(
        (one.task_id, one.channel, one.target)
        for one in evidence.deliveries
        # What an import brought is gathered into one mail; receivers hear of each task.
        if one.event_type == _OPENED and (one.import_id is None or one.channel == "webhook")
    )
    opened = {one.event_id for one in evidence.announced if one.kind == TaskOpened.TYPE}
    told += Counter(
        (one.task_id, "email", one.target)
        for one in evidence.gathered
        if one.event_id in opened
    )
    wrong += [f"{'/'.join(map(str, key))}: {count}" for key, count in told.items() if count > 1]
    by_channel = Counter((task, channel) for task, channel, _ in told)
    for task in evidence.tasks:
        if by_channel[task.id, "email"] < 1:
            wrong.append(f"{task.id}: nobody is told by mail")
        if by_channel[task.id, "webhook"] != evidence.webhooks:
            wrong.append(f"{task.id}: told to {by_channel[task.id, 'webhook']} receivers")
    return wrong


def _decided(evidence: Evidence) -> Sequence[str]:
    ends = {"delivered", "failed", "held"}
    return [f"{one.id}: {one.state}" for one in evidence.deliveries if one.state not in ends]


def _sent(evidence: Evidence) -> Sequence[str]:
    wrong = [f"{evidence.unverified} calls with a wrong signature"] * bool(evidence.unverified)
    for one in evidence.deliveries:
        if one.channel == "email":
            count = evidence.mails.get(one.id, 0)
        elif evidence.calls is not None:
            count = evidence.calls.get(message_id(one.id), 0)
        else:
            continue
        if one.state == "delivered" and count < 1:
            wrong.append(f"{one.id}: marked as delivered, never seen ({one.channel})")
        if count > 1 and not one.in_doubt:
            wrong.append(f"{one.id}: seen {count} times, no doubt is shown ({one.channel})")
        if count > one.attempts:
            wrong.append(f"{one.id}: seen {count} times in {one.attempts} attempts")
    return wrong


def _in_order(history: History, evidence: Evidence) -> Sequence[str]:
    return [
        *_log_follows_outbox(evidence),
        *_effects_follow_log(evidence),
        *_log_follows_clients(history, evidence),
    ]


def _log_follows_outbox(evidence: Evidence) -> Iterable[str]:
    """What is announced of one response, or of one task, lies in the log in that order.

    Numbers are taken before the commit, so of two answers that a customer gives at the same
    moment either one may come first; those that follow each other are looked at below.
    """
    first = _first_places(evidence)
    for rows in evidence.outboxes.values():
        last: dict[tuple[str, str, str], tuple[int, int]] = {}
        for one in sorted(rows, key=lambda row: row.seq):
            place = first.get(one.event_id)
            if place is None:
                continue  # I2 says so
            about = one.data.get("task_id") or one.data.get("response_id")
            if about is None:
                continue  # one mail about many tasks: it is of nobody
            thing = (one.topic, one.key, about)
            before = last.get(thing)
            if before is not None and (before[0] != place[0] or before > place):
                yield f"{one.event_id} was overtaken by another one of the same"
            last[thing] = place


def _first_places(evidence: Evidence) -> Mapping[str, tuple[int, int]]:
    """Return by event the partition and offset at which it lies first."""
    first: dict[str, tuple[int, int]] = {}
    for record in evidence.log:
        lies_at = record.place[1:]
        first[record.event_id] = min(first.get(record.event_id, lies_at), lies_at)
    return first


def _effects_follow_log(evidence: Evidence) -> Iterable[str]:
    """The loop answers in the order in which it was told: per key and per response."""
    outbox = sorted(evidence.outboxes.get("loop", ()), key=lambda row: row.seq)
    handled = [one for one in outbox if one.kind == ResponseHandled.TYPE]
    revisions: dict[str, int] = {}
    for one in handled:
        known = revisions.setdefault(one.data["response_id"], 0)
        if one.data["revision"] <= known:
            yield f"{one.data['response_id']}: revision {one.data['revision']} after {known}"
        revisions[one.data["response_id"]] = one.data["revision"]
    told: dict[str, list[str]] = defaultdict(list)
    for record in sorted(evidence.log, key=lambda record: record.place):
        if record.place[0] == topics.RESPONSES and record.kind == ResponseReceived.TYPE:
            told[record.key].append(record.event_id)
    said = {
        one.event_id: one.data["response_id"]
        for one in evidence.outboxes.get("ingest", ())
        if one.kind == ResponseReceived.TYPE
    }
    answered: dict[str, list[str]] = defaultdict(list)
    for one in handled:
        if one.data["revision"] == 1:
            answered[one.key].append(one.data["response_id"])
    for key, events in told.items():
        order = list(dict.fromkeys(said[event] for event in events if event in said))
        if answered[key] != order[: len(answered[key])]:
            yield f"{key}: the effects are in another order than the log"


def _log_follows_clients(history: History, evidence: Evidence) -> Iterable[str]:
    """A request that began after another one was answered lies behind it, per customer."""
    places = _first_places(evidence)
    lies_at = {
        one.data["response_id"]: places[one.event_id]
        for one in evidence.outboxes.get("ingest", ())
        if one.kind == ResponseReceived.TYPE and one.event_id in places
    }
    by_customer: dict[str, list[Operation]] = defaultdict(list)
    began: set[str] = set()
    for one in history.operations:
        # Of several requests under one key nobody knows which one made the row.
        if one.customer is not None and one.key not in began and one.response_id in lies_at:
            by_customer[one.customer].append(one)
        began.add(one.key)
    for some in by_customer.values():
        answered = sorted(
            some, key=lambda one: (one.completed_at is None, one.completed_at or 0)
        )
        furthest: Operation | None = None
        done = 0
        for later in some:
            while (at := answered[done].completed_at) is not None and at < later.invoked_at:
                if (
                    furthest is None
                    or lies_at[answered[done].response_id] > lies_at[furthest.response_id]
                ):
                    furthest = answered[done]
                done += 1
            if (
                furthest is not None
                and lies_at[furthest.response_id] > lies_at[later.response_id]
            ):
                yield f"{later.key} came before {furthest.key}"


def _left_nothing(history: History, evidence: Evidence) -> Sequence[str]:
    sent: dict[str, set[Known]] = defaultdict(set)
    for one in history.operations:
        sent[one.key].add(one.outcome)
    rows = {row.external_id for row in evidence.responses}
    refused = {key for key, outcomes in sent.items() if outcomes == {Known.FAILED}}
    return [
        *sorted(refused & rows),
        *(f"from nobody: {key}" for key in sorted(rows - set(sent))),
    ]


def _acknowledged(evidence: Evidence) -> Sequence[str]:
    wrong = []
    for consumer, kinds in HEARD.items():
        for record in evidence.log:
            topic, partition, offset = record.place
            if record.kind not in kinds:
                continue
            is_committed = offset < evidence.positions.get((consumer, topic, partition), 0)
            is_done = (consumer, record.event_id) in evidence.inbox
            if is_committed and not is_done and (consumer, record.place) not in evidence.parked:
                wrong.append(f"{consumer} has passed {record.event_id}")
    return wrong


def counted(history: History, evidence: Evidence) -> Counter[str]:
    """Return the numbers of a run: what was asked, and what was doubled in doubt."""
    return Counter(
        posted=len(history.operations),
        accepted=len(history.of(Known.OK)),
        unknown=len(history.of(Known.UNKNOWN)),
        responses=len(evidence.responses),
        tasks=len(evidence.tasks),
        records=len(evidence.log),
        repeated_records=len(evidence.log) - len({one.event_id for one in evidence.log}),
        mails=sum(evidence.mails.values()),
        repeated_mails=sum(count - 1 for count in evidence.mails.values()),
        calls=sum((evidence.calls or {}).values()),
        repeated_calls=sum(count - 1 for count in (evidence.calls or {}).values()),
        marked_as_doubtful=sum(one.in_doubt for one in evidence.deliveries),
    )
