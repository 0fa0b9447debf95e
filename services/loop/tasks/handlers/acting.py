"""One act on one task: load, decide, save, announce."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from services.loop.journey.domain import OwnerRef
from services.loop.journey.handlers import count_emotion
from services.loop.journey.store import named
from services.loop.responses.domain import Personal
from services.loop.responses.store import find
from services.loop.tasks import store
from services.loop.tasks.domain.acts import Act, Approve, Assign, Decline, Resolve
from services.loop.tasks.domain.attempts import zone_of
from services.loop.tasks.domain.confirming import asking_of
from services.loop.tasks.domain.facts import (
    Acted,
    ApprovalAsked,
    Contacted,
    Promised,
)
from services.loop.tasks.domain.playbook import carry_out
from services.loop.tasks.domain.task import (
    Actor,
    FollowUpTask,
)
from services.loop.tasks.handlers.announcing import event_of
from services.loop.tasks.handlers.chasing import watch_promises
from services.loop.tasks.handlers.escalating import told_of
from services.loop.tasks.handlers.reading import personal_of
from services.loop.tasks.handlers.sight import LEADING, sight_of
from services.loop.tasks.handlers.watching import keep_watch
from shared.db.transaction import Reading, Transaction
from shared.errors import Finding, Forbidden, Invalid, NotFound
from shared.identity.erasure import FORGOTTEN
from shared.identity.owners import owners
from shared.identity.people import staff_member
from shared.identity.person_keys import PersonKeys
from shared.identity.principal import Principal
from shared.identity.wishes import refusals_of


async def act_on(
    tx: Transaction,
    task_id: str,
    act: Act,
    *,
    by: Principal,
    expected: int | None,
    person_keys: PersonKeys,
    now: datetime,
) -> FollowUpTask:
    """Carry out one act; ``expected`` is the version that the caller has seen, if it says so.

    Raises ``NotFound``, ``Forbidden``, ``Stale`` with the current version, or ``Conflict`` with
    the state and what would allow the act.
    """
    task = await store.find_for_change(tx, task_id)
    if task is None:
        raise NotFound("There is no task with this id.")
    if expected is not None and expected != task.version:
        raise store.stale(task.version)

    if isinstance(act, Approve | Decline) and by.kind == "staff" and by.role not in LEADING:
        raise Forbidden("A lead or a head of department decides on remedies beyond the limit.")
    scheme = await store.scheme_of(tx, task.scheme.id, task.scheme.version)
    personal = await _personal(tx, task, person_keys)
    if isinstance(act, Resolve):
        answer = await find(tx, task.response_id)
        language = answer.language if answer else None
        ask = scheme.ask_customer
        wishes = await refusals_of(tx, [task.person_ref])
        refused = wishes.get(task.person_ref)
        asking = asking_of(personal, ask, refused=refused, language=language, now=now)
        act = replace(act, asking=asking)
    acted = carry_out(
        task,
        act,
        by=Actor(id=by.id, name=by.name, kind=by.kind),
        now=now,
        scheme=scheme,
        zone=zone_of(personal, scheme),
    )
    # After the decision: who comes second to a claim learns that, and not that it is foreign.
    # Who leads may give any task to somebody, without seeing whose it is.
    gives = isinstance(act, Assign) and by.role in LEADING
    if not gives and not (await sight_of(tx, by, [task])).covers(task):
        raise Forbidden(
            "This task belongs to another team. Ask its owner or a lead to assign it to you."
        )
    await keep(tx, task, acted, person_keys=person_keys, now=now)
    return acted.task


async def _personal(
    view: Reading, task: FollowUpTask, person_keys: PersonKeys
) -> Personal | None:
    keys = await person_keys.for_reading(view, [task.person_ref])
    return personal_of(task, keys.get(task.person_ref))


async def keep(
    tx: Transaction,
    task: FollowUpTask,
    acted: Acted,
    *,
    person_keys: PersonKeys,
    now: datetime,
) -> None:
    """Write down what an act led to, let its timers follow, count it and announce it."""
    # A customer of whom nothing personal is known yet gets a key with the first word here.
    # Of one who was erased nothing new is kept, whether or not there still is a key.
    ref, is_kept = acted.task.person_ref, acted.task.sealed_person != FORGOTTEN
    refs = [ref] if acted.entry.words and is_kept else []
    keys = await person_keys.for_sealing(tx, refs, now=now)
    await store.save(tx, acted, key=keys.get(ref))
    await keep_watch(tx, task, acted.task, now=now)
    if isinstance(acted.fact, Contacted) and acted.fact.attempt.emotion_before is not None:
        answer = await find(tx, task.response_id)
        await count_emotion(
            tx,
            reason=answer.reason if answer else None,
            emotion=acted.fact.attempt.emotion_before,
            day=now.date(),
        )
    await watch_promises(tx, acted.task, acted.fact, now=now)
    if acted.fact is not None and not _is_own(acted):
        told = (
            await told_of(tx, acted.task, "lead", now=now)
            if isinstance(acted.fact, ApprovalAsked)
            else ()
        )
        event = event_of(acted.task, acted.fact, await named(tx), now=now, told=told)
        tx.announce(event, key=task.person_ref, at=now)


def _is_own(acted: Acted) -> bool:
    """Tell whether somebody promised to do something themselves, which is no news to them."""
    fact = acted.fact
    return isinstance(fact, Promised) and fact.action.owner.id == acted.entry.by.id


async def resolve_owner(view: Reading, owner_id: str, *, by: Principal) -> OwnerRef:
    """Return the person or team behind an id, or behind ``me``; raise ``Invalid`` if none."""
    if owner_id in {"me", by.id}:
        return OwnerRef(id=by.id, kind="person")
    owner = (await owners(view, [owner_id])).get(owner_id)
    if owner is not None and owner.kind == "team":
        return OwnerRef(id=owner.id, kind="team")
    if owner is not None:
        person = await staff_member(view, owner.id)
        if person is not None and person.active:
            return OwnerRef(id=owner.id, kind="person")
    raise Invalid(
        "The owner is nobody who can be given work.",
        [
            Finding(
                pointer="/owner",
                code="unknown_owner",
                detail="neither an active member of staff nor a team",
                fix="send the id of a member of staff (stf_…) or of a team (team_…), or me",
            )
        ],
    )
