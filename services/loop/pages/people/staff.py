"""Who can sign in: added with a first password, changed, let in no more, and let in again.

A password that was just made is shown in the answer to the form and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.loop.pages.people.factors import FIELD
from services.loop.pages.site import done_of, pages
from services.loop.pages.welcome.organisation import REFUSED
from services.loop.resources import Loop
from shared.db.transaction import Transaction
from shared.errors import Conflict, Invalid, NotFound, Refused
from shared.i18n import LANGUAGE_NAMES, LANGUAGES, Reader, marked, zones
from shared.identity.groups import DEFAULT_TEAM, list_teams
from shared.identity.installation import organisation
from shared.identity.passwords import hash_password
from shared.identity.people import (
    Staff,
    create_staff,
    disable_staff,
    enable_staff,
    list_staff,
    set_password,
    staff_member,
    update_staff,
)
from shared.identity.principal import Principal, Role, Scope
from shared.identity.second_factor import is_asked_for, roles_that_need_it
from shared.ids import new_token
from shared.web.access import resources, web
from shared.web.auth import requires_page
from shared.web.forms import Fields, Form, Option, read_form
from shared.web.paging import Page, Paged, encode_cursor
from shared.web.templating import reader_of

router = APIRouter(include_in_schema=False)

_Looker = Annotated[Principal, Depends(requires_page(Scope.SETTINGS_READ))]
_Keeper = Annotated[Principal, Depends(requires_page(Scope.SETTINGS_WRITE))]

DONE: Final[Mapping[str, str]] = {
    "saved": marked("The person is saved."),
    "disabled": marked("The person can sign in no more."),
    "enabled": marked("The person can sign in again."),
    "factor": marked("It is saved who needs a second factor."),
    "factor-off": marked("The person's second factor is switched off."),
}
ROLES: Final[Mapping[Role, tuple[str, str]]] = {
    Role.AGENT: (marked("Agent"), marked("works on tasks")),
    Role.LEAD: (marked("Team lead"), marked("works on tasks, sees the team, reads settings")),
    Role.DEPARTMENT_HEAD: (
        marked("Head of department"),
        marked("decides on remedies, sees the customers of cases that are escalated"),
    ),
    Role.TOUCHPOINT_OWNER: (
        marked("Touchpoint owner"),
        marked("works on tasks, reads settings"),
    ),
    Role.CX_MANAGER: (marked("CX manager"), marked("writes rules, schemes and themes")),
    Role.ANALYST: (marked("Analyst"), marked("reads everything, writes the list of themes")),
    Role.BOARD_MEMBER: (marked("Board member"), marked("sees scores and themes only")),
    Role.FINANCE: (marked("Finance"), marked("sees scores and themes only")),
    Role.DEVELOPER: (marked("Developer"), marked("connects systems, sees no tasks")),
    Role.AUDITOR: (marked("Auditor"), marked("reads, and changes nothing")),
    Role.ADMIN: (marked("Administrator"), marked("sets up everything, and adds people")),
}
"""What each role is called, and what it may do."""
_SAID: Final[Mapping[str, str]] = {
    "address-taken": marked("Somebody with this address is here already."),
    "last-administrator": marked(
        "This is the last administrator. Make somebody else an administrator first."
    ),
}
_SURE: Final = marked("Yes: this person is to sign in no more")
_PATH: Final = "/settings/people"
_LIMIT: Final = 50
_PASSWORD_BYTES: Final = 12


@dataclass(frozen=True, kw_only=True)
class PersonLine:
    """One person of the list."""

    id: str
    name: str
    email: str
    role: str
    is_active: bool


@dataclass(frozen=True, kw_only=True)
class PeoplePage:
    """What the list of people shows."""

    lines: Sequence[PersonLine]
    newer: str | None
    older: str | None
    form: Form
    factor: Form
    factor_roles: Sequence[Option]
    """Who can be made to have a second factor."""
    roles: Sequence[Option]
    teams: Sequence[Option]
    languages: Sequence[Option]
    zones: Sequence[str]
    may_write: bool
    done: str


@dataclass(frozen=True, kw_only=True)
class PersonPage:
    """What the page of one person shows."""

    person: PersonLine
    added_at: datetime
    disabled_at: datetime | None
    has_second_factor: bool
    form: Form
    disable: Form
    roles: Sequence[Option]
    languages: Sequence[Option]
    zones: Sequence[str]
    sure: Sequence[Option]
    may_write: bool
    done: str


@dataclass(frozen=True, kw_only=True)
class PasswordShownPage:
    """The answer to making a password: the only page that ever holds it."""

    person: PersonLine
    password: str = field(repr=False)
    sign_in: str


@router.get("/settings/people")
async def show_all(request: Request, caller: _Looker, page: Paged) -> Response:
    """Show everybody, the longest here first, and the form that adds somebody."""
    return await _list(request, caller, page)


@router.post("/settings/people")
async def add(request: Request, caller: _Keeper) -> Response:
    """Add somebody and show the first password, this once."""
    loop, reader = resources(request, Loop), reader_of(request)
    fields = Fields(await read_form(request), reader)
    name, email = fields.text("name", most=200), fields.text("email", most=254)
    given = _choices(fields)
    team_id = fields.values.get("team_id", "")
    if fields.errors:
        return await _list(request, caller, Page(), form=fields.form("new"), status=422)
    password = new_token(_PASSWORD_BYTES)
    hashed = await hash_password(password)
    try:
        async with loop.database.transaction() as tx:
            person = await create_staff(
                tx,
                name=name,
                email=email,
                role=given.role,
                language=given.language,
                time_zone=given.time_zone,
                team_ids=[team_id] if team_id else [],
                password_hash=hashed,
                by=caller,
                now=loop.clock.now(),
            )
    except (Invalid, Conflict) as refusal:
        form = _refused(fields, "new", refusal, reader)
        return await _list(request, caller, Page(), form=form, status=refusal.status)
    return _shown(request, person, password)


@router.get("/settings/people/{staff_id}")
async def show(request: Request, staff_id: str, caller: _Looker) -> Response:
    """Show one person, and the forms that change the account."""
    return await _page(request, caller, staff_id)


@router.post("/settings/people/{staff_id}")
async def save(request: Request, staff_id: str, caller: _Keeper) -> Response:
    """Save what somebody is called, may do and reads in, and where they are reached."""
    loop, reader = resources(request, Loop), reader_of(request)
    fields = Fields(await read_form(request), reader)
    name, given = fields.text("name", most=200), _choices(fields)
    email = fields.text("email", most=254)
    if fields.errors:
        form = fields.form("person")
        return await _page(request, caller, staff_id, form=form, status=422)
    try:
        async with loop.database.transaction() as tx:
            known = await _wanted(tx, staff_id)
            await update_staff(
                tx,
                staff_id,
                email=None if email == known.email else email,
                name=None if name == known.name else name,
                role=None if given.role is known.role else given.role,
                language=None if given.language == known.language else given.language,
                time_zone=None if given.time_zone == known.time_zone else given.time_zone,
                by=caller,
                now=loop.clock.now(),
            )
    except (Invalid, Conflict) as refusal:
        form = _refused(fields, "person", refusal, reader)
        return await _page(request, caller, staff_id, form=form, status=refusal.status)
    return RedirectResponse(f"{_PATH}/{staff_id}?done=saved", 303)


@router.post("/settings/people/{staff_id}/password")
async def renew(request: Request, staff_id: str, caller: _Keeper) -> Response:
    """Make a new password, show it this once, and sign the person out everywhere."""
    loop = resources(request, Loop)
    password = new_token(_PASSWORD_BYTES)
    hashed = await hash_password(password)
    async with loop.database.transaction() as tx:
        person = await _wanted(tx, staff_id)
        await set_password(tx, staff_id, hashed, by=caller, now=loop.clock.now())
    return _shown(request, person, password)


@router.post("/settings/people/{staff_id}/disable")
async def disable(request: Request, staff_id: str, caller: _Keeper) -> Response:
    """Let somebody sign in no more, once it was said that this is meant."""
    loop, reader = resources(request, Loop), reader_of(request)
    fields = Fields(await read_form(request), reader)
    if not fields.values.get("sure"):
        fields.wrong("sure", marked("Please tick this: the person is signed out at once."))
        form = fields.form("disable")
        return await _page(request, caller, staff_id, disable=form, status=422)
    try:
        async with loop.database.transaction() as tx:
            await _wanted(tx, staff_id)
            await disable_staff(tx, staff_id, by=caller, now=loop.clock.now())
    except Conflict as refusal:
        form = _refused(fields, "disable", refusal, reader)
        return await _page(request, caller, staff_id, disable=form, status=refusal.status)
    return RedirectResponse(f"{_PATH}/{staff_id}?done=disabled", 303)


@router.post("/settings/people/{staff_id}/enable")
async def enable(request: Request, staff_id: str, caller: _Keeper) -> Response:
    """Let somebody sign in again, by the password they had."""
    loop = resources(request, Loop)
    async with loop.database.transaction() as tx:
        await _wanted(tx, staff_id)
        await enable_staff(tx, staff_id, by=caller, now=loop.clock.now())
    return RedirectResponse(f"{_PATH}/{staff_id}?done=enabled", 303)


@dataclass(frozen=True, kw_only=True)
class _Chosen:
    role: Role
    language: str
    time_zone: str


def _choices(fields: Fields) -> _Chosen:
    """Return what both forms ask for; what is missing is noted with the fields."""
    role = fields.choice("role", list(Role))
    return _Chosen(
        role=Role(role) if role in list(Role) else Role.AGENT,
        language=fields.choice("language", LANGUAGES),
        time_zone=fields.text("time_zone", most=60),
    )


def _refused(fields: Fields, name: str, refusal: Refused, reader: Reader) -> Form:
    """Return the form as it was sent, with what is wrong beside the field or above it."""
    if isinstance(refusal, Invalid):
        for finding in refusal.findings:
            at = finding.pointer.removeprefix("/")
            fields.wrong(at, REFUSED.get(finding.code, finding.detail))
        return fields.form(name)
    return fields.form(name, refusal=reader.gettext(_SAID[refusal.slug]))


async def _wanted(tx: Transaction, staff_id: str) -> Staff:
    person = await staff_member(tx, staff_id)
    if person is None:
        raise NotFound("There is no such person. Look at the list under Settings, People.")
    return person


async def _list(
    request: Request,
    caller: Principal,
    page: Page,
    *,
    form: Form | None = None,
    status: int = 200,
) -> Response:
    loop, reader = resources(request, Loop), reader_of(request)
    of = "page/people"
    after = page.after(loop.keyring, of=of)
    async with loop.database.reading() as view:
        found = await list_staff(
            view, limit=_LIMIT + 1, after=after[0] if after else None, with_disabled=True
        )
        teams = await list_teams(view)
        home = await organisation(view)
        needed = await roles_that_need_it(view)
    shown, more = found[:_LIMIT], len(found) > _LIMIT
    cursor = encode_cursor(loop.keyring, [shown[-1].id], of=of) if more else ""
    usual = {
        "role": Role.AGENT.value,
        "team_id": DEFAULT_TEAM,
        "language": reader.catalogue,
        "time_zone": home.time_zone if home else caller.time_zone,
    }
    context = PeoplePage(
        lines=[_line(person, reader) for person in shown],
        newer=_PATH if after is not None else None,
        older=f"{_PATH}?cursor={cursor}" if more else None,
        form=form or Form(name="new", values=usual),
        factor=Form(name="factor", values={f"{FIELD}{role}": "yes" for role in needed}),
        factor_roles=[
            Option(value=f"{FIELD}{role}", label=reader.gettext(name))
            for role, (name, _) in ROLES.items()
        ],
        roles=_roles(reader),
        teams=[Option(value=team.id, label=team.name) for team in teams],
        languages=_languages(),
        zones=zones(),
        may_write=caller.may(Scope.SETTINGS_WRITE),
        done=done_of(request, DONE, reader) if status == 200 else "",
    )
    return pages.render(request, "people.html", context, status=status)


async def _page(
    request: Request,
    caller: Principal,
    staff_id: str,
    *,
    form: Form | None = None,
    disable: Form | None = None,
    status: int = 200,
) -> Response:
    loop, reader = resources(request, Loop), reader_of(request)
    async with loop.database.reading() as view:
        person = await staff_member(view, staff_id)
        has_second_factor = await is_asked_for(view, staff_id)
    if person is None:
        raise NotFound("There is no such person. Look at the list under Settings, People.")
    values = {
        "name": person.name,
        "email": person.email,
        "role": person.role.value,
        "language": person.language,
        "time_zone": person.time_zone,
    }
    context = PersonPage(
        person=_line(person, reader),
        added_at=person.created_at,
        disabled_at=person.disabled_at,
        has_second_factor=has_second_factor,
        form=form or Form(name="person", values=values),
        disable=disable or Form(name="disable"),
        roles=_roles(reader),
        languages=_languages(),
        zones=zones(),
        sure=[Option(value="sure", label=reader.gettext(_SURE))],
        may_write=caller.may(Scope.SETTINGS_WRITE),
        done=done_of(request, DONE, reader) if status == 200 else "",
    )
    return pages.render(request, "person.html", context, status=status)


def _shown(request: Request, person: Staff, password: str) -> Response:
    context = PasswordShownPage(
        person=_line(person, reader_of(request)),
        password=password,
        sign_in=f"{web(request).settings.public_url}/sign-in",
    )
    return pages.render(request, "password_shown.html", context)


def _line(person: Staff, reader: Reader) -> PersonLine:
    return PersonLine(
        id=person.id,
        name=person.name,
        email=person.email,
        role=reader.gettext(ROLES[person.role][0]),
        is_active=person.active,
    )


def _roles(reader: Reader) -> Sequence[Option]:
    return [
        Option(value=role, label=f"{reader.gettext(name)}: {reader.gettext(about)}")
        for role, (name, about) in ROLES.items()
    ]


def _languages() -> Sequence[Option]:
    return [Option(value=tag, label=LANGUAGE_NAMES[tag]) for tag in LANGUAGES]
