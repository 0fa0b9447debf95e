"""API keys: what a machine shows to be let in, bound to one source and a set of scopes.

A key is ``cfl_`` with 27 characters of base 62 (160 random bits) and a checksum, so that typing
errors and made-up keys are refused without asking the database. Only a digest is stored; the
full key is shown once. SHA-256 is enough for a secret of that many random bits.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from hashlib import sha256
from os import urandom
from typing import TYPE_CHECKING, Any

from sqlalchemy import Row, or_, select, update

from shared.errors import Finding, Invalid, NotFound
from shared.identity import audit
from shared.identity.audit import SYSTEM
from shared.identity.principal import Principal, Scope
from shared.identity.tables import api_keys
from shared.ids import new_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import date, datetime

    from shared.db.transaction import Reading, Transaction

BOOTSTRAP = "bootstrap"
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_MARK = "cfl_"
_LONGEST = 512


@dataclass(frozen=True, kw_only=True)
class ApiKey:
    """One key, without its secret part."""

    id: str
    source: str
    name: str
    prefix: str
    scopes: frozenset[Scope]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_on: date | None

    def usable(self, now: datetime) -> bool:
        """Tell whether the key lets anybody in at this moment."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > now)

    def principal(self) -> Principal:
        """Return who is calling when this key is shown."""
        return Principal(
            kind="key", id=self.id, name=self.name, scopes=self.scopes, source=self.source
        )


async def create_key(
    tx: Transaction,
    *,
    source: str,
    name: str,
    scopes: Iterable[Scope],
    now: datetime,
    expires_at: datetime | None = None,
    by: Principal = SYSTEM,
) -> tuple[ApiKey, str]:
    """Make a key; the text returned beside it exists nowhere else and is shown once."""
    plain = _new_text()
    return await _store(
        tx,
        plain,
        source=source,
        name=name,
        scopes=scopes,
        now=now,
        expires_at=expires_at,
        by=by,
    ), plain


async def ensure_bootstrap_key(tx: Transaction, plain: str, *, now: datetime) -> None:
    """Have the key of the settings exist with every scope; a former one ends.

    A key that somebody revoked stays revoked.
    """
    known = await tx.first(select(api_keys.c.id).where(api_keys.c.digest == _digest(plain)))
    if known is not None:
        return
    for former in await tx.all(
        select(api_keys.c.id).where(
            api_keys.c.source == BOOTSTRAP,
            api_keys.c.name == BOOTSTRAP,
            api_keys.c.revoked_at.is_(None),
        )
    ):
        await revoke_key(tx, former.id, now=now)
    await _store(
        tx, plain, source=BOOTSTRAP, name=BOOTSTRAP, scopes=Scope, now=now, expires_at=None,
        by=SYSTEM,
    )  # fmt: skip


async def list_keys(
    view: Reading,
    *,
    limit: int = 200,
    after: str | None = None,
    source: str | None = None,
    with_revoked: bool = True,
) -> Sequence[ApiKey]:
    """Return keys in the order of their making, beginning behind the id ``after``."""
    query = select(api_keys).order_by(api_keys.c.id).limit(limit)
    if after is not None:
        query = query.where(api_keys.c.id > after)
    if source is not None:
        query = query.where(api_keys.c.source == source)
    if not with_revoked:
        query = query.where(api_keys.c.revoked_at.is_(None))
    return [_key(row) for row in await view.all(query)]


async def find_key(view: Reading, key_id: str) -> ApiKey | None:
    """Return one key by its id."""
    row = await view.first(select(api_keys).where(api_keys.c.id == key_id))
    return _key(row) if row else None


async def revoke_key(
    tx: Transaction, key_id: str, *, now: datetime, by: Principal = SYSTEM
) -> ApiKey:
    """End a key for good; processes that know it notice within a second. Again is no change."""
    key = await find_key(tx, key_id)
    if key is None:
        raise NotFound("There is no such key.")
    if key.revoked_at is None:
        await tx.execute(update(api_keys).where(api_keys.c.id == key_id).values(revoked_at=now))
        await audit.record(tx, by, "key.revoked", key_id, {"source": key.source}, now=now)
    return await find_key(tx, key_id) or key


