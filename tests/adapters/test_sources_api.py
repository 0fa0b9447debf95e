"""Sources over HTTP: settings, secrets, samples, counts, silence. On both databases."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio
from sqlalchemy import select

from services.ingest import store
from services.ingest.handlers import notice_silence, source_named
from services.ingest.jobs import SourceUpkeep
from services.ingest.tables import PLUMBING, payloads, responses, sources
from shared.db.engine import Engines
from shared.events.envelope import decode
from shared.identity.keys import create_key
from shared.identity.person_keys import PersonKeys
from shared.identity.principal import Scope
from shared.sealing import Keyring
from tests.fakes import ManualClock
from tests.ingest_door import BATCH, URL, Door, open_door
from tests.staff import audited

HOUR = timedelta(hours=1)
MAPPING = {"version": 1, "fields": {"external_id": "nr", "score": "stars", "comment": "words"}}


@pytest_asyncio.fixture
async def door(
    engines: Engines, clock: ManualClock, keyring: Keyring, person_keys: PersonKeys
) -> AsyncIterator[Door]:
    async with open_door(engines, clock, keyring, person_keys) as opened:
        opened.poster = opened.rights  # type: ignore[attr-defined] # carried along for the tests below
        opened.rights = await opened.key("ops", *(set(Scope) - {Scope.RESPONSES_WRITE}))
        yield opened


async def posted(door: Door, body: Any, url: str = URL) -> httpx.Response:
    """Post as the CRM."""
    rights: dict[str, str] = door.poster  # type: ignore[attr-defined]
    return await door.client.post(url, json=body, headers=rights)


async def put(door: Door, body: Any, name: str = "crm", **headers: str) -> httpx.Response:
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    return await door.client.put(
        f"/v1/sources/{name}", json=body, headers={**door.rights, **named}
    )


async def act(door: Door, path: str, body: Any = None) -> httpx.Response:
    if body is None:
        return await door.client.post(f"/v1/sources/{path}", headers=door.rights)
    return await door.client.post(f"/v1/sources/{path}", json=body, headers=door.rights)


async def upkeep(door: Door) -> bool:
    """Have the worker look now; what it did is told."""
    worker = SourceUpkeep(door.database, door.clock)
    did = await worker.step()
    await worker.close()
    return did


async def announced(door: Door) -> list[dict[str, Any]]:
    """Return what was published about sources, in order."""
    outbox = PLUMBING.outbox
    async with door.database.reading() as view:
        rows = await view.all(select(outbox.c.body, outbox.c.topic).order_by(outbox.c.seq))
    found = [decode(row.body) for row in rows if row.topic == "closed-loop.alerts"]
    return [{"type": one.type, **one.data} for one in found]


# ---------------------------------------------------------------- what there is


async def test_a_source_appears_with_its_first_key_setting_or_response(door: Door) -> None:
    await put(door, {}, "shop")
    async with door.database.transaction() as tx:
        await create_key(
            tx, source="app", name="k", scopes=[Scope.RESPONSES_WRITE], now=door.clock.now(),
            test=True,
        )  # fmt: skip
    await posted(door, {"external_id": "A-1", "score": 9})

    listed = (await door.get("/v1/sources")).json()

    assert [one["name"] for one in listed["data"]] == ["app", "crm", "ops", "shop"]
    first = (await door.get("/v1/sources", limit=3)).json()
    rest = (await door.get("/v1/sources", limit=3, cursor=first["next_cursor"])).json()
    assert [one["name"] for one in rest["data"]] == ["shop"]
    assert rest["has_more"] is False
    for nobody in ("nobody", "crm:test"):
        assert (await door.get(f"/v1/sources/{nobody}")).status_code == 404


async def test_a_source_shows_what_became_of_what_it_sent(door: Door) -> None:
    await posted(door, {"external_id": "A-0", "score": 9})
    door.clock.advance(timedelta(days=2))
    await posted(door, {"external_id": "A-1", "score": 9})
    await posted(door, [{"external_id": "A-2", "score": 9}, {"external_id": "A-1"}], BATCH)
    await posted(door, {"external_id": "A-2", "score": 99})

    found = await door.get("/v1/sources/crm")

    assert found.status_code == 200
    body = found.json()
    assert found.headers["etag"] == '"0"'
    assert body["last_response_at"] == "2026-03-04T09:00:00Z"
    assert body["today"] == {
        "accepted": 2,
        "others": [
            {"outcome": "rejected", "reason": "out_of_range", "n": 1},
            {"outcome": "revised", "reason": "", "n": 1},
        ],
    }
    assert body["last_7_days"]["accepted"] == 3
    assert body["unread_payloads"] == 1
    assert body["hook_url"] == "http://127.0.0.1:8000/v1/hooks/crm"
    assert body["test"] is None
    door.clock.advance(timedelta(days=7))
    later = (await door.get("/v1/sources/crm")).json()
    assert later["today"] == later["last_7_days"] == {"accepted": 0, "others": []}
    days = (await door.get("/v1/sources/crm/tallies")).json()
    assert [(one["day"], one["reason"], one["n"]) for one in days["data"]] == [
        ("2026-03-04", "out_of_range", 1),
        ("2026-03-04", "", 1),
    ]
    query = {"from": "2026-03-05", "to": "2026-03-09"}
    assert (await door.get("/v1/sources/crm/tallies", **query)).json()["data"] == []


async def test_what_test_keys_sent_is_shown_within_their_source(door: Door) -> None:
    async with door.database.transaction() as tx:
        _, plain = await create_key(
            tx, source="crm", name="k", scopes=[Scope.RESPONSES_WRITE], now=door.clock.now(),
            test=True,
        )  # fmt: skip
    for score in (9, 99):
        await door.client.post(
            URL,
            json={"external_id": "T-1", "score": score},
            headers={"Authorization": f"Bearer {plain}"},
        )

    body = (await door.get("/v1/sources/crm")).json()

    assert body["today"] == {"accepted": 0, "others": []}
    assert body["test"]["today"]["accepted"] == 1
    assert body["test"]["unread_payloads"] == 1
    assert (await door.get("/v1/sources/crm/payloads")).json()["data"] == []
    kept = (await door.get("/v1/sources/crm/payloads", test="true")).json()["data"]
    assert [one["source"] for one in kept] == ["crm:test"]
    tallies = (await door.get("/v1/sources/crm/tallies", test="true")).json()["data"]
    assert [one["reason"] for one in tallies] == ["out_of_range"]
    async with door.database.reading() as view:
        assert [one.source for one in await view.all(select(responses.c.source))] == [
            "crm:test"
        ]


# ---------------------------------------------------------------- settings


async def test_settings_are_set_whole_and_against_a_version(door: Door) -> None:
    made = await put(door, {"mapping": MAPPING, "namespace": "shop"}, If_Match='"0"')
    assert made.status_code == 200
    assert made.headers["etag"] == '"1"'
    assert made.json()["mapping"] == MAPPING

    stale = await put(door, {"silent_after_hours": 24}, If_Match='"0"')
    assert (stale.status_code, stale.json()["version"]) == (412, 1)
    changed = await put(door, {"silent_after_hours": 24}, If_Match='"1"')
    assert changed.headers["etag"] == '"2"'
    body = changed.json()
    assert (body["mapping"], body["namespace"], body["silent_after_hours"]) == (None, None, 24)
    assert (await audited(door.database))[-2:] == ["source.changed"] * 2
    source = await source_named(door.ingest, "crm:test")
    assert (source.name, source.silent_after_hours, source.version) == ("crm", 24, 2)


@pytest.mark.parametrize(
    ("settings", "pointer"),
    [
        ({"sender": "nobody-knows"}, "/sender"),
        (
            {"mapping": {"version": 1, "fields": {"external_id": "id", "score": "a ||| b"}}},
            "/mapping/fields/score",
        ),
        ({"mapping": {"version": 2, "fields": {"external_id": "id"}}}, "/mapping/version"),
        ({"namespace": "crm:test"}, "/namespace"),
        ({"namespace": "a\u0007b"}, "/namespace"),
        ({"silent_after_hours": 0}, "/silent_after_hours"),
        ({"silent_after_hours": "24"}, "/silent_after_hours"),
        ({"secrets": ["x"]}, "/secrets"),
    ],
)
async def test_settings_that_cannot_be_are_refused_with_where_and_why(
    door: Door, settings: dict[str, Any], pointer: str
) -> None:
    refused = await put(door, settings)

    assert refused.status_code == 422, refused.text
    assert refused.json()["errors"][0]["pointer"] == pointer
    async with door.database.reading() as view:
        assert await view.all(select(sources)) == []


@pytest.mark.parametrize("name", ["crm:test", "%20", "a%07b", "x" * 101])
async def test_a_name_that_no_source_may_have_is_refused(door: Door, name: str) -> None:
    assert (await put(door, {}, name)).status_code == 422


async def test_the_ready_mappings_are_listed(door: Door) -> None:
    listed = (await door.get("/v1/senders")).json()

    for one in listed["data"]:
        assert one["name"]
        assert all(link.startswith("https://") for link in one["documentation"])
        taken = await put(door, {"sender": one["sender"]})
        assert taken.status_code == 200, taken.text


# ---------------------------------------------------------------- secrets


async def test_a_secret_is_shown_once_if_we_made_it_and_never_otherwise(
    door: Door, keyring: Keyring
) -> None:
    theirs = await act(door, "crm/secrets", {"secret": "given by them"})
    ours = await act(door, "crm/secrets", {})

    assert (theirs.status_code, ours.status_code) == (201, 201)
    assert "secret" not in theirs.json()
    made = ours.json().pop("secret")
    assert made.startswith("whsec_")
    shown = await door.get("/v1/sources/crm")
    assert [one["id"] for one in shown.json()["secrets"]] == [
        ours.json()["id"],
        theirs.json()["id"],
    ]
    assert made not in shown.text
    assert "given by them" not in shown.text
    assert (await source_named(door.ingest, "crm")).secrets == (made, "given by them")
    async with door.database.reading() as view:
        sealed = await view.scalar(select(sources.c.sealed_secrets))
    assert b"given" not in sealed
    assert await audited(door.database) == ["key.created"] * 2 + ["source.secret_added"] * 2


async def test_a_former_secret_counts_until_its_time_or_until_it_is_deleted(door: Door) -> None:
    first = (await act(door, "crm/secrets", {"secret": "the first one"})).json()
    await act(
        door,
        "crm/secrets",
        {"secret": "the second one", "former_until": "2026-03-03T09:00:00Z"},
    )
    assert (await source_named(door.ingest, "crm")).secrets == (
        "the second one",
        "the first one",
    )

    door.clock.advance(24 * HOUR)
    assert (await source_named(door.ingest, "crm")).secrets == ("the second one",)
    await act(door, "crm/secrets", {"secret": "the third one"})
    assert (await source_named(door.ingest, "crm")).secrets == (
        "the third one",
        "the second one",
    )
    second = (await door.get("/v1/sources/crm")).json()["secrets"][1]["id"]
    path = "/v1/sources/crm/secrets/"
    gone = await door.client.delete(path + second, headers=door.rights)
    again = await door.client.delete(path + second, headers=door.rights)
    expired = await door.client.delete(path + first["id"], headers=door.rights)
    assert (gone.status_code, again.status_code, expired.status_code) == (204, 404, 404)
    assert (await source_named(door.ingest, "crm")).secrets == ("the third one",)


async def test_settings_leave_secrets_alone_and_the_other_way_round(door: Door) -> None:
    await put(door, {"silent_after_hours": 5})
    await act(door, "crm/secrets", {"secret": "the first one"})
    await put(door, {"silent_after_hours": 6}, If_Match='"1"')

    source = await source_named(door.ingest, "crm")
    assert (source.secrets, source.silent_after_hours) == (("the first one",), 6)


async def test_there_are_not_more_secrets_than_somebody_can_keep_track_of(door: Door) -> None:
    answers = [
        (await act(door, "crm/secrets", {"secret": f"secret {n}"})).status_code
        for n in range(6)
    ]
    short = await act(door, "crm/secrets", {"secret": "tiny!"})

    assert answers == [201] * 5 + [409]
    assert short.status_code == 422
    assert "tiny!" not in short.text


# ---------------------------------------------------------------- samples


async def test_a_sample_is_listed_closed_and_opened_on_record(door: Door) -> None:
    await posted(door, {"external_id": "A-1", "score": "2", "comment": "Rude nurse."})

    listed = await door.get("/v1/sources/crm/payloads")
    assert "nurse" not in listed.text
    (one,) = listed.json()["data"]
    assert (one["outcome"], one["reason"], one["path"]) == (
        "rejected",
        "wrong_type",
        "/score",
    )
    opened = await door.get(f"/v1/sources/crm/payloads/{one['id']}")
    assert "Rude nurse." in opened.json()["body"]
    assert "authorization" not in opened.json()["headers"]
    assert (await audited(door.database))[-1] == "payload.opened"
    assert (await door.get(f"/v1/sources/shop/payloads/{one['id']}")).status_code == 404
    reader = await door.key("desk", Scope.SETTINGS_READ)
    for status, path in ((200, ""), (403, f"/{one['id']}")):
        answer = await door.client.get(f"/v1/sources/crm/payloads{path}", headers=reader)
        assert answer.status_code == status


async def test_a_mapping_is_tried_without_recording_anything(door: Door) -> None:
    payload = {"nr": 4711, "stars": 4, "words": "Fine."}

    without = await act(door, "crm/try", {"payload": {"stars": 4}})
    tried = await act(door, "crm/try", {"payload": payload, "mapping": MAPPING})
    wrong = await act(door, "crm/try", {"payload": {"stars": 4}, "mapping": MAPPING})
    broken = await act(door, "crm/try", {"payload": payload, "mapping": {"version": 9}})
    both = await act(door, "crm/try", {"payload": payload, "payload_id": "pay_1"})

    assert without.json()["results"][0]["status"] == "rejected"
    assert tried.json()["results"][0]["status"] == "accepted"
    assert "id" not in tried.json()["results"][0]
    (missing,) = wrong.json()["results"]
    assert (missing["reason"], missing["path"]) == ("missing", "nr")
    assert (broken.status_code, both.status_code) == (422, 422)
    async with door.database.reading() as view:
        assert await view.all(select(responses)) == []
        assert await view.all(select(payloads)) == []
        assert await store.tallies_of(view, "crm", door.clock.now().date()) == []


async def test_a_sample_is_taken_in_again_once_the_mapping_is_mended(door: Door) -> None:
    await posted(door, {"nr": 4711, "stars": 2, "words": "Late."})
    (one,) = (await door.get("/v1/sources/crm/payloads")).json()["data"]
    assert one["outcome"] == "rejected"
    tried = await act(door, "crm/try", {"payload_id": one["id"], "mapping": MAPPING})
    assert tried.json()["results"][0]["status"] == "accepted"
    await put(door, {"mapping": MAPPING})

    path = f"crm/payloads/{one['id']}/receive"
    first, second = await act(door, path), await act(door, path)

    assert (first.status_code, second.status_code) == (202, 202)
    (taken,), (again,) = first.json()["results"], second.json()["results"]
    assert (taken["status"], again["status"]) == ("accepted", "duplicate")
    assert taken["id"] == again["id"]
    (one,) = (await door.get("/v1/sources/crm/payloads")).json()["data"]
    assert one["outcome"] == "duplicate"
    assert (await door.get("/v1/sources/crm")).json()["unread_payloads"] == 0
    assert (await act(door, "crm/payloads/pay_1/receive")).status_code == 404


async def test_fifty_samples_are_kept_of_a_source_for_seven_days(door: Door) -> None:
    for n in range(53):
        await posted(door, {"external_id": f"A-{n}", "score": "2"})
    async with door.database.transaction() as tx:
        await store.keep_payload(
            tx,
            "shop",
            store.Sample(body=b"{}", content_type="application/json", outcome="ignored"),
            keyring=door.ingest.keyring,
            at=door.clock.now(),
        )

    assert await upkeep(door) is True
    kept = (await door.get("/v1/sources/crm/payloads", limit=200)).json()["data"]
    assert len(kept) == 50
    assert len((await door.get("/v1/sources/shop/payloads")).json()["data"]) == 1
    assert await upkeep(door) is False
    door.clock.advance(timedelta(days=7))
    assert await upkeep(door) is False
    door.clock.advance(timedelta(seconds=1))
    assert await upkeep(door) is True
    async with door.database.reading() as view:
        assert await view.all(select(payloads)) == []


async def test_what_a_person_said_goes_with_the_whole_sample(
    door: Door, person_keys: PersonKeys
) -> None:
    for customer in ("C-1", "C-2"):
        await posted(door, {"score": 2, "customer": {"id": customer}})
    await posted(door, {"score": 2, "comment": "Nobody's."})
    accepted = await posted(door, {"external_id": "A-1", "score": 2, "comment": "Mine."})
    response_id = accepted.json()["id"]
    async with door.database.transaction() as tx:
        await store.keep_payload(
            tx,
            "crm",
            store.Sample(
                body=b"Mine.",
                content_type="text/plain",
                outcome="accepted",
                person_refs=[response_id],
            ),
            keyring=door.ingest.keyring,
            at=door.clock.now(),
        )
        # The response turns out to be theirs.
        await person_keys.attribute(
            tx, {response_id: person_keys.ref("crm", "C-1")}, now=door.clock.now()
        )

    async with door.database.transaction() as tx:
        assert await store.scrub_payloads(tx, person_keys.ref("crm", "C-1")) == 2
    async with door.database.reading() as view:
        left = await view.all(select(payloads.c.person_refs))
    assert [row.person_refs for row in left] == [[person_keys.ref("crm", "C-2")], []]


# ---------------------------------------------------------------- silence


async def test_a_silence_is_told_once_and_its_end_as_well(door: Door) -> None:
    await posted(door, {"external_id": "A-1", "score": 9})
    await put(door, {"silent_after_hours": 24})
    door.clock.advance(24 * HOUR)
    assert await upkeep(door) is False
    assert await announced(door) == []

    door.clock.advance(timedelta(seconds=1))
    assert await upkeep(door) is True
    assert await upkeep(door) is False
    assert await announced(door) == [
        {
            "type": "source.silent.v1",
            "source": "crm",
            "silent_since": "2026-03-02T09:00:00Z",
            "silent_after_hours": 24,
            "last_response_at": "2026-03-02T09:00:00Z",
        }
    ]
    shown = await door.get("/v1/sources/crm")
    assert shown.json()["silent_since"] == "2026-03-02T09:00:00Z"

    door.clock.advance(HOUR)
    await posted(door, {"external_id": "A-2", "score": 9})
    assert await upkeep(door) is True
    assert await upkeep(door) is False
    assert (await announced(door))[1:] == [
        {
            "type": "source.resumed.v1",
            "source": "crm",
            "silent_since": "2026-03-02T09:00:00Z",
            "last_response_at": "2026-03-03T10:00:01Z",
        }
    ]
    assert (await door.get("/v1/sources/crm")).json()["silent_since"] is None
    door.clock.advance(25 * HOUR)
    assert await upkeep(door) is True
    assert len(await announced(door)) == 3


async def test_a_source_that_never_delivered_is_silent_since_it_was_watched(door: Door) -> None:
    await put(door, {"silent_after_hours": 1}, "shop")
    door.clock.advance(HOUR + timedelta(seconds=1))

    assert await upkeep(door) is True
    (event,) = await announced(door)
    assert (event["silent_since"], event["last_response_at"]) == ("2026-03-02T09:00:00Z", None)


async def test_a_source_that_may_be_silent_for_longer_now_is_no_news(door: Door) -> None:
    await posted(door, {"external_id": "A-1", "score": 9})
    await put(door, {"silent_after_hours": 1})
    door.clock.advance(2 * HOUR)
    await upkeep(door)
    await put(door, {"silent_after_hours": 48})

    assert await upkeep(door) is True
    assert await upkeep(door) is False
    assert len(await announced(door)) == 1
    door.clock.advance(47 * HOUR)
    await upkeep(door)
    await put(door, {"silent_after_hours": None})
    assert (await door.get("/v1/sources/crm")).json()["silent_since"] is None
    assert [one["type"] for one in await announced(door)] == ["source.silent.v1"] * 2
    assert await upkeep(door) is False


async def test_what_test_keys_send_ends_no_silence(door: Door) -> None:
    async with door.database.transaction() as tx:
        _, plain = await create_key(
            tx, source="crm", name="k", scopes=[Scope.RESPONSES_WRITE], now=door.clock.now(),
            test=True,
        )  # fmt: skip
    await put(door, {"silent_after_hours": 1})
    door.clock.advance(2 * HOUR)
    await upkeep(door)
    await door.client.post(
        URL,
        json={"external_id": "A-1", "score": 9},
        headers={"Authorization": f"Bearer {plain}"},
    )

    assert await upkeep(door) is False


async def test_the_worker_looks_every_ten_seconds_only(door: Door) -> None:
    worker = SourceUpkeep(door.database, door.clock)
    assert await worker.step() is False
    for n in range(51):
        await posted(door, {"external_id": f"A-{n}", "score": "2"})

    door.clock.advance(timedelta(seconds=9))
    assert await worker.step() is False
    door.clock.advance(timedelta(seconds=1))
    assert await worker.step() is True
    await worker.close()


async def test_two_workers_at_once_tell_a_silence_once(door: Door) -> None:
    await put(door, {"silent_after_hours": 1})
    door.clock.advance(2 * HOUR)

    await asyncio.gather(*(upkeep(door) for _ in range(4)))

    assert len(await announced(door)) == 1


async def test_a_worker_that_dies_before_its_commit_leaves_the_news_to_the_next(
    door: Door,
) -> None:
    await put(door, {"silent_after_hours": 1})
    door.clock.advance(2 * HOUR)

    with pytest.raises(RuntimeError):
        async with door.database.transaction() as tx:
            assert await notice_silence(tx, now=door.clock.now()) == 1
            raise RuntimeError
    assert await announced(door) == []
    assert await upkeep(door) is True
    assert len(await announced(door)) == 1
