"""Segments, products and contact reasons in and out of the database."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, case, or_, select, update

from services.loop.journey.domain import KINDS, Aliases, Code, ListKind
from services.loop.journey.tables import codes
from shared.db.base import among
from shared.db.transaction import Reading, Transaction

_COLUMNS = (
    "kind",
    "code",
    "labels",
    "alias_of",
    "described",
    "retired_at",
    "first_seen_at",
    "version",
)


@dataclass(frozen=True, kw_only=True)
class CodeFilter:
    """Which codes are wanted; a member that is None does not narrow."""

    kind: ListKind
    mapped: bool | None = None
    text: str = ""
    """A part of the code."""


async def note_codes(
    tx: Transaction, named: Collection[tuple[ListKind, str]], *, now: datetime
) -> None:
    """Note the codes that are new; somebody else may note them at the same moment."""
    if not named:
        return
    wanted = sorted({code for _, code in named})
    rows = await tx.all(
        select(codes.c.kind, codes.c.code).where(among(codes.c.code, wanted, tx.dialect))
    )
    # In one order everywhere, so that two workers never wait for each other.
    if fresh := sorted(set(named) - {(row.kind, row.code) for row in rows}):
        await tx.execute(
            tx.insert(codes).on_conflict_do_nothing(index_elements=["kind", "code"]),
            [
                {
                    "kind": kind,
                    "code": code,
                    "labels": {},
                    "described": False,
                    "first_seen_at": now,
                    "version": 1,
                }
                for kind, code in fresh
            ],
        )


async def add_code(tx: Transaction, code: Code) -> bool:
    """Add a code; False when it is there."""
    result = await tx.execute(
        tx.insert(codes)
        .values(**_row(code))
        .on_conflict_do_nothing(index_elements=["kind", "code"])
    )
    return result.rowcount == 1


async def save_code(tx: Transaction, code: Code) -> bool:
    """Write a changed code; False when somebody changed it meanwhile."""
    result = await tx.execute(
        update(codes)
        .where(
            codes.c.kind == code.kind,
            codes.c.code == code.code,
            codes.c.version == code.version - 1,
        )
        .values(**_row(code))
    )
    return result.rowcount == 1


async def lock_codes(tx: Transaction, kind: ListKind, wanted: Collection[str]) -> None:
    """Let nobody else change these codes until the end of the transaction."""
    await tx.all(
        select(codes.c.code)
        .where(codes.c.kind == kind, among(codes.c.code, sorted(wanted), tx.dialect))
        .order_by(codes.c.code)
        .with_for_update()
    )


async def find_code(view: Reading, kind: ListKind, code: str) -> Code | None:
    """Return one code, or None."""
    row = await view.first(select(codes).where(codes.c.kind == kind, codes.c.code == code))
    return None if row is None else _code(row)


async def page_of_codes(
    view: Reading,
    wanted: CodeFilter,
    *,
    after: Sequence[Any] | None,
    most: int,
    todo_first: bool = False,
) -> Sequence[Code]:
    """Return up to ``most`` codes behind ``after``: a code, or a rank and a code.

    With ``todo_first`` those that nobody has described come before the others.
    """
    statement = select(codes).where(*_conditions(wanted)).limit(most)
    if todo_first:
        rank = case((_unmapped(), 0), else_=1)
        statement = statement.order_by(rank, codes.c.code)
        if after is not None:
            statement = statement.where(
                or_(rank > after[0], and_(rank == after[0], codes.c.code > after[1]))
            )
    else:
        statement = statement.order_by(codes.c.code)
        if after is not None:
            statement = statement.where(codes.c.code > after[0])
    return [_code(row) for row in await view.all(statement)]


async def mapped_codes(view: Reading, kind: ListKind) -> Sequence[Code]:
    """Return every code of a list of which somebody has said what it means."""
    rows = await view.all(
        select(codes).where(codes.c.kind == kind, ~_unmapped()).order_by(codes.c.code)
    )
    return [_code(row) for row in rows]


async def list_aliases(view: Reading, kind: ListKind) -> Aliases:
    """Return which codes of a list stand for which others."""
    rows = await view.all(
        select(codes.c.code, codes.c.alias_of).where(
            codes.c.kind == kind, codes.c.alias_of.is_not(None)
        )
    )
    return Aliases(targets={row.code: row.alias_of for row in rows})


async def all_list_aliases(view: Reading) -> Mapping[str, Aliases]:
    """Return which codes stand for which others, for every list by its kind."""
    found: dict[str, dict[str, str]] = {kind: {} for kind in KINDS}
    for row in await view.all(
        select(codes.c.kind, codes.c.code, codes.c.alias_of).where(
            codes.c.alias_of.is_not(None)
        )
    ):
        found[row.kind][row.code] = row.alias_of
    return {kind: Aliases(targets=targets) for kind, targets in found.items()}


def _unmapped() -> ColumnElement[bool]:
    return and_(
        codes.c.described.is_(False),
        codes.c.alias_of.is_(None),
        codes.c.retired_at.is_(None),
    )


def _conditions(wanted: CodeFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = [codes.c.kind == wanted.kind]
    if wanted.mapped is not None:
        found.append(~_unmapped() if wanted.mapped else _unmapped())
    if wanted.text:
        found.append(codes.c.code.icontains(wanted.text, autoescape=True))
    return found


def _code(row: Row[Any]) -> Code:
    return Code(**{name: getattr(row, name) for name in _COLUMNS})


def _row(code: Code) -> dict[str, Any]:
    return {name: getattr(code, name) for name in _COLUMNS} | {"labels": dict(code.labels)}
