"""Settings of sources, found and changed, and the secrets that check their signatures."""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from services.ingest import store
from services.ingest.domain.mappings import HookMapping, compile_mapping
from services.ingest.domain.reading import tidy
from services.ingest.domain.sources import TEST, Former, Source, is_test
from services.ingest.senders import ready_mapping, ready_senders
from services.ingest.store import Kept, Sample, Secret
from shared.errors import Conflict, Finding, Invalid, NotFound, Stale
from shared.identity import audit
from shared.identity.keys import source_name
from shared.ids import new_id

if TYPE_CHECKING:
    from services.ingest.handlers.commands import Ingest
    from shared.clock import Clock
    from shared.db.transaction import Database, Transaction
    from shared.identity.principal import Principal
    from shared.sealing import Keyring

FRESH_FOR: Final = 1.0
"""Seconds for which a look at all namespaces counts."""
MOST_SECRETS: Final = 5
_SETTINGS: Final = ("sender", "mapping", "namespace", "silent_after_hours")


async def source_named(ingest: Ingest, name: str) -> Source:
    """Return the settings of a source as they stand; of a twin for trials, its source's."""
    async with ingest.database.reading() as view:
        return await store.find_source(
            view, name, keyring=ingest.keyring, now=ingest.clock.now()
        )


class Namespaces:
    """Where the customers' ids of each source count, without a read for every response."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._known: dict[str, str] = {}
        self._asked_at: float | None = None
        self._asking = asyncio.Lock()

    async def of(self, source: str) -> str | None:
        """Return a source's namespace; None where it is the source itself."""
        if is_test(source):
            return None  # a trial meets no real customer
        if self._is_old():
            async with self._asking:
                if self._is_old():
                    asked_at = self._clock.monotonic()
                    async with self._database.reading() as view:
                        self._known = await store.namespaces(view)
                    self._asked_at = asked_at
        return self._known.get(source)

    def _is_old(self) -> bool:
        now = self._clock.monotonic()
        return self._asked_at is None or now - self._asked_at >= FRESH_FOR


@dataclass(frozen=True, kw_only=True)
class SourceChange:
    """The settings of a source as they are to be, whole: what is None has its default."""

    sender: str | None = None
    mapping: Mapping[str, Any] | None = None
    namespace: str | None = None
    silent_after_hours: int | None = None


def mapping_of(sender: str | None, mapping: Mapping[str, Any] | None) -> HookMapping | None:
    """Return the mapping that settings ask for; None: whatever recognises the payload.

    Raises ``Invalid``, with pointers into the settings.
    """
    ready = ready_senders()
    if sender is not None and sender not in ready:
        raise Invalid(
            "There is no ready mapping of this name.",
            [
                Finding(
                    pointer="/sender",
                    code="unknown_sender",
                    detail="is none of the ready mappings",
                    fix=f"send one of {', '.join(sorted(ready))}, or leave it out",
                )
            ],
        )
    if mapping is None:
        return None if sender is None else ready_mapping(sender)
    try:
        return compile_mapping(
            mapping if sender is None else {"extends": sender, **mapping}, senders=ready
        )
    except Invalid as error:
        raise Invalid(
            error.detail,
            [replace(one, pointer=f"/mapping{one.pointer}") for one in error.findings],
        ) from None


async def change_source(
    tx: Transaction,
    name: str,
    change: SourceChange,
    *,
    keyring: Keyring,
    expected: int | None,
    by: Principal,
    now: datetime,
) -> Source:
    """Give a source its settings; raise ``Invalid`` for a mapping that is none.

    Raises ``Stale`` where somebody changed them since the version that was expected.
    """
    name = source_name(name, pointer="/name")
    mapping_of(change.sender, change.mapping)
    known = await _locked(tx, name, keyring=keyring, by=by, now=now)
    if expected is not None and expected != known.version:
        raise Stale(
            "Somebody changed this source meanwhile. Read it again and repeat the change.",
            extra={"version": known.version},
        )
    changed = replace(
        known,
        sender=change.sender,
        mapping=change.mapping,
        namespace=_namespace(change.namespace, source=name),
        silent_after_hours=change.silent_after_hours,
        silent_since=known.silent_since if change.silent_after_hours else None,
        version=known.version + 1,
        changed_at=now,
        changed_by=by.id,
    )
    differs = [one for one in _SETTINGS if getattr(changed, one) != getattr(known, one)]
    if differs and known.version:
        settings = {one: getattr(known, one) for one in _SETTINGS}
        changed = replace(changed, former=Former(**settings, until=now))
    await store.save_source(tx, changed)
    detail = {"changed": differs, "version": changed.version}
    await audit.record(tx, by, "source.changed", name[:80], detail, now=now)
    return changed


