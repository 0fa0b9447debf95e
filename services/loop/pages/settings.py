"""The way to every page of settings that somebody may open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from services.loop.pages.site import pages
from shared.identity.principal import Principal, Scope
from shared.web.auth import requires_page
from shared.web.templating import SETTINGS, Area

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, kw_only=True)
class SettingsPage:
    """What the list of settings shows."""

    parts: Sequence[Area]


@router.get("/settings")
async def show(
    request: Request, caller: Annotated[Principal, Depends(requires_page(Scope.SETTINGS_READ))]
) -> Response:
    """Show what can be set, as far as it is this person's to see."""
    parts = [part for part in SETTINGS if caller.may(part.scope)]
    return pages.render(request, "settings.html", SettingsPage(parts=parts))
