"""What pages of other sites can make a signed-in browser do here: nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest
from fastapi import FastAPI
from playwright.async_api import Page
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from tests.browser.conftest import Office
from tests.browser.looks import PHONE, expect_no_broken_rule, runs_out_by
from tests.infra.oidc import Provider
from tests.infra.processes import free_port
from tests.serving import served

pytestmark = [pytest.mark.chromium, pytest.mark.asyncio(loop_scope="session")]

# One is another site, so that a lax cookie stays behind. The other is merely another origin of
# the same site: there the browser sends the cookie along, and only we can say no.
ELSEWHERE = ["localhost", "127.0.0.1"]


@asynccontextmanager
async def another_site(host: str) -> AsyncIterator[str]:
    """Serve an empty page at another origin, and what is posted to ``/form``."""
    app = FastAPI()

    async def empty(request: Request) -> Response:
        return HTMLResponse("<!doctype html><title>prizes</title><p>You have won.</p>")

    app.add_route("/", empty)
    port = free_port()
    async with served(app, port):
        yield f"http://{host}:{port}/"


async def submitted(page: Page, target: str, fields: dict[str, str], kind: str = "") -> int:
    """Have the page send a form by itself; return what came of it."""
    async with page.expect_navigation() as navigation:
        await page.evaluate(
            """([target, fields, kind]) => {
              const form = document.createElement('form');
              form.method = 'post'; form.action = target; if (kind) form.enctype = kind;
              for (const [name, value] of Object.entries(fields)) {
                const input = document.createElement('input');
                input.name = name; input.value = value; form.append(input);
              }
              document.body.append(form); form.submit();
            }""",
            [target, fields, kind],
        )
    answer = await navigation.value
    assert answer is not None
    return answer.status


async def fetched(page: Page, target: str, how: dict[str, object]) -> str:
    """Have a script of the page send something; return what it gets to know."""
    said: str = await page.evaluate(
        """async ([target, how]) => {
          try { const answer = await fetch(target, {credentials: 'include', ...how});
                return `${answer.type} ${answer.status} ${(await answer.text()).length}`; }
          catch (error) { return error.name; }
        }""",
        [target, how],
    )
    return said


@pytest.mark.parametrize("host", ELSEWHERE)
async def test_forms_of_another_site_change_nothing(own_office: Office, host: str) -> None:
    (task, *_) = await own_office.desk.tasks()
    window = await own_office.window("ana")
    async with another_site(host) as evil:
        page = await window.new_page()
        statuses = {}
        for path, fields, kind in (
            (f"/tasks/{task.id}/claim", {"version": str(task.version)}, ""),
            (f"/tasks/{task.id}/notes", {"text": "owned"}, "multipart/form-data"),
            (f"/v1/tasks/{task.id}/claim", {'{"a": "': '"}'}, "text/plain"),
            ("/sign-out", {}, ""),
            ("/sign-in", {"email": "ana@example.org", "password": "x"}, ""),
        ):
            await page.goto(evil)
            statuses[path] = await submitted(page, f"{own_office.url}{path}", fields, kind)

        # Without its cookie a form meets nobody who is signed in: the address of a document
        # says so with its own status.
        nobody = {401, 403} if host == "localhost" else {403}
        assert set(statuses.values()) <= nobody, statuses
    (after,) = [one for one in await own_office.desk.tasks() if one.id == task.id]
    assert after == task
    page = await window.new_page()
    await page.goto("/")
    assert urlsplit(page.url).path == "/"
    await window.close()


@pytest.mark.parametrize("host", ELSEWHERE)
async def test_scripts_of_another_site_change_and_learn_nothing(
    own_office: Office, host: str
) -> None:
    (task, *_) = await own_office.desk.tasks()
    claim = f"{own_office.url}/v1/tasks/{task.id}/claim"
    window = await own_office.window("ana")
    async with another_site(host) as evil:
        page = await window.new_page()
        await page.goto(evil)
        said = {
            "read": await fetched(page, f"{own_office.url}/v1/tasks", {}),
            "read unseen": await fetched(page, f"{own_office.url}/", {"mode": "no-cors"}),
            "json": await fetched(
                page,
                claim,
                {
                    "method": "POST",
                    "body": "{}",
                    "headers": {"content-type": "application/json"},
                },
            ),
            "text": await fetched(page, claim, {"method": "POST", "body": "{}"}),
            "unseen": await fetched(
                page, claim, {"method": "POST", "body": "{}", "mode": "no-cors"}
            ),
            "with a key": await fetched(
                page, claim, {"method": "POST", "headers": {"authorization": "Bearer x"}}
            ),
        }

        assert said == dict.fromkeys(said, "TypeError")
    (after,) = [one for one in await own_office.desk.tasks() if one.id == task.id]
    assert after == task
    await window.close()


async def test_our_pages_are_shown_in_no_frame_and_hold_on_to_no_window(
    own_office: Office,
) -> None:
    window = await own_office.window("ana")
    async with another_site("127.0.0.1") as evil:
        page = await window.new_page()
        await page.goto(evil)
        framed = await page.evaluate(
            """async (target) => {
              const frame = document.createElement('iframe');
              const loaded = new Promise(done => frame.onload = done);
              frame.src = target; document.body.append(frame); await loaded;
              return frame.contentDocument === null ? 'closed' : 'open';
            }""",
            own_office.url,
        )
        inner = [frame.url for frame in page.frames if frame is not page.main_frame]
        async with window.expect_page() as opening:
            await page.evaluate(
                "target => { window.held = window.open(target); }", own_office.url
            )
        opened = await opening.value
        await opened.wait_for_load_state()
        reached = await page.evaluate("() => window.held.closed")

    assert framed == "closed"
    assert inner == ["chrome-error://chromewebdata/"]
    assert reached is True
    assert await opened.evaluate("() => window.opener") is None
    await window.close()


async def test_a_copied_cookie_is_worth_nothing_after_signing_out(own_office: Office) -> None:
    window = await own_office.window("ana")
    page = await window.new_page()
    await page.goto("/")
    copied = await window.cookies()
    thief = await own_office.window()
    await thief.add_cookies(copied)  # type: ignore[arg-type] # what is read can be set
    theirs = await thief.new_page()
    await theirs.goto("/")
    assert "/sign-in" not in theirs.url

    await page.get_by_role("button", name="Sign out").click()
    await theirs.goto("/")

    assert urlsplit(theirs.url).path == "/sign-in"
    assert await window.cookies() == []
    await window.close()
    await thief.close()


async def _nothing_is_wrong_with(office: Office, url: str) -> None:
    page = await office.browser.new_page(viewport=PHONE)
    await page.goto(url)
    await expect_no_broken_rule(page)
    assert await runs_out_by(page) <= 0
    box = await page.get_by_role("link", name="Sign in with single sign-on").bounding_box()
    assert box is not None
    assert box["height"] >= 44
    await page.close()


async def test_single_sign_on_leads_to_another_site_and_back(own_office: Office) -> None:
    """The cookies, the policies and the redirects of a real browser, with no script."""
    provider = Provider(
        clock=own_office.desk.clock,
        host="localhost",
        person={"sub": "a", "email": "ana@example.org", "email_verified": True},
    )
    desk = own_office.desk
    desk.settings = desk.settings.model_copy(update=provider.settings)
    desk._served = None
    async with provider.serving(), desk.serving() as url:
        window = await own_office.browser.new_context(base_url=url, java_script_enabled=False)
        page = await window.new_page()
        await page.goto("/?tab=team")
        await _nothing_is_wrong_with(own_office, page.url)
        await page.get_by_role("link", name="Sign in with single sign-on").click()
        await page.wait_for_url("**/?tab=team")

        assert await page.locator(".person bdi").inner_text() == "Ana Ruiz"
        assert [cookie["name"] for cookie in await window.cookies()] == ["session"]
        await window.close()
