"""Reading tasks: one with all that is known of it, lists, and the queue people work from."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from services.loop.journey.handlers import meant_by
from services.loop.responses.domain import Personal
from services.loop.responses.handlers import is_forgotten, open_person
from services.loop.responses.store import find_all
from services.loop.tasks import store
from services.loop.tasks.domain.facts import (
    Entry,
)
from services.loop.tasks.domain.schemes import RecoveryScheme
from services.loop.tasks.domain.task import (
    FollowUpTask,
)
from services.loop.tasks.handlers.sight import Sight, sight_of
from services.loop.tasks.store import Order, TaskFilter
from services.loop.themes.store import MentionRow, themes_of
from shared.consent import Refusal, refused_in
from shared.db.transaction import Reading
from shared.errors import NotFound
from shared.identity.keys import find_key
from shared.identity.owners import Owner, owners
from shared.identity.person_keys import PersonKeys
from shared.identity.principal import Principal
from shared.identity.wishes import refusals_of
from shared.sealing import CannotOpen, open_document

CODES: Final = ("touchpoint", "segment", "product")


@dataclass(frozen=True, kw_only=True)
class TaskView:
    """A task as one caller may see it.

    ``personal`` is None when the caller may not see the customer (``restricted``), when the
    person was erased (``erased``), and when nothing personal was ever sent.
    """

    task: FollowUpTask
    owner: Owner
    restricted: bool
    erased: bool
    personal: Personal | None = field(repr=False)
    themes: Sequence[MentionRow]
    scheme: RecoveryScheme
    """The scheme of its version, with the opening hours of today."""
    refused: Refusal | None = None
    """What the customer asked not to be done; told to nobody who may not see them."""
    escalated: bool = False
    """Whether others than the owner were drawn in."""
    history: Sequence[Entry] = field(default=(), repr=False)
    names: Mapping[str, str] = field(default_factory=dict)
    """The names of everybody who owns the task or an action, or whom its history names."""

    def words_of(self, entry: int) -> Mapping[str, str]:
        """Return what was said in one entry of the history."""
        for line in self.history:
            if line.version == entry and line.words:
                return line.words
        return {}

    def is_erased(self, entry: int) -> bool:
        """Tell whether something was said in one entry that nobody can read any more."""
        return any(line.version == entry and line.erased for line in self.history)

    def flags(self, now: datetime) -> tuple[str, ...]:
        """Return what stands out: late, not for this caller, forgotten, or not to be called."""
        return tuple(
            name
            for name, is_so in (
                ("overdue", self.task.is_overdue(now)),
                ("escalated", self.escalated and self.task.is_open),
                ("snoozed", self.task.is_snoozed(now)),
                ("repeat", self.task.repeat),
                ("restricted", self.restricted),
                ("erased", self.erased),
                ("do_not_contact", self.refused == "do_not_contact"),
                ("no_consent", self.refused == "no_consent"),
            )
            if is_so
        )


@dataclass(frozen=True, kw_only=True)
class QueueRow:
    """One line of a queue: the words first, then where, how far, and both clocks."""

    view: TaskView
    letters: str
    """The letters of the steps taken, a dot for each that is not: ``RE......``."""
    tries: int
    due_in: timedelta
    """To the promise that breaks next; negative when it is broken."""
    next_promise: str
    """Which promise that is: ``first_contact`` or ``resolution``."""
    customer_waits: timedelta
    repeat: bool = False


async def read_task(
    view: Reading, task_id: str, *, caller: Principal, person_keys: PersonKeys
) -> TaskView:
    """Return one task with its history; raise ``NotFound`` when there is none."""
    task = await store.find(view, task_id)
    if task is None:
        raise NotFound("There is no task with this id.")
    return (await _views(view, [task], caller=caller, person_keys=person_keys, whole=True))[0]


async def list_tasks(
    view: Reading,
    wanted: TaskFilter,
    *,
    caller: Principal,
    person_keys: PersonKeys,
    now: datetime,
    after: Sequence[Any] | None,
    most: int,
    order: Order = "due",
    whole: bool = True,
) -> Sequence[TaskView]:
    """Return up to ``most`` tasks, what breaks first before the others."""
    asked = {name: code for name in CODES if (code := getattr(wanted, name)) is not None}
    if asked:
        # From here on by what they mean.
        plain: dict[str, Any] = dict.fromkeys(asked)
        wanted = replace(wanted, **plain, codes=await meant_by(view, asked))
    tasks = await store.page_of(view, wanted, now=now, after=after, most=most, order=order)
    views = await _views(view, tasks, caller=caller, person_keys=person_keys, whole=whole)
    # Nobody may learn by searching for an address whose erased task this was.
    return [seen for seen in views if not (wanted.terms and seen.erased)]


async def queue(
    view: Reading,
    wanted: TaskFilter,
    *,
    caller: Principal,
    person_keys: PersonKeys,
    now: datetime,
    after: Sequence[Any] | None,
    most: int,
    order: Order = "due",
) -> Sequence[QueueRow]:
    """Return a queue's lines; ask for one more than is shown to know whether there is more."""
    views = await list_tasks(
        view,
        wanted,
        caller=caller,
        person_keys=person_keys,
        now=now,
        after=after,
        most=most,
        order=order,
        whole=False,
    )
    return [_row(seen, now) for seen in views]


