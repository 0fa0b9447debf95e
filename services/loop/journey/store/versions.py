"""Documents that are published in versions: never changed, always followed by the next one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Table, func, select

from shared.db.transaction import Reading, Transaction


@dataclass(frozen=True, kw_only=True)
class Published:
    """One version of a document, with who published it when; nobody did a shipped one."""

    document: Mapping[str, Any]
    published_at: datetime | None = None
    published_by: str | None = None

    @property
    def id(self) -> str:
        """Return what the document is known by."""
        return str(self.document["id"])

    @property
    def version(self) -> int:
        """Return which version of it this is."""
        return int(self.document["version"])


class Shelf:
    """All versions of one kind of document; ``shipped`` is there before anybody publishes."""

    def __init__(self, table: Table, *, shipped: Published | None = None) -> None:
        self._table = table
        self._shipped = shipped

    async def latest(
        self, view: Reading, *, ids: Sequence[str] | None = None
    ) -> Sequence[Published]:
        """Return the latest version of each document, or of those with these ids, by id."""
        table = self._table
        newest = select(table.c.id, func.max(table.c.version).label("version"))
        if ids is not None:
            newest = newest.where(table.c.id.in_(ids))
        top = newest.group_by(table.c.id).subquery()
        statement = select(table).join(
            top, (table.c.id == top.c.id) & (table.c.version == top.c.version)
        )
        found = {row.id: _published(row) for row in await view.all(statement)}
        shipped = self._shipped
        if shipped is not None and (ids is None or shipped.id in ids):
            found.setdefault(shipped.id, shipped)
        return [found[one] for one in sorted(found)]

    async def version(self, view: Reading, document_id: str, version: int) -> Published | None:
        """Return one version of a document."""
        table = self._table
        row = await view.first(
            select(table).where(table.c.id == document_id, table.c.version == version)
        )
        if row is None and self._ships(document_id, version):
            return self._shipped
        return None if row is None else _published(row)

    async def versions(self, view: Reading, document_id: str) -> Sequence[Published]:
        """Return all versions of a document, the latest one first."""
        table = self._table
        rows = await view.all(
            select(table).where(table.c.id == document_id).order_by(table.c.version.desc())
        )
        found = [_published(row) for row in rows]
        shipped = self._shipped
        if shipped is not None and shipped.id == document_id:
            found += [] if shipped.version in {one.version for one in found} else [shipped]
        return found

    async def add(self, tx: Transaction, new: Published) -> bool:
        """Publish a version; False when there is one with this number already."""
        if self._ships(new.id, new.version):
            return False
        added = await tx.execute(
            tx.insert(self._table)
            .values(
                id=new.id,
                version=new.version,
                document=dict(new.document),
                published_at=new.published_at,
                published_by=new.published_by,
            )
            .on_conflict_do_nothing()
        )
        return added.rowcount == 1

    def _ships(self, document_id: str, version: int) -> bool:
        shipped = self._shipped
        return shipped is not None and (document_id, version) == (shipped.id, shipped.version)


def _published(row: Row[Any]) -> Published:
    return Published(
        document=row.document, published_at=row.published_at, published_by=row.published_by
    )
