"""The page that says how long things are kept, and what will be forgotten."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.ingest.handlers import Ingest
from services.ingest.handlers.persons import retention
from services.ingest.handlers.persons.retention import Outlook
from services.ingest.pages.privacy.page import CONFIRMATION
from services.ingest.pages.privacy.page import PATH as PRIVACY
from services.ingest.pages.site import pages
from services.ingest.store import Aged
from shared.errors import Conflict, Invalid, Stale
from shared.i18n import marked
from shared.identity.principal import Principal, Scope
from shared.identity.retention import KINDS, PERIODS, Counts, Kind, Policy
from shared.web.access import resources
from shared.web.auth import requires_page
from shared.web.forms import Fields, Form, read_form
from shared.web.templating import reader_of

router = APIRouter(include_in_schema=False)

PATH: Final = f"{PRIVACY}/retention"
_Keeper = Annotated[Principal, Depends(requires_page(Scope.PERSONS_WRITE))]
_FIELDS: Final[Mapping[str, str]] = {
    "months": "customers_months",
    "deliveries_months": "deliveries_months",
    "dead_letters_days": "dead_letters_days",
    "audit_months": "audit_months",
}
"""The fields of the form, and the periods that they set."""
_NO_PERIOD: Final = {
    "months": marked(
        "Please give whole months, %(least)s to %(most)s, or nothing to keep for ever."
    ),
    "days": marked(
        "Please give whole days, %(least)s to %(most)s, or nothing to keep for ever."
    ),
}
_CHANGED: Final = marked("Somebody changed the period meanwhile. Look at it, then decide.")
_WORDS: Final[Mapping[Kind, str]] = {
    "deliveries": marked("Mail and calls of webhooks"),
    "dead_letters": marked("Settled dead letters"),
    "audit": marked("Lines of the audit trail"),
}


@dataclass(frozen=True, kw_only=True)
class OtherLine:
    """What goes of one kind; ``counts`` is None before it was counted."""

    name: str
    is_kept_for_ever: bool
    counts: Counts | None


@dataclass(frozen=True, kw_only=True)
class RetentionPage:
    """What the page shows."""

    seen: Outlook
    form: Form
    asks: bool
    """Whether a shorter period is to be confirmed."""
    would_go: Aged | None
    """Which customers a shorter period forgets at once."""
    confirmation: str
    others: Sequence[OtherLine]


@router.get(PATH)
async def show(request: Request, _caller: _Keeper) -> Response:
    """Show what holds and what will go."""
    return await _page(request)


@router.post(PATH)
async def change(request: Request, caller: _Keeper) -> Response:
    """Let other periods hold, once somebody has typed that they mean one that forgets."""
    ingest = resources(request, Ingest)
    fields = Fields(await read_form(request), reader_of(request))
    periods = _periods(fields)
    if fields.errors:
        return await _page(request, fields)
    sure = fields.values.get("confirm", "") == CONFIRMATION
    try:
        async with ingest.database.transaction() as tx:
            await retention.change_policy(
                tx,
                periods,
                sure=sure,
                expected=fields.whole("version"),
                by=caller,
                now=ingest.clock.now(),
            )
    except Invalid as refused:
        wrong = {finding.pointer.removeprefix("/") for finding in refused.findings}
        for name, period in _FIELDS.items():
            if period in wrong:
                _no_period(fields, name)
        return await _page(request, fields)
    except Stale:
        fields.wrong("months", _CHANGED)
        return await _page(request, fields)
    except Conflict:
        fields.wrong("confirm", marked("Please type the word as it stands here."))
        return await _page(request, fields, wished=periods)
    return RedirectResponse(PATH, 303)


def _periods(fields: Fields) -> dict[str, int | None]:
    """Return the periods that were sent; a field that is not in the form changes nothing."""
    found = {}
    for name, period in _FIELDS.items():
        if name in fields.values:
            found[period] = fields.whole(name)
            if found[period] is None and fields.values[name]:
                _no_period(fields, name)
    return found


def _no_period(fields: Fields, name: str) -> None:
    may = PERIODS[_FIELDS[name]]
    fields.wrong(name, _NO_PERIOD[may.unit], least=may.least, most=may.most)


async def _page(
    request: Request,
    fields: Fields | None = None,
    *,
    wished: Mapping[str, int | None] | None = None,
) -> Response:
    ingest = resources(request, Ingest)
    reader = reader_of(request)
    now = ingest.clock.now()
    async with ingest.database.reading() as view:
        seen = await retention.outlook(view, now=now)
        held = seen.policy
        would = None
        if wished is not None and wished.get("customers_months") != held.months:
            new = held.with_periods(wished, version=held.version)
            would = (await retention.outlook(view, now=now, policy=new)).due
    typed = fields.values if fields else {}
    context = RetentionPage(
        seen=seen,
        form=Form(
            name="retention",
            # The version is always the one that is shown: whoever sends it has seen it.
            values={**_values(held), **typed, "version": str(held.version)},
            errors=fields.errors if fields else {},
        ),
        asks=wished is not None,
        would_go=would,
        confirmation=CONFIRMATION,
        others=[
            OtherLine(
                name=reader.gettext(_WORDS[kind]),
                is_kept_for_ever=held.over_before(kind, now) is None,
                counts=seen.others.get(kind),
            )
            for kind in KINDS
        ],
    )
    return pages.render(request, "retention.html", context, status=422 if fields else 200)


def _values(policy: Policy) -> dict[str, str]:
    held = policy.periods()
    return {
        name: "" if held[period] is None else str(held[period])
        for name, period in _FIELDS.items()
    }
