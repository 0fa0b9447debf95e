"""Looking at the routing rules: the list, one rule, what they would have done."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from services.loop.pages.journey.shared import owner_options
from services.loop.pages.rules import words
from services.loop.pages.rules.page import (
    DraftLine,
    Line,
    PairLine,
    RulePage,
    RulesPage,
    TrialPage,
    VersionLine,
)
from services.loop.pages.site import done_of, pages
from services.loop.resources import Loop
from services.loop.tasks.domain.rulebooks import (
    Document,
    differences,
    owner_ids,
    position_of,
)
from services.loop.tasks.domain.trial import Pair
from services.loop.tasks.handlers.ruling import drafted_book, list_books, published_book
from services.loop.tasks.handlers.trying import try_out
from services.loop.tasks.store import current_schemes
from services.loop.tasks.store.rulebooks import Draft, Published
from shared.db.transaction import Reading
from shared.i18n import Reader, marked
from shared.identity.keys import find_key
from shared.identity.owners import able, owners
from shared.identity.principal import Principal, Scope
from shared.web.access import resources
from shared.web.auth import requires_page
from shared.web.forms import Form, Option
from shared.web.paging import Page, Paged, encode_cursor
from shared.web.templating import reader_of

router = APIRouter(include_in_schema=False)

_Reader = Annotated[Principal, Depends(requires_page(Scope.SETTINGS_READ))]

DONE: Final[Mapping[str, str]] = {
    "draft": marked("The draft is saved. Nothing goes by it until it is published."),
    "published": marked("The rules apply from now on."),
    "dropped": marked("The draft is gone; the rules that apply stay as they are."),
    "restored": marked("The earlier rules apply again."),
}
PATH: Final = "/settings/rules"
_LIMIT: Final = 20
_MORE_CONDITIONS: Final = 2


@router.get("/settings/rules")
async def show(request: Request, caller: _Reader, page: Paged) -> Response:
    """Show the rules in their order: those of the draft where there is one."""
    return await rules_page(request, caller, page)


@router.get("/settings/rules/one")
async def show_one(request: Request, caller: _Reader) -> Response:
    """Show one rule as a form, or an empty one for a new rule."""
    return await rule_page(request, caller, request.query_params.get("id", ""))


@router.get("/settings/rules/try")
async def show_trial(request: Request, _caller: _Reader) -> Response:
    """Show what the draft, or what applies, would have done in the last 90 days."""
    loop, reader = resources(request, Loop), reader_of(request)
    async with loop.database.reading() as view:
        draft = await drafted_book(view)
        book = draft.document if draft else (await published_book(view)).document
        trial = await try_out(
            view,
            book=draft.document if draft else None,
            schemes=[],
            calendars=[],
            person_keys=loop.person_keys,
            now=loop.clock.now(),
        )
        names = await names_of(view, trial.owners)
    titles = {rule["id"]: rule["name"] for rule in book["rules"]}
    context = TrialPage(
        of_draft=draft is not None,
        trial=trial,
        owners=_pairs(trial.owners, names, reader),
        rules=_pairs(trial.rules, titles, reader),
    )
    return pages.render(request, "trial.html", context)


def _pairs(
    found: Mapping[str, Pair], names: Mapping[str, str], reader: Reader
) -> Sequence[PairLine]:
    unknown = reader.gettext("no longer there")
    return [PairLine(name=names.get(one, unknown), pair=pair) for one, pair in found.items()]


async def rules_page(
    request: Request,
    caller: Principal,
    page: Page,
    *,
    form: Form | None = None,
    status: int = 200,
) -> Response:
    """Show the list, with a form that was not taken where there is one."""
    loop, reader = resources(request, Loop), reader_of(request)
    of = "page/rules"
    after = page.after(loop.keyring, of=of)
    async with loop.database.reading() as view:
        book, draft = await published_book(view), await drafted_book(view)
        document = draft.document if draft else book.document
        found = await list_books(view, before=after[0] if after else None, most=_LIMIT + 1)
        acting = {one.published_by for one in found} | {draft.changed_by if draft else None}
        names = await names_of(view, owner_ids(document) | {a for a in acting if a})
        gone = owner_ids(document) - await able(view, owner_ids(document))
        schemes = {one.id: one.name for one in (await current_schemes(view)).values()}
    shown = found[:_LIMIT]
    more = len(found) > _LIMIT
    cursor = encode_cursor(loop.keyring, [shown[-1].version], of=of) if more else ""
    context = RulesPage(
        version=book.version,
        lines=_lines(document, names, schemes, gone, reader),
        draft=_draft_line(draft, book, names, reader) if draft else None,
        draft_version=draft.version if draft else 0,
        common=form if form and form.name == "common" else _common(document),
        refusal=form if form and form.name != "common" else Form(name="list"),
        versions=[
            VersionLine(
                version=one.version,
                by=(
                    names.get(one.published_by, one.published_by)
                    if one.published_by
                    else reader.gettext("shipped")
                ),
                at=one.published_at,
                rules=len(one.document["rules"]),
                applies=one.version == book.version,
            )
            for one in shown
        ],
        newer=PATH if after is not None else None,
        older=f"{PATH}?cursor={cursor}" if more else None,
        done=done_of(request, DONE, reader) if status == 200 else "",
        may_write=caller.may(Scope.POLICIES_WRITE),
    )
    return pages.render(request, "rules.html", context, status=status)


def _lines(
    document: Document,
    names: Mapping[str, str],
    schemes: Mapping[str, str],
    gone: Collection[str],
    reader: Reader,
) -> Sequence[Line]:
    rules = document["rules"]
    return [
        Line(
            id=rule["id"],
            name=rule["name"],
            enabled=rule["enabled"],
            when=words.when(rule, reader),
            owner=words.owner(rule, names, reader),
            gone=[
                Option(value=one, label=names.get(one, one))
                for one in (rule["owner"]["id"], rule["owner"]["deputy"])
                if one in gone
            ],
            scheme=schemes.get(rule["scheme"], rule["scheme"]),
            href=f"{PATH}/one?{urlencode({'id': rule['id']})}",
            is_first=n == 0,
            is_last=n == len(rules) - 1,
        )
        for n, rule in enumerate(rules)
    ]


def _draft_line(
    draft: Draft, book: Published, names: Mapping[str, str], reader: Reader
) -> DraftLine:
    changes = differences(book.document, draft.document)
    return DraftLine(
        version=draft.version,
        by=names.get(draft.changed_by, draft.changed_by),
        at=draft.changed_at,
        overtaken=draft.based_on != book.version,
        changes=[words.change(one, reader) for one in changes],
    )


def _common(document: Document) -> Form:
    repeat = document["repeat"]
    return Form(
        name="common",
        values={
            "within_days": str(repeat["within_days"]),
            "share": str(round(repeat["share_of_time"] * 100)),
            "too_old_after_days": str(document["too_old_after_days"]),
            "at_least": str(document["burst"]["at_least"]),
            "within_minutes": str(document["burst"]["within_minutes"]),
        },
    )


async def rule_page(
    request: Request,
    caller: Principal,
    rule_id: str,
    *,
    form: Form | None = None,
    status: int = 200,
) -> Response:
    """Show the form of one rule; without an id that of a new one."""
    loop, reader = resources(request, Loop), reader_of(request)
    async with loop.database.reading() as view:
        draft = await drafted_book(view)
        document = draft.document if draft else (await published_book(view)).document
        rule = document["rules"][position_of(document, rule_id)] if rule_id else None
        people = await owner_options(view)
        schemes = sorted(
            (
                Option(value=i, label=one.name)
                for i, one in (await current_schemes(view)).items()
            ),
            key=lambda option: option.label.casefold(),
        )
    form = form or _rule_form(rule, reader)
    filled = sum(bool(form.value(f"c{n}_field")) for n in range(20))
    context = RulePage(
        id=rule_id,
        title=rule["name"] if rule else reader.gettext("A new rule"),
        form=form,
        draft_version=draft.version if draft else 0,
        metrics=[Option(value=one, label=text) for one, text in words.METRICS.items()],
        measurements=words.options(words.MEASUREMENTS, reader),
        sentiments=words.options(words.SENTIMENTS, reader),
        rows=range(min(20, filled + _MORE_CONDITIONS)),
        fields=words.options(words.FIELDS, reader),
        ops=words.options(words.OPS, reader),
        kinds=words.options(words.KINDS, reader),
        owners=people,
        schemes=schemes,
        may_write=caller.may(Scope.POLICIES_WRITE),
    )
    return pages.render(request, "rule.html", context, status=status)


def _rule_form(rule: Document | None, reader: Reader) -> Form:
    if rule is None:
        measured = {"transactional": "yes", "unsolicited": "yes"}
        plain = {"enabled": "yes", "kind": "touchpoint_owner", "scheme": "standard"}
        return Form(name="rule", values={**plain, **measured})
    values = {
        "name": rule["name"],
        "enabled": "yes" if rule["enabled"] else "",
        "scheme": rule["scheme"],
        "kind": rule["owner"]["kind"],
        "owner": rule["owner"]["id"] or "",
        "deputy": rule["owner"]["deputy"] or "",
        **dict.fromkeys(rule["measurements"], "yes"),
        **dict.fromkeys(rule["unscored"], "yes"),
    }
    for metric, (low, high) in rule["scores"].items():
        values |= {f"{metric}_low": str(low), f"{metric}_high": str(high)}
    for n, one in enumerate(rule["conditions"]):
        values |= {
            f"c{n}_field": one["field"],
            f"c{n}_op": one["op"],
            f"c{n}_value": words.value_text(one["value"], reader),
        }
    return Form(name="rule", values=values)


async def names_of(view: Reading, ids: Collection[str]) -> Mapping[str, str]:
    """Return the names of staff, teams and keys."""
    names = {owner.id: owner.name for owner in (await owners(view, ids)).values()}
    for one in (one for one in ids if one.startswith("key_")):
        if (key := await find_key(view, one)) is not None:
            names[key.id] = key.name
    return names
