"""What to call somebody's browser in the list of their sessions: family and system, no more.

What a browser says of itself could tell people apart; only these two words are kept of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from starlette.requests import Request

# Most call themselves by the names of others too: the first that fits is what it is.
_FAMILIES: Final = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
    ("curl/", "curl"),
)
_SYSTEMS: Final = (
    ("Android", "Android"),
    ("iPhone", "iOS"),
    ("iPad", "iPadOS"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)


def browser_of(request: Request) -> str:
    """Return something like ``Firefox, Windows``; nothing where nothing is recognised."""
    said = request.headers.get("user-agent", "")[:500]
    found = [
        next((name for mark, name in names if mark in said), "")
        for names in (_FAMILIES, _SYSTEMS)
    ]
    return ", ".join(filter(None, found))
