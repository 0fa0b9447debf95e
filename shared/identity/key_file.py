"""The keys of persons as a file of their own, which goes with every copy of the data.

Only the newest one is to be kept: with it an older copy opens for everybody but those who were
forgotten since. The keys in it are wrapped under the installation's secret, as in the database.
"""

from __future__ import annotations

import json
import os
from base64 import b64decode, b64encode
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import insert, select

from shared.errors import Invalid
from shared.identity.tables import person_keys

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from shared.db.transaction import Reading, Transaction

_FORMAT: Final = 1
_AT_ONCE: Final = 2_000


@dataclass(frozen=True, kw_only=True)
class KeyFile:
    """What a file of keys says of itself."""

    path: Path
    made_at: datetime
    check: str
    """The check value of the secret that its keys are wrapped under."""


async def write_keys(view: Reading, path: Path, *, check: str, now: datetime) -> int:
    """Write all keys, and who was forgotten, in the place of an older file; return how many."""
    fresh = path.with_name(f".{path.name}.new")
    digest, count, last = sha256(), 0, ""
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as file:

        def write(document: dict[str, Any]) -> None:
            line = json.dumps(document, separators=(",", ":")).encode() + b"\n"
            digest.update(line)
            file.write(line)

        write({"format": _FORMAT, "made_at": now.isoformat(), "check": check})
        while rows := await view.all(
            select(person_keys)
            .where(person_keys.c.ref > last)
            .order_by(person_keys.c.ref)
            .limit(_AT_ONCE)
        ):
            for row in rows:
                write(_written(row._mapping))  # noqa: SLF001 - how SQLAlchemy calls it
            count, last = count + len(rows), rows[-1].ref
        sealed = digest.hexdigest()
        write({"end": count, "sha256": sealed})
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    return count


def read_head(path: Path) -> KeyFile:
    """Return what the file says of itself once it was read to its end; raise ``Invalid``."""
    head = None
    for document in _documents(path):
        head = head or document
    if head is None or head.get("format") != _FORMAT:
        raise Invalid(f"{path} is not a file of keys that this version knows.")
    return KeyFile(
        path=path, made_at=datetime.fromisoformat(head["made_at"]), check=head["check"]
    )


async def load_keys(tx: Transaction, path: Path) -> int:
    """Fill the table of keys from a file that was read before; return how many rows."""
    batch: list[dict[str, Any]] = []
    count = 0
    for document in _documents(path):
        if "ref" not in document:
            continue
        batch.append(_read(document))
        count += 1
        if len(batch) == _AT_ONCE:
            await tx.execute(insert(person_keys), batch)
            batch = []
    if batch:
        await tx.execute(insert(person_keys), batch)
    return count


def _documents(path: Path) -> Iterator[dict[str, Any]]:
    """Return the lines of the file; raise ``Invalid`` where it is cut off or was changed."""
    digest, count, ended = sha256(), 0, False
    with path.open("rb") as file:
        for line in file:
            try:
                document: dict[str, Any] = json.loads(line)
            except ValueError:
                break
            if "end" in document:
                ended = document == {"end": count, "sha256": digest.hexdigest()}
                break
            digest.update(line)
            count += "ref" in document
            yield document
    if not ended:
        raise Invalid(f"{path} is cut off or was changed. Take the copy of it that is whole.")


def _written(row: Any) -> dict[str, Any]:  # noqa: ANN401 - a row's mapping
    return {
        "ref": row["ref"],
        "key": row["wrapped_key"] and b64encode(row["wrapped_key"]).decode(),
        "created_at": row["created_at"].isoformat(),
        "erased_at": row["erased_at"] and row["erased_at"].isoformat(),
        "belongs_to": row["belongs_to"],
    }


def _read(document: dict[str, Any]) -> dict[str, Any]:
    erased_at = document["erased_at"]
    return {
        "ref": document["ref"],
        "wrapped_key": document["key"] and b64decode(document["key"]),
        "created_at": datetime.fromisoformat(document["created_at"]),
        "erased_at": erased_at and datetime.fromisoformat(erased_at),
        "belongs_to": document["belongs_to"],
    }
