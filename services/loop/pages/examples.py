"""Good examples as a page: how colleagues helped, found by theme."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from services.loop.journey import store as journey
from services.loop.pages.labels import OUTCOMES, said
from services.loop.pages.shapes import Mark, mark_of, tag_of
from services.loop.pages.site import pages, sheet
from services.loop.resources import Loop
from services.loop.tasks.handlers.examples import Example, list_examples
from services.loop.themes.handlers import current_taxonomy
from shared.i18n import Reader, marked
from shared.identity import audit
from shared.identity.principal import Principal, Scope
from shared.web.access import resources
from shared.web.auth import requires_page
from shared.web.forms import Form, Option
from shared.web.paging import Page, Paged, encode_cursor
from shared.web.templating import reader_of

router = APIRouter(include_in_schema=False)

_Caller = Annotated[Principal, Depends(requires_page(Scope.TASKS_READ))]
_LIST: Final = "examples"
_MOST_IN_A_FILE: Final = 2_000
_TOLD: Final[Mapping[str, str]] = {
    "note": marked("What they said"),
    "asked_for": marked("What the customer asked for"),
    "agreed": marked("What was agreed"),
    "what": marked("Action"),
    "root_cause": marked("Root cause"),
    "lesson": marked("Lesson to share"),
}


@dataclass(frozen=True, kw_only=True)
class ExampleLine:
    """One example, without the customer in it."""

    mark: Mark
    touchpoint: str
    comment: str | None = field(repr=False)
    language: str | None
    told: Sequence[tuple[str, str]] = field(repr=False)
    outcome: str
    is_confirmed: bool
    shared_at: datetime
    themes: Sequence[str]
    erased: bool


@dataclass(frozen=True, kw_only=True)
class ExamplesPage:
    """One part of the list."""

    filters: Form
    themes: Sequence[Option]
    examples: Sequence[ExampleLine]
    older: str | None
    is_first: bool
    now: datetime
    json: str
    csv: str


@router.get("/examples")
async def show(request: Request, _caller: _Caller, page: Paged) -> Response:
    """Show what colleagues marked as worth learning from."""
    loop = resources(request, Loop)
    reader = reader_of(request)
    theme = _theme(request)
    of = f"{_LIST}?{theme}"
    async with loop.database.reading() as view:
        found = await list_examples(
            view,
            theme=theme or None,
            touchpoint=None,
            person_keys=loop.person_keys,
            after=page.after(loop.keyring, of=of),
            most=page.limit + 1,
        )
        places = await journey.named(view)
        taxonomy = (await current_taxonomy(view)).taxonomy
    names = {each.id: each.name_in(reader.catalogue) for each in taxonomy.themes}
    context = ExamplesPage(
        filters=Form(name="filter", values={"theme": theme}),
        themes=sorted(
            (Option(value=key, label=name) for key, name in names.items()),
            key=lambda option: option.label.casefold(),
        ),
        examples=[_line(each, names, places, reader) for each in found[: page.limit]],
        older=_older(found, page, loop, theme, of),
        is_first=page.cursor is None,
        now=loop.clock.now(),
        json=_address("/v1/examples", theme),
        csv=_address("/examples.csv", theme),
    )
    return pages.render(request, "examples.html", context)


@router.get("/examples.csv")
async def file(request: Request, caller: _Caller) -> Response:
    """Return the latest examples for a spreadsheet, without the customers in them."""
    loop = resources(request, Loop)
    theme, now = _theme(request), loop.clock.now()
    async with loop.database.transaction() as tx:
        found = await list_examples(
            tx,
            theme=theme or None,
            touchpoint=None,
            person_keys=loop.person_keys,
            after=None,
            most=_MOST_IN_A_FILE,
        )
        detail = {"format": "csv", "examples": len(found)}
        await audit.record(tx, caller, "list.exported", "examples", detail, now=now)
    columns = (
        "task_id",
        "shared_at",
        "touchpoint",
        "themes",
        "metric",
        "score",
        "outcome",
        "confirmed_by_customer",
        "comment",
        *_TOLD,
    )
    return sheet("examples", columns, map(_cells, found))


def _cells(example: Example) -> Sequence[object]:
    task, told = example.task, example.told
    resolution = task.record.resolution
    return (
        task.id,
        example.shared_at.isoformat(),
        task.touchpoint,
        "; ".join(example.themes),
        task.metric,
        task.score,
        resolution.outcome if resolution else None,
        "yes" if task.is_confirmed_by_customer else "no",
        "[erased]" if example.erased else example.comment,
        *("\n".join(text for kind, text in told if kind == wanted) for wanted in _TOLD),
    )


def _theme(request: Request) -> str:
    return request.query_params.get("theme", "")[:200].replace("\0", "")


def _address(path: str, theme: str) -> str:
    return f"{path}?{urlencode({'theme': theme})}" if theme else path


def _older(found: Sequence[Example], page: Page, loop: Loop, theme: str, of: str) -> str | None:
    if len(found) <= page.limit:
        return None
    last = found[page.limit - 1]
    cursor = encode_cursor(loop.keyring, [last.shared_at.isoformat(), last.task.id], of=of)
    given = {"theme": theme} if theme else {}
    return f"/examples?{urlencode({**given, 'cursor': cursor})}"


def _line(
    example: Example, names: Mapping[str, str], places: Mapping[str, str], reader: Reader
) -> ExampleLine:
    task = example.task
    resolution = task.record.resolution
    return ExampleLine(
        mark=mark_of(task.metric, task.score),
        touchpoint=places.get(task.touchpoint or "", task.touchpoint or ""),
        comment=example.comment,
        language=tag_of(example.language),
        told=[(said(_TOLD, kind, reader), text) for kind, text in example.told],
        outcome=said(OUTCOMES, resolution.outcome, reader) if resolution else "",
        is_confirmed=task.is_confirmed_by_customer,
        shared_at=example.shared_at,
        themes=[names.get(theme, theme) for theme in example.themes],
        erased=example.erased,
    )