async def find_by_plaintext(view: Reading, text: str, *, now: datetime) -> ApiKey | None:
    """Return the key behind a shown text if it lets anybody in at this moment.

    The look-up compares digests, so its duration tells nothing about the stored ones.
    """
    if not may_be_a_key(text):
        return None
    row = await view.first(select(api_keys).where(api_keys.c.digest == _digest(text)))
    key = _key(row) if row else None
    return key if key is not None and key.usable(now) else None


async def note_use(tx: Transaction, key_id: str, day: date) -> None:
    """Write down the last day on which a key was used."""
    await tx.execute(
        update(api_keys)
        .where(
            api_keys.c.id == key_id,
            or_(api_keys.c.last_used_on.is_(None), api_keys.c.last_used_on < day),
        )
        .values(last_used_on=day)
    )


def may_be_a_key(text: str) -> bool:
    """Tell, without the database, whether this could be a key at all."""
    if not 32 <= len(text) <= _LONGEST or not text.isascii():
        return False
    if not text.startswith(_MARK) or text.count("_") != 2:
        return True  # a bootstrap key has the form its operator gave it
    body, _, mark = text.removeprefix(_MARK).partition("_")
    return len(body) != 27 or len(mark) != 6 or mark == _checksum(body)


def _new_text() -> str:
    body = _base62(int.from_bytes(urandom(20), "big"), 27)
    return f"{_MARK}{body}_{_checksum(body)}"


def _checksum(body: str) -> str:
    return _base62(zlib.crc32(body.encode()), 6)


def _base62(number: int, width: int) -> str:
    digits = []
    for _ in range(width):
        number, digit = divmod(number, 62)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


async def _store(
    tx: Transaction,
    plain: str,
    *,
    source: str,
    name: str,
    scopes: Iterable[Scope],
    now: datetime,
    expires_at: datetime | None,
    by: Principal,
) -> ApiKey:
    key = ApiKey(
        id=new_id("key"),
        source=_label(source, "/source", 100),
        name=_label(name, "/name", 200),
        prefix=plain[: len(_MARK) + 8],
        scopes=frozenset(scopes),
        created_at=now,
        expires_at=expires_at,
        revoked_at=None,
        last_used_on=None,
    )
    if not key.scopes:
        raise Invalid(
            "A key needs at least one scope.",
            [Finding(pointer="/scopes", code="empty", detail="no scope is given")],
        )
    granted = sorted(scope.value for scope in key.scopes)
    made = await tx.execute(
        tx.insert(api_keys)
        .values(
            id=key.id,
            source=key.source,
            name=key.name,
            prefix=key.prefix,
            digest=_digest(plain),
            scopes=granted,
            created_at=now,
            expires_at=expires_at,
        )
        .on_conflict_do_nothing(index_elements=["digest"])
    )
    if made.rowcount:
        detail = {"source": key.source, "scopes": granted}
        await audit.record(tx, by, "key.created", key.id, detail, now=now)
    return key


def _label(given: str, pointer: str, most: int) -> str:
    text = given.strip()
    if not text or len(text) > most or not text.isprintable():
        raise Invalid(
            "A key needs a source and a name that can be read.",
            [
                Finding(
                    pointer=pointer,
                    code="not_printable",
                    detail="blank, too long or with control characters",
                    fix=f"send 1 to {most} printable characters",
                )
            ],
        )
    return text


def _key(row: Row[Any]) -> ApiKey:
    known = {scope.value for scope in Scope}
    return ApiKey(
        id=row.id,
        source=row.source,
        name=row.name,
        prefix=row.prefix,
        scopes=frozenset(Scope(scope) for scope in row.scopes if scope in known),
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        last_used_on=row.last_used_on,
    )
