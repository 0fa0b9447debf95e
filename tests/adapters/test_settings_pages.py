"""The pages of sources and keys as a browser without scripts meets them."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from html import unescape
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from services.ingest import store
from services.ingest.domain.mappings import Document
from services.ingest.domain.payloads import read_payload
from services.ingest.domain.sources import Source
from services.ingest.handlers import source_named
from services.ingest.pages.calls import PLACEHOLDER, calls
from services.ingest.pages.reasons import REASONS
from services.ingest.reception import Call, interpret, receive
from services.ingest.senders import ready_senders
from shared.db.engine import Engines
from shared.identity.keys import ApiKey, list_keys
from shared.identity.principal import Scope
from shared.sealing import Keyring
from tests.fakes import ManualClock
from tests.front_desk import FrontDesk, front_desk_on
from tests.senders.folders import TYPES
from tests.staff import audited

ROOT = Path(__file__).parents[2]
SENT_BY = [path for path in (ROOT / "tests/senders").iterdir() if not path.name.startswith("_")]

# What the pattern finds beside reasons of what was sent: types, and mistakes in settings.
NO_REASONS = {
    "attribute_sent_twice",
    "code",
    "one_of_two",
    "one_way",
    "reason",
    "retention",
    "str",
    "unknown_sender",
    "unusable",
}
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


# ------------------------------------------------------------------ sources


MAYA = "Maya Lindqvist waited for an hour."
SENT = {"result": {"number": "a-1", "points": "3", "text": MAYA, "by": "maya@example.org"}}
MENDED = """\
version: 1
answers: result
fields:
  external_id: number
  score: points
  comment: text
  customer.email: by
"""


async def create(browser: httpx.AsyncClient, name: str = "crm", sender: str = "") -> str:
    """Create a source; return the address of its page."""
    made = await send(browser, "/settings/sources", name=name, sender=sender)
    assert made.status_code == 303
    return str(made.headers["location"].partition("?")[0])


async def reject(desk: FrontDesk, sent: object = SENT, name: str = "crm") -> None:
    """Have a hook's call come that nothing here can read."""
    await desk.build()
    results = await receive(
        desk.ingest,
        await source_named(desk.ingest, name),
        Call(payload=sent, body=json.dumps(sent).encode()),
        test=False,
    )
    assert [one.status for one in results] == ["rejected"]


async def open_last(browser: httpx.AsyncClient, path: str) -> tuple[str, httpx.Response]:
    """Open the payload that came last; return its address and its page."""
    page = await browser.get(path)
    found = re.search(rf'href="({path}/payloads/[^"]+)"', page.text)
    assert found
    return found[1], await browser.get(found[1])


def version_in(answer: httpx.Response) -> str:
    found = re.search(r'name="version" value="(\d+)"', answer.text)
    assert found
    return found[1]


async def settings_of(desk: FrontDesk, name: str = "crm") -> Source:
    await desk.build()
    return await source_named(desk.ingest, name)


async def test_the_first_source_is_created_from_an_empty_list(desk: FrontDesk) -> None:
    async with desk.browsing("ada") as browser:
        empty = await browser.get("/settings/sources")
        made = await send(browser, "/settings/sources", name="shop de 1", sender="typeform")
        page = await browser.get(made.headers["location"])
        again = await send(browser, "/settings/sources", name="shop de 1", sender="")
        listed = await browser.get("/settings/sources")

    assert "No source yet" in said(empty)
    assert 'href="#new-name"' in empty.text
    assert made.status_code == 303
    assert page.status_code == 200
    assert "The source is there." in said(page)
    assert field(page, "hook") == f"{desk.settings.public_url}/v1/hooks/shop%20de%201"
    assert field(page, "hook-key").endswith("/v1/hooks/shop%20de%201/$KEY")
    assert again.status_code == 422
    assert "There is a source of this name already." in said(again)
    assert "Typeform" in said(listed)


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"name": ""}, "Please fill in this field."),
        ({"name": "crm:test"}, "kept for trials"),
        ({"name": "c\u200brm"}, "can be seen"),
        ({"name": "shop/de"}, "without slashes"),
        ({"sender": "no-such-system"}, "Please choose one."),
    ],
)
async def test_a_source_that_cannot_be_created_is_explained(
    desk: FrontDesk, fields: dict[str, str], error: str
) -> None:
    async with desk.browsing("ada") as browser:
        answer = await send(
            browser, "/settings/sources", **{"name": "crm", "sender": "", **fields}
        )
        listed = await browser.get("/settings/sources")

    assert answer.status_code == 422
    assert error in said(answer)
    assert "No source yet" in said(listed)


