"""The first steps of an installation: what each is good for, where it is done, whether it is.

A step is a page that is there anyway, whichever service has it. Whether it is done is seen from
what is there, in tables that every service may read or in our own, and never from a mark.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from services.loop.journey.handlers.calendars import list_calendars
from services.loop.journey.store import TouchpointFilter, page_of
from services.loop.responses.store import has_response_of
from shared.db.transaction import Reading
from shared.i18n import marked
from shared.identity.installation import first_steps, organisation
from shared.identity.keys import BOOTSTRAP, SAMPLE_SOURCE, list_keys
from shared.identity.people import list_staff
from shared.identity.principal import Principal, Scope
from shared.identity.sample import was_removed

Check = Callable[[Reading, datetime], Awaitable[bool]]


@dataclass(frozen=True, kw_only=True)
class Step:
    """One thing to do at the beginning."""

    id: str
    name: str
    about: str
    """What it is good for, in one sentence."""
    path: str
    action: str
    """What the link to the page says."""
    is_done: Check


@dataclass(frozen=True, kw_only=True)
class StepState:
    """A step and how far it is."""

    step: Step
    is_done: bool
    is_later: bool

    @property
    def is_open(self) -> bool:
        """Tell whether it is neither done nor put off."""
        return not self.is_done and not self.is_later


@dataclass(frozen=True, kw_only=True)
class Progress:
    """All steps, and whether the assistant was sent away."""

    states: Sequence[StepState]
    is_dismissed: bool

    @property
    def open(self) -> int:
        """Return how many steps are neither done nor put off."""
        return sum(state.is_open for state in self.states)

    @property
    def done(self) -> int:
        """Return how many steps are done."""
        return sum(state.is_done for state in self.states)


async def _named(view: Reading, _now: datetime) -> bool:
    return await organisation(view) is not None


async def _scheduled(view: Reading, _now: datetime) -> bool:
    return bool(await list_calendars(view))


async def _accompanied(view: Reading, _now: datetime) -> bool:
    return len(await list_staff(view, limit=2)) > 1


async def _owned(view: Reading, now: datetime) -> bool:
    wanted = TouchpointFilter(mapped=True, owned=True)
    return bool(await page_of(view, wanted, at=now, after=None, most=1))


async def _connected(view: Reading, now: datetime) -> bool:
    keys = await list_keys(view, with_revoked=False)
    return any(
        key.usable(now)
        and not key.test
        and Scope.RESPONSES_WRITE in key.scopes
        and key.source not in {BOOTSTRAP, SAMPLE_SOURCE}
        for key in keys
    )


async def _tried(view: Reading, _now: datetime) -> bool:
    # Without a key of its own nothing was posted: most often that is answered by an index.
    if not await list_keys(view, source=SAMPLE_SOURCE, limit=1):
        return False
    return await has_response_of(view, SAMPLE_SOURCE) or await was_removed(view)


STEPS: Final = (
    Step(
        id="organisation",
        name=marked("Name your organisation"),
        about=marked(
            "Its name stands above every page, and its time zone is where new people begin."
        ),
        path="/settings/organisation",
        action=marked("Name it"),
        is_done=_named,
    ),
    Step(
        id="calendar",
        name=marked("Say when somebody is at work"),
        about=marked("A calendar keeps nights, weekends and holidays out of your deadlines."),
        path="/settings/calendars",
        action=marked("Add a calendar"),
        is_done=_scheduled,
    ),
    Step(
        id="people",
        name=marked("Add the people who will call"),
        about=marked("Every task has an owner with a name, and a promise needs somebody."),
        path="/settings/people",
        action=marked("Add people"),
        is_done=_accompanied,
    ),
    Step(
        id="touchpoints",
        name=marked("Describe the first touchpoints and name their owners"),
        about=marked("Whoever owns a touchpoint gets the tasks of what customers say there."),
        path="/settings/touchpoints",
        action=marked("Add touchpoints"),
        is_done=_owned,
    ),
    Step(
        id="source",
        name=marked("Connect the first source"),
        about=marked(
            "The system that asks your customers gets a key, and a test call to copy with it."
        ),
        path="/settings/sources",
        action=marked("Connect a source"),
        is_done=_connected,
    ),
    Step(
        id="test-response",
        name=marked("See a test response come back as a task"),
        about=marked(
            "It takes the way of every response, so you know that all the parts work."
        ),
        path="/settings/test-response",
        action=marked("Send a test response"),
        is_done=_tried,
    ),
)
"""The steps in the order in which they are best taken."""


async def progress(view: Reading, *, now: datetime) -> Progress:
    """Return how far each step is."""
    said = await first_steps(view)
    states = [
        StepState(
            step=step,
            is_done=await step.is_done(view, now),
            is_later=step.id in said.later,
        )
        for step in STEPS
    ]
    return Progress(states=states, is_dismissed=said.dismissed)


async def open_steps(view: Reading, caller: Principal, *, now: datetime) -> int:
    """Return of how many open steps to remind somebody: none who may not take them."""
    if not caller.may(Scope.SETTINGS_WRITE) or (await first_steps(view)).dismissed:
        return 0
    return (await progress(view, now=now)).open
