"""Posting and asking over HTTP, on both databases."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
import pytest_asyncio
from sqlalchemy import func, select

from services.ingest.listeners import hear
from services.ingest.tables import PLUMBING, responses
from shared.bus.consumer import Arrived
from shared.db.engine import Engines
from shared.events.envelope import decode, wrap
from shared.events.loop import ResponseHandled
from shared.identity.person_keys import PersonKeys
from shared.identity.principal import Scope
from shared.sealing import Keyring
from tests.fakes import ManualClock
from tests.ingest_door import BATCH, URL, Door, open_door

DETRACTOR = {
    "external_id": "A-1",
    "score": 2,
    "comment": "Forty minutes.",
    "answered_at": "2026-03-02T08:00:00+01:00",
    "customer": {"id": "C-1", "email": "anna@example.com"},
}


@pytest_asyncio.fixture
async def door(
    engines: Engines, clock: ManualClock, keyring: Keyring, person_keys: PersonKeys
) -> AsyncIterator[Door]:
    async with open_door(engines, clock, keyring, person_keys) as opened:
        yield opened


async def test_an_accepted_response_can_be_followed_from_the_answer(door: Door) -> None:
    answer = await door.post(DETRACTOR)
    assert answer.status_code == 202
    body = answer.json()
    assert body == {
        "id": body["id"],
        "status": "accepted",
        "duplicate": False,
        "revision": 1,
        "status_url": f"/v1/responses/{body['id']}",
    }
    assert answer.headers["location"] == body["status_url"]

    found = await door.get(body["status_url"])
    assert found.status_code == 200
    assert found.json() == {
        "id": body["id"],
        "source": "crm",
        "external_id": "A-1",
        "revision": 1,
        "received_at": "2026-03-02T09:00:00Z",
        "answered_at": "2026-03-02T07:00:00Z",
        "metric": "nps",
        "score": 2,
        "category": "detractor",
        "state": "received",
        "reason": None,
        "task_id": None,
        "themes": [],
    }


async def test_what_the_loop_made_of_it_is_shown(door: Door) -> None:
    response_id = (await door.post(DETRACTOR)).json()["id"]
    event = ResponseHandled(
        response_id=response_id,
        revision=1,
        state="task_open",
        task_id="tsk_1",
        themes=["waiting"],
    )
    arrived = Arrived(
        envelope=wrap(event, event_id="evt_1", at=door.clock.now()), event=event, key="k"
    )
    async with door.database.transaction() as tx:
        await hear(tx, [arrived], door.clock.now())
    found = (await door.get(f"{URL}/{response_id}")).json()
    assert (found["state"], found["task_id"], found["themes"]) == (
        "task_open",
        "tsk_1",
        ["waiting"],
    )


async def test_warnings_say_what_is_of_no_use(door: Door) -> None:
    answer = await door.post(
        {**DETRACTOR, "customer": {"id": "C", "email": "none", "phone": "ask my wife"}}
    )
    assert answer.status_code == 202
    assert answer.json()["warnings"] == [
        {"pointer": "/customer/email", "code": "unusable_email"},
        {"pointer": "/customer/phone", "code": "unusable_phone"},
    ]


async def test_duplicates_and_revisions_are_told_apart(door: Door) -> None:
    first = (await door.post(DETRACTOR)).json()
    again = await door.send(json.dumps(DETRACTOR, indent=3, sort_keys=True))
    revised = (await door.post({**DETRACTOR, "score": 9})).json()
    assert again.status_code == 202
    assert again.json() == {**first, "duplicate": True}
    assert revised == {**first, "revision": 2}
    found = (await door.get(first["status_url"])).json()
    assert (found["score"], found["category"], found["revision"]) == (9, "promoter", 2)


async def test_fifty_concurrent_posts_of_one_response_make_one_row(door: Door) -> None:
    answers = await asyncio.gather(*(door.post(DETRACTOR) for _ in range(50)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert [answer.json()["duplicate"] for answer in answers].count(False) == 1
    async with door.database.reading() as view:
        assert await view.scalar(select(func.count()).select_from(responses)) == 1


async def test_fifty_concurrent_posts_under_one_idempotency_key_get_one_answer(
    door: Door,
) -> None:
    answers = await asyncio.gather(
        *(door.post(DETRACTOR, idempotency_key="k-1") for _ in range(50))
    )
    assert len({answer.content for answer in answers}) == 1
    assert [a.headers.get("idempotency-replayed") for a in answers].count("true") == 49


@pytest.mark.parametrize("again", ["k-1", '"k-1"', " k-1 "])
async def test_an_idempotency_key_is_the_same_quoted_and_bare(door: Door, again: str) -> None:
    first = await door.post(DETRACTOR, idempotency_key="k-1")
    replay = await door.post(dict(reversed(DETRACTOR.items())), idempotency_key=again)
    assert "idempotency-replayed" not in first.headers
    assert replay.headers["idempotency-replayed"] == "true"
    assert (replay.status_code, replay.content) == (202, first.content)
    assert replay.headers["location"] == first.headers["location"]


async def test_an_idempotency_key_with_another_meaning_is_refused(door: Door) -> None:
    await door.post(DETRACTOR, idempotency_key="k-1")
    rows = await door.rows()
    answer = await door.post({**DETRACTOR, "score": 3}, idempotency_key="k-1")
    assert answer.status_code == 422
    assert answer.json()["code"] == "idempotency_key_reused"
    assert [e["code"] for e in answer.json()["errors"]] == ["idempotency_key_reused"]
    assert await door.rows() == rows


async def test_a_posting_key_sees_its_own_source_only(door: Door) -> None:
    first = (await door.post(DETRACTOR)).json()
    mine = door.rights
    door.rights = await door.key("other")
    assert (await door.get(first["status_url"])).status_code == 404
    assert (await door.get(URL)).json()["data"] == []
    assert (await door.get(URL, source="crm")).json()["data"] == []
    second = (await door.post(DETRACTOR)).json()
    assert second["id"] != first["id"]
    assert not second["duplicate"]
    door.rights = mine
    assert [row["id"] for row in (await door.get(URL)).json()["data"]] == [first["id"]]
    door.rights = await door.key("report", Scope.RESPONSES_READ)
    assert len((await door.get(URL)).json()["data"]) == 2
    assert (await door.post(DETRACTOR)).status_code == 403


async def test_lists_are_filtered_and_paged(door: Door) -> None:
    for n in range(5):
        await door.post({"external_id": f"A-{n}", "score": n})
        door.clock.advance(timedelta(seconds=1))
    page = (await door.get(URL, limit=2)).json()
    seen = [row["external_id"] for row in page["data"]]
    while page["has_more"]:
        page = (await door.get(URL, limit=2, cursor=page["next_cursor"])).json()
        seen += [row["external_id"] for row in page["data"]]
    assert seen == ["A-4", "A-3", "A-2", "A-1", "A-0"]
    assert page["next_cursor"] is None

    only = (await door.get(URL, external_id=" A-3", source="crm", state="received")).json()
    assert [row["score"] for row in only["data"]] == [3]
    assert (await door.get(URL, state="closed")).json()["data"] == []
    assert (await door.get(URL, state="lost")).status_code == 422
    assert (await door.get(URL, state=["closed", "closed"])).status_code == 400
    assert (await door.get(URL, limit=0)).status_code == 422
    assert (await door.get(URL, cursor="made-up")).status_code == 422
    assert (await door.get(URL, external_id="a\x00b")).status_code == 400


@pytest.mark.parametrize("name", ["rsp_nothing", "%2e%2e", "rsp_" + "0" * 26, "é"])
async def test_an_unknown_response_is_not_found(door: Door, name: str) -> None:
    assert (await door.get(f"{URL}/{name}")).status_code == 404


async def test_a_nul_in_an_address_is_a_bad_request(door: Door) -> None:
    assert (await door.get(f"{URL}/rsp_%00")).status_code == 400


BATCH_ROWS = [
    {"external_id": "A-1", "score": 9},
    {"external_id": "A-2", "score": "9"},
    {"external_id": "A-1", "score": 9},
    {"external_id": "A-3", "score": 3, "comment": "Late.", "customer": {"email": "none"}},
    {"external_id": "A-4"},
    [],
]


async def test_each_item_of_an_array_has_its_own_result(door: Door) -> None:
    answer = await door.send(json.dumps(BATCH_ROWS), BATCH)
    assert answer.status_code == 202
    body = answer.json()
    assert (body["accepted"], body["duplicates"], body["rejected"]) == (2, 1, 3)
    results = body["results"]
    assert [r["index"] for r in results] == list(range(6))
    assert [r["status"] for r in results] == [
        "accepted",
        "rejected",
        "duplicate",
        "accepted",
        "rejected",
        "rejected",
    ]
    assert results[0]["id"] == results[2]["id"]
    assert results[1]["id"] is None
    assert results[1]["error"]["status"] == 422
    assert results[1]["error"]["errors"][0]["pointer"] == "/score"
    assert results[3]["warnings"] == [{"pointer": "/customer/email", "code": "unusable_email"}]
    assert results[4]["error"]["errors"][0]["code"] == "missing"


async def test_one_unfit_item_of_an_array_fails_alone(door: Door) -> None:
    answer = await door.send(
        b'[{"external_id":"A-1","score":9},{"external_id":"A-2","score":9,"score":8},'
        b'{"external_id":"A-3","score":NaN},{"external_id":"A-4","score":1e400},'
        b'{"external_id":"A-5","score":9,"comment":"\\u0000"},'
        b'{"external_id":"A-6","score":9,"comment":"\\ud800"},'
        b'{"external_id":"A-7","score":9,"x":' + b"[" * 40 + b"]" * 40 + b"},"
        b'{"external_id":"A-8","score":9}]',
        BATCH,
    )
    assert answer.status_code == 202
    body = answer.json()
    assert [r["status"] for r in body["results"]] == ["accepted", *["rejected"] * 6, "accepted"]
    assert [r["error"]["code"] for r in body["results"][1:-1]] == [
        "duplicate_member",
        "not_finite",
        "not_finite",
        "nul",
        "lone_surrogate",
        "too_deep",
    ]


async def test_lines_are_named_by_their_number(door: Door) -> None:
    answer = await door.send(
        b'{"external_id":"A-1","score":9}\n'
        b"\n"
        b"{broken\r\n"
        b'{"external_id":"A-2","score":"\xff"}\n'
        b'{"external_id":"A-3","score":9,"score":9}\n'
        b'{"external_id":"A-4","comment":"' + b"x" * 256_000 + b'"}\n'
        b'{"external_id":"A-5","score":1}',
        BATCH,
        content_type="application/x-ndjson",
    )
    assert answer.status_code == 202
    assert [
        (r["index"], r["line"], r["status"], r.get("error", {}).get("code"))
        for r in answer.json()["results"]
    ] == [
        (0, 1, "accepted", None),
        (1, 3, "rejected", "not_json"),
        (2, 4, "rejected", "not_json"),
        (3, 5, "rejected", "duplicate_member"),
        (4, 6, "rejected", "too_large"),
        (5, 7, "accepted", None),
    ]


async def test_a_sheet_is_read_by_its_header(door: Door) -> None:
    answer = await door.send(
        "\ufeffexternal_id,score,comment,customer.id,attributes.shop,wave\n"
        'A-1,2,"two\nlines",007,Odense,3\n'
        "A-2,2.5,,,,\n"
        "A-3,7\n"
        "A-4,7,a\x00b,,,\n"
        "A-5,7,,,,\n",
        BATCH,
        content_type="text/csv; charset=utf-8",
    )
    assert answer.status_code == 202
    results = answer.json()["results"]
    assert [(r["line"], r["status"]) for r in results] == [
        (2, "accepted"),
        (4, "rejected"),
        (5, "rejected"),
        (6, "rejected"),
        (7, "accepted"),
    ]
    assert [r["error"].get("code") for r in results[1:4]] == [
        None,
        "wrong_number_of_cells",
        "nul",
    ]


async def test_a_batch_with_an_idempotency_key_is_answered_once(door: Door) -> None:
    rows = [{"external_id": f"A-{n}", "score": n % 11} for n in range(1_200)]
    first = await door.send(json.dumps(rows), BATCH, idempotency_key="k-1")
    again = await door.send(json.dumps(rows, indent=1), BATCH, idempotency_key="k-1")
    assert first.json()["accepted"] == 1_200
    assert again.json() == first.json()
    assert again.headers["idempotency-replayed"] == "true"
    other = await door.send(json.dumps(rows[1:]), BATCH, idempotency_key="k-1")
    assert other.status_code == 422
    without = await door.send(json.dumps(rows), BATCH)
    assert without.json()["duplicates"] == 1_200


async def test_an_empty_batch_is_answered(door: Door) -> None:
    answer = await door.send(b"[]", BATCH, idempotency_key="k-1")
    assert answer.json() == {"accepted": 0, "duplicates": 0, "rejected": 0, "results": []}


async def test_a_batch_of_the_largest_size_is_taken_and_one_more_is_not(door: Door) -> None:
    lines = [f'{{"external_id":"A-{n}","score":{n % 11}}}' for n in range(10_001)]
    body = "\n".join(lines[:-1])
    assert (await door.send(body, BATCH, content_type="application/x-ndjson")).json()[
        "accepted"
    ] == 10_000
    rows = await door.rows()
    for more, kind in (
        ("\n".join(lines), "application/x-ndjson"),
        (f"[{','.join(lines)}]", "application/json"),
    ):
        answer = await door.send(more, BATCH, content_type=kind)
        assert answer.status_code == 413
    assert await door.rows() == rows


async def test_the_announcement_goes_under_the_id_of_its_request(door: Door) -> None:
    await asyncio.gather(
        *(
            door.client.post(
                URL,
                json={"external_id": f"A-{n}", "score": n, "product": f"product-{n}"},
                headers={**door.rights, "x-request-id": f"request-{n}"},
            )
            for n in range(5)
        )
    )
    async with door.database.reading() as view:
        rows = await view.all(select(PLUMBING.outbox))
    events = [decode(bytes(row.body)) for row in rows]
    assert {e.data["product"]: e.correlationid for e in events} == {
        f"product-{n}": f"request-{n}" for n in range(5)
    }
