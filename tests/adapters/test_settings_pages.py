"""The pages of sources and keys as a browser without scripts meets them."""

from __future__ import annotations

import asyncio
import re
import shutil
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from html import unescape
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from services.ingest.pages.calls import PLACEHOLDER, calls
from shared.db.engine import Engines
from shared.identity.keys import ApiKey, list_keys
from shared.sealing import Keyring
from tests.fakes import ManualClock
from tests.front_desk import FrontDesk, front_desk_on

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
NEW_KEY = {
    "source": "crm",
    "name": "production",
    "scope:responses:write": "yes",
    "expires": "0",
}


@pytest_asyncio.fixture
async def desk(
    engines: Engines, clock: ManualClock, keyring: Keyring
) -> AsyncIterator[FrontDesk]:
    opened = FrontDesk(engines=engines, clock=clock, keyring=keyring)
    await opened.open()
    yield opened
    await opened.close()


async def send(browser: httpx.AsyncClient, path: str, **fields: str) -> httpx.Response:
    """Send a form."""
    return await browser.post(path, data=fields, headers=FORM)


def said(answer: httpx.Response) -> str:
    """Return what a page says, without its markup."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", answer.text)).split())


def field(answer: httpx.Response, name: str) -> str:
    """Return what stands in a field to copy from."""
    found = re.search(
        rf'<input id="{name}"[^>]* value="([^"]*)"|<textarea id="{name}"[^>]*>\n([^<]*)<',
        answer.text,
    )
    assert found, name
    return unescape(found[1] or found[2])


async def keys_of(desk: FrontDesk, **wanted: object) -> list[ApiKey]:
    async with desk.database.reading() as view:
        return list(await list_keys(view, **wanted))  # type: ignore[arg-type] # named by the test


# ------------------------------------------------------------------ keys


async def test_a_key_is_made_shown_once_and_lets_in(desk: FrontDesk) -> None:
    async with desk.browsing("ada") as browser, desk.browsing() as machine:
        empty = said(await browser.get("/settings/keys"))
        made = await send(browser, "/settings/keys", **NEW_KEY)
        plain = field(made, "key")
        posted = await machine.post(
            "/v1/responses",
            json={"external_id": "a-1", "score": 9},
            headers={"Authorization": f"Bearer {plain}"},
        )
        listed = await browser.get("/settings/keys")

    assert "No keys yet" in empty
    assert made.status_code == 200
    assert made.headers["cache-control"] == "no-store"
    assert posted.status_code == 202
    assert plain not in listed.text
    assert plain[:12] in listed.text
    assert "send responses of its source" in said(listed)
    for call in ("curl", "python", "javascript", "php"):
        assert plain in field(made, f"call-{call}")
    assert field(made, "hook-key") == f"{desk.settings.public_url}/v1/hooks/crm/{plain}"


async def test_sending_the_form_again_makes_no_second_key(desk: FrontDesk) -> None:
    async with desk.browsing("ada") as browser:
        await send(browser, "/settings/keys", **NEW_KEY)
        again = await send(browser, "/settings/keys", **NEW_KEY)

    assert again.status_code == 422
    assert "usable key of this name" in said(again)
    assert 'value="production"' in again.text
    assert len(await keys_of(desk)) == 1


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"name": ""}, "Please fill in this field."),
        ({"source": " "}, "Please fill in this field."),
        ({"source": "crm:test"}, "kept for trials"),
        ({"source": "c\u0007rm"}, "can be seen"),
        ({"scope:responses:write": ""}, "at least one"),
        ({"expires": "soon"}, "Please choose one."),
        ({"test": "yes", "scope:tasks:read": "yes"}, "only send and read"),
    ],
)
async def test_a_key_that_cannot_be_made_is_explained_at_its_field(
    desk: FrontDesk, fields: dict[str, str], error: str
) -> None:
    async with desk.browsing("ada") as browser:
        answer = await send(browser, "/settings/keys", **{**NEW_KEY, **fields})

    assert answer.status_code == 422
    text = said(answer)
    assert text.index("This was not saved.") < text.index(error)
    (link,) = re.findall(r'<li><a href="#(new-\w+)">', answer.text)
    assert f'id="{link}"' in answer.text
    assert f'id="{link}-error"' in answer.text
    assert await keys_of(desk) == []


async def test_a_key_can_end_and_can_be_for_trials(desk: FrontDesk) -> None:
    async with desk.browsing("ada") as browser:
        made = await send(
            browser, "/settings/keys", **{**NEW_KEY, "expires": "30", "test": "yes"}
        )
        listed = said(await browser.get("/settings/keys?source=crm"))

    (key,) = await keys_of(desk)
    assert key.test
    assert key.expires_at == desk.clock.now() + timedelta(days=30)
    assert "opens no tasks and counts nowhere" in said(made)
    assert "Keys of crm" in listed


async def test_a_replaced_key_goes_on_for_a_day(desk: FrontDesk) -> None:
    await desk.key()
    (old,) = await keys_of(desk)
    path = f"/settings/keys/{old.id}"

    async with desk.browsing("ada") as browser:
        before = await browser.get(path)
        rotated = await send(browser, f"{path}/rotate", overlap="24")
        again = await send(browser, f"{path}/rotate", overlap="24")
        after = await browser.get(path)

    assert '<option value="24" selected>' in before.text
    assert rotated.status_code == 200
    assert "goes on until" in said(rotated)
    assert field(rotated, "key").startswith("cfl_")
    assert again.status_code == 409
    assert "has been replaced already" in said(again)
    assert f'action="{path}/rotate"' not in after.text
    old, new = await keys_of(desk)
    assert old.expires_at == desk.clock.now() + timedelta(hours=24)
    assert old.replaced_by == new.id


async def test_revoking_takes_a_tick(desk: FrontDesk) -> None:
    plain = await desk.key()
    (key,) = await keys_of(desk)

    async with desk.browsing("ada") as browser, desk.browsing() as machine:
        unsure = await send(browser, f"/settings/keys/{key.id}/revoke")
        assert (await keys_of(desk))[0].revoked_at is None
        sure = await send(browser, f"/settings/keys/{key.id}/revoke", sure="yes")
        done = await browser.get(sure.headers["location"])
        with_revoked = await browser.get("/settings/keys?revoked=yes")
        refused = await machine.post(
            "/v1/responses",
            json={"external_id": "a-1", "score": 9},
            headers={"Authorization": f"Bearer {plain}"},
        )

    assert unsure.status_code == 422
    assert "Please tick this" in said(unsure)
    assert (sure.status_code, refused.status_code) == (303, 401)
    assert "The key is revoked." in said(done)
    assert plain[:12] not in done.text
    assert plain[:12] in with_revoked.text


async def test_keys_are_listed_in_parts(desk: FrontDesk) -> None:
    for n in range(3):
        await desk.key(name=f"key {n}")

    async with desk.browsing("ada") as browser:
        first = await browser.get("/settings/keys?limit=2&source=crm")
        href = re.search(r'<a class="button" href="([^"]+)" rel="next">', first.text)
        assert href
        second = await browser.get(unescape(href[1]))

    assert "key 0" in first.text
    assert "key 2" not in first.text
    assert "key 2" in second.text
    assert 'rel="prev"' in second.text


@pytest.mark.parametrize("nick", ["dev", "lea"])
async def test_who_may_not_change_keys_sees_them_without_forms(
    desk: FrontDesk, nick: str
) -> None:
    await desk.key()
    (key,) = await keys_of(desk)

    async with desk.browsing(nick) as browser:
        listed = await browser.get("/settings/keys")
        page = await browser.get(f"/settings/keys/{key.id}")
        refused = [
            (await send(browser, path, **NEW_KEY, overlap="24", sure="yes")).status_code
            for path in (
                "/settings/keys",
                f"/settings/keys/{key.id}/rotate",
                f"/settings/keys/{key.id}/revoke",
            )
        ]

    for shown in (listed, page):
        assert shown.status_code == 200
        assert 'action="/settings' not in shown.text
    assert refused == [403, 403, 403]
    assert (await keys_of(desk)) == [key]


async def test_staff_has_no_business_with_settings(desk: FrontDesk) -> None:
    async with desk.browsing("sam") as browser:
        assert (await browser.get("/settings/keys")).status_code == 403


async def test_there_is_no_such_key(desk: FrontDesk) -> None:
    async with desk.browsing("ada") as browser:
        assert (await browser.get("/settings/keys/key_none")).status_code == 404
        revoked = await send(browser, "/settings/keys/key_none/revoke", sure="yes")
        rotated = await send(browser, "/settings/keys/key_none/rotate", overlap="0")

    assert (revoked.status_code, rotated.status_code) == (404, 404)


# ------------------------------------------------------------------ the calls to copy

RUNNERS = {
    "curl": ["bash", "-c"],
    "python": [sys.executable],
    "javascript": ["node"],
    "php": ["php"],
}
SUFFIXES = {"python": "py", "javascript": "js", "php": "php"}


@pytest.mark.parametrize("name", RUNNERS)
async def test_the_call_that_a_page_offers_runs_and_is_taken(name: str, tmp_path: Path) -> None:
    program = "curl" if name == "curl" else RUNNERS[name][0]
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    async with front_desk_on(str(tmp_path / "desk.db")) as desk, desk.serving():
        async with desk.browsing("ada") as browser:
            text = field(await send(browser, "/settings/keys", **NEW_KEY), f"call-{name}")
        if name == "curl":
            command = [*RUNNERS[name], text]
        else:
            script = tmp_path / f"call.{SUFFIXES[name]}"
            script.write_text(text)
            command = [*RUNNERS[name], str(script)]
        running = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        out, err = await asyncio.wait_for(running.communicate(), 30)

    said = out.decode()
    assert running.returncode == 0, err.decode()
    assert " 202 " in said.splitlines()[0] if name == "curl" else said.startswith("202 ")
    assert '"status":"accepted"' in said.replace(" ", "")
    assert '"duplicate":false' in said.replace(" ", "")


def test_without_a_key_there_is_a_place_for_it() -> None:
    assert len(calls("https://feedback.example")) == 4
    for call in calls("https://feedback.example"):
        assert call.text.count(PLACEHOLDER) == 1
        assert "https://feedback.example/v1/responses" in call.text
        assert call.rows == len(call.text.splitlines())
