"""The installation's secret: where it comes from, and whether it is still the same one.

With SQLite and the embedded bus a secret is made once and kept beside the database, readable
by its owner only. Everywhere else several processes must know it, so it has to be given.
"""

from __future__ import annotations

import hmac
import os
import stat
from typing import TYPE_CHECKING

from pydantic import SecretStr
from sqlalchemy import select, update

from shared.errors import Misconfigured
from shared.identity.tables import installation
from shared.ids import new_token
from shared.sealing import Keyring

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from shared.db.transaction import Transaction
    from shared.settings import Settings

_CHECK = "secret-check"


def load_secret(settings: Settings) -> Keyring:
    """Return the keyring; make and keep a secret where none is given and none is needed.

    Raises ``Misconfigured`` with the remedy.
    """
    previous = _plain(settings.secret_previous)
    given = _plain(settings.secret)
    if given is not None:
        return Keyring(given, previous)
    path = settings.sqlite_path
    if path is None or not settings.is_embedded_bus:
        raise Misconfigured(
            "CLOSED_LOOP_SECRET is not set. With PostgreSQL or Kafka every process needs the"
            " same secret: make one with “openssl rand -base64 48” and set it everywhere."
        )
    return Keyring(_kept_beside(path), previous)


async def verify_secret(tx: Transaction, keyring: Keyring, now: datetime) -> None:
    """Compare the secret with the one this database was begun with; remember a new one.

    While the secret is being replaced (``CLOSED_LOOP_SECRET_PREVIOUS``) either one fits, and
    the new one is remembered. Raises ``Misconfigured`` otherwise.
    """
    current = keyring.mac(_CHECK, "installation")
    await tx.execute(
        tx.insert(installation)
        .values(name=_CHECK, value=current, changed_at=now)
        .on_conflict_do_nothing()
    )
    stored = await tx.scalar(select(installation.c.value).where(installation.c.name == _CHECK))
    if hmac.compare_digest(stored, current):
        return
    if any(hmac.compare_digest(stored, value) for value in _checks(keyring)):
        await tx.execute(
            update(installation)
            .where(installation.c.name == _CHECK)
            .values(value=current, changed_at=now)
        )
        return
    raise Misconfigured(
        "CLOSED_LOOP_SECRET is not the secret this database was begun with: nothing that is"
        " sealed in it would open. Set the former one, or set it as"
        " CLOSED_LOOP_SECRET_PREVIOUS to replace it."
    )


def _checks(keyring: Keyring) -> tuple[str, ...]:
    """Return the check values of every secret the keyring knows."""
    return tuple(
        hmac.new(key, b"installation", "sha256").hexdigest() for key in keyring.subkeys(_CHECK)
    )


def _kept_beside(database: Path) -> str:
    """Return the secret beside the database, making it if it is the first time."""
    path = database.with_name(f"{database.name}.secret")
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = new_token(48)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return _read(path)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(fresh + "\n")
        file.flush()
        os.fsync(file.fileno())
    return fresh


def _read(path: Path) -> str:
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise Misconfigured(
            f"{path.name} can be read by others. Run “chmod 600 {path}”; if somebody may have"
            " read it, replace the secret."
        )
    secret = path.read_text(encoding="utf-8").strip()
    if len(secret) < 32:
        raise Misconfigured(
            f"{path.name} holds no secret. Put back the file that was kept with this database;"
            " if there never was any data, remove both."
        )
    return secret


def _plain(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()
