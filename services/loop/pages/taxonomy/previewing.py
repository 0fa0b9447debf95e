"""What the draft of the taxonomy would find in the comments of the last 90 days."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Final

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from services.loop.pages.site import pages
from services.loop.pages.taxonomy.page import PreviewPage, Shift, Way
from services.loop.pages.taxonomy.reading import PATH
from services.loop.resources import Loop
from services.loop.responses.handlers import open_persons
from services.loop.responses.store import find_all
from services.loop.themes.domain import Taxonomy
from services.loop.themes.domain.comparing import ThemeShift
from services.loop.themes.domain.masking import masked, secrets_of
from services.loop.themes.handlers import current_taxonomy
from services.loop.themes.handlers.drafting import drafted_taxonomy
from services.loop.themes.handlers.previewing import preview
from shared.db.transaction import Reading
from shared.i18n import Reader
from shared.identity.principal import Principal, Scope
from shared.web.access import resources
from shared.web.auth import requires_page
from shared.web.templating import reader_of

router = APIRouter(include_in_schema=False)

_Writer = Annotated[Principal, Depends(requires_page(Scope.TAXONOMY_WRITE))]
_MOST_THEMES: Final = 40
"""Themes of which comments are shown; a draft seldom changes more."""
_MOST_WAYS: Final = 10


@router.get(f"{PATH}/preview")
async def show_preview(request: Request, caller: _Writer) -> Response:
    """Show what would be found, gained and lost; nothing is written."""
    loop, reader = resources(request, Loop), reader_of(request)
    may_read = caller.may(Scope.TASKS_READ)
    async with loop.database.reading() as view:
        current, draft = await current_taxonomy(view), await drafted_taxonomy(view)
        taxonomy = draft.taxonomy if draft else current.taxonomy
        made = await preview(view, taxonomy, person_keys=loop.person_keys, now=loop.clock.now())
        shifts = made.comparison.shifts()
        shown = [one for one in shifts if one.gained or one.lost][:_MOST_THEMES]
        ids = {i for one in shown for i in (*one.gained_ids, *one.lost_ids)}
        said = await _words(view, loop, sorted(ids)) if may_read else {}
    names = _names((current.taxonomy, taxonomy), reader)
    context = PreviewPage(
        of_draft=draft is not None,
        whole=made.whole,
        first=made.first,
        responses=made.comparison.responses,
        changed=made.comparison.changed,
        unreadable=made.unreadable,
        without_before=made.comparison.without_before,
        without_after=made.comparison.without_after,
        shifts=[_shift(one, names, said) for one in shown],
        same=sum(not one.gained and not one.lost for one in shifts),
        ways=[
            Way(
                name=names.get(one.theme_id, one.theme_id),
                to=names.get(one.to, one.to),
                responses=one.responses,
            )
            for one in made.comparison.moves(_MOST_WAYS)
        ],
        may_read=may_read,
    )
    return pages.render(request, "taxonomy_preview.html", context)


def _names(taxonomies: Iterable[Taxonomy], reader: Reader) -> Mapping[str, str]:
    return {
        theme.id: theme.name_in(reader.catalogue)
        for taxonomy in taxonomies
        for theme in taxonomy.themes
    }


def _shift(one: ThemeShift, names: Mapping[str, str], said: Mapping[str, str]) -> Shift:
    return Shift(
        name=names.get(one.theme_id, one.theme_id),
        before=one.before,
        after=one.after,
        gained=one.gained,
        lost=one.lost,
        gained_words=[said[i] for i in one.gained_ids if i in said],
        lost_words=[said[i] for i in one.lost_ids if i in said],
    )


async def _words(view: Reading, loop: Loop, ids: Sequence[str]) -> Mapping[str, str]:
    """Return these comments with everything covered up that tells who wrote them."""
    answers = await find_all(view, ids)
    persons = await open_persons(view, loop.person_keys, list(answers.values()))
    covered = {
        i: masked(
            person.comment,
            secrets_of(person.customer, person.attributes, person.transaction_id),
        )
        for i, person in persons.items()
    }
    return {i: text for i, text in covered.items() if text}
