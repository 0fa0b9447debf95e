"""When all mail rests: its server takes none now, or a setting must be mended first."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from services.notify import store
from services.notify.domain.deliveries import CHANNEL_BACKOFF, Outcome, Verdict
from services.notify.store import MAIL_LANE, Pause
from shared.clock import Clock
from shared.db.transaction import Transaction
from shared.identity import audit
from shared.identity.principal import Principal
from shared.logs import get_logger

_log = get_logger(__name__)

# Until the pause stands in the table, which this process and the others go by.
_UNTIL_WRITTEN: Final = timedelta(seconds=30)


class MailRest:
    """What one process knows of the mail server; what all of them know stands in the table."""

    def __init__(self, clock: Clock, chance: Callable[[], float]) -> None:
        self._clock = clock
        self._chance = chance
        self._until = 0.0
        self._troubles = 0
        self._pause: Pause | None = None

    @property
    def is_on(self) -> bool:
        """Tell whether no mail is sent at the moment."""
        return self._pause is not None or self._clock.monotonic() < self._until

    @property
    def why(self) -> str:
        """Return why mail is paused until somebody does something, or nothing."""
        return "" if self._pause is None else self._pause.reason

    def go_by(self, pause: Pause | None) -> None:
        """Go by what the table says."""
        if pause is None and self._pause is not None:
            self._until = 0.0
        self._pause = pause

    def learn(self, outcome: Outcome) -> None:
        """Rest while the server takes nothing; each mail keeps its tries."""
        if outcome.verdict not in {Verdict.CHANNEL, Verdict.CONFIGURATION}:
            self._troubles = 0
            return
        if self.is_on:
            return
        rest = _UNTIL_WRITTEN
        if outcome.verdict is Verdict.CHANNEL:
            self._troubles += 1
            rest = CHANNEL_BACKOFF.wait(self._troubles, self._chance())
        self._until = self._clock.monotonic() + rest.total_seconds()
        _log.warning(
            "mail.resting",
            reason=outcome.reason,
            code=outcome.code,
            seconds=round(rest.total_seconds()),
        )


async def resume_mail(tx: Transaction, *, by: Principal, why: str, now: datetime) -> bool:
    """Send mail again from now on; return whether it was paused."""
    ended = await store.end_pause(tx, MAIL_LANE)
    if ended:
        await audit.record(tx, by, "mail.resumed", MAIL_LANE, {"why": why}, now=now)
        _log.info("mail.resumed", why=why)
    return ended
