"""Settings of sources, what their signatures are checked with, and what is known of each."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import func, select, update

from services.ingest.domain.sources import TEST, Former, Source
from services.ingest.tables import responses, sources
from shared.ids import first_id

if TYPE_CHECKING:
    from sqlalchemy import Row

    from shared.db.transaction import Reading, Transaction
    from shared.sealing import Keyring

_PURPOSE: Final = "source-secrets"
# Ids carry the time of the process that made them; that may be a little off.
_SLACK: Final = timedelta(hours=1)


@dataclass(frozen=True, kw_only=True)
class Secret:
    """One secret that signatures are checked with; a former one counts until ``until``."""

    id: str
    value: str = field(repr=False)
    made_at: datetime
    until: datetime | None = None

    def counts(self, now: datetime) -> bool:
        """Tell whether a signature made with it is taken."""
        return self.until is None or self.until > now


async def find_source(
    view: Reading, name: str, *, keyring: Keyring, now: datetime, locked: bool = False
) -> Source:
    """Return the settings of a source; defaults where it has none.

    The twin for trials has the settings of its source. ``locked`` keeps them from changing
    until the transaction ends.
    """
    name = name.removesuffix(TEST)
    query = select(sources).where(sources.c.name == name)
    row = await view.first(query.with_for_update() if locked else query)
    return Source(name=name) if row is None else _source(row, keyring, now)


async def save_source(tx: Transaction, source: Source) -> None:
    """Write the settings of a source, all but its secrets."""
    values = {
        "sender": source.sender,
        "mapping": source.mapping,
        "namespace": source.namespace,
        "silent_after_hours": source.silent_after_hours,
        "silent_since": source.silent_since,
        "former": _former_row(source.former),
        "version": source.version,
        "changed_at": source.changed_at,
        "changed_by": source.changed_by,
    }
    await tx.execute(
        tx.insert(sources)
        .values(name=source.name, **values)
        .on_conflict_do_update(index_elements=["name"], set_=values)
    )


async def ensure_source(tx: Transaction, name: str, *, by: str, now: datetime) -> None:
    """Have a row for a source's settings, with every default where there was none."""
    await tx.execute(
        tx.insert(sources)
        .values(name=name, version=0, changed_at=now, changed_by=by)
        .on_conflict_do_nothing(index_elements=["name"])
    )


async def secrets_of(view: Reading, name: str, *, keyring: Keyring) -> list[Secret]:
    """Return a source's secrets, the newest first."""
    sealed = await view.scalar(select(sources.c.sealed_secrets).where(sources.c.name == name))
    return [] if sealed is None else _secrets(sealed, name, keyring)


async def save_secrets(
    tx: Transaction, name: str, secrets: Sequence[Secret], *, keyring: Keyring
) -> None:
    """Write the secrets of a source that has settings, the newest first."""
    plain = json.dumps(
        [
            {
                "id": one.id,
                "value": one.value,
                "made_at": one.made_at.isoformat(),
                "until": one.until and one.until.isoformat(),
            }
            for one in secrets
        ]
    )
    sealed = keyring.seal(_PURPOSE, plain.encode(), context=name) if secrets else None
    await tx.execute(
        update(sources).where(sources.c.name == name).values(sealed_secrets=sealed)
    )


async def configured_sources(view: Reading) -> list[str]:
    """Return the names of the sources that have settings."""
    rows = await view.all(select(sources.c.name).order_by(sources.c.name))
    return [row.name for row in rows]


@dataclass(frozen=True, kw_only=True)
class Watched:
    """A source that somebody wants to be told of when it is silent."""

    name: str
    silent_after_hours: int
    silent_since: datetime | None
    changed_at: datetime
    last_response_at: datetime | None

    @property
    def since(self) -> datetime:
        """Return since when nothing came: since the last response, else since it was set."""
        return self.last_response_at or self.changed_at


async def watched_sources(view: Reading, *, locked: bool = False) -> list[Watched]:
    """Return the sources that may not be silent for ever.

    ``locked`` keeps them from changing, and leaves out those that another worker looks at.
    """
    query = (
        select(
            sources.c.name,
            sources.c.silent_after_hours,
            sources.c.silent_since,
            sources.c.changed_at,
        )
        .where(sources.c.silent_after_hours.is_not(None))
        .order_by(sources.c.name)
    )
    rows = await view.all(query.with_for_update(skip_locked=True) if locked else query)
    return [
        Watched(**row._asdict(), last_response_at=await last_response_at(view, row.name))
        for row in rows
    ]


async def note_silence(tx: Transaction, name: str, *, since: datetime | None) -> None:
    """Write since when a source is silent; None: it delivers."""
    await tx.execute(update(sources).where(sources.c.name == name).values(silent_since=since))


async def namespaces(view: Reading) -> dict[str, str]:
    """Return where customers' ids count, of those sources that do not count for themselves."""
    rows = await view.all(
        select(sources.c.name, sources.c.namespace).where(sources.c.namespace.is_not(None))
    )
    return {row.name: row.namespace for row in rows}


async def posting_sources(view: Reading) -> list[str]:
    """Return the name of every source that a response came from, trials included.

    Goes from one name to the next in the index, however many responses each has.
    """
    first = select(func.min(responses.c.source).label("source")).cte("posting", recursive=True)
    following = (
        select(func.min(responses.c.source))
        .where(responses.c.source > first.c.source)
        .correlate(first)
        .scalar_subquery()
    )
    names = first.union_all(select(following).where(first.c.source.is_not(None)))
    rows = await view.all(select(names.c.source).where(names.c.source.is_not(None)))
    return [row.source for row in rows]


async def last_response_at(view: Reading, source: str) -> datetime | None:
    """Return when a source's latest response was accepted, or None."""
    moment: datetime | None = await view.scalar(
        select(responses.c.received_at)
        .where(responses.c.source == source)
        .order_by(responses.c.id.desc())
        .limit(1)
    )
    return moment


async def accepted_since(view: Reading, source: str, since: datetime) -> int:
    """Return how many responses of a source were accepted from a moment on."""
    number: int = await view.scalar(
        select(func.count())
        .select_from(responses)
        .where(
            responses.c.source == source,
            responses.c.id >= first_id("rsp", since - _SLACK),
            responses.c.received_at >= since,
        )
    )
    return number


def _source(row: Row[Any], keyring: Keyring, now: datetime) -> Source:
    secrets = (
        [] if row.sealed_secrets is None else _secrets(row.sealed_secrets, row.name, keyring)
    )
    return Source(
        name=row.name,
        sender=row.sender,
        mapping=row.mapping,
        namespace=row.namespace,
        silent_after_hours=row.silent_after_hours,
        silent_since=row.silent_since,
        former=_former(row.former),
        secrets=tuple(one.value for one in secrets if one.counts(now)),
        version=row.version,
        changed_at=row.changed_at,
        changed_by=row.changed_by,
    )


def _former_row(former: Former | None) -> dict[str, Any] | None:
    if former is None:
        return None
    return {**asdict(former), "until": former.until.isoformat()}


def _former(row: Mapping[str, Any] | None) -> Former | None:
    if row is None:
        return None
    return Former(**{**row, "until": datetime.fromisoformat(row["until"])})


def _secrets(sealed: bytes, name: str, keyring: Keyring) -> list[Secret]:
    return [
        Secret(
            id=one["id"],
            value=one["value"],
            made_at=datetime.fromisoformat(one["made_at"]),
            until=datetime.fromisoformat(one["until"]) if one["until"] else None,
        )
        for one in json.loads(keyring.open(_PURPOSE, sealed, context=name))
    ]
