"""What is looked at before anything is served: each refusal names the setting and the remedy.

Refused is what would lose or harm something. What is merely unwise is a warning, and stands in
``closed-loop check`` too.
"""

from __future__ import annotations

import os
import shutil
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from shared.bus.ports import TOPIC_MISSING
from shared.db.soundness import (
    CLOCKS_APART,
    require_durable,
    require_one_time,
    sqlite_warning,
)
from shared.errors import Misconfigured, TryLater
from shared.logs import get_logger
from shared.web.exposure import is_capturing, is_loopback

if TYPE_CHECKING:
    from shared.bus.ports import Bus
    from shared.clock import Clock
    from shared.db.engine import Engines
    from shared.settings import Settings

LEAST_FREE: Final = 8_000_000
"""So many bytes a SQLite database needs to take anything at all."""
ENOUGH_FREE: Final = 512_000_000

_BUILT: Final = datetime(2026, 1, 1, tzinfo=UTC)
_FIXED_MAIL: Final = {
    (3, 11): (3, 11, 10),
    (3, 12): (3, 12, 5),
}
"""From which release on the e-mail module writes no header that hides another one."""

log = get_logger(__name__)


def require_fit(settings: Settings, clock: Clock) -> None:
    """Raise ``Misconfigured`` for what can be seen before anything is opened."""
    require_time(clock)
    require_room(settings)
    require_whole_mail(settings)


async def require_sound(engines: Engines, bus: Bus, clock: Clock) -> None:
    """Raise ``Misconfigured`` for what the opened database and bus say of themselves.

    A bus that is away is none: responses are taken without it. A topic that nobody has made
    would have everything wait for it unheard.
    """
    await require_durable(engines)
    if (apart := await require_one_time(engines, clock)) > CLOCKS_APART:
        log.warning("start.clocks_apart", seconds=round(apart))
    try:
        await bus.ping()
    except TryLater as error:
        if error.slug == TOPIC_MISSING:
            message = f"{error}. Run: closed-loop migrate"
            raise Misconfigured(message) from None
        log.warning("start.bus_away", error=error.slug)


def require_time(clock: Clock) -> None:
    """Raise ``Misconfigured`` when the machine's clock cannot be right."""
    now = clock.now()
    if now < _BUILT:
        message = (
            f"The clock of this machine says {now:%Y-%m-%d}, which is before this program was"
            " made: deadlines and signatures would be wrong. Set it (timedatectl set-ntp true)."
        )
        raise Misconfigured(message)


def require_room(settings: Settings) -> int | None:
    """Return the bytes free beside a SQLite file; raise ``Misconfigured`` when none are."""
    path = settings.sqlite_path
    if path is None:
        return None
    folder = next(part for part in path.absolute().parents if part.exists())
    free = shutil.disk_usage(folder).free
    if free < LEAST_FREE:
        message = (
            f"Only {free // 1_000} kB are free where CLOSED_LOOP_DATABASE_URL points"
            f" ({folder}). Make room, or move the database to another disk."
        )
        raise Misconfigured(message)
    if not os.access(folder, os.W_OK):
        message = (
            f"This user may not write to {folder}, where CLOSED_LOOP_DATABASE_URL points: a"
            " SQLite database needs its folder too. Change its owner or point elsewhere."
        )
        raise Misconfigured(message)
    return free


def require_whole_mail(settings: Settings) -> None:
    """Raise ``Misconfigured`` when a mail server is named with a user and no password."""
    user, colon, _ = (
        settings.smtp_url.get_secret_value()
        .partition("://")[2]
        .rpartition("@")[0]
        .partition(":")
    )
    if user and not colon:
        message = (
            "CLOSED_LOOP_SMTP_URL names a user without a password. Write user:password@host, or"
            " leave both out."
        )
        raise Misconfigured(message)


def warnings(settings: Settings, version: tuple[int, ...] = sys.version_info[:3]) -> list[str]:
    """Return what is unwise about this machine, a sentence each."""
    found = []
    fixed = _FIXED_MAIL.get((version[0], version[1]))
    if fixed is not None and version < fixed:
        found.append(
            f"Python {'.'.join(map(str, version))} has an e-mail module that can be made to"
            f" write headers of somebody else's choice (CVE-2024-6923). Closed Loop keeps such"
            f" texts out itself; update to {'.'.join(map(str, fixed))} or later."
        )
    if is_capturing(settings) and not is_loopback(settings.host):
        found.append(
            "CLOSED_LOOP_SMTP_URL is capture: and other machines reach this one: mail is kept"
            " here and sent to nobody. Name your mail server."
        )
    public = urlsplit(settings.public_url)
    if public.scheme == "http" and not is_loopback(public.hostname or ""):
        found.append(
            "CLOSED_LOOP_PUBLIC_URL begins with http://: passwords, sessions and customers'"
            " words cross the network readable. Put TLS in front and name the https:// address."
        )
    if not is_capturing(settings) and ("mail_from" not in settings.model_fields_set):
        found.append(
            "CLOSED_LOOP_SMTP_URL is set and CLOSED_LOOP_MAIL_FROM is not: mail comes from an"
            " address that does not exist, and many servers refuse it. Set"
            " CLOSED_LOOP_MAIL_FROM to one of yours, such as: Closed Loop"
            " <closed-loop@example.org>."
        )
    if settings.is_sqlite and (unwise := sqlite_warning()) is not None:
        found.append(unwise)
    return found
