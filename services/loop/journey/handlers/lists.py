"""The use cases of segments, products and contact reasons: their names, and what is one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any

from services.loop.journey import store
from services.loop.journey.domain import (
    BANK_REASONS,
    OTHER,
    UNKNOWN,
    Aliases,
    Code,
    ListKind,
    other_reason,
    why_not_an_alias,
)
from services.loop.journey.handlers.refusing import refuse_alias
from services.loop.journey.handlers.touchpoints import answers_among, lately
from services.loop.journey.store import CodeFilter
from shared.db.transaction import Reading, Transaction
from shared.errors import Conflict, Finding, Invalid, NotFound, Stale
from shared.identity import audit
from shared.identity.principal import Principal


async def find_code(view: Reading, kind: ListKind, code: str, *, now: datetime) -> Code:
    """Return one code of a list, or raise ``NotFound``."""
    found = await store.find_code(view, kind, code)
    if found is None:
        raise NotFound(f"There is no {kind} with this code. List them at /v1/{kind}s.")
    return (await _counted(view, kind, [found], now=now))[0]


async def list_codes(
    view: Reading,
    wanted: CodeFilter,
    *,
    now: datetime,
    after: Sequence[Any] | None,
    most: int,
    todo_first: bool = False,
) -> Sequence[Code]:
    """Return up to ``most`` codes of a list with how often they were named lately."""
    found = await store.page_of_codes(
        view, wanted, after=after, most=most, todo_first=todo_first
    )
    return await _counted(view, wanted.kind, found, now=now)


async def names_of(view: Reading, kind: ListKind, language: str) -> Mapping[str, str]:
    """Return what codes are called in a language; a code that stands for another as that."""
    known = {code.code: code for code in await store.mapped_codes(view, kind)}
    names = {}
    for code in known.values():
        meant = known.get(code.alias_of, code) if code.alias_of else code
        names[code.code] = meant.name_in(language)
    return names


async def add_code(tx: Transaction, new: Code, *, by: Principal, now: datetime) -> Code:
    """Describe a code, whether responses have named it already or not.

    One that was retired is offered again; one that is described is a ``Conflict``.
    """
    if new.code == UNKNOWN:
        raise Invalid(
            "This code has a meaning of its own.",
            [
                Finding(
                    pointer="/code",
                    code="reserved",
                    detail="“unknown” stands for what a sender left out",
                    fix="send another code",
                )
            ],
        )
    if not await store.add_code(tx, new):
        known = await find_code(tx, new.kind, new.code, now=now)
        if known.is_mapped and known.retired_at is None:
            raise Conflict(
                f"A {new.kind} with this code exists. Change it with PATCH.",
                extra={"version": known.version},
            )
        await _save(
            tx, replace(new, first_seen_at=known.first_seen_at, version=known.version + 1)
        )
    await audit.record(tx, by, f"{new.kind}.described", new.code[:80], now=now)
    return await find_code(tx, new.kind, new.code, now=now)


async def change_code(
    tx: Transaction,
    kind: ListKind,
    code: str,
    changes: Mapping[str, Any],
    *,
    expected: int | None,
    by: Principal,
    now: datetime,
) -> Code:
    """Change the labels of a code, or with ``alias_of`` what it stands for."""
    target = changes.get("alias_of")
    await store.lock_codes(tx, kind, {code, target} if target else {code})
    known = await find_code(tx, kind, code, now=now)
    if expected is not None and expected != known.version:
        raise _stale(kind, known.version)
    if target is not None:
        found = await store.find_code(tx, kind, target)
        refuse_alias(
            why_not_an_alias(
                code,
                target,
                aliases=await store.list_aliases(tx, kind),
                described=found is not None and found.described and found.retired_at is None,
                reserved={OTHER} if kind == "reason" else (),
            )
        )
    changed = replace(
        known,
        **changes,
        described=known.described or bool(changes.keys() - {"alias_of"}),
        version=known.version + 1,
    )
    await _save(tx, changed)
    detail = {"changed": sorted(changes), "version": changed.version}
    await audit.record(tx, by, f"{kind}.changed", code[:80], detail, now=now)
    return await find_code(tx, kind, code, now=now)


async def retire_code(
    tx: Transaction,
    kind: ListKind,
    code: str,
    *,
    expected: int | None,
    by: Principal,
    now: datetime,
) -> None:
    """Offer a code no longer; what came with it still counts. Again is no change."""
    await store.lock_codes(tx, kind, {code})
    known = await find_code(tx, kind, code, now=now)
    if expected is not None and expected != known.version:
        raise _stale(kind, known.version)
    if kind == "reason" and code == OTHER:
        raise Conflict("The reason “other” is always there. Rename it instead.")
    if code in (await store.list_aliases(tx, kind)).targets.values():
        raise Conflict(
            "Other codes stand for this one. Map those to another code first.",
            slug="others-stand-for-it",
        )
    if known.retired_at is None:
        await _save(tx, replace(known, retired_at=now, version=known.version + 1))
        await audit.record(tx, by, f"{kind}.retired", code[:80], now=now)


async def ensure_other(tx: Transaction, *, now: datetime) -> None:
    """Have the reason for whatever is none of the others."""
    if not await store.add_code(tx, other_reason(now)):
        known = await store.find_code(tx, "reason", OTHER)
        if known is not None and not known.described:
            described = replace(
                other_reason(now),
                first_seen_at=known.first_seen_at,
                version=known.version + 1,
            )
            await _save(tx, described)


async def add_bank_reasons(tx: Transaction, *, by: Principal, now: datetime) -> Sequence[Code]:
    """Add the ten contact reasons of a bank; those that are described stay as they are."""
    added = []
    for code, labels in BANK_REASONS.items():
        known = await store.find_code(tx, "reason", code)
        if known is None or not known.is_mapped:
            new = replace(other_reason(now), code=code, labels=labels)
            added.append(await add_code(tx, new, by=by, now=now))
    return added


async def reason_emotions(
    view: Reading, *, first: date, last: date
) -> tuple[Mapping[str, int], Mapping[str, Mapping[str, int]]]:
    """Return by reason how many responses there were, and the emotions of customers."""
    aliases = await store.list_aliases(view, "reason")
    numbers: dict[str, int] = {}
    for code, answers in (
        await store.answers_of(view, "reason", first=first, last=last)
    ).items():
        target = aliases.resolve(code)
        numbers[target] = numbers.get(target, 0) + answers.n
    found = await store.emotions_of(view, first=first, last=last)
    return numbers, folded(found, aliases)


def folded(
    found: Mapping[str, Mapping[str, int]], aliases: Aliases
) -> Mapping[str, Mapping[str, int]]:
    """Return counts by code and emotion with those of aliases under what they stand for."""
    emotions: dict[str, dict[str, int]] = {}
    for code, numbers in found.items():
        of_code = emotions.setdefault(aliases.resolve(code), {})
        for emotion, n in numbers.items():
            of_code[emotion] = of_code.get(emotion, 0) + n
    return emotions


async def _counted(
    view: Reading, kind: ListKind, codes: Sequence[Code], *, now: datetime
) -> Sequence[Code]:
    aliases = await store.list_aliases(view, kind)
    meant = {
        one.code: aliases.of(one.code) if one.alias_of is None else frozenset({one.code})
        for one in codes
    }
    first, last = lately(now)
    found = await store.answers_of(
        view, kind, first=first, last=last, codes=frozenset().union(*meant.values())
    )
    return [replace(one, **answers_among(found, meant[one.code])) for one in codes]


async def _save(tx: Transaction, code: Code) -> None:
    if not await store.save_code(tx, code):
        raise _stale(code.kind, code.version)


def _stale(kind: ListKind, current: int) -> Stale:
    return Stale(
        f"Somebody changed this {kind} meanwhile. Read it again and repeat the change.",
        extra={"version": current},
    )
