"""The second factor of others: who must have one, and letting somebody in who lost theirs."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.loop.resources import Loop
from shared.errors import NotFound
from shared.identity.people import staff_member
from shared.identity.principal import Principal, Role, Scope
from shared.identity.second_factor import need_it, switch_off
from shared.web.access import resources
from shared.web.auth import requires_page
from shared.web.forms import read_form

router = APIRouter(include_in_schema=False)

_Keeper = Annotated[Principal, Depends(requires_page(Scope.SETTINGS_WRITE))]
_PATH: Final = "/settings/people"
FIELD: Final = "role:"
"""Stands before a role in the name of its box."""


@router.post("/settings/people/second-factor")
async def require(request: Request, caller: _Keeper) -> Response:
    """Say whose password is not enough; who has no second factor is led to it at once."""
    loop = resources(request, Loop)
    ticked = await read_form(request)
    roles = [role for role in Role if ticked.get(f"{FIELD}{role}")]
    async with loop.database.transaction() as tx:
        await need_it(tx, roles, by=caller, now=loop.clock.now())
    return RedirectResponse(f"{_PATH}?done=factor", 303)


@router.post("/settings/people/{staff_id}/second-factor/off")
async def switch_off_for(request: Request, staff_id: str, caller: _Keeper) -> Response:
    """Ask somebody for no code any more, who has lost the app and the recovery codes."""
    loop = resources(request, Loop)
    async with loop.database.transaction() as tx:
        if await staff_member(tx, staff_id) is None:
            raise NotFound("There is no such person. Look at the list under Settings, People.")
        await switch_off(tx, staff_id, by=caller, now=loop.clock.now())
    return RedirectResponse(f"{_PATH}/{staff_id}?done=factor-off", 303)
