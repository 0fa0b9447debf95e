"""API keys: what a machine shows to be let in, bound to one source and a set of scopes.

Only a digest of it is stored; the full key is shown once. SHA-256 is enough for a secret of
that many random bits. A key for trials posts under a source of its own: its source's twin.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import Row, or_, select, update

from shared.errors import Conflict, Finding, Forbidden, Invalid, NotFound
from shared.identity import audit
from shared.identity.audit import SYSTEM
from shared.identity.key_texts import MARK, TEST_MARK, digest_of, may_be_a_key, new_text
from shared.identity.principal import Principal, Role, Scope
from shared.identity.tables import api_keys
from shared.ids import new_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import date, datetime

    from shared.db.transaction import Reading, Transaction

BOOTSTRAP = "bootstrap"
TWIN = ":test"
"""Stands behind a source's name where a key for trials posts; no source is named so."""
SAMPLE_SOURCE = "closed-loop:sample"
"""The installation's own source: what it posts opens a task, and counts in no figure."""
TEST_SCOPES = frozenset({Scope.RESPONSES_WRITE, Scope.RESPONSES_READ})
"""All that a key for trials may do: what else there is, is real."""
LONGEST_SOURCE = 100


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
    test: bool = False
    replaced_by: str | None = None

    def usable(self, now: datetime) -> bool:
        """Tell whether the key lets anybody in at this moment."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > now)

    def principal(self) -> Principal:
        """Return who is calling when this key is shown; a trial posts as the source's twin."""
        return Principal(
            kind="key",
            id=self.id,
            name=self.name,
            scopes=self.scopes,
            source=f"{self.source}{TWIN}" if self.test else self.source,
            test=self.test,
        )


async def create_key(
    tx: Transaction,
    *,
    source: str,
    name: str,
    scopes: Iterable[Scope],
    now: datetime,
    expires_at: datetime | None = None,
    test: bool = False,
    by: Principal = SYSTEM,
) -> tuple[ApiKey, str]:
    """Make a key; the text returned beside it exists nowhere else and is shown once.

    Raises ``Forbidden`` for a right that ``by`` cannot give.
    """
    scopes = frozenset(scopes)
    _refuse_unless_given(scopes, by)
    if expires_at is not None and expires_at <= now:
        raise _unusable("/expires_at", "past", "lies in the past", "send a time to come")
    if test and not scopes <= TEST_SCOPES:
        raise _unusable(
            "/scopes",
            "not_for_tests",
            "a key for trials may only post and read responses",
            f"send only {' and '.join(sorted(TEST_SCOPES))}",
        )
    plain = new_text(TEST_MARK if test else MARK)
    return await _store(
        tx,
        plain,
        source=source,
        name=name,
        scopes=scopes,
        now=now,
        expires_at=expires_at,
        by=by,
        test=test,
    ), plain


async def rotate_key(
    tx: Transaction,
    key_id: str,
    *,
    overlap: timedelta,
    now: datetime,
    by: Principal = SYSTEM,
) -> tuple[ApiKey, str]:
    """Make a key in the place of another, which goes on for ``overlap`` and then ends.

    The new one has the same rights, and the same time to live if the old one's was limited.
    A key is replaced once.
    """
    row = await tx.first(select(api_keys).where(api_keys.c.id == key_id).with_for_update())
    if row is None:
        raise NotFound("There is no such key.")
    old = _key(row)
    if not old.usable(now) or old.replaced_by is not None:
        state = "ended" if not old.usable(now) else "replaced"
        raise Conflict(
            "This key has been replaced already. Rotate the one that took its place."
            if state == "replaced"
            else "This key is revoked or expired. Make a new one.",
            extra={"state": state, "replaced_by": old.replaced_by},
        )
    lifetime = None if old.expires_at is None else old.expires_at - old.created_at
    new, plain = await create_key(
        tx,
        source=old.source,
        name=old.name,
        scopes=old.scopes,
        now=now,
        expires_at=None if lifetime is None else now + lifetime,
        test=old.test,
        by=by,
    )
    ends = now + overlap if old.expires_at is None else min(old.expires_at, now + overlap)
    await tx.execute(
        update(api_keys)
        .where(api_keys.c.id == key_id)
        .values(expires_at=ends, replaced_by=new.id)
    )
    detail = {"source": old.source, "by_key": new.id, "overlap_s": int(overlap.total_seconds())}
    await audit.record(tx, by, "key.rotated", key_id, detail, now=now)
    return new, plain


