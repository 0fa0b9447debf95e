"""Changing the rule book: a draft first or at once, published as a version, put back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from services.loop.tasks import store
from services.loop.tasks.domain.rulebooks import (
    Document,
    differences,
    findings_of,
    names,
    owner_ids,
    replaced,
    whole,
)
from services.loop.tasks.store.rulebooks import (
    Draft,
    Published,
    add_book,
    book_of,
    books,
    drop_draft,
    find_draft,
    latest_book,
    save_draft,
)
from shared.db.transaction import Reading, Transaction
from shared.errors import Conflict, Invalid, NotFound, Stale
from shared.identity import audit
from shared.identity.owners import able
from shared.identity.principal import Principal

Change = Callable[[Document], dict[str, Any]]


async def published_book(view: Reading) -> Published:
    """Return the rule book that applies now."""
    return await latest_book(view)


async def list_books(view: Reading, *, before: int | None, most: int) -> Sequence[Published]:
    """Return the versions of the rule book, the latest first."""
    return await books(view, before=before, most=most)


async def drafted_book(view: Reading) -> Draft | None:
    """Return the draft of the next rule book, or None."""
    return await find_draft(view)


async def change_book(
    tx: Transaction, change: Change, *, expected: int | None, by: Principal, now: datetime
) -> Published:
    """Publish the book that applies now with one change; return the new version."""
    book = await latest_book(tx)
    if expected is not None and expected != book.version:
        raise _stale(book.version)
    return await _publish(tx, book, change(book.document), by=by, now=now)


async def change_draft(
    tx: Transaction, change: Change, *, expected: int | None, by: Principal, now: datetime
) -> Draft:
    """Change the draft, which begins as the book that applies now; nothing goes by it yet.

    ``expected`` is the version of the draft, 0 where there was none.
    """
    before = await find_draft(tx)
    book = await latest_book(tx)
    if before is None:
        before = Draft(
            version=0,
            based_on=book.version,
            document=book.document,
            changed_at=now,
            changed_by=by.id,
        )
    if expected is not None and expected != before.version:
        raise _stale(before.version)
    document = whole(change(before.document))
    await check_book(tx, document, before=before.document)
    after = replace(
        before,
        version=before.version + 1,
        document=document,
        changed_at=now,
        changed_by=by.id,
    )
    if not await save_draft(tx, after):
        raise _stale(after.version)
    return after


async def discard_draft(tx: Transaction, *, by: Principal, now: datetime) -> None:
    """Forget the draft; raise ``NotFound`` where there is none."""
    draft = await find_draft(tx)
    if draft is None:
        raise no_draft()
    await drop_draft(tx)
    await audit.record(
        tx, by, "rules.draft-dropped", "rules", {"based_on": draft.based_on}, now=now
    )


async def publish_draft(
    tx: Transaction, *, expected: int | None, by: Principal, now: datetime
) -> Published:
    """Let the draft apply from now on."""
    draft = await find_draft(tx)
    if draft is None:
        raise no_draft()
    if expected is not None and expected != draft.version:
        raise _stale(draft.version)
    book = await latest_book(tx)
    if draft.based_on != book.version:
        raise Conflict(
            "Another version was published since this draft was begun. Drop the draft and"
            " make the change to the rules that apply now.",
            slug="overtaken-draft",
            extra={"version": book.version, "based_on": draft.based_on},
        )
    new = await _publish(tx, book, draft.document, by=by, now=now)
    await drop_draft(tx)
    return new


async def restore_book(
    tx: Transaction, version: int, *, by: Principal, now: datetime
) -> Published:
    """Publish an earlier version once more, as the newest."""
    earlier = await book_of(tx, version)
    if earlier is None:
        raise NotFound("There is no such version. List them at /v1/routing-rules/versions.")
    book = await latest_book(tx)
    return await _publish(tx, book, earlier.document, by=by, now=now, restored=version)


async def put_in_place(
    tx: Transaction, staff_id: str, to: str, *, by: Principal, now: datetime
) -> int:
    """Publish the rules with somebody else wherever they name ``staff_id``; return how many.

    Raises ``Conflict`` while somebody works on a draft, which would undo it.
    """
    book = await latest_book(tx)
    document = whole(book.document)
    count = sum(names(rule, staff_id) for rule in document["rules"])
    if not count:
        return 0
    if await find_draft(tx) is not None:
        raise Conflict(
            "Somebody works on a draft of the rules. Publish or drop it first, or leave the"
            " rules out.",
            slug="draft-in-work",
        )
    await _publish(tx, book, replaced(document, staff_id, to), by=by, now=now)
    return count


async def _publish(
    tx: Transaction,
    before: Published,
    document: Document,
    *,
    by: Principal,
    now: datetime,
    restored: int | None = None,
) -> Published:
    document = whole(document)
    await check_book(tx, document, before=before.document)
    new = Published(
        version=before.version + 1,
        document={**document, "version": before.version + 1},
        published_at=now,
        published_by=by.id,
    )
    if not await add_book(tx, new):
        raise _stale(new.version)
    detail: dict[str, object] = {
        "version": new.version,
        "changes": list(differences(before.document, new.document)),
    }
    if restored is not None:
        detail["restored"] = restored
    await audit.record(tx, by, "rules.published", "rules", detail, now=now)
    return new


async def check_book(
    view: Reading,
    document: Document,
    *,
    before: Document,
    schemes: Sequence[Document] = (),
) -> None:
    """Raise ``Invalid`` with everything that keeps a rule book from being used.

    ``schemes`` are there besides those that are published. Whoever was named ``before`` may
    stay named, also after leaving: others stand in.
    """
    found = findings_of(
        document,
        schemes={*await store.current_schemes(view), *(str(one["id"]) for one in schemes)},
        able=await able(view, owner_ids(document)) | owner_ids(before),
    )
    if found:
        raise Invalid("The rules cannot be used like this.", found)


def no_draft() -> NotFound:
    """Return the refusal where nobody works on a draft."""
    return NotFound("There is no draft. Begin one with PUT /v1/routing-rules/draft.")


def _stale(current: int) -> Stale:
    return Stale(
        "Somebody changed the rules meanwhile. Read them again and repeat the change.",
        extra={"version": current},
    )
