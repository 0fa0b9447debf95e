"""What every room of loop may reach for: the resources of this service.

Routes get it by ``resources(request, Loop)``, workers by construction. It stands below the
rooms, so it names none of them.
"""

from __future__ import annotations

from dataclasses import dataclass

from shared.clock import Clock
from shared.db.transaction import Database
from shared.identity.person_keys import PersonKeys
from shared.sealing import Keyring
from shared.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Loop:
    """The loop service's way to the database, to the time and to the keys of persons."""

    settings: Settings
    clock: Clock
    database: Database
    keyring: Keyring
    person_keys: PersonKeys