def _refuse_unless_given(scopes: frozenset[Scope], by: Principal) -> None:
    """Nobody hands on a right that they do not hold, but administrators: they hand out all."""
    if by.id == SYSTEM.id or by.role is Role.ADMIN or scopes <= by.scopes:
        return
    missing = ", ".join(sorted(scopes - by.scopes))
    raise Forbidden(
        f"You cannot give the right {missing}, for you do not hold it. Leave it out, or ask an"
        " administrator."
    )


async def ensure_bootstrap_key(tx: Transaction, plain: str, *, now: datetime) -> None:
    """Have the key of the settings exist with every scope; a former one ends.

    A key that somebody revoked stays revoked.
    """
    known = await tx.first(select(api_keys.c.id).where(api_keys.c.digest == digest_of(plain)))
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
    row = await view.first(select(api_keys).where(api_keys.c.digest == digest_of(text)))
    key = _key(row) if row else None
    return key if key is not None and key.usable(now) else None


async def find_ended(view: Reading, text: str, *, now: datetime) -> ApiKey | None:
    """Return the key behind a shown text if it once let somebody in and no longer does."""
    if not may_be_a_key(text):
        return None
    row = await view.first(select(api_keys).where(api_keys.c.digest == digest_of(text)))
    key = _key(row) if row else None
    return key if key is not None and not key.usable(now) else None


async def key_sources(view: Reading) -> Sequence[str]:
    """Return the sources that have or had a key."""
    rows = await view.all(select(api_keys.c.source).distinct().order_by(api_keys.c.source))
    return [row.source for row in rows]


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
    test: bool = False,
) -> ApiKey:
    most = LONGEST_SOURCE - len(TWIN) if test else LONGEST_SOURCE
    key = ApiKey(
        id=new_id("key"),
        source=source_name(source, most=most),
        name=_label(name, "/name", 200),
        prefix=plain[: len(MARK) + 8],
        scopes=frozenset(scopes),
        created_at=now,
        expires_at=expires_at,
        revoked_at=None,
        last_used_on=None,
        test=test,
    )
    if not key.scopes:
        raise Invalid(
            "A key needs at least one scope.",
            [
                Finding(
                    pointer="/scopes",
                    code="empty",
                    detail="no scope is given",
                    fix=f"send at least one, such as {Scope.RESPONSES_WRITE}",
                )
            ],
        )
    granted = sorted(scope.value for scope in key.scopes)
    made = await tx.execute(
        tx.insert(api_keys)
        .values(
            id=key.id,
            source=key.source,
            name=key.name,
            prefix=key.prefix,
            digest=digest_of(plain),
            scopes=granted,
            test=test,
            created_at=now,
            expires_at=expires_at,
        )
        .on_conflict_do_nothing(index_elements=["digest"])
    )
    if made.rowcount:
        detail = {"source": key.source, "scopes": granted, "test": test}
        await audit.record(tx, by, "key.created", key.id, detail, now=now)
    return key


def source_name(given: str, *, pointer: str = "/source", most: int = LONGEST_SOURCE) -> str:
    """Return a source's name, tidied; raise ``Invalid`` for one that no source may have."""
    name = _label(given, pointer, most)
    if name.endswith(TWIN):
        raise _unusable(
            pointer,
            "reserved",
            f"ends with {TWIN}, which is kept for trials",
            "send the source's name, and make a test key for trials",
        )
    if "/" in name or name in {".", ".."}:
        raise _unusable(
            pointer,
            "not_in_addresses",
            "cannot stand in an address: it holds a slash, or is nothing but dots",
            "send a name without slashes, such as web-shop",
        )
    return name


def _label(given: str, pointer: str, most: int) -> str:
    text = given.strip()
    if not text or len(text) > most or not text.isprintable():
        raise _unusable(
            pointer,
            "not_printable",
            "blank, too long or with control characters",
            f"send 1 to {most} printable characters",
        )
    return text


def _unusable(pointer: str, code: str, detail: str, fix: str) -> Invalid:
    return Invalid(
        "This cannot be taken; see errors.",
        [Finding(pointer=pointer, code=code, detail=detail, fix=fix)],
    )


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
        test=row.test,
        replaced_by=row.replaced_by,
    )
