"""``closed-loop demo``: everything in one process, with sample data that went the whole way.

The data lie in ``.demo`` below the working folder; a second start finds them there. Nothing
leaves the machine: mail is captured, the server listens on loopback.
"""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from services.commands.output import say
from services.commands.serving import serve
from services.composition import compose
from services.demo.player import Player
from shared.clock import SystemClock
from shared.identity import groups, keys, passwords, people
from shared.identity.audit import SYSTEM
from shared.identity.principal import Role, Scope
from shared.identity.sample import Sample, note_sample
from shared.ids import new_token
from shared.logs import set_up
from shared.settings import Settings
from shared.web.exposure import is_loopback

if TYPE_CHECKING:
    from services.composition import System
    from shared.db.transaction import Transaction
    from shared.identity.principal import Principal

FOLDER = Path(".demo")
_SOURCE = "demo-shop"

_CAST = (
    ("ada@example.org", "Ada Fontaine", Role.ADMIN, "en"),
    ("ana@example.org", "Ana Ruiz", Role.AGENT, "en"),
    ("ole@example.org", "Ole Berg", Role.AGENT, "de"),
    ("mia@example.org", "Mia Lind", Role.DEPARTMENT_HEAD, "en"),
)
# The touchpoint of the README's curl belongs to the one who is told to sign in.
_OWNERS = {
    "support-call": "ada@example.org",
    "doorstep": "ada@example.org",
    "invoice": "ole@example.org",
}
_HEAD = "mia@example.org"


class _Notes:
    """What the demo remembers beside its database: how to sign in, and when it began."""

    def __init__(self) -> None:
        FOLDER.mkdir(mode=0o700, exist_ok=True)
        self._path = FOLDER / "notes.json"
        self.values: dict[str, Any] = (
            json.loads(self._path.read_text(encoding="utf-8")) if self._path.exists() else {}
        )

    def save(self, **values: object) -> None:
        """Remember values; readable by this user alone, complete or not at all."""
        self.values |= values
        _write_private(self._path, json.dumps(self.values, indent=2))


def _write_private(path: Path, text: str) -> None:
    fresh = path.with_suffix(".new")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    fresh.replace(path)


async def demonstrate() -> int:
    """Serve the demo until a signal."""
    given = Settings.load()
    set_up(form=given.log_format, level="warning" if sys.stderr.isatty() else given.log_level)
    notes = _Notes()
    settings = given.model_copy(
        update={
            "database_url": f"sqlite+aiosqlite:///{FOLDER}/closed-loop.db",
            "bus": "embedded",
            "public_url": f"http://{given.host}:{given.port}",
            "secret": None,
        }
    )
    if not is_loopback(settings.host):
        say("Other machines reach this demonstration. Keep nothing real in it.")
    async with compose(settings, demonstration=True) as system:
        await _set_the_stage(system, notes)
        await serve(system, when_up=lambda: _play(system, notes))
    return 0


async def _set_the_stage(system: System, notes: _Notes) -> None:
    """Make the cast and the keys, once."""
    if "api_key" in notes.values:
        return
    password = new_token(9)
    hashed = await passwords.hash_password(password)
    now = SystemClock().now()
    async with system.database.transaction() as tx:
        _, plain = await keys.create_key(
            tx, source=_SOURCE, name="Demo", scopes=list(Scope), now=now
        )
        # What this one makes, and nothing else, is sample data.
        key, players = await keys.create_key(
            tx, source=_SOURCE, name="Sample data", scopes=list(Scope), now=now
        )
        await _cast(tx, _CAST[0], hashed, now, by=SYSTEM)
        for person in _CAST[1:]:
            await _cast(tx, person, hashed, now, by=key.principal())
    notes.save(
        email=_CAST[0][0],
        password=password,
        api_key=plain,
        players_key=players,
        players_key_id=key.id,
        began=now.isoformat(),
    )
    _write_private(FOLDER / "api-key", plain)


async def _cast(
    tx: Transaction,
    person: tuple[str, str, Role, str],
    hashed: str,
    now: datetime,
    *,
    by: Principal,
) -> None:
    email, name, role, language = person
    if await people.find_staff(tx, email) is None:
        await people.create_staff(
            tx,
            email=email,
            name=name,
            role=role,
            language=language,
            time_zone="Europe/Berlin",
            team_ids=[groups.DEFAULT_TEAM] if role is not Role.DEPARTMENT_HEAD else [],
            password_hash=hashed,
            now=now,
            by=by,
        )


async def _note_sample(system: System, key_id: str, last_response: str) -> None:
    """Remember what is sample data, so that it can be removed; its key has done its work."""
    now = SystemClock().now()
    brought = Sample(source=_SOURCE, last_response=last_response, key=key_id)
    async with system.database.transaction() as tx:
        await note_sample(tx, brought, now=now)
        await keys.revoke_key(tx, key_id, now=now)


async def _play(system: System, notes: _Notes) -> None:
    """Post the sample unless it has been, then say that all is ready."""
    address = f"http://{system.settings.host}:{system.settings.port}"
    if not notes.values.get("played"):
        say("Posting half a year of sample responses through the API …")
        player = Player(base_url=address, key=notes.values["players_key"])
        async with system.database.reading() as view:
            cast = {email: await people.find_staff(view, email) for email, *_ in _CAST}
        staff = {email: person.id for email, person in cast.items() if person}
        await player.set_up(
            {code: staff[email] for code, email in _OWNERS.items() if email in staff},
            head=staff.get(_HEAD),
        )
        began = datetime.fromisoformat(notes.values["began"]).astimezone(UTC)
        accepted = await player.play(began)
        await player.tidy_up()
        await _note_sample(system, notes.values["players_key_id"], await player.latest())
        notes.save(played=True)
        say(f"{accepted} responses have gone the whole way. The company is invented.")
    key, email, password = (notes.values[name] for name in ("api_key", "email", "password"))
    sys.stdout.write(
        f"closed-loop is ready at {address}\n"
        f"sign in as {email} with {password}\n"
        "post a response of your own, then reload the page:\n"
        f"curl -sS {address}/v1/responses -H 'Authorization: Bearer {key}'"
        " -H 'Content-Type: application/json'"
        ' -d \'{"external_id": "hello-1", "score": 2, "touchpoint": "support-call",'
        ' "comment": "Waited forty minutes and nobody called back",'
        ' "customer": {"id": "C-1", "name": "Sam Taylor", "phone": "+44 20 7946 0001"}}\'\n'
    )
    sys.stdout.flush()
