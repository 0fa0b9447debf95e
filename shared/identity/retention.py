"""How long customers' data are kept, and when it was last looked for what is older."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from sqlalchemy import func, select

from shared.identity.facts import fact, keep
from shared.identity.tables import installation

if TYPE_CHECKING:
    from shared.db.transaction import Reading, Transaction

MOST_MONTHS: Final = 600
_POLICY: Final = "retention"
_RAN: Final = "retention-ran"


@dataclass(frozen=True, kw_only=True)
class Policy:
    """For how many months after its acceptance a response tells whose it is; None: for ever."""

    version: int = 1
    months: int | None = 36


async def policy(view: Reading) -> Policy:
    """Return what holds: what somebody said, or what an installation begins with."""
    said = await fact(view, _POLICY)
    return Policy() if said is None else Policy(**json.loads(said))


async def note_policy(tx: Transaction, new: Policy, *, now: datetime) -> None:
    """Let another period hold from now on."""
    await keep(tx, _POLICY, json.dumps({"version": new.version, "months": new.months}), now)


async def last_run(view: Reading) -> datetime | None:
    """Return when everything that was too old had last been found, if ever."""
    said = await fact(view, _RAN)
    return None if said is None else datetime.fromisoformat(said)


async def note_run(tx: Transaction, *, now: datetime) -> None:
    """Write that everything that is too old by now has been found."""
    await keep(tx, _RAN, now.isoformat(), now)


async def begun_at(view: Reading) -> datetime | None:
    """Return since when there has been an installation: the age of the oldest fact about it."""
    oldest: datetime | None = await view.scalar(select(func.min(installation.c.changed_at)))
    return oldest
