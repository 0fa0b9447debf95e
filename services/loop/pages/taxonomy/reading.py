"""Looking at the taxonomy: the tree, one theme, a pasted text held against it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse
from starlette.requests import Request
from starlette.responses import Response

from services.loop.pages.labels import options
from services.loop.pages.rules.reading import names_of
from services.loop.pages.shapes import pieces
from services.loop.pages.site import done_of, pages
from services.loop.pages.taxonomy import words
from services.loop.pages.taxonomy.fields import NEW, Tongue, form_of, tongues
from services.loop.pages.taxonomy.page import (
    Branch,
    DraftCard,
    Gone,
    Line,
    Match,
    Section,
    TaxonomyPage,
    ThemePage,
    Tried,
    VersionLine,
)
from services.loop.resources import Loop
from services.loop.themes.domain import Classifier, Taxonomy, Theme
from services.loop.themes.domain.differing import Change, differences
from services.loop.themes.domain.revising import known
from services.loop.themes.handlers import CurrentTaxonomy, current_taxonomy
from services.loop.themes.handlers.drafting import (
    Draft,
    Version,
    divergence_of,
    drafted_taxonomy,
    list_versions,
)
from shared.db.transaction import Reading
from shared.i18n import Reader, marked
from shared.identity.groups import list_departments
from shared.identity.principal import Principal, Scope
from shared.web.access import resources
from shared.web.auth import requires_page
from shared.web.forms import Form, Option
from shared.web.paging import Page, Paged, encode_cursor
from shared.web.templating import reader_of

router = APIRouter(include_in_schema=False)

_Reader = Annotated[Principal, Depends(requires_page(Scope.THEMES_READ))]

PATH: Final = "/settings/taxonomy"
DONE: Final[Mapping[str, str]] = {
    "draft": marked("The draft is saved. Nothing is found by it until it is published."),
    "published": marked("These themes are looked for from now on."),
    "dropped": marked("The draft is gone; the themes in use stay as they are."),
    "refreshed": marked("The draft holds what was published meanwhile, and its own changes."),
    "restored": marked("The earlier themes are looked for again."),
}
_BY_EXAMPLE: Final = "example"
"""What decided where it was no keyword, as mentions say it."""
_LIMIT: Final = 10
_MOST_CHANGES: Final = 12


@router.get(PATH)
async def show(request: Request, caller: _Reader, page: Paged) -> Response:
    """Show the themes by department: those of the draft where there is one."""
    return await taxonomy_page(request, caller, page)


@router.get(f"{PATH}/one")
async def show_one(request: Request, caller: _Reader) -> Response:
    """Show one theme as a form, or an empty one for a new theme."""
    return await theme_page(request, caller, request.query_params.get("id", ""))


@router.get(f"{PATH}.json")
async def file(request: Request, _caller: _Reader) -> Response:
    """Return the taxonomy in use as a file that can be read in again."""
    async with resources(request, Loop).database.reading() as view:
        current = await current_taxonomy(view)
    name = f"taxonomy-{current.version}.json"
    return JSONResponse(
        current.taxonomy.as_document(),
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


async def taxonomy_page(
    request: Request,
    caller: Principal,
    page: Page,
    *,
    form: Form | None = None,
    tried: Tried | None = None,
    status: int = 200,
) -> Response:
    """Show the tree, with a form that was not taken where there is one."""
    loop, reader = resources(request, Loop), reader_of(request)
    of = "page/taxonomy"
    after = page.after(loop.keyring, of=of)
    async with loop.database.reading() as view:
        current, draft = await current_taxonomy(view), await drafted_taxonomy(view)
        found = await list_versions(view, before=after[0] if after else None, most=_LIMIT + 1)
        departments = await departments_of(view)
        acting = {one.created_by for one in found} | {draft.changed_by if draft else None}
        people = await names_of(view, {one for one in acting if one})
        names = _Names(departments=departments, people=people, reader=reader)
        card = await _card(view, draft, current, names) if draft else None
    shown, more = found[:_LIMIT], len(found) > _LIMIT
    cursor = encode_cursor(loop.keyring, [shown[-1].version], of=of) if more else ""
    taxonomy = draft.taxonomy if draft else current.taxonomy
    context = TaxonomyPage(
        version=current.version,
        branches=_branches(taxonomy, departments, reader),
        gone=_gone(taxonomy, reader),
        draft=card,
        draft_version=draft.version if draft else 0,
        best_only=taxonomy.max_themes == 1,
        form=form or Form(name="taxonomy"),
        tried=tried,
        versions=[_version_line(one, current.version, names) for one in shown],
        newer=PATH if after is not None else None,
        older=f"{PATH}?cursor={cursor}" if more else None,
        done=done_of(request, DONE, reader) if status == 200 else "",
        may_write=caller.may(Scope.TAXONOMY_WRITE),
    )
    return pages.render(request, "taxonomy.html", context, status=status)


async def theme_page(
    request: Request,
    caller: Principal,
    theme_id: str,
    *,
    form: Form | None = None,
    acts: Form | None = None,
    tried: Tried | None = None,
    status: int = 200,
) -> Response:
    """Show the form of one theme; without an id that of a new one."""
    loop, reader = resources(request, Loop), reader_of(request)
    async with loop.database.reading() as view:
        draft = await drafted_taxonomy(view)
        taxonomy = draft.taxonomy if draft else (await current_taxonomy(view)).taxonomy
        departments = await departments_of(view)
    theme = known(taxonomy, theme_id) if theme_id else None
    into = taxonomy.find(theme.merged_into) if theme and theme.merged_into else None
    others = [
        Option(value=one.id, label=one.name_in(reader.catalogue))
        for one in taxonomy.themes
        if one.id != theme_id and not one.retired
    ]
    others.sort(key=lambda option: option.label.casefold())
    context = ThemePage(
        id=theme_id,
        title=theme.name_in(reader.catalogue) if theme else reader.gettext("A new theme"),
        form=form or form_of(theme),
        acts=acts or Form(name="acts"),
        sections=_sections(taxonomy, theme, reader),
        departments=_choices(departments, theme),
        parents=others,
        needs=options(words.NEEDS, reader),
        others=others,
        retired=theme is not None and theme.retired,
        into=into.name_in(reader.catalogue) if into else "",
        draft_version=draft.version if draft else 0,
        tried=tried,
        done=done_of(request, DONE, reader) if status == 200 and tried is None else "",
        may_write=caller.may(Scope.TAXONOMY_WRITE),
    )
    return pages.render(request, "taxonomy_theme.html", context, status=status)


async def tried_on(taxonomy: Taxonomy, text: str, reader: Reader) -> Tried:
    """Return what is found in a text; nothing of it is written anywhere."""

    def classify() -> Tried:
        found = Classifier(taxonomy).classify(text)
        names = {theme.id: theme.name_in(reader.catalogue) for theme in taxonomy.themes}
        return Tried(
            pieces=pieces(text, [mention.evidence for mention in found]),
            matches=[
                Match(
                    theme=names[mention.theme_id],
                    evidence=text[slice(*mention.evidence)] if mention.evidence else "",
                    keyword=(mention.by or "") if mention.by != _BY_EXAMPLE else "",
                    by_example=mention.by == _BY_EXAMPLE,
                )
                for mention in found
            ],
        )

    return await asyncio.to_thread(classify)


async def departments_of(view: Reading) -> Mapping[str, str]:
    """Return the names of all departments by their ids."""
    names: dict[str, str] = {}
    after: str | None = None
    while found := await list_departments(view, after=after):
        names |= {one.id: one.name for one in found}
        after = found[-1].id
    return names


def _choices(departments: Mapping[str, str], theme: Theme | None) -> Sequence[Option]:
    """Return the departments to choose from, and the one a file named that is none of ours."""
    named = dict(departments)
    if theme is not None and theme.department is not None:
        named.setdefault(theme.department, theme.department)
    choices = [Option(value=one, label=name) for one, name in named.items()]
    return sorted(choices, key=lambda option: option.label.casefold())


def _sections(taxonomy: Taxonomy, theme: Theme | None, reader: Reader) -> Sequence[Section]:
    sections = [
        Section(tongue=one, label=words.language(one.tag, reader))
        for one in tongues(taxonomy, theme)
    ]
    new = Tongue(field=NEW, tag="", number=0)
    return [*sections, Section(tongue=new, label=reader.gettext("Another language"))]


def _branches(
    taxonomy: Taxonomy, departments: Mapping[str, str], reader: Reader
) -> Sequence[Branch]:
    """Return the themes in use by department, those without one first."""
    themes = taxonomy.in_use().themes
    by_department: dict[str, list[Theme]] = {}
    for theme in themes:
        by_department.setdefault(theme.department or "", []).append(theme)
    named = {one: departments.get(one, one) for one in by_department}
    return [
        Branch(name=named[one], lines=list(_lines(by_department[one], taxonomy, reader)))
        for one in sorted(by_department, key=lambda one: (one != "", named[one].casefold()))
    ]


def _lines(themes: Sequence[Theme], taxonomy: Taxonomy, reader: Reader) -> Iterator[Line]:
    """Yield each theme with those below it behind it."""
    here = {theme.id for theme in themes}
    below: dict[str, list[Theme]] = {}
    for theme in themes:
        above = theme.parent if theme.parent in here else ""
        below.setdefault(above or "", []).append(theme)
    waiting = [(theme, 0) for theme in reversed(below.get("", []))]
    while waiting:
        theme, depth = waiting.pop()
        yield _line(theme, depth, taxonomy, reader)
        waiting += [(one, depth + 1) for one in reversed(below.get(theme.id, []))]


def _line(theme: Theme, depth: int, taxonomy: Taxonomy, reader: Reader) -> Line:
    above = taxonomy.find(theme.parent) if theme.parent else None
    return Line(
        id=theme.id,
        href=href_of(theme.id),
        name=theme.name_in(reader.catalogue),
        depth=depth,
        above=above.name_in(reader.catalogue) if above else "",
        need=reader.gettext(words.NEEDS[theme.need]) if theme.need else "",
        words=sum(len(listed) for listed in theme.keywords.values()),
        examples=sum(len(listed) for listed in theme.examples.values()),
        languages=", ".join(
            words.language(tag, reader)
            for tag in dict.fromkeys((*theme.keywords, *theme.examples))
        ),
        intent=theme.intent,
    )


def _gone(taxonomy: Taxonomy, reader: Reader) -> Sequence[Gone]:
    names = {theme.id: theme.name_in(reader.catalogue) for theme in taxonomy.themes}
    return [
        Gone(
            id=theme.id,
            href=href_of(theme.id),
            name=names[theme.id],
            into=names.get(theme.merged_into or "", theme.merged_into or ""),
        )
        for theme in taxonomy.themes
        if theme.retired
    ]


@dataclass(frozen=True, kw_only=True)
class _Names:
    """What ids are called, and in which language that is told."""

    departments: Mapping[str, str]
    people: Mapping[str, str]
    reader: Reader

    def person(self, who: str | None) -> str:
        return self.reader.gettext("shipped") if who is None else self.people.get(who, who)

    def said(self, changes: Sequence[Change]) -> Sequence[str]:
        return [words.change(one, self.departments, self.reader) for one in changes]


async def _card(
    view: Reading, draft: Draft, current: CurrentTaxonomy, names: _Names
) -> DraftCard:
    apart = await divergence_of(view, draft)
    # What a draft that is overtaken changes is told against what it began with.
    changes = apart.ours if apart else differences(current.taxonomy, draft.taxonomy)
    titles = {theme.id: theme.name for theme in draft.taxonomy.themes}
    return DraftCard(
        by=names.person(draft.changed_by),
        at=draft.changed_at,
        changes=names.said(changes),
        overtaken=apart is not None,
        meanwhile=names.said(apart.theirs) if apart else [],
        in_both=[titles.get(one, one) for one in apart.in_both] if apart else [],
    )


def _version_line(one: Version, current: int, names: _Names) -> VersionLine:
    # What is shipped came all at once; nobody wants to read it theme by theme.
    changes = [] if one.created_by is None else one.changes
    return VersionLine(
        version=one.version,
        by=names.person(one.created_by),
        at=one.created_at,
        themes=len(one.taxonomy.in_use().themes),
        changes=names.said(changes[:_MOST_CHANGES]),
        more=max(0, len(changes) - _MOST_CHANGES),
        applies=one.version == current,
    )


def href_of(theme_id: str, **more: str) -> str:
    """Return where a theme can be changed."""
    found = {"id": theme_id} if theme_id else {}
    return f"{PATH}/one?{urlencode({**found, **more})}"
