"""Changing the routing rules by forms: every change goes into the draft first."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.loop.pages.rules import words
from services.loop.pages.rules.reading import PATH, rule_page, rules_page
from services.loop.resources import Loop
from services.loop.tasks.domain.conditions import FLAGS, NUMBERS
from services.loop.tasks.domain.rulebooks import (
    RESERVED,
    Document,
    changed,
    position_of,
    with_rule,
    without,
)
from services.loop.tasks.handlers.ruling import (
    Change,
    change_draft,
    discard_draft,
    publish_draft,
    restore_book,
)
from shared.errors import Invalid, NotFound, Refused, Stale
from shared.i18n import Reader, marked
from shared.identity.principal import Principal, Scope
from shared.web.access import resources
from shared.web.auth import requires_page
from shared.web.forms import Fields, read_form
from shared.web.paging import Page
from shared.web.templating import reader_of

router = APIRouter(include_in_schema=False)

_Writer = Annotated[Principal, Depends(requires_page(Scope.POLICIES_WRITE))]

_SAID: Final[Mapping[str, str]] = {
    "unknown_scheme": marked("Please choose a scheme that exists."),
    "unknown_owner": marked(
        "Please choose who gets the tasks: a team or a person where one is meant, and nobody"
        " otherwise."
    ),
    "matches_nothing": marked("Please give scores, feelings or conditions."),
    "out_of_range": marked("Please give the lowest and the highest score of this metric."),
    "not_comparable": marked("A condition compares a field with something that it never is."),
}
_STALE: Final = marked("Somebody changed the rules meanwhile. Look at them again and repeat.")
_OVERTAKEN: Final = marked(
    "Other rules were published since this draft was begun. Drop the draft and make the change"
    " again."
)


@router.post("/settings/rules/one")
async def save(request: Request, caller: _Writer) -> Response:
    """Save a rule in the draft, a new one at the end."""
    reader = reader_of(request)
    fields = Fields(await read_form(request), reader)
    rule_id = fields.values.get("id", "")
    rule = _rule(fields, reader)
    form = fields.form("rule")
    if fields.errors:
        return await rule_page(request, caller, rule_id, form=form, status=422)

    def change(document: Document) -> dict[str, Any]:
        if rule_id:
            return changed(document, rule_id, rule)
        return with_rule(document, {**rule, "id": _free_id(rule["name"], document)}, None)

    try:
        await _draft(request, caller, fields, change)
    except NotFound:
        raise
    except Refused as refusal:
        form = fields.form("rule", _why(refusal, reader))
        return await rule_page(request, caller, rule_id, form=form, status=refusal.status)
    return RedirectResponse(f"{PATH}?done=draft", 303)


@router.post("/settings/rules/move")
async def move(request: Request, caller: _Writer) -> Response:
    """Let a rule be asked one place earlier or later."""
    fields = Fields(await read_form(request), reader_of(request))
    rule_id, step = fields.values.get("id", ""), fields.choice("to", ["up", "down"])

    def change(document: Document) -> dict[str, Any]:
        place = position_of(document, rule_id) + (-1 if step == "up" else 1)
        return changed(document, rule_id, {}, max(place, 0))

    return await _listed(
        request, caller, fields, lambda: _draft(request, caller, fields, change), "draft"
    )


@router.post("/settings/rules/remove")
async def remove(request: Request, caller: _Writer) -> Response:
    """Take a rule out of the draft."""
    fields = Fields(await read_form(request), reader_of(request))
    rule_id = fields.values.get("id", "")
    return await _listed(
        request,
        caller,
        fields,
        lambda: _draft(request, caller, fields, lambda document: without(document, rule_id)),
        "draft",
    )


@router.post("/settings/rules/common")
async def common(request: Request, caller: _Writer) -> Response:
    """Save what applies to all rules in the draft."""
    reader = reader_of(request)
    fields = Fields(await read_form(request), reader)
    within = _number(fields, reader, "within_days", 0, 365)
    share = _number(fields, reader, "share", 10, 100)
    too_old = _number(fields, reader, "too_old_after_days", 0, 3_660)
    at_least = _number(fields, reader, "at_least", 0, 100_000)
    minutes = _number(fields, reader, "within_minutes", 1, 1_440)
    if fields.errors:
        form = fields.form("common")
        return await rules_page(request, caller, Page(), form=form, status=422)

    def change(document: Document) -> dict[str, Any]:
        repeat = {"within_days": within, "share_of_time": share / 100}
        burst = {"at_least": at_least, "within_minutes": minutes}
        common = {"repeat": repeat, "burst": burst, "too_old_after_days": too_old}
        return {**document, **common}

    return await _listed(
        request, caller, fields, lambda: _draft(request, caller, fields, change), "draft"
    )


@router.post("/settings/rules/publish")
async def publish(request: Request, caller: _Writer) -> Response:
    """Let the draft apply from now on."""
    fields = Fields(await read_form(request), reader_of(request))
    loop = resources(request, Loop)

    async def act() -> None:
        async with loop.database.transaction() as tx:
            await publish_draft(
                tx, expected=fields.whole("version"), by=caller, now=loop.clock.now()
            )

    return await _listed(request, caller, fields, act, "published")


@router.post("/settings/rules/drop")
async def drop(request: Request, caller: _Writer) -> Response:
    """Forget the draft."""
    fields = Fields(await read_form(request), reader_of(request))
    loop = resources(request, Loop)

    async def act() -> None:
        async with loop.database.transaction() as tx:
            await discard_draft(tx, by=caller, now=loop.clock.now())

    return await _listed(request, caller, fields, act, "dropped")


@router.post("/settings/rules/restore")
async def restore(request: Request, caller: _Writer) -> Response:
    """Let the rules of an earlier version apply again."""
    fields = Fields(await read_form(request), reader_of(request))
    loop = resources(request, Loop)

    async def act() -> None:
        async with loop.database.transaction() as tx:
            await restore_book(
                tx, fields.whole("restore") or 0, by=caller, now=loop.clock.now()
            )

    return await _listed(request, caller, fields, act, "restored")


async def _draft(request: Request, caller: Principal, fields: Fields, change: Change) -> None:
    loop = resources(request, Loop)
    async with loop.database.transaction() as tx:
        await change_draft(
            tx,
            change,
            expected=fields.whole("version"),
            by=caller,
            now=loop.clock.now(),
        )


async def _listed(
    request: Request,
    caller: Principal,
    fields: Fields,
    act: Callable[[], Awaitable[None]],
    done: str,
) -> Response:
    """Carry out what a form of the list asks for, or show the list with what is in the way."""
    reader = reader_of(request)
    if fields.errors:
        return await rules_page(request, caller, Page(), form=fields.form("list"), status=422)
    try:
        await act()
    except NotFound:
        raise
    except Refused as refusal:
        form = fields.form("list", _why(refusal, reader))
        return await rules_page(request, caller, Page(), form=form, status=refusal.status)
    return RedirectResponse(f"{PATH}?done={done}", 303)


def _why(refusal: Refused, reader: Reader) -> str:
    if isinstance(refusal, Invalid):
        codes = dict.fromkeys(one.code for one in refusal.findings)
        return " ".join(reader.gettext(_SAID.get(one, refusal.detail)) for one in codes)
    if isinstance(refusal, Stale):
        return reader.gettext(_STALE)
    if refusal.slug == "overtaken-draft":
        return reader.gettext(_OVERTAKEN)
    return refusal.detail


def _rule(fields: Fields, reader: Reader) -> dict[str, Any]:
    """Return the rule that a form describes; of use while ``fields`` has no errors."""
    given = fields.values
    scores = {}
    for metric in words.METRICS:
        if given.get(f"{metric}_low") or given.get(f"{metric}_high"):
            low = _number(fields, reader, f"{metric}_low", 0, 10)
            scores[metric] = [low, _number(fields, reader, f"{metric}_high", 0, 10)]
    measurements = [one for one in words.MEASUREMENTS if given.get(one) == "yes"]
    if not measurements:
        fields.errors["measurements"] = reader.gettext("Please choose one.")
    return {
        "name": fields.text("name", most=200),
        "enabled": given.get("enabled") == "yes",
        "measurements": measurements,
        "scores": scores,
        "unscored": [one for one in words.SENTIMENTS if given.get(one) == "yes"],
        "conditions": [
            one for n in range(20) if (one := _condition(fields, n, reader)) is not None
        ],
        "owner": {
            "kind": fields.choice("kind", list(words.KINDS)),
            "id": fields.optional("owner", most=40),
            "deputy": fields.optional("deputy", most=40),
        },
        "scheme": fields.text("scheme", most=60),
    }


def _condition(fields: Fields, n: int, reader: Reader) -> dict[str, Any] | None:
    if not fields.values.get(f"c{n}_field"):
        return None
    name = fields.choice(f"c{n}_field", list(words.FIELDS))
    op = fields.choice(f"c{n}_op", list(words.OPS))
    text = fields.text(f"c{n}_value", most=2_000)
    value: Any = text
    try:
        if op == "exists" or name in FLAGS:
            value = _yes(text, reader)
        elif op in {"in", "not_in"}:
            parts = [part.strip() for part in text.split(",") if part.strip()]
            value = [_typed(name, part) for part in parts]
        else:
            value = _typed(name, text)
    except ValueError:
        if text:
            fields.errors[f"c{n}_value"] = (
                reader.gettext("Please write a number.")
                if name in NUMBERS
                else reader.gettext("Please write yes or no.")
            )
    return {"field": name, "op": op, "value": value}


def _typed(name: str, text: str) -> str | float | int:
    if name not in NUMBERS:
        return text
    number = float(text.replace(",", "."))
    if not abs(number) < 1e15:
        raise ValueError(name)
    return int(number) if number.is_integer() else number


def _yes(text: str, reader: Reader) -> bool:
    said = text.casefold()
    if said in {"yes", reader.gettext("yes").casefold()}:
        return True
    if said in {"no", reader.gettext("no").casefold()}:
        return False
    raise ValueError


def _number(fields: Fields, reader: Reader, name: str, least: int, most: int) -> int:
    found = fields.whole(name)
    if found is None or not least <= found <= most:
        fields.errors[name] = reader.gettext(
            "Please write a number from %(least)s to %(most)s.", least=least, most=most
        )
        return least
    return found


def _free_id(name: str, document: Document) -> str:
    """Return an id for a rule that is made of its name and that no other has."""
    plain = re.sub(r"[^a-z0-9]+", "-", name.casefold()).strip("-")[:50] or "rule"
    taken = {rule["id"] for rule in document["rules"]} | RESERVED
    tries = [plain, *(f"{plain}-{n}" for n in range(2, len(taken) + 3))]
    return next(one for one in tries if one not in taken)
