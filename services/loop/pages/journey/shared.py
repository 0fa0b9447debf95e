"""What the pages of the journey share: whom one can choose, and how a refusal is said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from services.loop.journey.domain import OwnerRef
from shared.db.transaction import Reading
from shared.errors import Conflict, Invalid, Refused, Stale
from shared.i18n import Reader, marked
from shared.identity.groups import list_departments, list_teams
from shared.identity.people import list_staff
from shared.web.forms import Form, Option

_SAID: Final[Mapping[str, str]] = {
    "overlapping-period": marked(
        "The period of another owner covers a part of this one. End that one first, or choose"
        " other dates."
    ),
    "stands-for-another": marked(
        "This code stands for another one. Change that one, or let this one stand for itself"
        " first."
    ),
    "others-stand-for-it": marked(
        "Other codes stand for this one. Map those to another code first."
    ),
    "name-taken": marked("This name is taken already."),
    "itself": marked("A code cannot stand for itself."),
    "reserved": marked("This code keeps its own meaning."),
    "unknown_code": marked("Describe the other code first."),
    "stands_for_another": marked("The other code stands for another one itself."),
    "others_stand_for": marked(
        "Other codes stand for this one. Map those to another code first."
    ),
    "unknown_owner": marked("Please choose an owner who can be given work."),
    "unknown_department": marked("Please choose a department that exists."),
    "unknown_staff": marked("Please choose somebody who works here."),
    "too_early": marked("The period would be over before it begins."),
    "in_the_past": marked("A period cannot end in the past."),
    "not_a_name": marked("Please use 1 to 200 printable characters."),
}
_STALE: Final = marked("Somebody changed this meanwhile. Look at it again and repeat.")
_TAKEN: Final = marked("This is described already. Change it on its own page.")


def refused(form: Form, refusal: Refused, reader: Reader) -> Form:
    """Return the form as it was sent, with why it was not taken."""
    if isinstance(refusal, Invalid):
        texts = [reader.gettext(_SAID.get(one.code, one.detail)) for one in refusal.findings]
        text = " ".join(texts)
    elif isinstance(refusal, Stale):
        text = reader.gettext(_STALE)
    elif isinstance(refusal, Conflict):
        text = reader.gettext(_SAID.get(refusal.slug, _TAKEN))
    else:
        raise refusal
    return Form(name=form.name, values=form.values, errors=form.errors, refusal=text)


async def owner_options(view: Reading) -> Sequence[Option]:
    """Return everybody who can own something: staff by name, then teams by name."""
    staff = [Option(value=person.id, label=person.name) for person in await list_staff(view)]
    teams = [Option(value=team.id, label=team.name) for team in await list_teams(view)]
    return [*_by_name(staff), *_by_name(teams)]


async def staff_options(view: Reading) -> Sequence[Option]:
    """Return everybody who works here, by name."""
    return _by_name(
        [Option(value=person.id, label=person.name) for person in await list_staff(view)]
    )


async def department_options(view: Reading) -> Sequence[Option]:
    """Return all departments, by name."""
    return _by_name(
        [Option(value=part.id, label=part.name) for part in await list_departments(view)]
    )


def owner_ref(owner_id: str) -> OwnerRef:
    """Return the owner that was chosen: the id says whether a team is meant."""
    return OwnerRef(id=owner_id, kind="team" if owner_id.startswith("team_") else "person")


def _by_name(options: Sequence[Option]) -> Sequence[Option]:
    return sorted(options, key=lambda option: option.label.casefold())
