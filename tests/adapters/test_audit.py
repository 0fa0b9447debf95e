"""The audit trail as people and systems read it: filters, pages, files, on both databases."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from sqlalchemy import create_engine, text

from shared.db.engine import Engines
from shared.identity import audit, sessions
from shared.identity.people import create_staff
from shared.identity.principal import Principal, Role, Scope
from shared.sealing import Keyring
from tests.fakes import ManualClock
from tests.whole_house import WholeHouse, open_house

AT = "/settings/audit"
ROOT = Path(__file__).parents[2]


@dataclass
class Office:
    """A house in which Uwe audits and Ada administers."""

    house: WholeHouse
    staff: dict[str, str]

    async def note(self, action: str, subject: str, by: str = "ada", **detail: Any) -> None:
        """Write a line, a minute after the one before."""
        self.house.clock.advance(timedelta(minutes=1))
        actor = Principal(kind="staff", id=self.staff[by], name=by, scopes=frozenset())
        async with self.house.database.transaction() as tx:
            await audit.record(tx, actor, action, subject, detail, now=self.house.clock.now())

    async def browser(self, nick: str = "uwe") -> httpx.AsyncClient:
        async with self.house.database.transaction() as tx:
            token = await sessions.start(tx, self.staff[nick], now=self.house.clock.now())
        headers = {"cookie": f"session={token}", "accept": "text/html"}
        return self.house.client(headers=headers)

    async def listed(self, **asked: str) -> list[dict[str, Any]]:
        async with self.house.client() as client:
            answer = await client.get("/v1/audit", params=asked)
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["data"]
        return found


@pytest_asyncio.fixture
async def office(
    engines: Engines, clock: ManualClock, keyring: Keyring
) -> AsyncIterator[Office]:
    async with open_house(engines, clock, keyring) as house:
        staff = {}
        people = (
            ("ada", "Ada Admin", Role.ADMIN),
            ("uwe", "Uwe Wächter", Role.AUDITOR),
            ("lea", "=Lea", Role.LEAD),
        )
        for nick, name, role in people:
            async with house.database.transaction() as tx:
                made = await create_staff(
                    tx, email=f"{nick}@example.org", name=name, role=role, now=clock.now()
                )
            staff[nick] = made.id
        yield Office(house, staff)


# ------------------------------------------------------------------ as documents


async def test_a_line_says_who_did_what_to_what_and_when(office: Office) -> None:
    """Ids and counts stand in it; the name of whoever did it is looked up."""
    await office.note("webhook.created", "whk_1", detail="thin")

    latest, *_ = await office.listed()

    assert latest == {
        "n": latest["n"],
        "at": office.house.clock.now().isoformat().replace("+00:00", "Z"),
        "actor": {"kind": "staff", "id": office.staff["ada"], "name": "Ada Admin"},
        "action": "webhook.created",
        "subject": "whk_1",
        "detail": {"detail": "thin"},
    }


async def test_each_filter_narrows_and_all_of_them_together(office: Office) -> None:
    """By who, what, all of a kind, about what, from when and until when."""
    await office.note("webhook.created", "whk_1")
    await office.note("webhook.deleted", "whk_1", by="lea")
    third = office.house.clock.now() + timedelta(minutes=1)
    await office.note("key.revoked", "key_1", by="lea")
    await office.note("webhook.created", "whk_2")

    async def subjects(**asked: str) -> list[tuple[str, str]]:
        found = await office.listed(**asked)
        return [
            (entry["action"], entry["subject"])
            for entry in found
            if entry["subject"] in {"whk_1", "whk_2", "key_1"}
        ]

    created_2, revoked = ("webhook.created", "whk_2"), ("key.revoked", "key_1")
    created_1, deleted = ("webhook.created", "whk_1"), ("webhook.deleted", "whk_1")
    assert await subjects() == [created_2, revoked, deleted, created_1]
    assert await subjects(actor=office.staff["lea"]) == [revoked, deleted]
    assert await subjects(action="webhook.created") == [created_2, created_1]
    assert await subjects(action="webhook.*") == [created_2, deleted, created_1]
    assert await subjects(subject="whk_1") == [deleted, created_1]
    assert await subjects(since=third.isoformat()) == [created_2, revoked]
    assert await subjects(until=third.isoformat()) == [deleted, created_1]
    assert await subjects(
        actor=office.staff["lea"], action="webhook.*", until=third.isoformat()
    ) == [deleted]
    assert await subjects(action="web.*") == []


async def test_the_installation_itself_is_called_by_its_name(office: Office) -> None:
    """What was done on the machine stands there too."""
    found = await office.listed(actor="system", action="staff.created")

    assert [entry["actor"] for entry in found] == [
        {"kind": "system", "id": "system", "name": "Closed Loop"}
    ] * 3


async def test_pages_lead_from_the_latest_to_the_first_line(office: Office) -> None:
    """Nothing is left out or shown twice, also while further lines are written."""
    for n in range(5):
        await office.note("key.created", f"key_{n}")
    seen: list[str] = []
    cursor: dict[str, str] = {}
    async with office.house.client() as client:
        while True:
            asked = {"action": "key.created", "actor": office.staff["ada"], "limit": "2"}
            part = (await client.get("/v1/audit", params={**asked, **cursor})).json()
            seen += [entry["subject"] for entry in part["data"]]
            await office.note("key.created", "key_later")
            if not part["has_more"]:
                break
            cursor = {"cursor": part["next_cursor"]}
        foreign = await client.get("/v1/audit", params={"limit": "2", **cursor})

    assert seen == [f"key_{n}" for n in reversed(range(5))]
    assert foreign.status_code == 422


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("action=nonsense", 422),
        ("action=a.b.c", 422),
        ("since=yesterday", 422),
        ("since=2026-03-01T00:00:00", 422),
        ("since=0001-01-01T00:00:00%2B05:00", 422),
        ("until=9999-12-31T23:59:59-05:00", 422),
        ("since=0001-01-01T00:00:00Z&until=9999-12-31T23:59:59Z", 200),
        ("actor=" + "x" * 41, 422),
        ("actor=a&actor=b", 400),
        ("limit=0", 422),
        ("subject=%00", 400),
    ],
)
async def test_what_cannot_be_asked_is_refused_without_an_echo(
    office: Office, query: str, status: int
) -> None:
    async with office.house.client() as client:
        answer = await client.get(f"/v1/audit?{query}")

    assert answer.status_code == status
    assert "yesterday" not in answer.text
    assert "nonsense" not in answer.text


async def test_only_the_right_to_audit_opens_it(office: Office) -> None:
    """A key with every other scope does not, nor does somebody who leads."""
    others = await office.house.key(*(set(Scope) - {Scope.AUDIT_READ}))
    lea = await office.browser("lea")

    async with office.house.client(headers=others) as client:
        assert (await client.get("/v1/audit")).status_code == 403
    for path in (AT, f"{AT}/entries.csv", f"{AT}/entries.json", "/v1/audit"):
        assert (await lea.get(path)).status_code == 403
    assert "Audit trail" not in (await lea.get("/settings")).text


# ------------------------------------------------------------------ on the page


async def test_the_page_shows_the_trail_in_words(office: Office) -> None:
    """The deed as a sentence, who did it by name, and where to look."""
    await office.note("task.viewed", "tsk_1")
    await office.note("key.revoked", "key_1", source="crm", scopes=["tasks:read"])
    uwe = await office.browser()

    page = await uwe.get(AT)

    assert page.status_code == 200
    assert "A key was revoked" in page.text
    assert "Ada Admin" in page.text
    assert 'href="/settings/keys/key_1"' in page.text
    assert "tasks:read" in page.text
    assert "task.viewed" in page.text, "what has no words yet stands there by its name"
    assert 'href="/settings/audit"' in (await uwe.get("/settings")).text


async def test_the_filters_of_the_page_are_kept_in_its_links(office: Office) -> None:
    """Days are the reader's own; both ends are included."""
    office.house.clock.advance(datetime(2026, 3, 5, 8, tzinfo=UTC) - office.house.clock.now())
    await office.note("key.revoked", "key_1")
    office.house.clock.advance(timedelta(days=1))
    for n in range(55):
        await office.note("key.created", f"key_{n}")
    uwe = await office.browser()

    day = await uwe.get(f"{AT}?since=2026-03-05&until=2026-03-05&action=key.revoked")
    many = await uwe.get(f"{AT}?action=key.created&actor={office.staff['ada']}")
    older = many.text.partition('rel="next"')[0].rpartition('href="')[2].partition('"')[0]
    rest = await uwe.get(older.replace("&amp;", "&"))

    assert "key_1" in day.text
    assert 'value="2026-03-05"' in day.text
    assert "entries.csv?action=key.revoked" in day.text
    assert many.text.count("A key was created</th>") == 50
    assert rest.text.count("A key was created</th>") == 5
    assert "Back to the first" in rest.text


