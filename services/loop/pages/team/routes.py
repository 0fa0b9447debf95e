"""The lead's page, and the same as files."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from io import StringIO
from typing import Annotated, Final

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from services.loop.journey import store as journey
from services.loop.pages.site import cell, pages
from services.loop.pages.team.page import AgeLine, LoadLine, SignLine, TeamPage
from services.loop.resources import Loop
from services.loop.tasks.handlers.workload import PERIOD, Signs, Workload, workload
from shared.i18n import Reader, marked
from shared.identity.principal import Principal, Scope
from shared.web.access import resources
from shared.web.auth import requires_page
from shared.web.templating import reader_of

router = APIRouter(include_in_schema=False)

# Those who may read tasks and settings: leads, heads, administrators and auditors.
_Lead = Annotated[Principal, Depends(requires_page(Scope.TASKS_READ, Scope.SETTINGS_READ))]
_SIGNS: Final[Mapping[str, tuple[str, str]]] = {
    "without_attempt": (
        marked("Closed without an attempt"),
        marked("Nobody tried to reach the customer before the task was ended."),
    ),
    "same_note": (
        marked("The same note pasted"),
        marked("Three tasks or more carry one note, word for word."),
    ),
    "bursts": (
        marked("Many closings just before the deadline"),
        marked("One person ended five tasks or more within an hour, each at the last minute."),
    ),
    "gap": (
        marked("Staff say closed, customers say no"),
        marked("Of the customers who were asked, too many say that it is not settled."),
    ),
    "spikes": (
        marked("More top scores than usual"),
        marked("At a touchpoint there are more top scores in a week than chance explains."),
    ),
}
_COLUMNS: Final = ("owner", "kind", "open", "late", "waiting")


@router.get("/team")
async def show(request: Request, caller: _Lead) -> Response:
    """Show load, ageing and signs."""
    loop = resources(request, Loop)
    reader = reader_of(request)
    async with loop.database.reading() as view:
        found = await workload(
            view, caller=caller, person_keys=loop.person_keys, now=loop.clock.now()
        )
        names = await journey.named(view)
    context = TeamPage(
        title=reader.gettext("Team"),
        open=found.open,
        loads=[
            LoadLine(
                name=each.name,
                is_team=each.load.kind == "team",
                href=f"/?tab=open&owner={each.load.owner_id}",
                open=each.load.open,
                late=each.load.late,
                waiting=each.load.waiting,
            )
            for each in found.loads
        ],
        ages=_ages(found, reader),
        signs=_signs(found.signs, names, reader),
        looked_at=found.signs.looked_at,
        days=PERIOD.days,
    )
    return pages.render(request, "team.html", context)


@router.get("/team.csv")
async def file(request: Request, caller: _Lead) -> Response:
    """Return the load for a spreadsheet, in the order of names."""
    found = await _found(request, caller)
    out = StringIO()
    writer = csv.writer(out)
    writer.writerow(_COLUMNS)
    for each in found.loads:
        load = each.load
        numbers = map(str, (load.open, load.late, load.waiting))
        writer.writerow(map(cell, [each.name, load.kind, *numbers]))
    return Response(
        "\ufeff" + out.getvalue(),
        media_type="text/csv; charset=utf-8",
        headers={
            "Cache-Control": "no-store",
            "Content-Disposition": 'attachment; filename="team.csv"',
        },
    )


@router.get("/team.json")
async def document(request: Request, caller: _Lead) -> JSONResponse:
    """Return the same for programs."""
    found = await _found(request, caller)
    signs = found.signs
    return JSONResponse(
        {
            "open": found.open,
            "load": [
                {
                    "owner": {
                        "id": each.load.owner_id,
                        "name": each.name,
                        "kind": each.load.kind,
                    },
                    "open": each.load.open,
                    "late": each.load.late,
                    "waiting": each.load.waiting,
                }
                for each in found.loads
            ],
            "waiting_days": {str(days): n for days, n in found.waiting_days.items()},
            "signs": {
                "looked_at": signs.looked_at,
                "without_attempt": list(signs.without_attempt),
                "same_note": [list(ids) for ids in signs.same_note],
                "bursts": [list(ids) for ids in signs.bursts],
                "gap": {
                    "closed": signs.gap.closed,
                    "confirmed": signs.gap.confirmed,
                    "denied": signs.gap.denied,
                    "odd": signs.gap.is_odd,
                },
                "spikes": [one.touchpoint for one in signs.spikes],
            },
        },
        headers={"Cache-Control": "no-store"},
    )


async def _found(request: Request, caller: Principal) -> Workload:
    loop = resources(request, Loop)
    async with loop.database.reading() as view:
        return await workload(
            view, caller=caller, person_keys=loop.person_keys, now=loop.clock.now()
        )


def _ages(found: Workload, reader: Reader) -> Sequence[AgeLine]:
    return [
        AgeLine(
            label=reader.ngettext("at least %(n)s day", "at least %(n)s days", days),
            count=count,
            share=count / found.open if found.open else 0.0,
        )
        for days, count in found.waiting_days.items()
    ]


def _signs(signs: Signs, names: Mapping[str, str], reader: Reader) -> Sequence[SignLine]:
    groups: Mapping[str, Sequence[Sequence[str]]] = {
        "without_attempt": [[task_id] for task_id in signs.without_attempt],
        "same_note": signs.same_note,
        "bursts": signs.bursts,
    }
    spikes = [names.get(one.touchpoint, one.touchpoint) for one in signs.spikes]
    gap = signs.gap
    found = {
        name: _times(len(groups[name]), reader) if groups[name] else "" for name in groups
    } | {
        "gap": reader.gettext(
            "%(no)s of %(n)s who answered say no", no=gap.denied, n=gap.confirmed + gap.denied
        )
        if gap.is_odd
        else "",
        "spikes": _times(len(spikes), reader) if spikes else "",
    }
    return [
        SignLine(
            id=name,
            title=reader.gettext(title),
            meaning=reader.gettext(meaning),
            found=found[name],
            groups=groups.get(name, ()),
            touchpoints=spikes if name == "spikes" else (),
        )
        for name, (title, meaning) in _SIGNS.items()
    ]


def _times(n: int, reader: Reader) -> str:
    return reader.ngettext("%(n)s case to look at", "%(n)s cases to look at", n)
