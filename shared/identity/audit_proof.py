"""Whether the audit trail is whole: every line as it was sealed, none missing, none put in.

What cannot be proved is said line by line, and so is what would let somebody change the trail:
a trigger that is gone, a right that was granted.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from sqlalchemy import func, select

from shared.db.append_only import weaknesses
from shared.identity.audit_seals import lines_between, mac_of, mark_of, seal_after
from shared.identity.tables import audit, audit_seals

if TYPE_CHECKING:
    from shared.db.transaction import Reading
    from shared.identity.audit_seals import Seal
    from shared.sealing import Keyring

MOST_NAMED: Final = 1_000
"""So many findings are named one by one; of a trail in ruins that is enough."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is wrong: ``changed``, ``missing``, ``added``, ``seal``, ``open``."""

    what: str
    line: int | None
    detail: str


@dataclass(kw_only=True)
class Proof:
    """What was counted and found; whole when nothing was found."""

    sealed: int = 0
    """Lines that are as they were when they were sealed."""
    unsealed: int = 0
    """Lines that are too young to be sealed."""
    seals: int = 0
    head: str | None = None
    """Where the sealed trail ends; kept elsewhere it shows later whether the end is gone."""
    findings: list[Finding] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        """Tell whether nothing was found."""
        return not self.findings

    def found(self, what: str, line: int | None, detail: str) -> None:
        """Note what is wrong."""
        if len(self.findings) < MOST_NAMED:
            self.findings.append(Finding(what=what, line=line, detail=detail))


async def prove(view: Reading, keyring: Keyring, *, head: str | None = None) -> Proof:
    """Recount the whole trail; ``head`` is where it ended at some time before."""
    proof = Proof()
    last, mac = 0, ""
    head_is_there = head is None
    while (seal := await seal_after(view, last)) is not None:
        if seal.from_n != last + 1:
            proof.found(
                "seal", None, f"The seal of lines {last + 1} to {seal.from_n - 1} is missing."
            )
        await _prove_stretch(view, keyring, seal, mac, proof)
        last, mac = seal.to_n, seal.mac
        proof.seals += 1
        proof.head = f"{last}:{mac}"
        head_is_there = head_is_there or hmac.compare_digest(proof.head, head or "")
    if not head_is_there:
        proof.found(
            "missing", None, "The seal that was noted as the head is not there any more."
        )
    proof.unsealed = int(
        await view.scalar(select(func.count()).select_from(audit).where(audit.c.n > last))
    )
    for row in await view.all(select(audit.c.n).where(audit.c.n < 1).order_by(audit.c.n)):
        proof.found("added", row.n, f"Line {row.n} lies before the first there can be.")
    for table in (audit, audit_seals):
        for weakness in await weaknesses(view, table.name):
            proof.found("open", None, weakness)
    return proof


async def _prove_stretch(
    view: Reading, keyring: Keyring, seal: Seal, before: str, proof: Proof
) -> None:
    """Compare the lines of one seal with their marks."""
    if not hmac.compare_digest(seal.mac, mac_of(keyring, seal, before)):
        proof.found(
            "seal", None, f"The seal of lines {seal.from_n} to {seal.to_n} is not one of ours."
        )
    marks = seal.marked()
    for line in await lines_between(view, seal.from_n, seal.to_n):
        mark = marks.pop(line.n, None)
        if mark is None:
            proof.found("added", line.n, f"Line {line.n} was put in after the others.")
        elif not hmac.compare_digest(mark, mark_of(keyring, line)):
            proof.found("changed", line.n, f"Line {line.n} says something else than it did.")
        else:
            proof.sealed += 1
    for n in sorted(marks):
        proof.found("missing", n, f"Line {n} is gone.")
