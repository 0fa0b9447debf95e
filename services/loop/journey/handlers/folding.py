"""What codes mean when they are read: which are one, and who answers for them now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeVar

from services.loop.journey import store
from services.loop.journey.domain import (
    UNKNOWN,
    Aliases,
    OwnerRef,
    Selection,
)
from shared.db.transaction import Reading

Duty = Literal["department", "owner"]
K = TypeVar("K", bound=str)


@dataclass(frozen=True, kw_only=True)
class Folds:
    """Which codes stand for others, and who answers for each touchpoint."""

    aliases: Mapping[str, Aliases]
    responsible: Mapping[str, tuple[OwnerRef | None, str | None]]

    def resolve(self, kind: str, code: str) -> str:
        """Return the code that this one stands for; a kind without a list has no aliases."""
        return self.aliases[kind].resolve(code) if kind in self.aliases else code

    def of(self, kind: str, code: str) -> frozenset[str]:
        """Return every code that means the same as this one, itself among them."""
        return self.aliases[kind].of(code) if kind in self.aliases else frozenset({code})

    def duty(self, duty: Duty, touchpoint: str) -> str:
        """Return the id of the department or owner of a touchpoint, or that it is unknown."""
        owner, department_id = self.responsible.get(touchpoint, (None, None))
        found = department_id if duty == "department" else owner and owner.id
        return found or UNKNOWN

    def touchpoints_of(self, duty: Duty, value: str) -> Selection:
        """Return which touchpoints a department or owner answers for, as codes are sent."""
        aliases = self.aliases["touchpoint"]
        known = {
            code: self.duty(duty, code)
            for code in self.responsible
            if code not in aliases.targets
        }
        if value == UNKNOWN:
            codes = [code for code, found in known.items() if found != UNKNOWN]
        else:
            codes = [code for code, found in known.items() if found == value]
        return Selection(codes=aliases.every(codes), all_but=value == UNKNOWN)


async def folds_of(view: Reading, *, now: datetime) -> Folds:
    """Return what all codes mean now."""
    return Folds(
        aliases=await every_alias(view),
        responsible=await store.responsible_at(view, now),
    )


async def every_alias(view: Reading) -> Mapping[str, Aliases]:
    """Return for touchpoints and for every list which codes stand for others."""
    return {"touchpoint": await store.aliases(view), **await store.all_list_aliases(view)}


async def meant_by(view: Reading, of: Mapping[K, str]) -> dict[K, frozenset[str]]:
    """Return for each filter every code that means the same as the one asked for.

    Filters are named after what they narrow: a touchpoint, a segment, a product, a reason.
    """
    if not of:
        return {}
    aliases = await every_alias(view)
    return {kind: aliases[kind].of(code) for kind, code in of.items()}
