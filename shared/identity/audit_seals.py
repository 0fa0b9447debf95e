"""Seals over the audit trail: what somebody changes with the database's own means shows.

A seal covers the lines of a stretch of the trail with a mark of each, and the seal before it.
The key is derived from the secret, which lies outside the database; whoever has only the
database can neither mend a mark nor make a seal. What is younger than a minute or two is not
sealed yet, and whoever removes the end of the trail with its seals is found out by a head that
was noted elsewhere: each seal's is in the log.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import struct
from dataclasses import dataclass
from datetime import UTC
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import func, select, text

from shared.identity.tables import audit, audit_seals
from shared.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Row

    from shared.clock import Clock
    from shared.db.transaction import Database, Reading, Transaction
    from shared.sealing import Keyring

PURPOSE: Final = "audit-seals"
EVERY: Final = 60.0
_AT_ONCE: Final = 1_000
_MARK: Final = struct.Struct(">Q8s")

log = get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Seal:
    """One stretch of the trail: from which line to which, and a mark of each in between."""

    from_n: int
    to_n: int
    lines: int
    marks: bytes
    mac: str
    made_at: datetime

    def marked(self) -> dict[int, bytes]:
        """Return the mark of each line by its number."""
        return dict(_MARK.iter_unpack(self.marks))


def mark_of(keyring: Keyring, line: Row[Any]) -> bytes:
    """Return the mark of one line: it says all of it, and only who has the key can make it."""
    said = [
        line.n,
        line.at.astimezone(UTC).isoformat(timespec="microseconds"),
        line.actor_kind,
        line.actor_id,
        line.action,
        line.subject,
        line.detail,
    ]
    plain = json.dumps(said, sort_keys=True, separators=(",", ":")).encode()
    return hmac.digest(keyring.subkey(PURPOSE), plain, sha256)[:8]


def mac_of(keyring: Keyring, seal: Seal, before: str) -> str:
    """Return what proves a seal; ``before`` is that of the seal before it, or nothing."""
    at = seal.made_at.astimezone(UTC).isoformat(timespec="microseconds")
    head = f"{before}/{seal.from_n}/{seal.to_n}/{seal.lines}/{at}/".encode()
    return hmac.digest(keyring.subkey(PURPOSE), head + seal.marks, sha256).hex()


async def lines_between(view: Reading, first: int, last: int) -> Sequence[Row[Any]]:
    """Return the lines of a stretch in their order."""
    return await view.all(
        select(audit).where(audit.c.n >= first, audit.c.n <= last).order_by(audit.c.n)
    )


async def seal_after(view: Reading, n: int) -> Seal | None:
    """Return the first seal that begins behind line ``n``."""
    row = await view.first(
        select(audit_seals)
        .where(audit_seals.c.from_n > n)
        .order_by(audit_seals.c.from_n)
        .limit(1)
    )
    return None if row is None else _seal(row)


async def seal_some(tx: Transaction, keyring: Keyring, *, upto: int, now: datetime) -> bool:
    """Seal the next lines up to number ``upto``; return whether there may be more.

    Whoever else seals the same stretch at this moment makes the same seal, and one stays.
    """
    row = await tx.first(select(audit_seals).order_by(audit_seals.c.from_n.desc()).limit(1))
    first = 1 if row is None else row.to_n + 1
    lines = await tx.all(
        select(audit)
        .where(audit.c.n >= first, audit.c.n <= upto)
        .order_by(audit.c.n)
        .limit(_AT_ONCE)
    )
    if not lines:
        return False
    marks = b"".join(_MARK.pack(line.n, mark_of(keyring, line)) for line in lines)
    seal = Seal(
        from_n=first,
        to_n=lines[-1].n,
        lines=len(lines),
        marks=marks,
        mac="",
        made_at=now,
    )
    mac = mac_of(keyring, seal, "" if row is None else row.mac)
    made = await tx.execute(
        tx.insert(audit_seals).values({**vars(seal), "mac": mac}).on_conflict_do_nothing()
    )
    if made.rowcount:
        head = f"{seal.to_n}:{mac}"
        tx.after_commit(lambda: log.info("audit.sealed", lines=seal.lines, head=head))
    return len(lines) == _AT_ONCE


class AuditSealing:
    """Seals what was written a minute ago; a ``Worker``, in as many processes as there are."""

    name = "audit.seals"

    def __init__(self, database: Database, keyring: Keyring, clock: Clock) -> None:
        self._database = database
        self._keyring = keyring
        self._clock = clock
        self._next = clock.monotonic()
        self._seen: _Sight | None = None
        self._sealed = 0

    async def step(self) -> bool:
        """Look every minute, and seal what the look before saw, once all of it is settled."""
        if self._clock.monotonic() < self._next:
            return False
        async with self._database.reading() as view:
            sight = await _look(view)
        if self._seen is not None and self._seen.all_have_ended(sight):
            if self._seen.newest > self._sealed and await self._seal(self._seen.newest):
                return True
            self._sealed, self._seen = self._seen.newest, None
        self._seen = self._seen or sight
        self._next = self._clock.monotonic() + EVERY
        return False

    async def _seal(self, upto: int) -> bool:
        async with self._database.transaction() as tx:
            return await seal_some(tx, self._keyring, upto=upto, now=self._clock.now())

    async def wait(self) -> None:
        """Look again after a second; the minute is measured by the clock."""
        await asyncio.sleep(1)

    async def close(self) -> None:
        """Hold nothing open between steps."""


@dataclass(frozen=True, kw_only=True)
class _Sight:
    """The last line at a moment, and which transactions were under way then.

    PostgreSQL gives out numbers before it commits: a line with a smaller number may come after
    one with a larger number, but not after every transaction of that moment has ended.
    """

    newest: int
    oldest_running: int = 0
    next_to_begin: int = 0

    def all_have_ended(self, later: _Sight) -> bool:
        return later.oldest_running >= self.next_to_begin


async def _look(view: Reading) -> _Sight:
    newest = int(await view.scalar(select(func.max(audit.c.n))) or 0)
    if view.dialect == "sqlite":
        return _Sight(newest=newest)
    running = await view.first(
        text(
            "SELECT pg_snapshot_xmin(s)::text::bigint AS oldest,"
            " pg_snapshot_xmax(s)::text::bigint AS next FROM pg_current_snapshot() s"
        )
    )
    if running is None:
        message = "the database did not say which transactions are under way"
        raise RuntimeError(message)
    return _Sight(newest=newest, oldest_running=running.oldest, next_to_begin=running.next)


def _seal(row: Row[Any]) -> Seal:
    return Seal(
        from_n=row.from_n,
        to_n=row.to_n,
        lines=row.lines,
        marks=row.marks,
        mac=row.mac,
        made_at=row.made_at,
    )
