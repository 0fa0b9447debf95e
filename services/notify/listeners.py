"""What notify hears from the bus: events of tasks, sources and customers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from services.notify.domain.alerts import TaskFacts, public_type
from services.notify.domain.sources import SourceFacts
from services.notify.domain.themes import ThemeFacts
from services.notify.handlers.customers import question_of
from services.notify.handlers.exporting import known_of_customer
from services.notify.handlers.forgetting import forget_customer
from services.notify.handlers.sources import tell_of_sources
from services.notify.handlers.telling import tell
from services.notify.handlers.themes import tell_of_themes
from services.notify.store import NewDelivery
from services.notify.store.removing import remove_deliveries
from shared.bus.consumer import Arrived, Handler
from shared.db.transaction import Transaction
from shared.events.envelope import Event
from shared.events.ingest import (
    CustomerErased,
    CustomerExportRequested,
    SourceResumed,
    SourceSilent,
)
from shared.events.loop import (
    TaskApprovalAsked,
    TaskAssigned,
    TaskClosed,
    TaskConfirmed,
    TaskContacted,
    TaskDueSoon,
    TaskEscalated,
    TaskOpened,
    TaskOverdue,
    TaskPromiseDue,
    TaskRecognised,
    TaskRemoved,
    TaskReopened,
    TaskResolved,
    ThemeRising,
)
from shared.identity.forgetting import Part, record_parts
from shared.identity.person_keys import PersonKeys
from shared.sealing import Keyring

TASK_EVENTS: Sequence[type[Event]] = (
    TaskOpened,
    TaskAssigned,
    TaskContacted,
    TaskDueSoon,
    TaskOverdue,
    TaskEscalated,
    TaskReopened,
    TaskResolved,
    TaskConfirmed,
    TaskClosed,
    TaskPromiseDue,
    TaskApprovalAsked,
    TaskRecognised,
)
_TASK = (
    TaskOpened
    | TaskAssigned
    | TaskContacted
    | TaskDueSoon
    | TaskOverdue
    | TaskEscalated
    | TaskReopened
    | TaskResolved
    | TaskConfirmed
    | TaskPromiseDue
    | TaskApprovalAsked
    | TaskRecognised
    | TaskClosed
)

SOURCE_EVENTS: Sequence[type[Event]] = (SourceSilent, SourceResumed)
THEME_EVENTS: Sequence[type[Event]] = (ThemeRising,)
CUSTOMER_EVENTS: Sequence[type[Event]] = (CustomerErased, CustomerExportRequested)


def also_hear_of_customers(
    hear: Handler,
    *,
    keyring: Keyring,
    person_keys: PersonKeys,
    wake: Callable[[], None],
) -> Handler:
    """Return the handler of requests about customers, and of all else by ``hear``."""

    async def about_customer(tx: Transaction, one: Arrived, now: datetime) -> Part:
        event = one.event
        if isinstance(event, CustomerErased):
            counts = await forget_customer(tx, event, one.envelope, keyring=keyring, now=now)
            return Part(event=event, counts=counts)
        if not isinstance(event, CustomerExportRequested):
            raise TypeError(f"{event.TYPE} is no request about a customer")
        return await known_of_customer(tx, event, keyring=keyring, person_keys=person_keys)

    async def hear_all(tx: Transaction, arrived: Sequence[Arrived], now: datetime) -> None:
        kinds = CustomerErased | CustomerExportRequested
        theirs = [one for one in arrived if isinstance(one.event, kinds)]
        if others := [one for one in arrived if not isinstance(one.event, kinds)]:
            await hear(tx, others, now)
        parts = [await about_customer(tx, one, now) for one in theirs]
        await record_parts(tx, "notify", parts, now=now)
        if theirs:
            tx.after_commit(wake)

    return hear_all


def hear_events(*, public_url: str, wake: Callable[[], None]) -> Handler:
    """Return the handler of all of these; ``wake`` is called once deliveries stand."""

    async def hear(tx: Transaction, arrived: Sequence[Arrived], now: datetime) -> None:
        of_sources = [
            _source_facts(one, one.event)
            for one in arrived
            if isinstance(one.event, SourceSilent | SourceResumed)
        ]
        of_themes = [
            (_theme_facts(one, one.event), one.event.to)
            for one in arrived
            if isinstance(one.event, ThemeRising)
        ]
        others = SourceSilent | SourceResumed | ThemeRising | TaskRemoved
        of_tasks = [_facts(one) for one in arrived if not isinstance(one.event, others)]
        told = 0
        if of_tasks:
            told += await tell(
                tx,
                of_tasks,
                public_url=public_url,
                now=now,
                questions=_questions(arrived),
            )
        if of_sources:
            told += await tell_of_sources(tx, of_sources, public_url=public_url, now=now)
        if of_themes:
            told += await tell_of_themes(tx, of_themes, public_url=public_url, now=now)
        removed = [one.event.task_id for one in arrived if isinstance(one.event, TaskRemoved)]
        if removed:
            await remove_deliveries(tx, removed)
        if told:
            tx.after_commit(wake)

    return hear


def _questions(arrived: Sequence[Arrived]) -> Sequence[NewDelivery]:
    """Return what customers are asked about."""
    found = [
        question_of(one.envelope.id, one.event)
        for one in arrived
        if isinstance(one.event, TaskResolved)
    ]
    return [question for question in found if question is not None]


def _source_facts(one: Arrived, event: SourceSilent | SourceResumed) -> SourceFacts:
    return SourceFacts(
        event_id=one.envelope.id,
        type=public_type(one.envelope.type),
        happened_at=one.envelope.time,
        source=event.source,
        silent_since=event.silent_since,
        silent_after_hours=getattr(event, "silent_after_hours", None),
        last_response_at=event.last_response_at,
        correlation_id=one.envelope.correlationid,
    )


def _theme_facts(one: Arrived, event: ThemeRising) -> ThemeFacts:
    return ThemeFacts(
        event_id=one.envelope.id,
        type=public_type(one.envelope.type),
        happened_at=one.envelope.time,
        correlation_id=one.envelope.correlationid,
        **{**event.model_dump(exclude={"to"}), "response_ids": tuple(event.response_ids)},
    )


def _facts(one: Arrived) -> TaskFacts:
    event = one.event
    if not isinstance(event, _TASK):
        message = f"{one.envelope.type} is no event of a task"
        raise TypeError(message)
    facts = TaskFacts(
        event_id=one.envelope.id,
        type=public_type(one.envelope.type),
        happened_at=one.envelope.time,
        task_id=event.task_id,
        response_id=event.response_id,
        version=event.version,
        state=event.state,
        owner_id=event.owner.id,
        owner_kind=event.owner.kind,
        metric=event.metric,
        score=event.score,
        touchpoint=event.touchpoint,
        touchpoint_name=event.touchpoint_name,
        segment=event.segment,
        product=event.product,
        opened_at=event.opened_at,
        first_contact_due_at=event.first_contact_due_at,
        due_at=event.due_at,
        person_ref=event.person_ref,
        person=event.person,
        correlation_id=one.envelope.correlationid,
        # Many at once are told of in one mail, just as what one import brought.
        import_id=event.import_id or (event.burst if isinstance(event, TaskOpened) else None),
    )
    match event:
        case TaskEscalated():
            return replace(facts, level=event.level, told=tuple(to.id for to in event.to))
        case TaskReopened() | TaskConfirmed():
            return replace(facts, said_by=event.by)
        case TaskPromiseDue():
            return replace(
                facts,
                owner_id=event.promised_by.id,
                owner_kind=event.promised_by.kind,
                due_at=event.promise_due_at,
                promise=event.promise,
                stage=event.stage,
                n=event.n,
            )
        case TaskRecognised():
            return replace(facts, owner_id=event.to.id, owner_kind=event.to.kind)
        case TaskApprovalAsked():
            value = " ".join(part for part in (event.amount, event.currency) if part)
            return replace(
                facts,
                told=tuple(to.id for to in event.to),
                n=event.n,
                remedy=event.remedy,
                value=value or None,
            )
        case _:
            return facts