async def test_there_is_no_such_source(desk: FrontDesk) -> None:
    async with desk.browsing("ada") as browser:
        found = [
            (await browser.get(f"/settings/sources/{path}")).status_code
            for path in ("none", "none/try", "crm:test", "none/payloads/pay_1")
        ]

    assert found == [404, 404, 404, 404]


async def test_what_became_of_everything_is_told_with_its_reason(desk: FrontDesk) -> None:
    rights = {"Authorization": f"Bearer {await desk.key()}"}
    trial = {"Authorization": f"Bearer {await desk.key(test=True, name='trial')}"}
    json_type = {"Content-Type": "application/json"}
    async with desk.browsing() as machine:
        for n in range(3):
            await machine.post(
                "/v1/responses", json={"external_id": f"a-{n}", "score": 9}, headers=rights
            )
        await machine.post(
            "/v1/responses", json={"external_id": "a-1", "score": 9}, headers=rights
        )
        await machine.post(
            "/v1/responses", json={"external_id": "t-1", "score": 9}, headers=trial
        )
        for body in ('{"score": 3}', '{"external_id": "x", "score": 11}', "{", "{"):
            refused = await machine.post(
                "/v1/responses", content=body, headers={**rights, **json_type}
            )
            assert refused.status_code in {400, 422}
        await machine.post("/v1/responses", content="<a/>", headers=rights)
    desk.clock.advance(timedelta(minutes=12))

    async with desk.browsing("dev") as browser:
        listed = await browser.get("/settings/sources")
        page = await browser.get("/settings/sources/crm")

    assert "12 mins ago" in said(listed)
    (row,) = re.findall(r'<tr role="row">\s*<th scope="row".*?</tr>', listed.text, re.DOTALL)
    assert "Taken in" in row
    cells = [" ".join(re.sub(r"<[^>]+>", " ", cell).split()) for cell in row.split("<td")[3:]]
    numbers = [re.sub(r"^[^>]*>", "", cell).strip() for cell in cells]
    assert numbers == ["3 and 1 test", "0", "2", "3"]
    assert row.count('href="/settings/sources/crm#health"') == 2
    text = said(page)
    for words in (
        "Something that is needed is not there.",
        "A number outside its range.",
        "The body or a header could not be read.",
        "A content type that is not taken.",
        "Send application/json, uncompressed and in UTF-8.",
    ):
        assert words in text
    assert 'action="/settings' not in page.text
    assert "/payloads/" not in page.text
    assert "Opening one takes the right" in text


async def test_a_ready_sender_is_told_with_its_documentation_and_its_secret(
    desk: FrontDesk,
) -> None:
    async with desk.browsing("ada") as browser:
        page = await browser.get(await create(browser, sender="typeform"))

    text = said(page)
    assert "In Typeform, set up a webhook that sends to this address" in text
    assert "Typeform signs what it sends." in text
    for link in ready_senders()["typeform"]["documentation"]:
        assert f'<a href="{link}" rel="noreferrer">' in page.text


async def test_a_source_is_called_after_what_reads_it(desk: FrontDesk) -> None:
    own = "version: 1\nfields: {external_id: nr}\nsignature: {scheme: hmac, header: X-Sign}\n"
    async with desk.browsing("ada") as browser:
        path = await create(browser)
        version = version_in(await browser.get(path))
        await send(browser, path, mapping=own, version=version)
        unnamed = said(await browser.get(path))
        version = version_in(await browser.get(path))
        await send(browser, path, mapping=f"{own}name: Acme Polls\n", version=version)
        named = said(await browser.get(path))
        any_system = said(await browser.get(await create(browser, "cms", sender="generic")))

    assert "crm read by a mapping of its own" in unnamed
    assert "The sender signs what it sends." in unnamed
    assert "Acme Polls signs what it sends." in named
    assert "In Acme Polls, set up a webhook" in named
    assert "cms Any other system" in any_system
    assert "In Any other system" not in any_system