def _namespace(given: str | None, *, source: str) -> str | None:
    """Return where a source's customers count; None where that is the source itself."""
    if given is None:
        return None
    text = tidy(given)
    if not text or not text.isprintable() or text.endswith(TEST):
        raise Invalid(
            "The namespace cannot be used.",
            [
                Finding(
                    pointer="/namespace",
                    code="not_printable",
                    detail=f"blank, with control characters, or ending with {TEST}",
                    fix="send the name of the source whose customers these are",
                )
            ],
        )
    return None if text == source else text


async def _locked(
    tx: Transaction, name: str, *, keyring: Keyring, by: Principal, now: datetime
) -> Source:
    """Return a source's settings, locked until the commit; there is a row from now on."""
    await store.ensure_source(tx, name, by=by.id, now=now)
    return await store.find_source(tx, name, keyring=keyring, now=now, locked=True)


async def add_secret(
    tx: Transaction,
    name: str,
    *,
    keyring: Keyring,
    value: str | None = None,
    former_until: datetime | None = None,
    by: Principal,
    now: datetime,
) -> Secret:
    """Add a secret that signatures are checked with, made up where none is given.

    The former ones go on until ``former_until``, or until they are deleted.
    """
    name = source_name(name, pointer="/name")
    await _locked(tx, name, keyring=keyring, by=by, now=now)
    former = [
        one for one in await store.secrets_of(tx, name, keyring=keyring) if one.counts(now)
    ]
    if len(former) >= MOST_SECRETS:
        raise Conflict(
            f"A source has at most {MOST_SECRETS} secrets. Delete one that is no longer used.",
            extra={"secrets": len(former)},
        )
    if former_until is not None:
        former = [
            replace(one, until=min(one.until or former_until, former_until)) for one in former
        ]
    secret = Secret(
        id=new_id("sec"), value=_new_secret() if value is None else value, made_at=now
    )
    await store.save_secrets(tx, name, [secret, *former], keyring=keyring)
    await audit.record(tx, by, "source.secret_added", name[:80], {"secret": secret.id}, now=now)
    return secret


async def drop_secret(
    tx: Transaction,
    name: str,
    secret_id: str,
    *,
    keyring: Keyring,
    by: Principal,
    now: datetime,
) -> None:
    """Take no signature any more that was made with this secret."""
    await store.find_source(tx, name, keyring=keyring, now=now, locked=True)
    known = await store.secrets_of(tx, name, keyring=keyring)
    left = [one for one in known if one.id != secret_id]
    if len(left) == len(known):
        raise NotFound("This source has no such secret.")
    await store.save_secrets(tx, name, left, keyring=keyring)
    await audit.record(
        tx, by, "source.secret_deleted", name[:80], {"secret": secret_id}, now=now
    )


def _new_secret() -> str:
    """Return a secret in the form of Standard Webhooks; other schemes take it as it is."""
    return f"whsec_{base64.b64encode(os.urandom(32)).decode()}"


async def open_payload(
    tx: Transaction,
    name: str,
    payload_id: str,
    *,
    keyring: Keyring,
    by: Principal,
    now: datetime,
) -> tuple[Kept, Sample]:
    """Return a sample of what a source or its twin sent, opened; the trail says who looked."""
    found = await store.find_payload(tx, payload_id, keyring=keyring)
    if found is None or found[0].source.removesuffix(TEST) != name:
        raise NotFound("There is no such payload; they are kept for seven days.")
    detail = {"source": found[0].source}
    await audit.record(tx, by, "payload.opened", payload_id, detail, now=now)
    return found
