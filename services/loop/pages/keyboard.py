"""The sheet of keys: what can be done without a mouse, and the switch for the single ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from services.loop.pages.site import pages
from shared.i18n import marked
from shared.identity.principal import Principal
from shared.web.auth import requires_page
from shared.web.templating import reader_of

router = APIRouter(include_in_schema=False)

KEYS: Final = (
    (marked("This sheet"), "?", "Ctrl + /"),
    (marked("Search"), "/", "Ctrl + K"),
    (marked("Next task, previous task"), "j, k", "Alt + J, Alt + K"),
    (marked("Open the task"), "o", "Alt + O"),
    (marked("Back to the queue"), "u", "Alt + U"),
    (marked("Choose the task, for several at once"), "x", "Alt + X"),
    (marked("To the button that claims"), "m", "Alt + M"),
    (marked("Log a contact"), "c", "Alt + C"),
    (marked("Log a contact by phone, e-mail, in person"), "c p, c e, c i", ""),
    (marked("Write a note"), "n", "Alt + N"),
    (marked("Assign"), "a", "Alt + A"),
    (marked("Put off"), "z", "Alt + Z"),
    (marked("To a step of RESOLVED"), "1 … 8", "Alt + 1 … Alt + 8"),
    (marked("Resolve or close"), "e", "Alt + E"),
    (marked("Send the form"), "", "Ctrl + Enter"),
    (marked("Go to queue, themes, scores, team"), "g q, g t, g s, g l", ""),
)


@dataclass(frozen=True, kw_only=True)
class Key:
    """What a key leads to: none of them changes anything by itself."""

    action: str
    single: str
    always: str


@dataclass(frozen=True, kw_only=True)
class KeyboardPage:
    """What the sheet shows."""

    title: str
    keys: Sequence[Key]


@router.get("/keyboard")
async def show(
    request: Request, _caller: Annotated[Principal, Depends(requires_page())]
) -> Response:
    """Show the sheet of keys."""
    reader = reader_of(request)
    return pages.render(
        request,
        "keyboard.html",
        KeyboardPage(
            title=reader.gettext("Keyboard"),
            keys=[
                Key(action=reader.gettext(action), single=single, always=always)
                for action, single, always in KEYS
            ],
        ),
    )