async def test_a_silent_source_is_marked(desk: FrontDesk) -> None:
    async with desk.browsing("ada") as browser:
        path = await create(browser)
        source = replace(
            await settings_of(desk), silent_after_hours=6, silent_since=desk.clock.now()
        )
        async with desk.database.transaction() as tx:
            await store.save_source(tx, source)
        listed = await browser.get("/settings/sources")
        page = await browser.get(path)

    assert '<span class="tag late">silent</span>' in listed.text
    assert "silent since 2 Mar 2026, 10:00" in said(page)


async def test_what_a_test_key_sends_is_told_apart(desk: FrontDesk) -> None:
    rights = {"Authorization": f"Bearer {await desk.key(test=True)}"}
    async with desk.browsing() as machine:
        await machine.post("/v1/responses", json={"score": 9}, headers=rights)
        await machine.post(
            "/v1/responses", json={"external_id": "t-1", "score": 9}, headers=rights
        )

    async with desk.browsing("ada") as browser:
        page = await browser.get("/settings/sources/crm")
        listed = await browser.get("/settings/sources")
        _, opened = await open_last(browser, "/settings/sources/crm")

    assert re.findall(r'>(taken in|rejected)</span> <span class="tag">test<', page.text) == [
        "taken in",
        "rejected",
        "rejected",
    ]
    assert "crm:test" not in listed.text
    assert opened.status_code == 200


async def test_the_touchpoints_that_a_source_names_lead_to_their_settings(
    desk: FrontDesk,
) -> None:
    rights = {"Authorization": f"Bearer {await desk.key()}"}
    async with desk.browsing() as machine:
        for n, code in enumerate(("door", "door", "<shop>")):
            sent = {"external_id": f"a-{n}", "score": 9, "touchpoint": code}
            await machine.post("/v1/responses", json=sent, headers=rights)

    async with desk.browsing("ada") as browser:
        page = await browser.get("/settings/sources/crm")

    assert "door 2 <shop> 1" in said(page)
    assert "<shop>" not in page.text
    assert 'href="/settings/touchpoints/one?code=%3Cshop%3E"' in page.text


async def test_settings_are_saved_whole_and_once(desk: FrontDesk) -> None:
    fields = {
        "sender": "typeform",
        "namespace": "group",
        "silent": "6",
        "mapping": "version: 1\nfields: {segment: hidden.tier}\n",
    }
    async with desk.browsing("ada") as browser:
        path = await create(browser)
        version = version_in(await browser.get(path))
        saved = await send(browser, path, **fields, version=version)
        page = await browser.get(saved.headers["location"])
        stale = await send(browser, path, **{**fields, "silent": "7"}, version=version)
        insisted = await send(
            browser, path, **{**fields, "silent": "7"}, version=version_in(stale)
        )

    assert saved.status_code == 303
    assert "The settings are saved." in said(page)
    assert "Ada" in said(page)
    assert "hidden.tier" in page.text
    assert stale.status_code == 412
    assert "Somebody changed this meanwhile." in said(stale)
    assert insisted.status_code == 303
    source = await settings_of(desk)
    assert (source.sender, source.namespace, source.silent_after_hours) == (
        "typeform",
        "group",
        7,
    )
    assert source.mapping == {"version": 1, "fields": {"segment": "hidden.tier"}}


def former_in(answer: httpx.Response) -> dict[str, str]:
    """Return what the form that brings the former settings back would send."""
    form = answer.text.partition("What held until")[2]
    hidden = re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form)
    return {name: unescape(value) for name, value in hidden}


