"""``closed-loop secret rewrap``: everything under the new secret, beside whoever serves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from services.beside import Vault, vault_beside
from services.commands.output import data, data_json, say
from shared.identity import audit
from shared.identity.rewrapping import rewrap_some
from shared.identity.secret import forget_former, is_being_replaced
from shared.logs import set_up
from shared.settings import Settings

if TYPE_CHECKING:
    from shared.identity.rewrapping import SealedColumn

_AT_ONCE: Final = 500
_TELL_EVERY: Final = 10_000


@dataclass(slots=True)
class _Walked:
    """What became of one column."""

    column: str
    rewrapped: int = 0
    already: int = 0
    unreadable: int = 0


async def rewrap(*, as_json: bool) -> int:
    """Bring everything under the secret of today; say when the former one may go."""
    settings = Settings.load()
    set_up(form=settings.log_format, level="error")
    async with vault_beside(settings) as vault:
        walked = [await _walk(vault, column) for column in vault.columns]
        total = sum(one.rewrapped for one in walked)
        async with vault.database.transaction() as tx:
            if await is_being_replaced(tx):
                await forget_former(tx)
                await audit.record(
                    tx,
                    audit.SYSTEM,
                    "secret.rewrapped",
                    "installation",
                    {"rewrapped": total},
                    now=vault.clock.now(),
                )
    unreadable = sum(one.unreadable for one in walked)
    if as_json:
        data_json(
            {
                "rewrapped": total,
                "already": sum(one.already for one in walked),
                "unreadable": unreadable,
                "columns": [
                    {
                        "column": one.column,
                        "rewrapped": one.rewrapped,
                        "already": one.already,
                        "unreadable": one.unreadable,
                    }
                    for one in walked
                ],
                "previous_may_go": True,
            }
        )
    else:
        for one in walked:
            data(f"{one.column}: {one.rewrapped:,} rewrapped, {one.already:,} already")
    for one in walked:
        if one.unreadable:
            say(f"{one.column}: {one.unreadable:,} open under neither secret.")
    say(_ending(settings, total))
    return 1 if unreadable else 0


def _ending(settings: Settings, total: int) -> str:
    if settings.secret_previous is None:
        return "Everything is under CLOSED_LOOP_SECRET; no other secret is needed."
    return (
        f"{total:,} rewrapped. Nothing needs the former secret any more: remove"
        " CLOSED_LOOP_SECRET_PREVIOUS and start every process again. Links in mails that were"
        " sent before the change open as long as it is set."
    )


async def _walk(vault: Vault, column: SealedColumn) -> _Walked:
    walked = _Walked(f"{column.table.name}.{column.column}")
    after: tuple[Any, ...] | None = None
    while True:
        async with vault.database.transaction() as tx:
            step = await rewrap_some(tx, column, vault.keyring, after=after, most=_AT_ONCE)
        before = walked.rewrapped + walked.already
        walked.rewrapped += step.rewrapped
        walked.already += step.kept
        walked.unreadable += step.unreadable
        seen = walked.rewrapped + walked.already
        if seen // _TELL_EVERY > before // _TELL_EVERY:
            say(f"{walked.column}: {seen:,} so far")
        if step.last is None:
            return walked
        after = step.last
