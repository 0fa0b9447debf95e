"""``closed-loop replay``: every stored comment, read again by the taxonomy in use.

Whoever serves does the same work at the same time; each slice is done by one of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from services.beside import loop_beside
from services.commands.acting import acting
from services.commands.output import data, data_json, say
from services.composition import Classifiers, replay_on, replay_out, replaying
from shared.db.schema import require_begun
from shared.errors import NotFound, TryLater
from shared.logs import set_up
from shared.settings import Settings

if TYPE_CHECKING:
    from services.composition import Loop, Replay


async def say_how_far(*, as_json: bool) -> int:
    """Say how far the latest replay is, and change nothing."""
    settings = _settings()
    async with loop_beside(settings) as loop, loop.database.reading() as view:
        latest = await replaying.list_replays(view, most=1)
    if not latest:
        raise NotFound("There was no replay yet. Start one: closed-loop replay")
    _print(latest[0], as_json=as_json)
    return 0


async def replay_history(*, by: str | None, as_json: bool) -> int:
    """Start a replay, or go on with the one that is under way, and wait for its end."""
    settings = _settings()
    async with loop_beside(settings) as loop:
        actor = await acting(loop.database, by)
        async with loop.database.transaction() as tx:
            now = loop.clock.now()
            replay = await replaying.replay_under_way(tx)
            if replay is None:
                replay = await replaying.start_replay(tx, by=actor, now=now)
            else:
                say("Going on with the replay that is under way.")
                replay = await replaying.act_on_replay(
                    tx, replay.id, "resume", by=actor, now=now
                )
        ended = await _finished(loop, replay)
    _print(ended, as_json=as_json)
    if ended.state != "done":
        raise TryLater(
            f"The replay was {ended.state} by somebody else. Go on: closed-loop replay"
        )
    return 0


async def _finished(loop: Loop, replay: Replay) -> Replay:
    console = Console(stderr=True)
    classifiers = Classifiers()
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        console=console,
        disable=not console.is_terminal,
    ) as progress:
        shown = progress.add_task("reading again ", total=replay.total)
        while await replay_on(
            loop.database,
            person_keys=loop.person_keys,
            classifiers=classifiers,
            clock=loop.clock,
        ):
            async with loop.database.reading() as view:
                replay = await replaying.find_replay(view, replay.id)
            progress.update(shown, completed=replay.done, total=max(replay.total, replay.done))
    async with loop.database.reading() as view:
        return await replaying.find_replay(view, replay.id)


def _settings() -> Settings:
    settings = Settings.load()
    set_up(form=settings.log_format, level="error")
    require_begun(settings.sqlite_path)
    return settings


def _print(replay: Replay, *, as_json: bool) -> None:
    shown = replay_out(replay)
    if as_json:
        data_json(shown)
        return
    for name in (
        "id",
        "state",
        "taxonomy_version",
        "total",
        "done",
        "changed",
        "unread",
        "restarts",
        "fingerprint",
    ):
        data(f"{name}: {'none' if shown[name] is None else shown[name]}")