def _row(seen: TaskView, now: datetime) -> QueueRow:
    task = seen.task
    until = task.ended_at or now
    return QueueRow(
        view=seen,
        letters=task.letters,
        tries=task.tries,
        due_in=task.next_due_at - until,
        next_promise="first_contact" if task.first_contact_at is None else "resolution",
        customer_waits=max(until - task.waiting_since, timedelta()),
        repeat=task.repeat,
    )


async def _views(
    view: Reading,
    tasks: Sequence[FollowUpTask],
    *,
    caller: Principal,
    person_keys: PersonKeys,
    whole: bool,
) -> Sequence[TaskView]:
    if not tasks:
        return []
    sight = await sight_of(view, caller, tasks)
    keys = await person_keys.for_reading(view, [task.person_ref for task in tasks])
    themes = await themes_of(view, [task.response_id for task in tasks])
    schemes = await store.schemes_of(view, [task.scheme for task in tasks])
    escalated = await store.escalated_among(view, [task.id for task in tasks])
    erased = {task.id for task in tasks if is_forgotten(task, keys)}
    histories = (
        await store.histories_of(
            view,
            [task.id for task in tasks],
            readable={task.id for task in tasks if sight.covers(task)},
            person_keys=person_keys,
        )
        if whole
        else {}
    )
    wishes = await refusals_of(view, [task.person_ref for task in tasks])
    opened = {
        task.id: personal_of(task, keys.get(task.person_ref))
        for task in tasks
        if sight.covers(task)
    }
    histories = await _with_further_words(view, tasks, histories, keys, sight)
    owning = {task.owner.id for task in tasks} | {
        action.owner.id for task in tasks for action in task.record.actions
    }
    owning |= {who for lines in histories.values() for line in lines for who in line.named}
    people = await owners(view, owning)
    people = {**people, **await _machines(view, owning, people)}
    names = {person.id: person.name for person in people.values()}
    return [
        TaskView(
            task=task,
            owner=people.get(task.owner.id) or _unknown(task),
            restricted=not sight.covers(task),
            erased=task.id in erased,
            personal=opened.get(task.id),
            refused=_refused(wishes.get(task.person_ref), opened.get(task.id))
            if task.id in opened
            else None,
            themes=themes[task.response_id],
            scheme=schemes[task.scheme],
            escalated=task.id in escalated,
            history=histories.get(task.id, ()),
            names=names,
        )
        for task in tasks
    ]


async def _with_further_words(
    view: Reading,
    tasks: Sequence[FollowUpTask],
    histories: Mapping[str, Sequence[Entry]],
    keys: Mapping[str, bytes],
    sight: Sight,
) -> Mapping[str, Sequence[Entry]]:
    """Return the histories with what the customer wrote in further answers to one case."""
    seen = [t for t in tasks if t.other_responses and t.id in histories and sight.covers(t)]
    answers = await find_all(view, [one for task in seen for one in task.other_responses])
    words = {
        one.id: {"comment": person.comment}
        for one in answers.values()
        if (person := open_person(one, keys)) is not None and person.comment
    }
    return {
        **histories,
        **{
            task.id: [
                replace(line, words=words.get(str(line.detail.get("response_id")), {}))
                if line.act == "repeat"
                else line
                for line in histories[task.id]
            ]
            for task in seen
        },
    }


async def _machines(
    view: Reading, ids: Collection[str], known: Mapping[str, Owner]
) -> Mapping[str, Owner]:
    """Return the keys that own a task or an action: a machine owns under its name."""
    found = {}
    for owner_id in {i for i in ids if i.startswith("key_")} - set(known):
        key = await find_key(view, owner_id)
        if key is not None:
            found[key.id] = Owner(id=key.id, name=key.name, kind="person", email=None)
    return found


def _unknown(task: FollowUpTask) -> Owner:
    return Owner(id=task.owner.id, name=task.owner.id, kind=task.owner.kind, email=None)


def _refused(wish: Refusal | None, personal: Personal | None) -> Refusal | None:
    """Return the wider of what was asked for with any answer, and with this one."""
    here = refused_in(personal.customer) if personal else None
    return "do_not_contact" if "do_not_contact" in {wish, here} else wish or here


def personal_of(task: FollowUpTask, key: bytes | None) -> Personal | None:
    """Open what is personal in a task; None where nothing is, or is any more."""
    if task.sealed_person is None or key is None:
        return None
    try:
        document = open_document(key, task.sealed_person, context=task.response_id)
    except CannotOpen:
        return None
    return Personal.read(document)