async def test_settings_that_were_a_mistake_are_brought_back(desk: FrontDesk) -> None:
    right = "version: 1\nfields:\n  segment: hidden.tier\n  score: '\"a\"'\n"
    async with desk.browsing("ada") as browser:
        version = version_in(await browser.get(path := await create(browser)))
        await send(browser, path, sender="typeform", mapping=right, version=version)
        meant = await settings_of(desk)
        for _ in range(2):  # pressing the button twice does not throw the way back away
            version = version_in(await browser.get(path))
            await send(browser, path, namespace="shop", version=version)
        fields = former_in(await browser.get(path))
        back = await send(browser, path, **fields)
        again = await send(browser, path, **fields)
        page = await browser.get(path)

    assert (back.status_code, again.status_code) == (303, 412)
    source = await settings_of(desk)
    assert (source.sender, source.mapping) == (meant.sender, meant.mapping)
    assert (source.namespace, former_in(page)["namespace"]) == (None, "shop")


async def test_a_key_that_changed_the_settings_is_named_in_words(desk: FrontDesk) -> None:
    rights = {"Authorization": f"Bearer {await desk.key('crm', *Scope)}"}
    async with desk.browsing() as machine, desk.browsing("ada") as browser:
        changed = await machine.put(
            "/v1/sources/crm", json={"sender": "typeform"}, headers=rights
        )
        page = await browser.get("/settings/sources/crm")
        keys = await browser.get("/settings/keys")

    assert changed.status_code == 200
    (key,) = await keys_of(desk)
    assert f"Key “{key.name}”" in said(page)
    assert key.id not in said(page)
    # A key that may do everything is no list of thirteen rights.
    assert ">everything</td>" in keys.text


@pytest.mark.parametrize(
    ("fields", "name", "error"),
    [
        ({"silent": "soon"}, "silent", "1 to 8,760"),
        ({"silent": "9000"}, "silent", "1 to 8,760"),
        ({"sender": "nobody"}, "sender", "Please choose one."),
        ({"namespace": "x:test"}, "namespace", "can be seen"),
        ({"mapping": "a: [1"}, "mapping", "Line 1 is not YAML."),
        ({"mapping": "just words"}, "mapping", "This is no mapping"),
        ({"mapping": "a: &x [1]\nb: *x"}, "mapping", "This is no mapping"),
        (
            {"mapping": "version: 1\nfields: {score: 'a['}"},
            "mapping",
            "/fields/score: is no JMESPath",
        ),
    ],
)
async def test_settings_of_no_use_are_explained_at_their_field(
    desk: FrontDesk, fields: dict[str, str], name: str, error: str
) -> None:
    async with desk.browsing("ada") as browser:
        path = await create(browser)
        version = version_in(await browser.get(path))
        answer = await send(browser, path, **{"sender": "", "version": version, **fields})

    assert answer.status_code == 422
    assert f'href="#settings-{name}"' in answer.text
    (error_text,) = re.findall(rf'id="settings-{name}-error">([^<]*)<', answer.text)
    assert error in unescape(error_text)
    assert (await settings_of(desk)).version == int(version)


# ------------------------------------------------------------------ signing secrets


async def test_a_secret_is_made_and_shown_once(desk: FrontDesk) -> None:
    async with desk.browsing("ada") as browser:
        path = await create(browser)
        made = await send(browser, f"{path}/secrets", value="", newest="")
        again = await send(browser, f"{path}/secrets", value="", newest="")
        page = await browser.get(path)
        newest = re.search(r'name="newest" value="([^"]+)"', page.text)
        assert newest
        replaced = await send(browser, f"{path}/secrets", value="", newest=newest[1])

    plain = field(made, "value")
    assert plain.startswith("whsec_")
    assert again.status_code == 412
    assert plain not in page.text
    assert "in use" in said(page)
    assert "The former secret counts until" in said(replaced)
    source = await settings_of(desk)
    assert source.secrets == (field(replaced, "value"), plain)
    desk.clock.advance(timedelta(hours=25))
    assert (await settings_of(desk)).secrets == (field(replaced, "value"),)


async def test_the_senders_secret_is_taken_and_never_shown(desk: FrontDesk) -> None:
    async with desk.browsing("ada") as browser:
        path = await create(browser)
        short = await send(browser, f"{path}/secrets", value="sh0rt", newest="")
        taken = await send(browser, f"{path}/secrets", value="S3cret-of-the-sender", newest="")
        page = await browser.get(taken.headers["location"])
        found = re.search(rf'action="({path}/secrets/[^"]+/delete)"', page.text)
        assert found
        deleted = await send(browser, found[1])
        after = await browser.get(deleted.headers["location"])

    assert short.status_code == 422
    assert "sh0rt" not in short.text
    assert "The secret is saved." in said(page)
    assert "S3cret" not in page.text
    assert "The secret is deleted." in said(after)
    assert (await settings_of(desk)).secrets == ()


