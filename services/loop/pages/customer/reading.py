"""A customer's answers and tasks as one line of events, in the reader's words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final
from urllib.parse import quote

from services.loop.pages.customer.page import CustomerPage, Happened, Part
from services.loop.pages.shapes import Words, customer_now, customer_of, mark_of, words_of
from services.loop.pages.task.reading import history_line
from services.loop.responses.domain import Response
from services.loop.tasks.handlers import CustomerView, TaskView
from services.loop.tasks.schemas.customer import asked_at, kind_of
from shared.i18n import Reader, marked

PARTS: Final[Mapping[str, str]] = {
    "all": marked("Everything"),
    "answer": marked("Answers"),
    "contact": marked("Contacts"),
    "task": marked("Tasks"),
    "mail": marked("Mails to the customer"),
    "system": marked("System"),
}
_LATEST_SCORES: Final = 8


def page_of(
    seen: CustomerView,
    part: str,
    *,
    touchpoints: Mapping[str, str],
    reader: Reader,
    now: datetime,
) -> CustomerPage:
    """Return what the page shows of a customer."""
    events = happened(seen, touchpoints=touchpoints, reader=reader, now=now)
    customer = customer_now(seen.personal, erased=seen.erased, refused=seen.refused)
    address = f"/customers/{quote(seen.ref)}"
    scored = [answer for answer in seen.answers if answer.score is not None]
    metric = scored[0].metric if scored else "nps"
    return CustomerPage(
        title=_title(seen, reader),
        now=now,
        customer=customer,
        restricted=seen.restricted,
        scores=[
            answer.score
            for answer in reversed(scored[:_LATEST_SCORES])
            if answer.score is not None and answer.metric == metric
        ],
        metric=metric.upper(),
        open_tasks=sum(task.task.is_open for task in seen.tasks),
        parts=[
            Part(
                label=reader.gettext(label),
                href=address if name == "all" else f"{address}?part={name}",
                current=name == part,
                count=reader.number(len(_only(events, name))),
            )
            for name, label in PARTS.items()
        ],
        events=_only(events, part),
        json=f"/v1/customers/{quote(seen.ref)}",
        csv=f"{address}/events.csv",
    )


def happened(
    seen: CustomerView, *, touchpoints: Mapping[str, str], reader: Reader, now: datetime
) -> Sequence[Happened]:
    """Return everything that happened, the latest first."""
    events = [_answer(seen, answer, touchpoints, reader) for answer in seen.answers]
    for task in seen.tasks:
        events += _task(task, reader, now)
    return sorted(events, key=lambda event: event.at, reverse=True)


def _only(events: Sequence[Happened], part: str) -> Sequence[Happened]:
    if part == "all":
        return [event for event in events if event.kind != "system"]
    return [event for event in events if event.kind == part]


def _title(seen: CustomerView, reader: Reader) -> str:
    if seen.restricted:
        return reader.gettext("Customer of another team")
    if seen.erased:
        return reader.gettext("Erased customer")
    return customer_of(seen.personal).name or reader.gettext("Customer without a name")


def _answer(
    seen: CustomerView, answer: Response, touchpoints: Mapping[str, str], reader: Reader
) -> Happened:
    person = seen.persons.get(answer.id)
    return Happened(
        at=answer.answered_at,
        kind="answer",
        what=reader.gettext("Answer"),
        by="",
        detail=touchpoints.get(answer.touchpoint or "", answer.touchpoint or ""),
        href=next((_href(t) for t in seen.tasks if t.task.response_id == answer.id), ""),
        mark=mark_of(answer.metric, answer.score),
        words=(
            words_of(person, answer.language)
            if person
            else Words(erased=seen.erased or not seen.restricted)
        ),
    )


def _task(seen: TaskView, reader: Reader, now: datetime) -> Iterator[Happened]:
    for entry in seen.history:
        line = history_line(entry, seen, reader)
        yield Happened(
            at=line.at,
            kind=kind_of(entry.act),
            what=line.act,
            by=line.by,
            detail=line.detail,
            href=_href(seen),
            mark=None,
            words=Words(erased=line.erased),
            said=line.words,
        )
    asked = asked_at(seen)
    if asked is not None and asked <= now:
        yield Happened(
            at=asked,
            kind="mail",
            what=reader.gettext("Asked whether it is settled"),
            by="",
            detail="",
            href=_href(seen),
            mark=None,
            words=Words(),
        )


def _href(seen: TaskView) -> str:
    return f"/tasks/{seen.task.id}"
