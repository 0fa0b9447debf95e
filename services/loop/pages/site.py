"""What every page of loop renders with, and how it says what has just been done."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request

from shared.i18n import Reader
from shared.web.templating import Pages

pages = Pages("services.loop.pages")


def done_of(request: Request, texts: Mapping[str, str], reader: Reader) -> str:
    """Return what the form before this page did, as the address names it after a redirect."""
    text = texts.get(request.query_params.get("done", ""))
    return reader.gettext(text) if text else ""
