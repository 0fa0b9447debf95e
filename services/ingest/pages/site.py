"""What every page of ingest renders with."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from shared.web.templating import Pages

pages: Final = Pages("services.ingest.pages")


def source_path(source: str, *parts: str) -> str:
    """Return the address of a source's page, or of one below it."""
    return "/".join(["/settings/sources", *(quote(part, safe="") for part in (source, *parts))])
