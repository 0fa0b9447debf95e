"""How far an import has come, kept in a small file so that an interrupted one goes on.

The file holds numbers and digests, nothing that a customer said. It is written after every
batch that the installation has confirmed and removed when the import is complete.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, Self

from typing_extensions import override

from shared.ids import new_id

_VERSION: Final = 1


@dataclass(kw_only=True)
class Counts:
    """What became of rows."""

    accepted: int = 0
    duplicates: int = 0
    rejected: int = 0
    reasons: dict[str, int] = field(default_factory=dict)

    def reject(self, reason: str) -> None:
        """Count a row that was not taken."""
        self.rejected += 1
        self.reasons[reason] = self.reasons.get(reason, 0) + 1

    def add(self, more: Counts) -> None:
        """Add what became of further rows."""
        self.accepted += more.accepted
        self.duplicates += more.duplicates
        self.rejected += more.rejected
        for reason, n in more.reasons.items():
            self.reasons[reason] = self.reasons.get(reason, 0) + n

    @override
    def __str__(self) -> str:
        return (
            f"{self.accepted} accepted, {self.duplicates} duplicates, {self.rejected} rejected"
        )


@dataclass(kw_only=True)
class State:
    """One import: what it is of, how many rows are behind it, and what became of them."""

    import_id: str
    fingerprint: str
    rows: int = 0
    counts: Counts = field(default_factory=Counts)
    report: str | None = None
    report_size: int = 0

    @classmethod
    def fresh(cls, fingerprint: str) -> Self:
        """Return the state of an import that begins."""
        return cls(import_id=new_id("imp"), fingerprint=fingerprint)


def default_place(file: Path, destination: str) -> Path:
    """Return where the state of importing this file into there is kept."""
    name = sha256(f"{file.resolve()}\0{destination}".encode("utf-8", "surrogateescape"))
    folder = Path.home() / ".local" / "state" / "closed-loop" / "imports"
    return folder / f"{name.hexdigest()[:32]}.json"


def fingerprint_of(*parts: object) -> str:
    """Return a digest of everything that decides what the rows of an import say."""
    return sha256(json.dumps(parts, default=str).encode()).hexdigest()


def load(place: Path) -> State | None:
    """Return the state that is kept there; None if there is none that can be read."""
    try:
        kept: dict[str, Any] = json.loads(place.read_text(encoding="utf-8"))
        if kept.pop("version") != _VERSION:
            return None
        return State(**{**kept, "counts": Counts(**kept["counts"])})
    except (OSError, ValueError, KeyError, TypeError):
        # A state that was never whole is as good as none: posting a row again is safe.
        return None


def save(place: Path, state: State) -> None:
    """Replace the kept state at once; raises ``OSError`` where that is not possible."""
    place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = place.with_name(f"{place.name}.new")
    fresh.write_text(json.dumps({"version": _VERSION, **asdict(state)}), encoding="utf-8")
    fresh.replace(place)


def forget(place: Path) -> None:
    """Remove the state of an import that is complete."""
    place.unlink(missing_ok=True)
