"""How a route reaches what it needs: typed accessors over the application's state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from shared.clock import Clock
    from shared.db.transaction import Database
    from shared.identity.person_keys import PersonKeys
    from shared.sealing import Keyring
    from shared.settings import Settings

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Web:
    """What every route may use, whichever service it belongs to."""

    settings: Settings
    clock: Clock
    database: Database
    keyring: Keyring
    person_keys: PersonKeys
    is_demonstration: bool = False
    """Whether everybody in it is made up, and shares one password."""


def web(request: Request) -> Web:
    """Return what every route may use."""
    found: Web = request.app.state.web
    return found


def resources(request: Request, kind: type[T]) -> T:
    """Return the resources of one service, by their type."""
    held: Mapping[type, object] = request.app.state.resources
    found = held[kind]
    if not isinstance(found, kind):
        message = f"the resources registered for {kind.__name__} are of another type"
        raise TypeError(message)
    return found
