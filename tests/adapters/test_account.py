"""One's own account, as a browser without scripts meets it."""

from __future__ import annotations

import re
from contextlib import asynccontextmanager
from datetime import timedelta
from html import unescape

import httpx
import pyotp
import pytest
from sqlalchemy import func, select

from shared.identity import people, second_factor, sessions
from shared.identity import tables as t
from shared.identity.audit import SYSTEM
from shared.identity.principal import Role
from tests.adapters.web_house import HTML, PASSWORD, House, is_problem, with_settings
from tests.staff import audited

EMAIL = "ann@example.test"
NEW = "another horse, another battery"
FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:139.0) Gecko/20100101 Firefox/139.0"
SAFARI = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like"
    " Gecko) Version/18.0 Mobile/15E148 Safari/604.1"
)


@asynccontextmanager
async def browsing(house: House, agent: str = FIREFOX):
    """Open a browser that asks for pages and says where its forms come from."""
    headers = {**HTML, "origin": house.web.settings.public_url, "user-agent": agent}
    async with house.client(headers=headers) as browser:
        yield browser


async def enter(browser: httpx.AsyncClient, password: str = PASSWORD) -> httpx.Response:
    return await browser.post("/sign-in", data={"email": EMAIL, "password": password})


def said(answer: httpx.Response) -> str:
    """Return what a page says, without its markup."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", answer.text)).split())


def field(answer: httpx.Response, name: str) -> str:
    """Return what stands in a field to copy from."""
    found = re.search(
        rf'<input id="{name}"[^>]* value="([^"]*)"|<textarea id="{name}"[^>]*>\n([^<]*)<',
        answer.text,
    )
    assert found, said(answer)
    return unescape(found[1] or found[2])


async def with_factor(house: House, browser: httpx.AsyncClient) -> tuple[pyotp.TOTP, list[str]]:
    """Set up a second factor; return the app and the recovery codes."""
    await browser.post("/account/second-factor/begin")
    app = pyotp.TOTP(field(await browser.get("/account/second-factor"), "secret"))
    data = {"code": app.at(house.clock.now()), "password": PASSWORD}
    shown = await browser.post("/account/second-factor/confirm", data=data)
    assert shown.status_code == 200, said(shown)
    return app, field(shown, "codes").split("\n")


# ------------------------------------------------------------------ own data and password


async def test_somebody_changes_name_language_and_time_zone(house):
    person = await house.person(Role.BOARD_MEMBER)
    async with browsing(house) as browser:
        await enter(browser)
        before = await browser.get("/account")
        data = {"name": "Ann  Archer", "language": "de", "time_zone": "Europe/Berlin"}
        saved = await browser.post("/account", data=data)
        after = await browser.get(saved.headers["location"])

    async with house.database.reading() as view:
        found = await people.wanted(view, person)
    assert 'href="/account"' in before.text
    assert EMAIL in said(before)
    assert (found.name, found.language, found.time_zone, found.role) == (
        "Ann Archer",
        "de",
        "Europe/Berlin",
        Role.BOARD_MEMBER,
    )
    assert 'lang="de"' in after.text
    assert "staff.changed" in await audited(house.database)


@pytest.mark.parametrize(
    ("data", "error"),
    [
        ({"name": ""}, "Please fill in this field."),
        ({"time_zone": "Mars/Olympus"}, "There is no such time zone."),
        ({"language": "xx"}, "Please choose one."),
        ({"name": "a\u0007b"}, "printable"),
    ],
)
async def test_what_cannot_be_saved_is_explained_at_its_field(house, data, error):
    await house.person()
    usual = {"name": "Ann", "language": "en", "time_zone": "UTC"}
    async with browsing(house) as browser:
        await enter(browser)
        answer = await browser.post("/account", data={**usual, **data})

    assert answer.status_code == 422
    assert error in said(answer)


async def test_a_new_password_takes_the_old_one_and_ends_every_other_session(house):
    await house.person()
    async with browsing(house) as here, browsing(house, SAFARI) as there:
        await enter(here)
        await enter(there)
        data = {"old": PASSWORD, "new": NEW, "again": NEW}
        changed = await here.post("/account/password", data=data)
        page = await here.get(changed.headers["location"])
        gone = await there.get("/account")
        old, new = await enter(there), await enter(there, NEW)

    assert "Your new password is saved" in said(page)
    assert gone.headers["location"].startswith("/sign-in")
    assert (old.status_code, new.status_code) == (401, 303)
    assert NEW not in page.text


async def test_blanks_around_a_password_belong_to_it(house):
    await house.person()
    blank = f"  {NEW}  "
    async with browsing(house) as browser:
        await enter(browser)
        data = {"old": PASSWORD, "new": blank, "again": blank}
        assert (await browser.post("/account/password", data=data)).status_code == 303
        assert (await enter(browser, NEW)).status_code == 401
        assert (await enter(browser, blank)).status_code == 303


@pytest.mark.parametrize(
    ("data", "error"),
    [
        ({"old": "something else entirely"}, "This is not your password."),
        ({"new": "short", "again": "short"}, "12 to 200 characters"),
        ({"again": NEW + "!"}, "do not match"),
    ],
)
async def test_a_password_that_is_not_changed_says_why_and_shows_nothing(house, data, error):
    await house.person()
    async with browsing(house) as browser:
        await enter(browser)
        usual = {"old": PASSWORD, "new": NEW, "again": NEW}
        answer = await browser.post("/account/password", data={**usual, **data})
        again = await enter(browser)

    assert answer.status_code == 422
    assert error in said(answer)
    for value in {**usual, **data}.values():
        assert f'value="{value}"' not in answer.text
    assert again.status_code == 303


async def test_who_finds_an_open_browser_cannot_guess_the_password(house):
    await house.person()
    data = {"old": "a wrong guess of it", "new": NEW, "again": NEW}
    async with browsing(house) as browser:
        await enter(browser)
        answers = [await browser.post("/account/password", data=data) for _ in range(11)]
        right = await browser.post("/account/password", data={**data, "old": PASSWORD})
        house.clock.advance(timedelta(minutes=15))
        later = await browser.post("/account/password", data={**data, "old": PASSWORD})

    assert "Too many wrong passwords" in said(answers[-1])
    assert right.status_code == 422
    assert later.status_code == 303


# ------------------------------------------------------------------ sessions


async def test_sessions_are_listed_with_their_browsers_and_ended_one_by_one(house):
    await house.person()
    async with browsing(house) as here, browsing(house, SAFARI) as there:
        await enter(there)
        house.clock.advance(timedelta(minutes=5))
        await enter(here)
        page = await here.get("/account")
        (handle,) = re.findall(r'name="session" value="([0-9a-f]+)"', page.text)
        ended = await here.post("/account/sessions/end", data={"session": handle})
        again = await here.post("/account/sessions/end", data={"session": handle})
        gone = await there.get("/account")
        mine = await here.get("/account")

    assert "Firefox, Windows" in said(page)
    assert "Safari, iOS" in said(page)
    assert page.text.count("this browser") == 1
    assert ended.headers["location"] == "/account?done=ended"
    assert again.status_code == 404
    assert gone.headers["location"].startswith("/sign-in")
    assert mine.status_code == 200
    async with house.database.reading() as view:
        stored = [str(row) for row in await view.all(select(t.sessions))]
    assert "Gecko" not in str(stored), "what tells browsers apart is not kept"


async def test_signing_out_everywhere_leaves_no_session(house):
    await house.person()
    async with browsing(house) as here, browsing(house, SAFARI) as there:
        await enter(here)
        await enter(there)
        answer = await here.post("/account/sessions/end", data={"session": "all"})
        left = await here.get(answer.headers["location"])
        copied = [await one.get("/account") for one in (here, there)]

    assert "You are signed out everywhere." in said(left)
    assert [one.status_code for one in copied] == [303, 303]


async def test_nobody_ends_the_session_of_somebody_else(house):
    await house.person()
    other = await house.person(email="bo@example.test")
    async with house.database.transaction() as tx:
        token = await sessions.start(tx, other, now=house.clock.now())
        (row,) = await sessions.open_sessions(tx, other, token=token, now=house.clock.now())
    async with browsing(house) as browser:
        await enter(browser)
        answer = await browser.post("/account/sessions/end", data={"session": row.handle})

    assert answer.status_code == 404
    async with house.database.reading() as view:
        assert await sessions.find(view, token, now=house.clock.now()) is not None


# ------------------------------------------------------------------ second factor


async def test_a_second_factor_is_set_up_and_asked_for_from_then_on(house):
    await house.person()
    async with browsing(house) as here, browsing(house, SAFARI) as there:
        await enter(there)
        await enter(here)
        await here.post("/account/second-factor/begin")
        page = await here.get("/account/second-factor")
        app = pyotp.TOTP(field(page, "secret"))
        unfinished = await enter(here)
        wrong = await here.post(
            "/account/second-factor/confirm", data={"code": "000000", "password": PASSWORD}
        )
        stranger = await here.post(
            "/account/second-factor/confirm",
            data={"code": app.at(house.clock.now()), "password": "not the password"},
        )
        shown = await here.post(
            "/account/second-factor/confirm",
            data={"code": app.at(house.clock.now()), "password": PASSWORD},
        )
        codes = field(shown, "codes").split("\n")
        gone = await there.get("/account")
        still = await here.get("/account")

        house.clock.advance(timedelta(minutes=1))
        first = await there.post(
            "/sign-in", data={"email": EMAIL, "password": PASSWORD, "next": "/queue"}
        )
        locked = await there.get("/account")
        asking = await there.get(first.headers["location"])
        code = app.at(house.clock.now())
        second = await there.post("/sign-in/code", data={"code": code, "next": "/queue"})
        inside = await there.get("/queue")

    assert "<svg" in page.text
    assert unfinished.status_code == 303
    assert unfinished.headers["location"] == "/", "not asked for before it works"
    assert "This code does not fit." in said(wrong)
    assert "This is not your password." in said(stranger)
    assert len(set(codes)) == 10
    assert shown.headers["cache-control"] == "no-store"
    assert gone.headers["location"].startswith("/sign-in")
    assert still.status_code == 200
    assert first.headers["location"] == "/sign-in/code?next=%2Fqueue"
    assert locked.headers["location"].startswith("/sign-in"), "a password alone is no session"
    assert 'autocomplete="one-time-code"' in asking.text
    assert (second.status_code, second.headers["location"]) == (303, "/queue")
    assert inside.status_code == 200
    assert "second-factor.switched-on" in await audited(house.database)


async def test_a_code_counts_once_and_for_a_minute_and_a_half(house):
    await house.person()
    async with browsing(house) as browser:
        await enter(browser)
        app, _ = await with_factor(house, browser)
        used = app.at(house.clock.now())
        statuses = []
        for code, wait in ((used, 0), (used, 60), (None, 0), (None, 0)):
            house.clock.advance(timedelta(seconds=wait))
            await enter(browser)
            answer = await browser.post(
                "/sign-in/code", data={"code": code or app.at(house.clock.now())}
            )
            statuses.append(answer.status_code)

    # The one that set it up is used; then it is too old; a fresh one counts, and only once.
    assert statuses == [401, 401, 303, 401]


async def test_a_recovery_code_stands_in_once_however_it_is_typed(house):
    await house.person()
    async with browsing(house) as browser:
        await enter(browser)
        _, codes = await with_factor(house, browser)
        typed = {"code": f" {codes[3].lower().replace('-', ' ')} "}
        await enter(browser)
        first = await browser.post("/sign-in/code", data=typed)
        page = await browser.get("/account")
        await enter(browser)
        second = await browser.post("/sign-in/code", data=typed)

    async with house.database.reading() as view:
        trail = await view.all(
            select(t.audit.c.detail).where(t.audit.c.action.like("session.%"))
        )
    assert (first.status_code, second.status_code) == (303, 401)
    assert [row.detail for row in trail][-2:] == [
        {"second_factor": "recovery_code"},
        {"at": "code"},
    ]
    assert "9 recovery codes are left" in said(page)


async def test_new_recovery_codes_end_the_former_ones(house):
    await house.person()
    async with browsing(house) as browser:
        await enter(browser)
        _, former = await with_factor(house, browser)
        refused = await browser.post("/account/second-factor/codes", data={"password": "x"})
        made = await browser.post("/account/second-factor/codes", data={"password": PASSWORD})
        codes = field(made, "codes").split("\n")
        await enter(browser)
        old = await browser.post("/sign-in/code", data={"code": former[0]})
        new = await browser.post("/sign-in/code", data={"code": codes[0]})

    assert refused.status_code == 422
    assert not set(codes) & set(former)
    assert (old.status_code, new.status_code) == (401, 303)


async def test_codes_cannot_be_guessed(house):
    await house.person()
    async with browsing(house) as browser:
        await enter(browser)
        app, _ = await with_factor(house, browser)
        house.clock.advance(timedelta(minutes=20))
        await enter(browser)
        answers = [
            await browser.post("/sign-in/code", data={"code": f"{n:06}"}) for n in range(6)
        ]
        right = await browser.post("/sign-in/code", data={"code": app.at(house.clock.now())})
        house.clock.advance(timedelta(minutes=15))
        await enter(browser)
        later = await browser.post("/sign-in/code", data={"code": app.at(house.clock.now())})

    assert [answer.status_code for answer in answers] == [401] * 5 + [429]
    assert int(answers[-1].headers["retry-after"]) > 0
    assert right.status_code == 429
    assert later.status_code == 303


async def test_the_second_step_needs_the_first_and_soon(house):
    person = await house.person()
    async with browsing(house) as browser:
        await enter(browser)
        app, _ = await with_factor(house, browser)
        browser.cookies.clear()
        without = await browser.get("/sign-in/code")
        forged = await browser.post(
            "/sign-in/code",
            data={"code": app.at(house.clock.now())},
            headers={"cookie": f"sign-in-code={person}.x~9999999999~{'0' * 32}"},
        )
        await enter(browser)
        house.clock.advance(timedelta(minutes=10))
        late = await browser.post("/sign-in/code", data={"code": app.at(house.clock.now())})

        await enter(browser)
        async with house.database.transaction() as tx:
            await people.set_password(tx, person, "another hash", now=house.clock.now())
        changed = await browser.post("/sign-in/code", data={"code": app.at(house.clock.now())})

    assert without.headers["location"].startswith("/sign-in?next=")
    assert forged.status_code == 410
    assert "session" not in forged.cookies
    assert late.status_code == 410
    assert "That took too long" in said(late)
    assert changed.status_code == 410


async def test_switching_it_off_takes_the_password_and_ends_the_codes(house):
    await house.person()
    async with browsing(house) as browser:
        await enter(browser)
        await with_factor(house, browser)
        wrong = await browser.post("/account/second-factor/off", data={"password": "x"})
        off = await browser.post("/account/second-factor/off", data={"password": PASSWORD})
        after = await enter(browser)

    async with house.database.reading() as view:
        left = await view.scalar(select(func.count()).select_from(t.recovery_codes))
    assert wrong.status_code == 422
    assert off.headers["location"] == "/account?done=off"
    assert after.headers["location"] == "/"
    assert left == 0
    assert "second-factor.switched-off" in await audited(house.database)


async def test_whose_role_needs_one_goes_nowhere_else_before_it_is_set_up(house):
    await house.person(Role.LEAD)
    async with browsing(house) as browser:
        await enter(browser)
        assert (await browser.get("/queue")).status_code == 200
        async with house.database.transaction() as tx:
            await second_factor.need_it(tx, [Role.LEAD], by=SYSTEM, now=house.clock.now())
        led = [await browser.get(path) for path in ("/queue", "/account")]
        closed = await browser.get("/v1/toys")
        page = await browser.get("/account/second-factor")
        await with_factor(house, browser)
        after = await browser.get("/queue")
        await browser.post("/account/second-factor/off", data={"password": PASSWORD})
        again = await browser.get("/queue")

    assert [one.headers["location"] for one in led] == ["/account/second-factor"] * 2
    is_problem(closed, 403, "second-factor-first")
    assert "Your role needs a second factor" in said(page)
    assert after.status_code == 200
    assert again.headers["location"] == "/account/second-factor"


async def test_who_comes_by_single_sign_on_was_asked_there(house):
    person = await house.person(Role.LEAD)
    async with house.database.transaction() as tx:
        await second_factor.need_it(tx, [Role.LEAD], by=SYSTEM, now=house.clock.now())
        token = await sessions.start(tx, person, method="oidc", now=house.clock.now())
    async with browsing(house) as browser:
        browser.cookies.set("session", token)
        queue, account = await browser.get("/queue"), await browser.get("/account")

    assert queue.status_code == 200
    assert "by single sign-on" in said(account)


async def test_an_account_without_a_password_has_nothing_to_set_up(house):
    async with house.database.transaction() as tx:
        made = await people.create_staff(
            tx, email=EMAIL, name="Ann", role=Role.AGENT, now=house.clock.now()
        )
        token = await sessions.start(tx, made.id, method="oidc", now=house.clock.now())
    async with browsing(house) as browser:
        browser.cookies.set("session", token)
        account = await browser.get("/account")
        factor = await browser.get("/account/second-factor")
        begun = await browser.post("/account/second-factor/begin")

    assert "Old password" not in said(account)
    assert "Nothing to set up here" in said(factor)
    assert begun.status_code == 409


@with_settings(public_url="https://loop.example.test")
async def test_the_cookie_of_the_second_step_is_as_strict_as_the_session(house):
    await house.person()
    async with browsing(house) as browser:
        await enter(browser)
        await with_factor(house, browser)
        answer = await enter(browser)

    (cookie,) = answer.headers.get_list("set-cookie")
    name, *flags = cookie.split("; ")
    assert name.startswith("__Host-sign-in-code=")
    assert {"HttpOnly", "Path=/", "SameSite=lax", "Secure"} <= set(flags)
