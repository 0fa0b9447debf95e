"""Replaying the taxonomy in use over every stored comment: started, held, resumed, told.

There is never more than one replay under way. Where another version comes into use meanwhile,
it begins anew with that one, so that in the end all of history is read by one version.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final, Literal

from services.loop.responses.store import commented
from services.loop.themes import store
from services.loop.themes.store import UNDER_WAY, Replay, ReplayState
from shared.db.transaction import Reading, Transaction
from shared.errors import Conflict, NotFound
from shared.identity import audit
from shared.identity.principal import Principal
from shared.ids import new_id

Act = Literal["pause", "resume", "stop"]

_LEADS_TO: Final[dict[Act, tuple[ReplayState, ReplayState]]] = {
    "pause": ("running", "paused"),
    "resume": ("paused", "running"),
}
_DEEDS: Final[dict[Act, str]] = {
    "pause": "replay.paused",
    "resume": "replay.resumed",
    "stop": "replay.stopped",
}
NO_FINGERPRINT: Final = "0" * 32


async def start_replay(tx: Transaction, *, by: Principal, now: datetime) -> Replay:
    """Begin to read every stored comment again; raise ``Conflict`` while that is under way."""
    version = await store.hold_version(tx) or 0
    total, last = await commented(tx)
    started = Replay(
        id=new_id("rpl"),
        state="running",
        taxonomy_version=version,
        after_id="",
        last_id=last,
        total=total,
        done=0,
        changed=0,
        unread=0,
        restarts=0,
        themes={},
        fingerprint=NO_FINGERPRINT,
        started_at=now,
        started_by=by.id,
        moved_at=now,
        ended_at=None,
    )
    if not await store.add_replay(tx, started):
        other = await store.replay_under_way(tx)
        raise Conflict(
            "A replay is under way. Wait until it has ended, or stop it first; it begins anew"
            " by itself when another version of the taxonomy comes into use.",
            slug="replay-under-way",
            extra={"replay": other.id, "state": other.state} if other else {},
        )
    await audit.record(
        tx,
        by,
        "replay.started",
        f"taxonomy/{version}",
        {"replay": started.id, "responses": total},
        now=now,
    )
    return started


async def begin_anew(tx: Transaction, former: Replay, *, now: datetime) -> None:
    """Let a replay begin again with the version that came into use while it was under way."""
    total, last = await commented(tx)
    await store.save_replay(
        tx,
        replace(
            former,
            taxonomy_version=await store.hold_version(tx) or 0,
            after_id="",
            last_id=last,
            total=total,
            done=0,
            changed=0,
            unread=0,
            restarts=former.restarts + 1,
            themes={},
            fingerprint=NO_FINGERPRINT,
            moved_at=now,
        ),
    )


async def act_on_replay(
    tx: Transaction, replay_id: str, act: Act, *, by: Principal, now: datetime
) -> Replay:
    """Pause, resume or stop a replay; again is no change.

    What was read again stays as it is; another replay brings everything to one version.
    """
    replay = await store.find_replay(tx, replay_id, to_change=True)
    if replay is None:
        raise _not_found()
    before, after = _LEADS_TO.get(act, (replay.state, "stopped"))
    if replay.state == after:
        return replay
    if replay.state not in UNDER_WAY or replay.state != before:
        raise Conflict(
            "This replay has ended. Start another one.", extra={"state": replay.state}
        )
    ended = now if after == "stopped" else None
    changed = replace(replay, state=after, moved_at=now, ended_at=ended)
    await store.save_replay(tx, changed)
    await audit.record(
        tx,
        by,
        _DEEDS[act],
        f"taxonomy/{replay.taxonomy_version}",
        {"replay": replay.id, "done": replay.done, "of": replay.total},
        now=now,
    )
    return changed


async def find_replay(view: Reading, replay_id: str) -> Replay:
    """Return one replay, or raise ``NotFound``."""
    replay = await store.find_replay(view, replay_id)
    if replay is None:
        raise _not_found()
    return replay


async def replay_under_way(view: Reading) -> Replay | None:
    """Return the replay that is running or paused, or None."""
    return await store.replay_under_way(view)


async def list_replays(
    view: Reading, *, before: tuple[datetime, str] | None = None, most: int
) -> Sequence[Replay]:
    """Return replays, the latest first."""
    return await store.list_replays(view, before=before, most=most)


def _not_found() -> NotFound:
    return NotFound("There is no replay with this id. List them at /v1/taxonomy/replays.")
