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
from shared.identity.audit_seals import PURPOSE, lines_between, mac_of, mark_of, seal_after
from shared.identity.tables import audit, audit_seals

if TYPE_CHECKING:
    from shared.db.transaction import Reading
    from shared.identity.audit_seals import Seal
    from shared.sealing import Keyring

PRUNED: Final = "audit.pruned"
"""The line that says up to where the trail was let go of."""
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
    pruned_to: int | None = None
    """The last line that was let go of because its time was over."""
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
    start, mac = await _begin(view, keyring)
    proof = Proof(pruned_to=start or None)
    last, heads = await _prove_stretches(view, keyring, proof, start, mac)
    # Whatever was let go of was proved then.
    if head is not None and head not in heads and not _lies_before(head, start):
        proof.found(
            "missing", None, "The seal that was noted as the head is not there any more."
        )
    proof.unsealed = int(
        await view.scalar(select(func.count()).select_from(audit).where(audit.c.n > last))
    )
    stray = select(audit.c.n).where(audit.c.n <= start).order_by(audit.c.n).limit(MOST_NAMED)
    for row in await view.all(stray):
        proof.found("added", row.n, f"Line {row.n} lies before the first there can be.")
    for table in (audit, audit_seals):
        for weakness in await weaknesses(view, table.name):
            proof.found("open", None, weakness)
    return proof


async def prove_beginning(view: Reading, keyring: Keyring, *, upto: int) -> Proof:
    """Recount the trail up to the seal that ends with line ``upto``."""
    proof = Proof()
    await _prove_stretches(view, keyring, proof, *await _begin(view, keyring), upto=upto)
    return proof


def proof_of_pruning(keyring: Keyring, to: int, mac: str) -> str:
    """Return what proves that the trail was let go of up to a line and its seal."""
    return keyring.mac(PURPOSE, PRUNED, str(to), mac)


async def _begin(view: Reading, keyring: Keyring) -> tuple[int, str]:
    """Return behind which line the trail begins, and the seal before that."""
    said = select(audit.c.detail).where(audit.c.action == PRUNED).order_by(audit.c.n.desc())
    for row in await view.all(said):
        to, mac = row.detail.get("to"), row.detail.get("seal")
        proof = str(row.detail.get("proof"))
        if (
            isinstance(to, int)
            and isinstance(mac, str)
            and hmac.compare_digest(proof, proof_of_pruning(keyring, to, mac))
        ):
            return to, mac
    return 0, ""


async def _prove_stretches(
    view: Reading,
    keyring: Keyring,
    proof: Proof,
    last: int,
    mac: str,
    *,
    upto: int | None = None,
) -> tuple[int, set[str]]:
    """Compare seal by seal; return the last sealed line, and every head on the way."""
    heads = {f"{last}:{mac}"} if last else set()
    while (seal := await seal_after(view, last)) is not None:
        if upto is not None and seal.to_n > upto:
            break
        if seal.from_n != last + 1:
            proof.found(
                "seal", None, f"The seal of lines {last + 1} to {seal.from_n - 1} is missing."
            )
        await _prove_stretch(view, keyring, seal, mac, proof)
        last, mac = seal.to_n, seal.mac
        proof.seals += 1
        proof.head = f"{last}:{mac}"
        heads.add(proof.head)
    return last, heads


def _lies_before(head: str, start: int) -> bool:
    n = head.partition(":")[0]
    return n.isdecimal() and int(n) < start


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
