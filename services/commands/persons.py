"""``closed-loop person …``: what ``/v1/person-requests`` does, for whoever sits at the machine.

Beside a running installation the request is written down and the installation does it. Where
none runs on a SQLite file, this process is the installation until the request is done.
"""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console
from rich.status import Status

from services.beside import ingest_beside
from services.commands.acting import acting
from services.commands.output import data, data_json, say
from services.composition import (
    Ingest,
    ask_about_person,
    compose,
    fetch_archive,
    find_person,
    named,
    person_request_out,
)
from shared.db.engine import is_held
from shared.db.schema import require_begun
from shared.errors import Forbidden, NotFound, TryLater
from shared.identity.person_requests import get_request
from shared.logs import set_up
from shared.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
    from pathlib import Path

    from shared.identity.person_requests import Kind, PersonRequest

_GLANCE: Final = 0.3
_LONELY: Final = 15.0
"""After so many seconds without a step it is said that nobody seems to work on it."""


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What was asked for on the command line."""

    kind: Kind
    person: Mapping[str, str | None] = field(repr=False)
    by: str | None = None
    out: Path | None = None
    wait: float = 600.0
    as_json: bool = False


@dataclass(frozen=True, kw_only=True)
class Opened:
    """The installation, and what makes it go on while somebody waits."""

    ingest: Ingest
    work: Callable[[], Coroutine[Any, Any, None]] = field(repr=False)
    served: bool


async def do_for_person(wish: Wish, *, sure: Callable[[int, int], bool]) -> int:
    """Export or erase; ``sure`` is asked with the numbers of persons and of responses."""
    who = named(wish.person, pointer="")
    settings = Settings.load()
    set_up(form=settings.log_format, level="error")
    require_begun(settings.sqlite_path)
    async with open_installation(settings) as opened:
        ingest = opened.ingest
        by = await acting(ingest.database, wish.by)
        if wish.kind == "erasure":
            found = await find_person(ingest, who, by=by)
            if found.complete and not found.persons:
                _point_at(found.mentions)
                raise NotFound("Nobody was found by that name; nothing was changed.")
            if not sure(len(found.persons), sum(one.responses for one in found.persons)):
                raise Forbidden("Nothing was erased. Add --yes to erase without being asked.")
        async with ingest.database.transaction() as tx:
            request = await ask_about_person(tx, ingest, wish.kind, who, by=by)
        done = await finished(opened, request, wish.wait)
        _point_at(done.mentions)
        if not done.persons:
            raise NotFound("Nobody was found by that name; nothing was changed.")
        if wish.kind == "erasure":
            _certify(done, as_json=wish.as_json)
        else:
            async with ingest.database.transaction() as tx:
                _hand_over(await fetch_archive(tx, ingest, done.id, by=by), wish.out)
    return 0


def _point_at(mentions: Sequence[str]) -> None:
    """Name what somebody has to look at: words of others, which nobody erases unseen."""
    if mentions:
        say(
            "These responses of others seem to name the person; look at them:"
            f" {', '.join(mentions)}"
        )


@asynccontextmanager
async def open_installation(settings: Settings) -> AsyncIterator[Opened]:
    """Open the installation: beside whoever serves it, or to work where nobody does."""
    if settings.sqlite_path is None or is_held(settings.sqlite_path):

        async def look_on() -> None:
            await asyncio.sleep(_GLANCE)

        async with ingest_beside(settings) as ingest:
            yield Opened(ingest=ingest, work=look_on, served=True)
        return
    async with compose(settings) as system:
        held = system.services["ingest"].resources
        assert isinstance(held, Ingest)  # noqa: S101 - what the service of this name holds

        async def work() -> None:
            busy = [await worker.step() for worker in system.workers]
            if not any(busy):
                await asyncio.sleep(_GLANCE)

        yield Opened(ingest=held, work=work, served=False)


async def finished(opened: Opened, request: PersonRequest, wait: float) -> PersonRequest:
    """Wait until a request is done, and show meanwhile how far it is."""
    clock = opened.ingest.clock
    began = moved_at = clock.monotonic()
    is_told = False
    with Console(stderr=True).status("Looking for the person …") as status:
        while request.state != "done":
            await opened.work()
            before = request
            async with opened.ingest.database.reading() as view:
                request = await get_request(view, request.id)
            now = clock.monotonic()
            if (request.state, request.cursor) != (before.state, before.cursor):
                moved_at = now
            _show(status, request)
            if opened.served and not is_told and now - moved_at > _LONELY:
                is_told = True
                say("Nothing moves: is the installation being served? Waiting all the same …")
            if now - began > wait:
                message = (
                    f"The request {request.id} is written down and not done yet; it goes on"
                    " while the installation is served. See GET /v1/person-requests/{id}."
                )
                raise TryLater(message)
    return request


def _show(status: Status, request: PersonRequest) -> None:
    if request.state == "searching":
        status.update("Looking through what everybody said …")
    elif request.cursor is not None:
        status.update(f"{request.cursor} of {request.persons} persons …")
    else:
        status.update("Waiting for the other services …")


def _certify(done: PersonRequest, *, as_json: bool) -> None:
    shown = person_request_out(done)
    if as_json:
        data_json(shown)
        return
    certificate = shown["certificate"]
    data(f"request: {done.id}")
    data(f"asked_at: {shown['asked_at']}")
    data(f"asked_by: {shown['asked_by']}")
    data(f"done_at: {shown['done_at']}")
    data(f"persons: {done.persons}")
    for service, counts in certificate["services"].items():
        counted = ", ".join(f"{name} {n}" for name, n in sorted(counts.items()) if n)
        data(f"{service}: {counted or 'nothing was there'}")
    data(f"remains: {', '.join(certificate['remains'])}")
    data(f"log_until: {certificate['log_until']}")


def _hand_over(archive: Mapping[str, Any], out: Path | None) -> None:
    if out is None:
        data_json(archive)
        return
    # Nobody else on the machine is to read it.
    handle = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(archive, file, ensure_ascii=False, indent=2)
        file.write("\n")
    say(f"Written to {out}.")
