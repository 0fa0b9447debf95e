"""``closed-loop retention …``: what happens every night, for whoever sits at the machine."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from services.beside import housekeeping_beside, ingest_beside
from services.commands.acting import acting
from services.commands.output import data, data_json, say
from services.commands.persons import finished, open_installation
from services.composition import retention
from shared.db.schema import require_begun
from shared.identity.retention import KINDS
from shared.ids import new_token
from shared.logs import set_up
from shared.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shared.housekeeping import Housekeeping
    from shared.identity.retention import Kind


async def say_outlook(*, as_json: bool) -> int:
    """Say what would be forgotten, and change nothing."""
    settings = Settings.load()
    require_begun(settings.sqlite_path)
    async with ingest_beside(settings) as ingest, ingest.database.reading() as view:
        seen = await retention.outlook(view, now=ingest.clock.now())
    async with housekeeping_beside(settings) as keepers:
        others = await _counts(keepers)
    periods = seen.policy.periods()
    due, soon = asdict(seen.due), asdict(seen.soon)
    last = seen.last_run and seen.last_run.isoformat()
    after = seen.next_run and seen.next_run.isoformat()
    if as_json:
        data_json(
            {
                **periods,
                "due": due,
                "within_30_days": soon,
                "waiting": seen.waiting,
                "last_run_at": last,
                "next_run_at": after,
                "others": {kind: others.get(kind) for kind in KINDS},
            }
        )
        return 0
    for name, period in periods.items():
        data(f"{name}: {'kept for ever' if period is None else period}")
    data(f"due: {_counted(due)}")
    data(f"within_30_days: {_counted(soon)}")
    data(f"waiting: persons {seen.waiting}")
    for kind, counted in others.items():
        data(f"{kind}: {_counted(counted)}")
    data(f"last_run_at: {last or 'never'}")
    data(f"next_run_at: {after or 'never'}")
    return 0


async def run_retention(*, by: str | None, wait: float, as_json: bool) -> int:
    """Forget whose time is over, request by request until nobody is left; then the rest."""
    settings = Settings.load()
    set_up(form=settings.log_format, level="error")
    require_begun(settings.sqlite_path)
    token = new_token()
    requests, persons = [], 0
    async with open_installation(settings) as opened:
        ingest = opened.ingest
        actor = await acting(ingest.database, by)
        while True:
            async with ingest.database.transaction() as tx:
                now = ingest.clock.now()
                request = await retention.run(tx, ingest, token=token, by=actor, now=now)
            if request is None:
                break
            requests.append(request.id)
            persons += (await finished(opened, request, wait)).persons
        async with ingest.database.reading() as view:
            left = (await retention.outlook(view, now=ingest.clock.now())).due
    async with housekeeping_beside(settings) as keepers:
        forgotten = await _forget(keepers)
        others = await _counts(keepers)
    rest = asdict(left)
    if as_json:
        data_json(
            {
                "requests": requests,
                "persons": persons,
                "left": rest,
                "others": {
                    kind: {"forgotten": n, "left": others[kind]["due"] if kind in others else 0}
                    for kind, n in forgotten.items()
                },
            }
        )
    else:
        data(f"requests: {', '.join(requests) or 'none'}")
        data(f"persons: {persons}")
        data(f"left: {_counted(rest)}")
        for kind, n in forgotten.items():
            data(f"{kind}: forgotten {n}")
    if left.persons:
        say("Another run is under way, or more became due: run it again in a minute.")
    return 0


async def _counts(keepers: Sequence[Housekeeping]) -> dict[Kind, dict[str, int]]:
    """Return what is due and what will be, of all services together."""
    found: dict[Kind, dict[str, int]] = {}
    for keeper in keepers:
        for kind, (due, soon) in (await keeper.counts()).items():
            one = found.setdefault(kind, {"due": 0, "within_30_days": 0})
            one["due"] += due
            one["within_30_days"] += soon
    return found


async def _forget(keepers: Sequence[Housekeeping]) -> dict[Kind, int]:
    """Forget what is over in all services; return how much of each kind."""
    found: dict[Kind, int] = {}
    for keeper in keepers:
        for kind, n in (await keeper.forget_expired()).items():
            found[kind] = found.get(kind, 0) + n
    return found


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {n}" for name, n in counts.items())
