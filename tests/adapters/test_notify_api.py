"""What notify answers over HTTP: webhooks, deliveries, captured mail, and every refusal."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio
from sqlalchemy import select

from services.notify import store
from services.notify.api import router
from services.notify.channels.capture import CaptureChannel
from services.notify.handlers.endpoints import Notify
from services.notify.pages import ROUTERS
from services.notify.tables import webhooks
from shared.db.transaction import Database
from shared.events.loop import TaskOverdue
from shared.identity import sessions
from shared.identity.erasure import erase_person
from shared.identity.keys import create_key
from shared.identity.people import create_staff
from shared.identity.person_keys import PersonKeys
from shared.identity.principal import Role, Scope
from shared.identity.tables import audit
from shared.sealing import Keyring
from shared.service import Service
from shared.settings import Settings
from shared.web.access import Web
from shared.web.app import create_app
from tests.fakes import ManualClock
from tests.notices import LATER, WORDS, House

URL = "https://crm.example.com/hook"
SENTINEL = "SENTINEL-4711"
ALL = (Scope.WEBHOOKS, Scope.DELIVERIES_READ, Scope.DELIVERIES_WRITE)


@dataclass
class Api:
    """Notify behind its routes, with a key of every scope that it asks for."""

    house: House
    app: Any
    client: httpx.AsyncClient
    headers: dict[str, str] = field(default_factory=dict)

    async def key(self, *scopes: Scope) -> dict[str, str]:
        async with self.house.database.transaction() as tx:
            _, plain = await create_key(
                tx, source="crm", name="CRM", scopes=scopes, now=self.house.clock.now()
            )
        return {"Authorization": f"Bearer {plain}"}

    async def get(self, path: str, **query: Any) -> httpx.Response:
        return await self.client.get(path, params=query, headers=self.headers)

    async def post(self, path: str, body: Any = None, **headers: str) -> httpx.Response:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.post(path, json=body, headers={**self.headers, **sent})

    async def patch(self, path: str, body: Any) -> httpx.Response:
        return await self.client.patch(path, json=body, headers=self.headers)

    async def made(self, **members: Any) -> dict[str, Any]:
        answer = await self.post("/v1/webhooks", {"url": URL, **members})
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    @asynccontextmanager
    async def browser(self, role: Role) -> AsyncIterator[httpx.AsyncClient]:
        now = self.house.clock.now()
        async with self.house.database.transaction() as tx:
            person = await create_staff(
                tx, email=f"{role.value}@example.org", name="Ana", role=role, now=now
            )
            token = await sessions.start(tx, person.id, now=now)
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app),
            base_url="http://127.0.0.1:8000",
            cookies={"session": token},
            headers={"Accept": "text/html"},
        ) as browser:
            yield browser

    async def rows(self) -> int:
        async with self.house.database.reading() as view:
            return len(await view.all(select(webhooks.c.id)))


@pytest_asyncio.fixture
async def api(
    database_of: Callable[[str], Database],
    clock: ManualClock,
    keyring: Keyring,
    person_keys: PersonKeys,
) -> AsyncIterator[Api]:
    house = House(
        database=database_of("notify"), clock=clock, keyring=keyring, person_keys=person_keys
    )
    await house.prepare()
    app = create_app(
        web=Web(
            settings=Settings(),
            clock=clock,
            database=database_of("shared"),
            keyring=keyring,
            person_keys=person_keys,
        ),
        services=[
            Service(
                name="notify", routers=[router, *ROUTERS], workers=[], resources=house.notify
            )
        ],
    )
    assert isinstance(house.notify, Notify)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        made = Api(house, app, client)
        made.headers = await made.key(*ALL)
        yield made
        await app.state.gate.keys.settle()


# ---------------------------------------------------------------- webhooks


async def test_a_webhook_shows_its_secret_once_and_is_called_from_then_on(api: Api) -> None:
    answer = await api.post("/v1/webhooks", {"url": URL, "events": ["task.*"]})

    made = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/v1/webhooks/{made['id']}"
    assert re.fullmatch(r"whk_[0-9a-z]{26}", made["id"])
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", made["secret"])
    shown = (await api.get(f"/v1/webhooks/{made['id']}")).json()
    assert shown == {name: value for name, value in made.items() if name != "secret"}
    assert shown == {
        "id": made["id"],
        "url": URL,
        "events": ["task.*"],
        "detail": "thin",
        "state": "enabled",
        "disabled_reason": None,
        "disabled_at": None,
        "failing_since": None,
        "created_at": "2026-03-02T09:00:00Z",
        "changed_at": "2026-03-02T09:00:00Z",
    }
    await api.house.hear(await api.house.event())
    await api.house.dispatch()
    assert list(api.house.posts.calls[0].secrets) == [made["secret"]]


async def test_webhooks_are_listed_page_by_page(api: Api) -> None:
    ids = [(await api.made())["id"] for _ in range(5)]

    first = (await api.get("/v1/webhooks", limit=3)).json()
    rest = (await api.get("/v1/webhooks", limit=3, cursor=first["next_cursor"])).json()

    assert [one["id"] for one in first["data"] + rest["data"]] == ids
    assert (first["has_more"], rest["has_more"], rest["next_cursor"]) == (True, False, None)
    assert not any("secret" in one for one in first["data"])


async def test_a_webhook_can_be_changed_member_by_member(api: Api) -> None:
    made = await api.made()

    changed = await api.patch(
        f"/v1/webhooks/{made['id']}",
        {"events": ["task.opened", "task.opened"], "detail": "full", "state": "disabled"},
    )

    assert changed.status_code == 200
    assert (changed.json()["events"], changed.json()["detail"]) == (["task.opened"], "full")
    assert (changed.json()["state"], changed.json()["disabled_reason"]) == (
        "disabled",
        "switched_off",
    )
    assert changed.json()["url"] == URL
    enabled = await api.post(f"/v1/webhooks/{made['id']}/enable")
    assert (enabled.status_code, enabled.json()["state"]) == (200, "enabled")


async def test_the_choice_of_full_detail_is_audited(api: Api) -> None:
    made = await api.made(detail="full")

    async with api.house.database.reading() as view:
        rows = await view.all(select(audit).where(audit.c.subject == made["id"]))
    assert [(row.action, row.detail) for row in rows] == [
        ("webhook.created", {"detail": "full"})
    ]


async def test_a_rotation_shows_a_new_secret_and_signs_with_both_for_a_day(api: Api) -> None:
    made = await api.made()

    rotated = await api.post(f"/v1/webhooks/{made['id']}/rotate")

    assert rotated.status_code == 200
    assert rotated.json()["secret"] != made["secret"]
    await api.house.hear(await api.house.event())
    await api.house.dispatch()
    assert set(api.house.posts.calls[0].secrets) == {made["secret"], rotated.json()["secret"]}


async def test_everything_can_be_asked_for(api: Api) -> None:
    made = await api.made(events=["*"])
    changed = await api.patch(f"/v1/webhooks/{made['id']}", {"events": ["*"]})

    await api.house.hear(await api.house.event(TaskOverdue))
    await api.house.dispatch()

    assert (changed.status_code, changed.json()["events"]) == (200, ["*"])
    assert [call.url for call in api.house.posts.calls] == [URL]


@pytest.mark.parametrize(
    ("body", "status", "signing"),
    [
        (None, 200, 24),
        ({}, 200, 24),
        ({"overlap_hours": 168}, 200, 168),
        ({"overlap_hours": 0}, 200, 0),
        ({"overlap_hours": 169}, 422, None),
        ({"overlap_hours": -1}, 422, None),
        ({"overlap_hours": "1"}, 422, None),
        ({"overlap": 1}, 422, None),
    ],
)
async def test_the_former_secret_signs_for_as_long_as_is_asked(
    api: Api, body: Any, status: int, signing: int | None
) -> None:
    made = await api.made()

    answer = await api.post(f"/v1/webhooks/{made['id']}/rotate", body)

    assert answer.status_code == status
    async with api.house.database.reading() as view:
        webhook = await store.webhook_of(view, made["id"], api.house.keyring)
    assert webhook is not None
    former = [one for one in webhook.secrets if one.until is not None]
    hours = [(one.until - api.house.clock.now()) / timedelta(hours=1) for one in former]  # type: ignore[operator] # just seen to be there
    assert hours == ([signing] if signing else [])


async def test_what_was_held_is_sent_after_all_when_it_is_asked_for(api: Api) -> None:
    made = await api.made()
    path = f"/v1/webhooks/{made['id']}"
    await api.house.hear(await api.house.event())
    await api.patch(path, {"state": "disabled"})
    since = {"since": "2026-03-02T09:00:00Z"}

    early = await api.post(f"{path}/recover", since)
    enabled = await api.post(f"{path}/enable")
    sent = [await api.post(f"{path}/recover", since) for _ in range(2)]
    await api.house.dispatch()

    assert (early.status_code, early.json()["allowed_by"]) == (409, "enable")
    assert enabled.json()["disabled_at"] is None
    assert [answer.status_code for answer in sent] == [202, 202]
    assert [answer.json()["recovered"] for answer in sent] == [1, 0]
    assert sent[0].json() == {
        "since": "2026-03-02T09:00:00Z",
        "recovered": 1,
        "skipped": 0,
        "deliveries_url": f"/v1/deliveries?webhook={made['id']}",
    }
    assert len(api.house.posts.calls) == 1


async def test_what_was_held_can_be_skipped(api: Api) -> None:
    made = await api.made()
    path = f"/v1/webhooks/{made['id']}"
    await api.house.hear(await api.house.event())
    await api.patch(path, {"state": "disabled"})

    answer = await api.post(
        f"{path}/recover", {"since": "2026-03-02T10:00:00+01:00", "skip": True}
    )

    assert (answer.status_code, answer.json()["skipped"]) == (202, 1)
    (one,) = (await api.get("/v1/deliveries", webhook=made["id"])).json()["data"]
    assert (one["state"], one["reason"]) == ("failed", "skipped")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"since": None},
        {"since": "yesterday"},
        {"since": "2026-03-02"},
        {"since": "2026-03-02T09:00:00"},
        {"since": "2027-03-02T09:00:00Z"},
        {"since": "0001-01-01T00:00:00+14:00"},
        {"since": "9999-12-31T23:59:59-14:00"},
        {"since": "2026-03-02T09:00:00Z", "skip": "yes"},
        {"since": "2026-03-02T09:00:00Z", "until": "2026-03-02T09:00:00Z"},
    ],
)
async def test_a_moment_that_cannot_be_is_refused(api: Api, body: Any) -> None:
    made = await api.made()

    answer = await api.post(f"/v1/webhooks/{made['id']}/recover", body)

    assert answer.status_code == 422, answer.text


async def test_a_deleted_webhook_is_gone(api: Api) -> None:
    made = await api.made()

    path = f"/v1/webhooks/{made['id']}"
    deleted = await api.client.delete(path, headers=api.headers)

    assert deleted.status_code == 204
    for answer in (
        await api.get(path),
        await api.client.delete(path, headers=api.headers),
        await api.post(f"{path}/test"),
        await api.post(f"{path}/rotate"),
        await api.post(f"{path}/enable"),
        await api.post(f"{path}/recover", {"since": "2026-01-01T00:00:00Z"}),
        await api.patch(path, {"detail": "thin"}),
    ):
        assert answer.status_code == 404


async def test_a_test_event_can_be_followed(api: Api) -> None:
    made = await api.made()

    sent = await api.post(f"/v1/webhooks/{made['id']}/test")

    assert sent.status_code == 202
    assert sent.headers["location"] == sent.json()["status_url"]
    await api.house.dispatch()
    one = (await api.get(sent.json()["status_url"])).json()
    assert (one["state"], one["event_type"], one["webhook"]) == (
        "delivered",
        "webhook.test",
        made["id"],
    )
    assert one["body"]["type"] == "webhook.test"
    assert [attempt["result"] for attempt in one["attempts"]] == ["accepted"]


async def test_a_test_event_to_an_endpoint_that_is_off_is_a_conflict(api: Api) -> None:
    made = await api.made()
    await api.patch(f"/v1/webhooks/{made['id']}", {"state": "disabled"})

    answer = await api.post(f"/v1/webhooks/{made['id']}/test")

    assert answer.status_code == 409
    assert answer.json()["state"] == "disabled"


@pytest.mark.parametrize(
    ("body", "status", "pointer"),
    [
        ({}, 422, "/url"),
        ({"url": None}, 422, "/url"),
        ({"url": 7}, 422, "/url"),
        ({"url": f"ftp://{SENTINEL}/"}, 422, "/url"),
        ({"url": f"https://user:{SENTINEL}@crm.example.com/"}, 422, "/url"),
        ({"url": "https://127.0.0.1/"}, 422, "/url"),
        ({"url": "https://[::1]/"}, 422, "/url"),
        ({"url": "https://localhost/"}, 422, "/url"),
        ({"url": "https://crm.example.com/" + "x" * 5_000}, 422, "/url"),
        ({"url": URL, "events": []}, 422, "/events"),
        ({"url": URL, "events": "task.*"}, 422, "/events"),
        ({"url": URL, "events": ["task.*", SENTINEL]}, 422, "/events/1"),
        ({"url": URL, "events": ["task.*"] * 21}, 422, "/events"),
        ({"url": URL, "events": [None]}, 422, "/events/0"),
        ({"url": URL, "detail": SENTINEL}, 422, "/detail"),
        ({"url": URL, SENTINEL: 1}, 422, None),
        ([], 422, None),
    ],
)
async def test_what_cannot_be_a_webhook_is_refused_and_leaves_nothing(
    api: Api, body: Any, status: int, pointer: str | None
) -> None:
    answer = await api.post("/v1/webhooks", body)

    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    if pointer is not None:
        assert answer.json()["errors"][0]["pointer"] == pointer
    if SENTINEL not in body:
        assert SENTINEL not in answer.text
    assert await api.rows() == 0


async def test_a_body_that_cannot_be_read_is_refused(api: Api) -> None:
    for body, kind, status in (
        (b"{", "application/json", 400),
        (b'{"url":"a","url":"b"}', "application/json", 400),
        (b"\xff", "application/json", 400),
        (b"{}", "text/plain", 415),
        (b"{}" + b" " * 300_000, "application/json", 413),
    ):
        answer = await api.client.post(
            "/v1/webhooks", content=body, headers={**api.headers, "Content-Type": kind}
        )
        assert answer.status_code == status
    assert await api.rows() == 0


async def test_the_same_request_again_makes_no_second_webhook(api: Api) -> None:
    body = {"url": URL}

    first = await api.post("/v1/webhooks", body, Idempotency_Key="k-1")
    again = await api.post("/v1/webhooks", body, Idempotency_Key='"k-1"')
    other = await api.post("/v1/webhooks", {"url": f"{URL}/2"}, Idempotency_Key="k-1")

    assert again.json() == first.json()
    assert again.status_code == first.status_code == 201
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    assert other.status_code == 422
    assert await api.rows() == 1


@pytest.mark.parametrize(
    ("method", "path", "needed"),
    [
        ("POST", "/v1/webhooks", Scope.WEBHOOKS),
        ("GET", "/v1/webhooks", Scope.WEBHOOKS),
        ("GET", "/v1/webhooks/whk_1", Scope.WEBHOOKS),
        ("PATCH", "/v1/webhooks/whk_1", Scope.WEBHOOKS),
        ("DELETE", "/v1/webhooks/whk_1", Scope.WEBHOOKS),
        ("POST", "/v1/webhooks/whk_1/test", Scope.WEBHOOKS),
        ("POST", "/v1/webhooks/whk_1/rotate", Scope.WEBHOOKS),
        ("POST", "/v1/webhooks/whk_1/enable", Scope.WEBHOOKS),
        ("POST", "/v1/webhooks/whk_1/recover", Scope.DELIVERIES_WRITE),
        ("GET", "/v1/deliveries", Scope.DELIVERIES_READ),
        ("GET", "/v1/deliveries/dlv_1", Scope.DELIVERIES_READ),
        ("POST", "/v1/deliveries/dlv_1/resend", Scope.DELIVERIES_WRITE),
    ],
)
async def test_every_route_asks_for_its_scope(
    api: Api, method: str, path: str, needed: Scope
) -> None:
    others = await api.key(*(scope for scope in Scope if scope is not needed))

    assert (await api.client.request(method, path)).status_code == 401
    assert (await api.client.request(method, path, headers=others)).status_code == 403


# ---------------------------------------------------------------- deliveries


async def test_deliveries_are_listed_newest_first_and_filtered(api: Api) -> None:
    made = await api.made()
    api.house.posts.answers = [LATER]
    await api.house.hear(await api.house.event())
    await api.house.dispatch()
    await api.house.hear(await api.house.event(TaskOverdue))

    everything = (await api.get("/v1/deliveries")).json()["data"]
    mine = (await api.get("/v1/deliveries", webhook=made["id"])).json()["data"]
    sent = (await api.get("/v1/deliveries", state="delivered")).json()["data"]
    none = (await api.get("/v1/deliveries", webhook="whk_none")).json()["data"]

    assert [one["id"] for one in everything] == sorted(
        (one["id"] for one in everything), reverse=True
    )
    assert len(everything) == 4
    assert [(one["event_type"], one["state"]) for one in mine] == [
        ("task.overdue", "due"),
        ("task.opened", "due"),
    ]
    assert [(one["channel"], one["attempt_count"]) for one in sent] == [("email", 1)]
    assert none == []


async def test_deliveries_about_an_import_are_found_by_it(api: Api) -> None:
    await api.made()
    house = api.house
    taken_in: dict[str, Any] = {"import_id": "imp_01jqzv8m3x7f5k2n9r4t6w8y0a"}
    await house.hear(
        *[await house.event(task_id=f"tsk_{n}", **taken_in) for n in range(3)],
        await house.event(task_id="tsk_9"),
    )

    found = (await api.get("/v1/deliveries", **taken_in)).json()["data"]

    told = sorted((one["channel"], one["purpose"], str(one["task_id"])) for one in found)
    assert told == [
        ("email", "tasks_opened", "None"),
        *[("webhook", "event", f"tsk_{n}") for n in range(3)],
    ]
    assert {one["import_id"] for one in found} == {taken_in["import_id"]}
    others = (await api.get("/v1/deliveries", import_id="imp_none")).json()["data"]
    assert others == []


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"state": "lost"}, 422),
        ({"import_id": ["imp_1", "imp_2"]}, 400),
        ({"limit": "0"}, 422),
        ({"limit": "201"}, 422),
        ({"limit": "x"}, 422),
        ({"cursor": "x"}, 422),
        ({"state": ["due", "due"]}, 400),
        ({"webhook": "a\0b"}, 400),
    ],
)
async def test_filters_are_read_strictly(api: Api, query: Any, status: int) -> None:
    answer = await api.get("/v1/deliveries", **query)

    assert answer.status_code == status


async def test_a_delivery_tells_every_try_and_nothing_of_the_person(api: Api) -> None:
    await api.made(detail="full")
    api.house.posts.answers = [LATER]
    await api.house.hear(await api.house.event())
    await api.house.dispatch()
    (listed,) = (await api.get("/v1/deliveries", state="due")).json()["data"]

    answer = await api.get(f"/v1/deliveries/{listed['id']}")

    one = answer.json()
    assert one["state"] == "due"
    assert one["reason"] == "http_503"
    assert one["next_attempt_at"] == "2026-03-02T09:00:05Z"
    assert one["attempts"] == [
        {
            "n": 1,
            "started_at": "2026-03-02T09:00:00Z",
            "milliseconds": 0,
            "result": "transient",
            "reason": "http_503",
            "code": 503,
            "reply": "",
        }
    ]
    assert one["body"]["data"]["task_id"] == "tsk_1"
    assert WORDS not in answer.text
    assert "Ana Berg" not in answer.text


async def test_a_settled_delivery_is_sent_again_on_demand(api: Api) -> None:
    await api.house.hear(await api.house.event())
    (one,) = (await api.get("/v1/deliveries")).json()["data"]

    early = await api.post(f"/v1/deliveries/{one['id']}/resend")
    await api.house.dispatch()
    again = await api.post(f"/v1/deliveries/{one['id']}/resend")

    assert early.status_code == 409
    assert early.json()["state"] == "due"
    assert again.status_code == 202
    assert again.json()["state"] == "due"
    assert (await api.post("/v1/deliveries/dlv_none/resend")).status_code == 404
    assert (await api.get("/v1/deliveries/dlv_none")).status_code == 404


# ---------------------------------------------------------------- captured mail


async def has_captured(api: Api, count: int = 1) -> None:
    for n in range(count):
        await api.house.hear(await api.house.event(task_id=f"tsk_{n:02}"))
    dispatcher = api.house.dispatcher(
        mail=CaptureChannel(
            api.house.database, keyring=api.house.keyring, clock=api.house.clock
        )
    )
    while await dispatcher.step():
        pass


async def test_captured_mail_is_listed_shown_as_text_and_framed_without_rights(
    api: Api,
) -> None:
    await has_captured(api)
    async with api.browser(Role.ADMIN) as browser:
        listing = await browser.get("/mail")
        path = re.search(r'href="(/mail/cap_\w+)"', listing.text)
        assert path is not None
        page = await browser.get(path[1])
        frame = await browser.get(f"{path[1]}/html")

    assert "4/10 from Doorstep delivery, due today 10:00" in listing.text
    assert page.status_code == 200
    assert "waited forty minutes &lt;b&gt;at the door&lt;/b&gt;" in page.text
    assert "<b>at the door</b>" not in page.text + frame.text
    assert f'src="{path[1]}/html"' in page.text
    assert "frame-src 'self'" in page.headers["content-security-policy"]
    policy = frame.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "sandbox" in policy
    assert "script-src" not in policy
    assert "frame-ancestors 'self'" in policy
    assert frame.headers["x-frame-options"] == "SAMEORIGIN"
    assert page.headers["cache-control"] == "no-store"


async def test_an_empty_mail_page_says_what_will_be_there(api: Api) -> None:
    async with api.browser(Role.ADMIN) as browser:
        page = await browser.get("/mail")

    assert page.status_code == 200
    assert "No mail yet" in page.text


async def test_the_mail_page_has_pages(api: Api) -> None:
    await has_captured(api, 5)
    async with api.browser(Role.ADMIN) as browser:
        first = await browser.get("/mail?limit=3")
        older = re.search(r'href="(/mail\?limit=3[^"]+)"', first.text)
        assert older is not None
        second = await browser.get(older[1].replace("&amp;", "&"))

    assert first.text.count("/mail/cap_") == 3
    assert second.text.count("/mail/cap_") == 2


async def test_after_an_erasure_the_mail_is_listed_and_has_no_content(api: Api) -> None:
    await has_captured(api)
    async with api.house.database.transaction() as tx:
        await erase_person(tx, "per_1", api.house.clock.now())
    async with api.browser(Role.ADMIN) as browser:
        listing = await browser.get("/mail")
        path = re.search(r'href="(/mail/cap_\w+)"', listing.text)
        assert path is not None
        page = await browser.get(path[1])
        frame = await browser.get(f"{path[1]}/html")

    assert page.status_code == 200
    assert "erased" in page.text
    assert "forty" not in page.text
    assert frame.status_code == 404


async def test_mail_is_for_administrators_only(api: Api) -> None:
    await has_captured(api)
    async with api.browser(Role.LEAD) as browser:
        assert (await browser.get("/mail")).status_code == 403
        assert (await browser.get("/mail/cap_1")).status_code == 403
        assert (await browser.get("/mail/cap_1/html")).status_code == 403
    anonymous = await api.client.get("/mail", headers={"Accept": "text/html"})
    assert anonymous.status_code == 303
    assert anonymous.headers["location"].startswith("/sign-in")