@pytest.mark.parametrize("asked", ["since=then", "until=2026-02-30", "subject=" + "x" * 81])
async def test_a_filter_that_makes_no_sense_is_said_at_its_field(
    office: Office, asked: str
) -> None:
    """Nothing is shown for it, rather than everything."""
    uwe = await office.browser()

    page = await uwe.get(f"{AT}?{asked}")
    file = await uwe.get(f"{AT}/entries.csv?{asked}")

    assert page.status_code == 422
    assert f'id="filter-{asked.partition("=")[0]}-error"' in page.text
    assert "Nothing to show" in page.text
    assert (file.status_code, file.headers["location"]) == (303, f"{AT}?{asked}")


async def test_a_filter_without_a_match_says_so(office: Office) -> None:
    page = await (await office.browser()).get(f"{AT}?subject=nobody")

    assert page.status_code == 200
    assert "Take one of the filters away" in page.text


# ------------------------------------------------------------------ as files


async def test_a_file_holds_what_matches_and_taking_it_is_a_line_itself(
    office: Office,
) -> None:
    """However long the trail is; the filters in use are noted, not what they say."""
    for n in range(1_203):
        async with office.house.database.transaction() as tx:
            await audit.record(
                tx,
                Principal(kind="staff", id=office.staff["lea"], name="Lea", scopes=frozenset()),
                "key.created",
                f"key_{n}",
                {"said": "=1+1"},
                now=office.house.clock.now(),
            )
    uwe = await office.browser()

    sheet = await uwe.get(f"{AT}/entries.csv?action=key.created&actor={office.staff['lea']}")
    document = await uwe.get(f"{AT}/entries.json?actor={office.staff['lea']}")
    everything = await uwe.get(f"{AT}/entries.json")

    lines = list(csv.DictReader(StringIO(sheet.text.removeprefix("\ufeff"))))
    assert sheet.headers["content-disposition"] == 'attachment; filename="audit.csv"'
    assert [line["subject"] for line in lines] == [f"key_{n}" for n in reversed(range(1_203))]
    assert {line["actor"] for line in lines} == {"'=Lea"}
    assert json.loads(lines[0]["detail"]) == {"said": "=1+1"}
    assert [entry["subject"] for entry in document.json()] == [
        line["subject"] for line in lines
    ]
    assert len(everything.json()) > 1_203
    taken = await office.listed(action="audit.exported")
    assert [(one["actor"]["id"], one["detail"]) for one in reversed(taken)] == [
        (
            office.staff["uwe"],
            {"format": "csv", "lines": 1_203, "filters": ["actor", "action"]},
        ),
        (office.staff["uwe"], {"format": "json", "lines": 1_203, "filters": ["actor"]}),
        (
            office.staff["uwe"],
            {"format": "json", "lines": len(everything.json()), "filters": []},
        ),
    ]


