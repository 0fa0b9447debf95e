"""Codes that stand for another one, resolved when they are read.

Responses keep the code that was sent, so that a wrong mapping can be taken back. Nothing stands
for something that itself stands for something else: there are no chains, and so no circles.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

UNKNOWN: Final = "unknown"
"""What stands for a touchpoint, segment, product, channel or reason that a sender left out."""

WhyNot = Literal["itself", "reserved", "unknown_code", "stands_for_another", "others_stand_for"]


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which codes are meant: these, or with ``all_but`` every other one."""

    codes: frozenset[str]
    all_but: bool = False

    def holds(self, code: str) -> bool:
        """Tell whether a code is among those that are meant."""
        return (code in self.codes) is not self.all_but


@dataclass(frozen=True, kw_only=True)
class Aliases:
    """Which codes stand for which others."""

    targets: Mapping[str, str] = field(default_factory=dict)

    def resolve(self, code: str) -> str:
        """Return the code that this one stands for, which may be itself."""
        return self.targets.get(code, code)

    def of(self, code: str) -> frozenset[str]:
        """Return every code that means the same as this one, itself among them."""
        target = self.resolve(code)
        return frozenset({target, *(a for a, t in self.targets.items() if t == target)})

    def every(self, codes: Collection[str]) -> frozenset[str]:
        """Return every code that means the same as one of these."""
        return frozenset().union(*map(self.of, codes))


def why_not_an_alias(
    code: str, target: str, *, aliases: Aliases, described: bool, reserved: Collection[str] = ()
) -> WhyNot | None:
    """Return what keeps ``code`` from standing for ``target``; ``described`` is the target."""
    if code == target:
        return "itself"
    if code in reserved or UNKNOWN in {code, target}:
        return "reserved"
    if target in aliases.targets:
        return "stands_for_another"
    if not described:
        return "unknown_code"
    if code in aliases.targets.values():
        return "others_stand_for"
    return None
