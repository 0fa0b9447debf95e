"""``closed-loop sample remove``: what the button on the first steps does."""

from __future__ import annotations

from services.beside import ingest_beside
from services.commands.output import data_json, say
from services.composition import remove_sample
from shared.identity.audit import SYSTEM
from shared.logs import set_up
from shared.settings import Settings


async def remove_samples(*, as_json: bool) -> int:
    """Remove all sample data; tasks, mails and figures follow where the installation serves."""
    settings = Settings.load()
    set_up(form=settings.log_format, level="error")
    async with ingest_beside(settings) as ingest, ingest.database.transaction() as tx:
        removed = await remove_sample(tx, by=SYSTEM, now=ingest.clock.now())
    if as_json:
        data_json({"responses": removed})
    elif removed:
        say(
            f"{removed} sample responses are removed. Their tasks, mails and figures follow"
            " within seconds, or when the installation is served next."
        )
    else:
        say("There is no sample data here.")
    return 0
