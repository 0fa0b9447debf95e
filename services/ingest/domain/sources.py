"""A source: a system that posts to us, and how what it sends is to be read.

A source needs no settings: whoever has a key of it may post our own format. Settings say what
else it sends, how it proves that it is it, whose customers' ids it shares, and how long it may
be silent.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

TEST: Final = ":test"
"""What a source's name ends with where a test key posts: nothing of it meets the real ones."""

Outcome = Literal["accepted", "revised", "duplicate", "ignored", "rejected", "refused"]
"""What became of one thing that a source sent.

``rejected`` was read and broke a rule; ``refused`` could not be read or was not let in.
"""


def is_test(source: str) -> bool:
    """Tell whether a source is the twin of one, for trials."""
    return source.endswith(TEST)


@dataclass(frozen=True, kw_only=True)
class Former:
    """The settings that a source had until they were changed last."""

    sender: str | None
    mapping: Mapping[str, Any] | None
    namespace: str | None
    silent_after_hours: int | None
    until: datetime


@dataclass(frozen=True, kw_only=True)
class Source:
    """The settings of one source; every one of them has a default."""

    name: str
    sender: str | None = None
    """The ready mapping that reads its hooks, such as ``typeform``."""
    mapping: Mapping[str, Any] | None = None
    """A mapping of its own; laid over the sender's where both are given."""
    namespace: str | None = None
    """Where its customers' ids count; several sources may share one."""
    silent_after_hours: int | None = None
    silent_since: datetime | None = None
    former: Former | None = None
    """What the last change replaced."""
    secrets: tuple[str, ...] = field(default=(), repr=False)
    """What its signatures are checked with, the newest first; several while one changes."""
    version: int = 0
    changed_at: datetime | None = None
    changed_by: str | None = None


@dataclass(frozen=True, kw_only=True)
class Tally:
    """How often something became of what a source sent on one day (UTC)."""

    outcome: Outcome
    reason: str
    n: int
