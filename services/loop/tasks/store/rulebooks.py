"""Published rule books and the draft of the next one, in and out of the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, delete, func, select, update

from services.loop.tasks.domain.rulebooks import SHIPPED, Document, whole
from services.loop.tasks.tables import rule_drafts, rules
from shared.db.transaction import Reading, Transaction

_DRAFT = "rules"


@dataclass(frozen=True, kw_only=True)
class Published:
    """A version of the rule book; nobody published the one that is shipped."""

    version: int
    document: Document
    published_at: datetime | None
    published_by: str | None


@dataclass(frozen=True, kw_only=True)
class Draft:
    """The rule book that is being worked on, and the version that it began with."""

    version: int
    based_on: int
    document: Document
    changed_at: datetime
    changed_by: str


_SHIPPED = Published(
    version=SHIPPED["version"], document=SHIPPED, published_at=None, published_by=None
)


async def latest_book(view: Reading) -> Published:
    """Return the rule book that applies now."""
    row = await view.first(select(rules).order_by(rules.c.version.desc()).limit(1))
    return _SHIPPED if row is None else _published(row)


async def book_of(view: Reading, version: int) -> Published | None:
    """Return one version, or None."""
    row = await view.first(select(rules).where(rules.c.version == version))
    if row is not None:
        return _published(row)
    return _SHIPPED if version == _SHIPPED.version else None


async def books(view: Reading, *, before: int | None, most: int) -> Sequence[Published]:
    """Return versions, the latest first, beginning behind the one that is ``before``."""
    query = select(rules).order_by(rules.c.version.desc()).limit(most)
    if before is not None:
        query = query.where(rules.c.version < before)
    found = [_published(row) for row in await view.all(query)]
    first = await view.scalar(select(func.min(rules.c.version)))
    is_last = not found or found[-1].version == first
    if len(found) < most and is_last and first != _SHIPPED.version and before != 1:
        found.append(_SHIPPED)
    return found


async def add_book(tx: Transaction, new: Published) -> bool:
    """Write a version; False when somebody else has just published one."""
    made = await tx.execute(
        tx.insert(rules)
        .values(
            version=new.version,
            document=dict(new.document),
            published_at=new.published_at,
            published_by=new.published_by,
        )
        .on_conflict_do_nothing(index_elements=["version"])
    )
    return made.rowcount == 1


async def find_draft(view: Reading) -> Draft | None:
    """Return the draft, or None where nobody works on one."""
    row = await view.first(select(rule_drafts).where(rule_drafts.c.name == _DRAFT))
    if row is None:
        return None
    return Draft(
        version=row.version,
        based_on=row.based_on,
        document=whole(row.document),
        changed_at=row.changed_at,
        changed_by=row.changed_by,
    )


async def save_draft(tx: Transaction, new: Draft) -> bool:
    """Write the draft; False when it was changed since the version before this one."""
    values: Mapping[str, Any] = {
        "version": new.version,
        "based_on": new.based_on,
        "document": dict(new.document),
        "changed_at": new.changed_at,
        "changed_by": new.changed_by,
    }
    if new.version == 1:
        made = await tx.execute(
            tx.insert(rule_drafts)
            .values(name=_DRAFT, **values)
            .on_conflict_do_nothing(index_elements=["name"])
        )
    else:
        made = await tx.execute(
            update(rule_drafts)
            .where(rule_drafts.c.name == _DRAFT, rule_drafts.c.version == new.version - 1)
            .values(**values)
        )
    return made.rowcount == 1


async def drop_draft(tx: Transaction) -> None:
    """Forget the draft."""
    await tx.execute(delete(rule_drafts).where(rule_drafts.c.name == _DRAFT))


def _published(row: Row[Any]) -> Published:
    return Published(
        version=row.version,
        document=whole(row.document),
        published_at=row.published_at,
        published_by=row.published_by,
    )
