"""How well themes are found, drawn comments to check, and words that corrections suggest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Final

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.loop.pages.labels import LANGUAGES
from services.loop.pages.site import done_of, pages
from services.loop.resources import Loop
from services.loop.responses.domain import Personal
from services.loop.responses.handlers import open_persons
from services.loop.themes.domain import Taxonomy
from services.loop.themes.domain.masking import masked, secrets_of
from services.loop.themes.handlers import current_taxonomy
from services.loop.themes.handlers.corrections import Judged, judged
from services.loop.themes.handlers.proposing import accept, list_proposals, reject
from services.loop.themes.handlers.quality import Quality, check, checked, draw, quality
from services.loop.themes.store.quality import Proposal
from shared.errors import Conflict, NotFound
from shared.i18n import Reader, marked
from shared.identity.principal import Principal, Scope
from shared.stats.intervals import Estimate
from shared.web.access import resources
from shared.web.auth import requires_page
from shared.web.forms import Fields, Form, Option, read_form
from shared.web.templating import reader_of

router = APIRouter(include_in_schema=False)

PATH: Final = "/settings/taxonomy/quality"
CHECK: Final = "/settings/taxonomy/check"
MORE: Final = ("also1", "also2", "also3")
"""The fields for themes that were missed."""
_PROPOSALS: Final = 100

_Reader = Annotated[Principal, Depends(requires_page(Scope.THEMES_READ))]
_Writer = Annotated[Principal, Depends(requires_page(Scope.TAXONOMY_WRITE))]
_Checker = Annotated[Principal, Depends(requires_page(Scope.TAXONOMY_WRITE, Scope.TASKS_READ))]
_DONE: Final[Mapping[str, str]] = {
    "accepted": marked("The words were accepted: they decide from the next response on."),
    "rejected": marked("The words were rejected. They will not be proposed again."),
    "decided": marked("Somebody has decided about these words already."),
    "checked": marked("The comment was checked. Here is the next one."),
}


@dataclass(frozen=True, kw_only=True)
class QualityLine:
    """One theme in one language, or in all of them."""

    theme: str
    href: str
    language: str
    precision: Estimate
    recall: Estimate


@dataclass(frozen=True, kw_only=True)
class ProposalLine:
    """Words that corrections suggest."""

    id: str
    words: str
    drops: bool
    theme: str
    language: str
    support: int
    against: int


@dataclass(frozen=True, kw_only=True)
class QualityPage:
    """What the page of quality shows."""

    drawn: bool
    checked: int
    lines: Sequence[QualityLine]
    proposals: Sequence[ProposalLine]
    may_write: bool
    may_check: bool
    done: str


@dataclass(frozen=True, kw_only=True)
class CheckPage:
    """One comment that was drawn."""

    response_id: str
    text: str = field(repr=False)
    language: str | None
    found: Sequence[Option]
    """The themes that stand in it, each with the field that says whether that is right."""
    verdicts: Sequence[Option]
    themes: Sequence[Option]
    form: Form
    done: str


@router.get(PATH)
async def show(request: Request, caller: _Reader) -> Response:
    """Show precision and recall, and the words that wait for a decision."""
    loop, reader = resources(request, Loop), reader_of(request)
    drawn = request.query_params.get("of") == "drawn"
    may_write = caller.may(Scope.TAXONOMY_WRITE)
    async with loop.database.reading() as view:
        rows = await quality(view, drawn=drawn)
        number = await checked(view)
        open_ones = await list_proposals(view, "open", most=_PROPOSALS) if may_write else ()
        names = _names((await current_taxonomy(view)).taxonomy, reader)
    context = QualityPage(
        drawn=drawn,
        checked=number,
        lines=[_line(one, reader) for one in rows],
        proposals=[_proposal(one, names, reader) for one in open_ones],
        may_write=may_write,
        may_check=may_write and caller.may(Scope.TASKS_READ),
        done=done_of(request, _DONE, reader),
    )
    return pages.render(request, "quality.html", context)


@router.post("/settings/taxonomy/proposals")
async def decide(request: Request, caller: _Writer) -> Response:
    """Accept or reject proposed words."""
    loop = resources(request, Loop)
    fields = Fields(await read_form(request), reader_of(request))
    verdict = fields.choice("decision", ("accepted", "rejected"))
    proposal_id = fields.values.get("id", "")[:40]
    if fields.errors:
        return RedirectResponse(PATH, 303)
    act = accept if verdict == "accepted" else reject
    try:
        async with loop.database.transaction() as tx:
            await act(tx, proposal_id, by=caller, now=loop.clock.now())
    except (Conflict, NotFound):
        verdict = "decided"
    return RedirectResponse(f"{PATH}?done={verdict}#proposals", 303)


@router.get(CHECK)
async def show_check(request: Request, _caller: _Checker) -> Response:
    """Show a comment that was drawn, and the themes that were found in it."""
    loop = resources(request, Loop)
    async with loop.database.reading() as view:
        drawn = await draw(view, person_keys=loop.person_keys, now=loop.clock.now())
        taxonomy = (await current_taxonomy(view)).taxonomy
    seen, person = (drawn.seen, drawn.person) if drawn else (None, None)
    return _check_page(request, seen, person, taxonomy, form=Form(name="check"))


@router.post(CHECK)
async def post_check(request: Request, caller: _Checker) -> Response:
    """Note what was said of every theme of a comment, and show the next one."""
    loop, reader = resources(request, Loop), reader_of(request)
    fields = Fields(await read_form(request), reader)
    response_id = fields.values.get("response_id", "")[:40]
    async with loop.database.reading() as view:
        seen = await judged(view, response_id)
        taxonomy = (await current_taxonomy(view)).taxonomy
        persons = await open_persons(view, loop.person_keys, [seen.response])
    themes = {
        row.theme_id
        for number, row in enumerate(seen.themes)
        if fields.choice(f"theme{number}", ("right", "not")) == "right"
    }
    known = _names(taxonomy, reader)
    themes |= {one for name in MORE if (one := fields.values.get(name, "")) in known}
    if fields.errors:
        person = persons.get(response_id)
        return _check_page(
            request, seen, person, taxonomy, form=fields.form("check"), status=422
        )
    async with loop.database.transaction() as tx:
        await check(
            tx,
            response_id,
            themes,
            by=caller,
            person_keys=loop.person_keys,
            now=loop.clock.now(),
        )
    return RedirectResponse(f"{CHECK}?done=checked", 303)


def _check_page(
    request: Request,
    seen: Judged | None,
    person: Personal | None,
    taxonomy: Taxonomy,
    *,
    form: Form,
    status: int = 200,
) -> Response:
    reader = reader_of(request)
    names = _names(taxonomy, reader)
    text = ""
    if person is not None:
        secrets = secrets_of(person.customer, person.attributes, person.transaction_id)
        text = masked(person.comment, secrets) or ""
    context = CheckPage(
        response_id=seen.response.id if seen else "",
        text=text,
        language=(seen.response.language if seen else None) or None,
        found=[
            Option(value=f"theme{number}", label=names.get(row.theme_id, row.theme_id))
            for number, row in enumerate(seen.themes if seen else ())
        ],
        verdicts=[
            Option(value="right", label=reader.gettext("is in it")),
            Option(value="not", label=reader.gettext("is not in it")),
        ],
        themes=sorted(
            (Option(value=one, label=name) for one, name in names.items()),
            key=lambda option: option.label.casefold(),
        ),
        form=form,
        done=done_of(request, _DONE, reader),
    )
    return pages.render(request, "check.html", context, status=status)


def _names(taxonomy: Taxonomy, reader: Reader) -> Mapping[str, str]:
    return {theme.id: theme.name_in(reader.catalogue) for theme in taxonomy.in_use().themes}


def _line(one: Quality, reader: Reader) -> QualityLine:
    return QualityLine(
        theme=one.theme.name_in(reader.catalogue),
        href=f"/themes/{one.theme.id}",
        language=(
            reader.gettext("all languages")
            if one.language is None
            else _language(one.language, reader)
        ),
        precision=one.precision,
        recall=one.recall,
    )


def _proposal(one: Proposal, names: Mapping[str, str], reader: Reader) -> ProposalLine:
    return ProposalLine(
        id=one.id,
        words=one.words,
        drops=one.kind == "drop",
        theme=names.get(one.theme_id, one.theme_id),
        language=_language(one.language, reader),
        support=one.support,
        against=one.against,
    )


def _language(tag: str, reader: Reader) -> str:
    if not tag:
        return reader.gettext("language unknown")
    return reader.gettext(LANGUAGES[tag]) if tag in LANGUAGES else tag