async def test_a_file_of_nothing_is_a_file(office: Office) -> None:
    uwe = await office.browser()

    sheet = await uwe.get(f"{AT}/entries.csv?subject=nobody")
    document = await uwe.get(f"{AT}/entries.json?subject=nobody")

    assert sheet.text.startswith("\ufeffn,at,")
    assert len(sheet.text.splitlines()) == 1
    assert document.json() == []


# ------------------------------------------------------------------ on the command line


@pytest.fixture
def shell(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The program in a folder of its own, with somebody who can sign in."""
    where = f"sqlite+aiosqlite:///{tmp_path}/closed-loop.db"
    machine = {"PATH": os.defpath, "PYTHONPATH": str(ROOT)}

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-m", "services", *words],
            env={**machine, "CLOSED_LOOP_DATABASE_URL": where},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    assert run("user", "add", "ana@example.org", "--name", "Ana Ruiz").returncode == 0
    return run


def test_the_command_lists_what_the_page_lists(
    shell: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    """The latest first, by address of a person too; an unknown address is not found."""
    assert shell("key", "create", "--source", "crm").returncode == 0

    listed = json.loads(shell("audit", "list", "--json").stdout)
    keys = json.loads(shell("audit", "list", "--action", "key.*", "--json").stdout)
    anas = json.loads(shell("audit", "list", "--actor", "ana@example.org", "--json").stdout)
    table = shell("audit", "list", "--until", "2020-01-01")
    nobody = shell("audit", "list", "--actor", "bo@example.org")

    assert [entry["action"] for entry in listed[:2]] == ["key.created", "staff.created"]
    assert {entry["actor"] for entry in listed} == {"Closed Loop"}
    assert [entry["action"] for entry in keys] == ["key.created"]
    assert anas == []
    assert (table.returncode, len(table.stdout.splitlines())) == (0, 1)
    assert nobody.returncode == 3
    assert "bo@example.org" not in nobody.stderr


def test_the_command_says_whether_the_trail_is_whole(
    tmp_path: Path, shell: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    """It ends with 1 and names what is wrong, here the protection that is gone."""
    engine = create_engine(f"sqlite:///{tmp_path}/closed-loop.db")

    whole = shell("audit", "verify", "--json")
    with engine.begin() as connection:
        connection.execute(text("DROP TRIGGER shared_audit_no_delete"))
    engine.dispose()
    open_ = shell("audit", "verify", "--json")
    headless = shell("audit", "verify", "--head", "7:00")

    said = json.loads(whole.stdout)
    assert (whole.returncode, said["whole"], said["head"], said["sealed"]) == (0, True, None, 0)
    assert said["unsealed"] >= 1
    assert "The trail is whole." in whole.stderr
    assert open_.returncode == 1
    assert [one["what"] for one in json.loads(open_.stdout)["findings"]] == ["open"]
    assert headless.returncode == 1
    assert "head is not there" in headless.stdout