# ------------------------------------------------------------------ payloads


async def test_a_rejected_payload_is_mended_and_taken_in(desk: FrontDesk) -> None:
    async with desk.browsing("ada") as browser:
        path = await create(browser)
        await reject(desk)
        at, opened = await open_last(browser, path)
        tried = await send(browser, f"{at}/try", mapping=MENDED, version=version_in(opened))
        before = await settings_of(desk)
        saved = await send(browser, f"{at}/mapping", mapping=MENDED, version=version_in(opened))
        done = await browser.get(saved.headers["location"])
        again = await send(browser, f"{at}/again")
        after = await browser.get(again.headers["location"])
        page = await browser.get(path)

    assert "Something that is needed is not there." in said(opened)
    assert "nothing found here" in said(opened)
    assert MAYA in unescape(opened.text)
    assert "would be taken in" in said(tried)
    assert "maya@example.org" in tried.text
    assert re.search(r"<code>score</code>.*?>3<.*?<code>points</code>", tried.text, re.DOTALL)
    assert before.mapping is None
    assert (saved.status_code, again.status_code) == (303, 303)
    assert "The mapping is saved." in said(done)
    assert "It was taken in again" in said(after)
    assert f'action="{at}/again"' not in after.text
    assert "Taken in today 1" in said(page)
    assert MAYA not in page.text
    assert (await audited(desk.database)).count("payload.opened") >= 4
    async with desk.database.reading() as view:
        (response,) = await store.list_responses(
            view, state=None, source="crm", before=None, limit=5
        )
    assert response.clear["score"] == 3


async def test_trying_leaves_nothing_behind(desk: FrontDesk) -> None:
    async with desk.browsing("ada") as browser:
        path = await create(browser)
        pasted = {"payload": json.dumps(SENT), "content_type": "application/json"}
        empty = await browser.get(f"{path}/try")
        tried = await send(browser, f"{path}/try", mapping=MENDED, **pasted)
        form = await send(
            browser,
            f"{path}/try",
            mapping="",
            payload="id=7&score=9&comment=Fine",
            content_type="application/x-www-form-urlencoded",
        )
        unread = await send(browser, f"{path}/try", mapping="", **{**pasted, "payload": "{"})
        wrong = await send(browser, f"{path}/try", mapping="fields: 1", **pasted)
        missing = await send(browser, f"{path}/try", mapping="", **{**pasted, "payload": ""})
        page = await browser.get(path)

    assert "Paste a payload" in said(empty)
    assert "would be taken in" in said(tried)
    assert MAYA in unescape(tried.text)
    assert "would be taken in" in said(form)
    assert "The body or a header could not be read." in said(unread)
    assert (wrong.status_code, missing.status_code) == (422, 422)
    assert 'href="#mapping-mapping"' in wrong.text
    assert 'href="#mapping-payload"' in missing.text
    assert "Nothing has come from this source" in said(page)
    assert (await settings_of(desk)).mapping is None


@pytest.mark.parametrize("sender", sorted(path.name for path in SENT_BY if path.is_dir()))
async def test_whatever_a_sender_sends_can_be_tried(desk: FrontDesk, sender: str) -> None:
    async with desk.browsing("ada") as browser:
        path = await create(browser, sender=sender)
        for file in sorted((ROOT / "tests/senders" / sender).iterdir()):
            if file.suffix not in TYPES:
                continue
            sent = {"payload": file.read_text(), "content_type": TYPES[file.suffix]}
            tried = await send(browser, f"{path}/try", mapping="", **sent)

            assert tried.status_code == 200, file
            found = [
                item
                for item in interpret(
                    await settings_of(desk),
                    Call(payload=read_payload(file.read_bytes(), TYPES[file.suffix])),
                ).items
                if isinstance(item, Document)
            ][:10]
            for item in found:
                assert f'"external_id": "{item.members["external_id"]}"' in unescape(tried.text)
            scores = [item.members["score"] for item in found if "score" in item.members]
            lines = re.findall(
                r"<code>score</code></dt>\s*<dd>\s*<span dir=\"auto\">(\d+)<", tried.text
            )
            assert set(map(str, scores)) <= set(lines), file


