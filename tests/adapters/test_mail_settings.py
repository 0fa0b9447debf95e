"""Dead addresses and mail in trouble, as administrators and systems see and mend them."""

from __future__ import annotations

import re
from html import unescape

import httpx
import pytest
from sqlalchemy import select

from services.notify import store
from services.notify.domain.deliveries import Outcome, Verdict
from services.notify.store import MAIL_LANE, Pause
from shared.identity.principal import Role, Scope
from shared.identity.tables import audit
from tests.adapters.test_notify_api import Api, api

__all__ = ["api"]  # the fixture

DEAD = Outcome(verdict=Verdict.PERMANENT, reason="address_dead", code=550)
DOUBT = Outcome(verdict=Verdict.DOUBT, reason="no_reply_after_the_mail")
FORM = {"Content-Type": "application/x-www-form-urlencoded", "Origin": "http://127.0.0.1:8000"}


async def with_a_dead_address(api: Api) -> None:
    """Let the team's mailbox be dead; the caller may read mail and change settings."""
    api.headers = await api.key(Scope.MAIL_READ, Scope.SETTINGS_WRITE, Scope.DELIVERIES_READ)
    api.house.mail.answers = [DEAD]
    await api.house.hear(await api.house.event())
    await api.house.dispatch()


async def paused(api: Api) -> None:
    async with api.house.database.transaction() as tx:
        await store.pause(
            tx,
            Pause(
                lane=MAIL_LANE,
                reason="mail_server_refuses_us",
                code=535,
                reply="5.7.8 <b>wrong</b>",
                settings="x",
                since=api.house.clock.now(),
            ),
        )


async def audited(api: Api, action: str) -> list[tuple[str, str]]:
    async with api.house.database.reading() as view:
        rows = await view.all(select(audit).where(audit.c.action == action))
    return [(row.actor_kind, row.subject) for row in rows]


def said(answer: httpx.Response) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", answer.text)).split())


async def test_dead_addresses_are_listed_and_taken_off_the_list(api: Api) -> None:
    await with_a_dead_address(api)

    listed = (await api.get("/v1/suppressions")).json()

    (dead,) = listed["data"]
    assert (dead["address"], dead["reason"], dead["code"]) == (
        "care@example.org",
        "address_dead",
        550,
    )
    gone = await api.client.delete(f"/v1/suppressions/{dead['id']}", headers=api.headers)
    again = await api.client.delete(f"/v1/suppressions/{dead['id']}", headers=api.headers)
    assert (gone.status_code, again.status_code) == (204, 404)
    assert (await api.get("/v1/suppressions")).json()["data"] == []
    assert await audited(api, "mail.unsuppressed") == [("key", dead["id"])]
    delivery = (await api.get(f"/v1/deliveries/{dead['delivery_id']}")).json()
    assert (delivery["state"], delivery["reason"]) == ("failed", "address_dead")


async def test_the_list_comes_in_pages_newest_first(api: Api) -> None:
    api.headers = await api.key(Scope.MAIL_READ)
    async with api.house.database.transaction() as tx:
        for n in range(5):
            await store.suppress(
                tx,
                f"a{n}@example.org",
                reason="address_dead",
                code=550,
                delivery_id="dlv_0",
                now=api.house.clock.now(),
            )

    first = (await api.get("/v1/suppressions", limit=3)).json()
    rest = (await api.get("/v1/suppressions", limit=3, cursor=first["next_cursor"])).json()

    found = [one["address"] for one in [*first["data"], *rest["data"]]]
    assert found == [f"a{n}@example.org" for n in (4, 3, 2, 1, 0)]


@pytest.mark.parametrize("scope", [Scope.DELIVERIES_READ, Scope.MAIL_READ])
async def test_no_other_key_sees_addresses_or_changes_the_list(api: Api, scope: Scope) -> None:
    await with_a_dead_address(api)
    ours = api.headers
    (dead,) = (await api.get("/v1/suppressions")).json()["data"]
    api.headers = await api.key(scope)

    seen = await api.get("/v1/suppressions")
    gone = await api.client.delete(f"/v1/suppressions/{dead['id']}", headers=api.headers)

    assert seen.status_code == (200 if scope is Scope.MAIL_READ else 403)
    assert gone.status_code == 403
    api.headers = ours
    assert len((await api.get("/v1/suppressions")).json()["data"]) == 1


async def test_the_page_shows_what_is_dead_and_writes_to_it_again(api: Api) -> None:
    await with_a_dead_address(api)
    async with api.browser(Role.ADMIN) as browser:
        page = await browser.get("/settings/mail")
        (path,) = re.findall(r"/settings/mail/suppressions/\w+/lift", page.text)
        (again,) = re.findall(r"/settings/mail/deliveries/\w+/resend", page.text)
        lifted = await browser.post(path, headers=FORM)
        resent = await browser.post(again, headers=FORM)
        after = await browser.get(lifted.headers["location"])
    await api.house.dispatch()

    assert "care@example.org" in said(page)
    assert "The mailbox does not exist." in said(page)
    assert (lifted.status_code, resent.status_code) == (303, 303)
    assert "Mail is sent to this address again." in said(after)
    assert "No address is dead" in said(after)
    assert [mail.recipient for mail in api.house.mail.mails] == ["care@example.org"] * 2


async def test_the_page_shows_what_may_have_arrived_twice(api: Api) -> None:
    api.house.mail.answers = [DOUBT]
    await api.house.hear(await api.house.event())
    await api.house.dispatch()

    async with api.browser(Role.ADMIN) as browser:
        page = await browser.get("/settings/mail")

    assert "It may have arrived twice." in said(page)


async def test_paused_mail_is_an_alarm_and_goes_on_when_asked(api: Api) -> None:
    await paused(api)
    async with api.browser(Role.ADMIN) as browser:
        page = await browser.get("/settings/mail")
        resumed = await browser.post("/settings/mail/resume", headers=FORM)
        after = await browser.get(resumed.headers["location"])

    assert 'role="alert"' in page.text
    assert "Correct CLOSED_LOOP_SMTP_URL" in said(page)
    assert "535 5.7.8 <b>wrong</b>" in unescape(page.text)
    assert "<b>wrong" not in page.text
    assert "No mail is sent." not in said(after)
    assert [actor for actor, _ in await audited(api, "mail.resumed")] == ["staff"]


@pytest.mark.parametrize("role", [Role.AGENT, Role.LEAD, Role.DEVELOPER])
async def test_the_page_is_for_administrators(api: Api, role: Role) -> None:
    async with api.browser(role) as browser:
        seen = await browser.get("/settings/mail")
        done = await browser.post("/settings/mail/resume", headers=FORM)

    assert (seen.status_code, done.status_code) == (403, 403)


async def test_an_empty_page_says_what_would_stand_there(api: Api) -> None:
    async with api.browser(Role.ADMIN) as browser:
        page = await browser.get("/settings/mail")

    assert page.status_code == 200
    assert "No mail is in trouble" in said(page)
    assert "No address is dead" in said(page)
