"""``closed-loop backup`` and ``closed-loop restore``: a copy beside whoever serves, and back.

A backup is a folder that is there as a whole or not at all. Beside it, not in it, lie the keys
of persons, of which only the newest file is to be kept: whoever was forgotten since stays
forgotten when an older backup is restored.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import make_url, select

from services.beside import vault_beside
from services.commands.output import data_json, say
from services.composition import doubt_what_waits
from shared.clock import SystemClock
from shared.db import copies, schema
from shared.db.engine import Engines, is_held
from shared.db.transaction import Database
from shared.errors import Conflict, Forbidden, Invalid, Misconfigured, NotFound
from shared.faults import fault_point
from shared.identity import audit
from shared.identity.key_file import KeyFile, load_keys, read_head, write_keys
from shared.identity.person_requests import open_request
from shared.identity.secret import begin_restore, check_of, end_restore, require_kept
from shared.identity.tables import person_keys
from shared.logs import set_up
from shared.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from shared.db.transaction import Transaction
    from shared.sealing import Keyring

KEYS: Final = "person-keys.ndjson"
_MANIFEST: Final = "manifest.json"
_FORMAT: Final = 1
_PIECE: Final = 1 << 20
_FORGOTTEN_AT_ONCE: Final = 500


@dataclass(frozen=True, kw_only=True)
class _Manifest:
    """What a backup says of itself."""

    made_at: datetime
    schema: str
    database: str
    file: str
    sha256: str
    check: str
    program: str

    @classmethod
    def read(cls, text: str) -> _Manifest | None:
        """Return what was written, None for what is no manifest of this format."""
        try:
            said = json.loads(text)
            if said.pop("format") == _FORMAT:
                return cls(**{**said, "made_at": datetime.fromisoformat(said["made_at"])})
        except (ValueError, KeyError, TypeError, AttributeError):
            return None
        return None

    def written(self) -> dict[str, Any]:
        return {"format": _FORMAT, **self.__dict__, "made_at": self.made_at.isoformat()}


@dataclass(frozen=True, kw_only=True)
class _Restoration:
    """What is to be put back where."""

    settings: Settings
    file: Path
    manifest: _Manifest
    keys: KeyFile
    keyring: Keyring
    replace: bool


async def back_up(folder: Path, *, keys: Path | None, as_json: bool) -> int:
    """Write a backup into a folder that is not there yet, and the keys beside it."""
    keys = keys or folder.parent / KEYS
    settings = Settings.load()
    set_up(form=settings.log_format, level="error")
    begun = _begin(folder)
    async with vault_beside(settings) as vault:
        made_at = vault.clock.now()
        file = await copies.copy_out(settings.database_url, begun)
        fault_point("backup.copied")
        manifest = _Manifest(
            made_at=made_at,
            schema=schema.head(),
            database=copies.kind_of(settings.database_url),
            file=file.name,
            sha256=_digest(file),
            check=check_of(vault.keyring),
            program=version("closed-loop"),
        )
        _write(begun / _MANIFEST, manifest.written())
        # After the data: it may know more persons than they, never fewer.
        async with vault.database.reading() as view:
            persons = await write_keys(view, keys, check=manifest.check, now=vault.clock.now())
        fault_point("backup.keys_written")
        _sync(begun, file)
        begun.rename(folder)
        _sync(folder.parent)
        async with vault.database.transaction() as tx:
            detail = {"schema": manifest.schema, "persons": persons}
            await audit.record(
                tx, audit.SYSTEM, "installation.backed-up", "installation", detail, now=made_at
            )
    size = (folder / manifest.file).stat().st_size
    if as_json:
        data_json(
            {
                "folder": str(folder),
                "keys": str(keys),
                "bytes": size,
                "persons": persons,
                "schema": manifest.schema,
                "made_at": manifest.made_at.isoformat(),
            }
        )
        return 0
    say(f"{folder}: {size:,} bytes, schema {manifest.schema}")
    say(
        f"{keys}: the keys of {persons:,} persons. Keep only the newest file of keys, apart"
        " from the backups, and the secret apart from both: none is of use alone."
    )
    return 0


def _begin(folder: Path) -> Path:
    """Return where the backup grows until it is whole."""
    if folder.exists():
        message = f"{folder} is there already. Name a folder that is not: it is made."
        raise Conflict(message)
    begun = folder.with_name(f".{folder.name}.unfinished")
    shutil.rmtree(begun, ignore_errors=True)  # of one that was interrupted
    begun.mkdir(mode=0o700, parents=True)
    return begun


async def restore(
    folder: Path,
    *,
    keys: Path | None,
    replace: bool,
    sure: Callable[[str], bool],
    as_json: bool,
) -> int:
    """Put a backup in the place of an empty database, or with ``replace`` of any."""
    manifest = _read(folder)
    head = read_head(keys or folder.parent / KEYS)
    if head.check != manifest.check:
        message = f"{head.path} belongs to another installation than {folder}."
        raise Invalid(message)
    if head.made_at < manifest.made_at:
        message = (
            f"{head.path} is older than the backup: customers who came in between could not be"
            " read any more. Give the newest file of keys: --keys FILE"
        )
        raise Invalid(message)
    settings = Settings.load()
    set_up(form=settings.log_format, level="error")
    kind = copies.kind_of(settings.database_url)
    if kind != manifest.database:
        message = (
            f"This is a backup of {manifest.database}, and CLOSED_LOOP_DATABASE_URL names"
            f" {kind}. Restore it into a {manifest.database} database."
        )
        raise Invalid(message)
    keyring = require_kept(settings, manifest.check)
    if replace and not sure(f"Replace what is in the database by {folder}?"):
        message = "Nothing was restored. Add --yes to restore without being asked."
        raise Forbidden(message)
    fill = _fill_sqlite if kind == "sqlite" else _fill_postgres
    persons, erasures = await fill(
        _Restoration(
            settings=settings,
            file=folder / manifest.file,
            manifest=manifest,
            keys=head,
            keyring=keyring,
            replace=replace,
        )
    )
    if as_json:
        data_json(
            {
                "made_at": manifest.made_at.isoformat(),
                "persons": persons,
                "erased_again": erasures,
                "schema": schema.head(),
            }
        )
        return 0
    say(
        f"Restored as of {manifest.made_at:%Y-%m-%d %H:%M} UTC: {persons:,} persons,"
        f" {erasures:,} forgotten since. Mails and calls that waited then may have been sent"
        " since; they are marked as possible repetitions."
    )
    if kind == "postgresql":
        say("Give the roles their rights again: closed-loop migrate --grant …")
    say("Next: closed-loop serve")
    return 0


async def _fill_sqlite(given: _Restoration) -> tuple[int, int]:
    """Make the new file beside the old one, whole, then put it in its place."""
    path = given.settings.sqlite_path
    assert path is not None  # noqa: S101 - the URL was looked at
    if is_held(path):
        message = f"A process uses {path}. Stop it, then restore."
        raise Conflict(message)
    if path.exists() and not given.replace:
        message = (
            f"There is a database at {path}. Add --replace to put the backup in its place; the"
            " old one is kept beside it."
        )
        raise Conflict(message)
    fresh = path.with_name(f"{path.name}.restoring")
    for left in _with_logs(fresh):
        left.unlink(missing_ok=True)
    url = make_url(given.settings.database_url).set(database=str(fresh))
    fresh_url = url.render_as_string(hide_password=False)
    await copies.put_back(given.file, fresh_url)
    engines = Engines.open(fresh_url)
    try:
        await schema.upgrade(engines)
        done = await _finish(given, Database(engines))
    finally:
        await engines.close()
    fault_point("restore.filled")
    stamp = SystemClock().now().strftime("%Y%m%d-%H%M%S")
    for old in _with_logs(path):
        if old.exists() and not old.name.endswith(".lock"):
            old.rename(old.with_name(f"{old.name}.before-{stamp}"))
    _sync(path.parent, fresh)
    fresh.rename(path)
    _sync(path.parent)
    for left in _with_logs(fresh):
        left.unlink(missing_ok=True)
    return done


def _with_logs(path: Path) -> list[Path]:
    return [path.with_name(f"{path.name}{end}") for end in ("", "-wal", "-shm", ".lock")]


async def _fill_postgres(given: _Restoration) -> tuple[int, int]:
    """Fill the empty database; nobody starts on it before the keys are there."""
    engines = Engines.open(given.settings.database_url, patient=True)
    try:
        if await copies.tables_in(engines):
            if not given.replace:
                message = (
                    "This database is not empty. Restore into an empty one, or add --replace to"
                    " drop what is in it; stop every process first."
                )
                raise Conflict(message)
            await copies.clear(engines)
        await copies.put_back(given.file, given.settings.database_url)
        fault_point("restore.filled")
        database = Database(engines)
        async with database.transaction() as tx:
            await begin_restore(tx, SystemClock().now())
        await copies.set_version(engines, given.manifest.schema)
        await schema.upgrade(engines)
        return await _finish(given, database)
    finally:
        await engines.close()


async def _finish(given: _Restoration, database: Database) -> tuple[int, int]:
    """Bring the keys, forget again whom the copy still knew, and doubt what waited."""
    now = SystemClock().now()
    async with database.transaction() as tx:
        persons = await load_keys(tx, given.keys.path)
        erased = await _forgotten_since(tx, given.manifest.made_at)
        for begin in range(0, len(erased), _FORGOTTEN_AT_ONCE):
            await open_request(
                tx,
                "erasure",
                keyring=given.keyring,
                asked_by=audit.SYSTEM.id,
                now=now,
                found_by="restore",
                found=erased[begin : begin + _FORGOTTEN_AT_ONCE],
            )
        doubtful = await doubt_what_waits(tx)
        detail = {
            "made_at": given.manifest.made_at.isoformat(),
            "persons": persons,
            "erased_again": len(erased),
            "doubtful": doubtful,
        }
        await audit.record(
            tx, audit.SYSTEM, "installation.restored", "installation", detail, now=now
        )
        await end_restore(tx)
    return persons, len(erased)


async def _forgotten_since(tx: Transaction, made_at: datetime) -> list[str]:
    # A day more: clocks differ, and to be forgotten twice harms nobody.
    rows = await tx.all(
        select(person_keys.c.ref)
        .where(person_keys.c.erased_at >= made_at - timedelta(days=1))
        .order_by(person_keys.c.ref)
    )
    return [row.ref for row in rows]


def _read(folder: Path) -> _Manifest:
    """Return what a backup says of itself, if it is whole and not of a newer program."""
    path = folder / _MANIFEST
    if not path.exists():
        message = f"{folder} is no backup: there is no {_MANIFEST} in it."
        raise NotFound(message)
    manifest = _Manifest.read(path.read_text(encoding="utf-8"))
    if manifest is None:
        message = f"{path} is none that this version can read."
        raise Invalid(message)
    if not schema.is_known(manifest.schema):
        message = (
            f"This backup is of schema {manifest.schema}, made by version {manifest.program};"
            f" this program knows schemas up to {schema.head()}. Install that version or a"
            " newer one, then restore."
        )
        raise Misconfigured(message)
    file = folder / manifest.file
    if not file.exists() or _digest(file) != manifest.sha256:
        message = f"{file} is not what was written: its checksum differs. Take another backup."
        raise Invalid(message)
    return manifest


def _digest(path: Path) -> str:
    digest = sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()


def _write(path: Path, document: dict[str, Any]) -> None:
    path.touch(mode=0o600)
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    _sync(path)


def _sync(*paths: Path) -> None:
    for path in paths:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