async def test_a_pasted_payload_leads_to_a_saved_mapping(desk: FrontDesk) -> None:
    async with desk.browsing("ada") as browser:
        path = await create(browser)
        version = version_in(await browser.get(f"{path}/try"))
        saved = await send(browser, f"{path}/mapping", mapping=MENDED, version=version)
        stale = await send(browser, f"{path}/mapping", mapping="", version=version)

    assert (saved.status_code, stale.status_code) == (303, 412)
    source = await settings_of(desk)
    assert source.mapping is not None
    assert source.mapping["answers"] == "result"


async def test_what_was_taken_in_is_not_taken_in_again(desk: FrontDesk) -> None:
    async with desk.browsing("ada") as browser:
        path = await create(browser)
        await desk.build()
        sent = {"external_id": "a-1", "score": 9}
        call = Call(payload=sent, body=json.dumps(sent).encode())
        await receive(desk.ingest, await settings_of(desk), call, test=False)
        at, opened = await open_last(browser, path)
        again = await send(browser, f"{at}/again")

    assert "Read as our own format." in said(opened)
    assert "is known already" in said(opened)
    assert f'action="{at}/again"' not in opened.text
    assert again.status_code == 409


@pytest.mark.parametrize("nick", ["dev", "lea", "sam"])
async def test_payloads_are_opened_by_few(desk: FrontDesk, nick: str) -> None:
    async with desk.browsing("ada") as browser:
        path = await create(browser)
        await reject(desk)
        at, _ = await open_last(browser, path)
    before = await audited(desk.database)

    async with desk.browsing(nick) as browser:
        shown = [(await browser.get(each)).status_code for each in (at, f"{path}/try")]
        posts = (f"{at}/try", f"{at}/mapping", f"{at}/again", f"{path}/try", f"{path}/mapping",
                 path, f"{path}/secrets", f"{path}/secrets/sec_1/delete")  # fmt: skip
        sent = [(await send(browser, each, mapping="")).status_code for each in posts]

    assert shown == [403, 403]
    assert sent == [403] * len(posts)
    assert await audited(desk.database) == before


async def test_a_payload_of_another_source_is_not_there(desk: FrontDesk) -> None:
    async with desk.browsing("ada") as browser:
        path = await create(browser)
        other = await create(browser, "shop")
        await reject(desk)
        at, _ = await open_last(browser, path)
        answer = await browser.get(at.replace(path, other))

    assert answer.status_code == 404


async def test_a_hostile_payload_is_only_text(desk: FrontDesk) -> None:
    hostile = {"result": "</pre><script>alert(1)</script>{{ 7*7 }}"}
    async with desk.browsing("ada") as browser:
        path = await create(browser)
        await reject(desk, hostile)
        _, opened = await open_last(browser, path)

    assert "<script>" not in opened.text
    assert opened.text.count("<script") == 1  # our own, in the frame of every page
    assert "{{ 7*7 }}" in unescape(opened.text)


def test_every_reason_that_is_counted_has_words() -> None:
    """Those of our own rules and of the ready mappings; an own mapping may name others."""
    named = re.compile(
        r"""(?:reason|code)(?:=|: |": )"?([a-z_]{3,})"?[,)}\n]|CannotConvert\(\s*"([a-z_]+)\""""
    )
    found = set()
    for folder in ("services/ingest", "shared/strict_json.py"):
        for path in [ROOT / folder, *(ROOT / folder).rglob("*")]:
            if path.suffix in {".py", ".yaml"} and "pages" not in path.parts:
                found |= {first or second for first, second in named.findall(path.read_text())}
    page = (ROOT / "docs/sources.md").read_text().split("| reason | what to do |")[1]
    for row in page.split("\n\n")[0].splitlines()[2:]:
        found |= set(re.findall("`([a-z_]+)`", row.split("|")[1]))
    assert len(found) > 40
    assert sorted(found - set(REASONS) - NO_REASONS) == []
