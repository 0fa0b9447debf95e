"""The installation's secret: where it comes from, and whether it is still the same one.

With SQLite and the embedded bus a secret is made once and kept beside the database, readable
by its owner only. Everywhere else several processes must know it, so it has to be given.
"""

from __future__ import annotations

import hmac
import json
import os
import stat
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Final

from pydantic import SecretStr

from shared.errors import Misconfigured
from shared.identity import audit
from shared.identity.facts import begin, drop, fact, keep
from shared.ids import new_token
from shared.sealing import LASTING, Keyring

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from shared.db.transaction import Reading, Transaction
    from shared.settings import Settings

_CHECK: Final = "secret-check"
_FORMER: Final = "former-secret-check"
_LASTING: Final = "lasting-keys"
_RESTORING: Final = "restore-unfinished"


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


async def verify_secret(
    tx: Transaction, keyring: Keyring, now: datetime, *, adopt: bool = True
) -> None:
    """Compare the secret with the one this database was begun with; remember a new one.

    While the secret is being replaced (``CLOSED_LOOP_SECRET_PREVIOUS``) either one fits, and
    the new one is remembered; until everything is sealed under it the former one must be
    given too. The keyring receives the keys that outlive the secret. Raises ``Misconfigured``
    otherwise. What works beside a running installation does not ``adopt``: whoever serves
    would not be able to read what it writes.
    """
    if await fact(tx, _RESTORING) is not None:
        raise Misconfigured(
            "A restore was begun here and not finished: the customers' keys are missing. Run"
            " the same “closed-loop restore … --replace” again."
        )
    checks = keyring.macs(_CHECK, "installation")
    await begin(tx, _CHECK, checks[0], now)
    stored = (await fact(tx, _CHECK)) or ""
    place = next((n for n, one in enumerate(checks) if hmac.compare_digest(one, stored)), None)
    if place is None:
        raise Misconfigured(
            "CLOSED_LOOP_SECRET is not the secret this database was begun with: nothing that is"
            " sealed in it would open. Set the former one, or set it as"
            " CLOSED_LOOP_SECRET_PREVIOUS to replace it."
        )
    if place and not adopt:
        raise Misconfigured(
            "Whoever serves does not know the new CLOSED_LOOP_SECRET yet. Start that with the"
            " new secret and CLOSED_LOOP_SECRET_PREVIOUS first; then run this again."
        )
    await _require_former(tx, checks)
    if place:
        await keep(tx, _CHECK, checks[0], now)
        await keep(tx, _FORMER, stored, now)
        await audit.record(tx, audit.SYSTEM, "secret.replaced", "installation", now=now)
    await _open_lasting(tx, keyring, began_with=place, now=now)


def check_of(keyring: Keyring) -> str:
    """Return what tells this secret from others without telling it."""
    return keyring.mac(_CHECK, "installation")


def require_kept(settings: Settings, check: str) -> Keyring:
    """Return the keyring of what was backed up; raise ``Misconfigured`` for another secret.

    A backup holds no secret, and none is made up here: nothing would open.
    """
    path = settings.sqlite_path
    if settings.secret is None and path is not None and not _beside(path).exists():
        raise Misconfigured(
            "A backup does not hold the installation's secret. Put the file that was kept apart"
            f" to {_beside(path)} (mode 0600), or set CLOSED_LOOP_SECRET, and run this again."
        )
    keyring = load_secret(settings)
    if not any(hmac.compare_digest(check, one) for one in keyring.macs(_CHECK, "installation")):
        raise Misconfigured(
            "This backup was made under another secret: nothing in it would open. Set the"
            " CLOSED_LOOP_SECRET of that time, and today's one afterwards with"
            " CLOSED_LOOP_SECRET_PREVIOUS."
        )
    return keyring


async def begin_restore(tx: Transaction, now: datetime) -> None:
    """Keep everybody from starting on what is not whole yet."""
    await keep(tx, _RESTORING, "yes", now)


async def end_restore(tx: Transaction) -> None:
    """Let whoever wants start."""
    await drop(tx, _RESTORING)


async def is_being_replaced(view: Reading) -> bool:
    """Tell whether something may still be sealed under the former secret."""
    return await fact(view, _FORMER) is not None


async def forget_former(tx: Transaction) -> None:
    """Note that nothing is sealed under the former secret any more."""
    await drop(tx, _FORMER)


async def _require_former(tx: Transaction, checks: Sequence[str]) -> None:
    """Raise ``Misconfigured`` where what is still under a former secret would not open."""
    former = await fact(tx, _FORMER)
    if former is None or any(hmac.compare_digest(former, check) for check in checks):
        return
    raise Misconfigured(
        "Something is still sealed under the former secret. Set that one as"
        " CLOSED_LOOP_SECRET_PREVIOUS and run “closed-loop secret rewrap”, which says when it"
        " may go."
    )


async def _open_lasting(
    tx: Transaction, keyring: Keyring, *, began_with: int, now: datetime
) -> None:
    """Give the keyring the keys that outlive the secret, wrapped under the one of today.

    Where there are none yet they are what the secret derives: what was made before keeps its
    digests.
    """
    keyring.use_lasting({})
    derived = {purpose: keyring.subkeys(purpose)[began_with] for purpose in LASTING}
    await begin(tx, _LASTING, _wrapped(keyring, derived), now)
    # Locked: another process may start at this moment under the other secret.
    sealed = b64decode(await fact(tx, _LASTING, locked=True) or "")
    plain = keyring.open(_LASTING, sealed, context=_LASTING)
    known = {purpose: b64decode(key) for purpose, key in json.loads(plain).items()}
    keys = derived | known
    if keys != known or keyring.rewrap(_LASTING, sealed, context=_LASTING) is not None:
        await keep(tx, _LASTING, _wrapped(keyring, keys), now)
    keyring.use_lasting(keys)


def _wrapped(keyring: Keyring, keys: Mapping[str, bytes]) -> str:
    plain = {purpose: b64encode(keys[purpose]).decode() for purpose in sorted(keys)}
    sealed = keyring.seal(_LASTING, json.dumps(plain).encode(), context=_LASTING)
    return b64encode(sealed).decode()


def _beside(database: Path) -> Path:
    return database.with_name(f"{database.name}.secret")


def _kept_beside(database: Path) -> str:
    """Return the secret beside the database, making it if it is the first time."""
    path = _beside(database)
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
