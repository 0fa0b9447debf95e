"""Who can reach this installation, and what should not be reached by more than one machine.

What is convenient on one's own machine is not refused elsewhere, where somebody may have put a
wall of their own around it; but whoever could change it is told, on every page.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from shared.i18n import marked
from shared.identity.principal import Scope
from shared.web.access import web

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request

    from shared.identity.principal import Principal
    from shared.settings import Settings

_FORWARDED: Final = frozenset({"x-forwarded-for", "forwarded", "x-real-ip"})
_HERE: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_CAPTURED: Final = marked(
    "Other machines reach this installation, and it keeps all mail to itself: nobody is"
    " written to. Name your mail server in CLOSED_LOOP_SMTP_URL."
)
_DEMONSTRATION: Final = marked(
    "Other machines reach this demonstration, and its people share one password. Keep nothing"
    " real in it."
)


def at_the_machine(request: Request) -> bool:
    """Tell whether the browser runs on this machine and addressed it as such.

    A forwarded request came from elsewhere; another host name may be a trick to get in here.
    """
    if not _FORWARDED.isdisjoint(request.headers):
        return False
    near = request.client is not None and is_loopback(request.client.host)
    return near and (request.url.hostname or "") in _HERE


def is_loopback(host: str) -> bool:
    """Tell whether an address to listen on, or a caller's, is this machine's own."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_capturing(settings: Settings) -> bool:
    """Tell whether mail stays in the application's own mail page."""
    return settings.smtp_url.get_secret_value() == "capture:"


def cautions(request: Request, person: Principal | None) -> Sequence[str]:
    """Return what this person should know about who can reach what here, if anything."""
    if person is None:
        return ()
    here = web(request)
    if is_loopback(here.settings.host) and at_the_machine(request):
        return ()
    found = [_DEMONSTRATION] if here.is_demonstration else []
    if is_capturing(here.settings) and person.may(Scope.SETTINGS_WRITE):
        found.append(_CAPTURED)
    return found
