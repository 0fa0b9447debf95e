"""The page a browser shows when something cannot be answered, in the reader's language.

Details are written in English and may name what to do; other readers get the general sentence
for the kind of error in their own language.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from starlette.requests import Request

from shared.i18n import SOURCE, marked
from shared.web.templating import Pages, reader_of

if TYPE_CHECKING:
    from starlette.responses import HTMLResponse
    from starlette.types import Scope

_pages = Pages()
_KINDS: Final = {
    400: (
        marked("The request cannot be read"),
        marked("Open the page again and repeat what you did."),
    ),
    401: (marked("Sign in first"), marked("Sign in and come back to this page.")),
    403: (
        marked("Not allowed with these rights"),
        marked("Your role does not include this, or the task is not yours. Ask a lead."),
    ),
    404: (
        marked("Not found"),
        marked("There is nothing at this address, or it is not yours to see."),
    ),
    405: (marked("Method not allowed"), marked("Open the page again and use its forms.")),
    409: (
        marked("Not allowed in this state"),
        marked("Open the page again to see what is possible now."),
    ),
    412: (
        marked("Somebody changed this meanwhile"),
        marked("Open the page again, look at the change, then decide."),
    ),
    413: (marked("Too large"), marked("Shorten the longest text and send it again.")),
    415: (marked("Content type not supported"), marked("Use the forms of the pages.")),
    422: (marked("The content is not valid"), marked("Go back and correct what you sent.")),
    429: (marked("Too many requests"), marked("Wait a little, then try again.")),
    500: (
        marked("Something went wrong on our side"),
        marked("Tell your administrator the reference below."),
    ),
    503: (
        marked("Try again later"),
        marked("Nothing was changed. Try the same again in a moment."),
    ),
}


@dataclass(frozen=True, kw_only=True)
class ErrorPage:
    """What the page says."""

    status: int
    title: str
    detail: str
    request_id: str


def error_page(
    scope: Scope,
    *,
    status: int,
    title: str,
    detail: str,
    request_id: str = "",
    explains: bool = False,
) -> HTMLResponse:
    """Return a whole page for an error of this status, or one that explains such errors."""
    request = Request(scope)
    reader = reader_of(request)
    if reader.catalogue != SOURCE and status in _KINDS and not explains:
        title, detail = map(reader.gettext, _KINDS[status])
    context = ErrorPage(status=status, title=title, detail=detail, request_id=request_id)
    return _pages.render(request, "error.html", context, status=200 if explains else status)
