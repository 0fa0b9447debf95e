"""No refusal goes uncounted: under its source, with a stable reason, on both databases."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
import pytest_asyncio
from sqlalchemy import select

from services.ingest import store
from services.ingest.tables import payloads, responses, tallies
from shared.db.engine import Engines
from shared.identity.keys import create_key, revoke_key
from shared.identity.person_keys import PersonKeys
from shared.identity.principal import Scope
from shared.sealing import Keyring
from shared.web.auth import Gate
from tests.fakes import ManualClock
from tests.ingest_door import BATCH, URL, Door, open_door

DETRACTOR = {
    "external_id": "A-1",
    "score": 2,
    "comment": "Forty minutes.",
    "customer": {"id": "C-1"},
}
BIG = b'{"external_id": "' + b"x" * 256_001 + b'"}'


@pytest_asyncio.fixture
async def door(
    engines: Engines, clock: ManualClock, keyring: Keyring, person_keys: PersonKeys
) -> AsyncIterator[Door]:
    async with open_door(engines, clock, keyring, person_keys) as opened:
        yield opened


async def counted(door: Door, source: str = "crm") -> dict[tuple[str, str], int]:
    """Return the tallies of a source by outcome and reason, summed over days."""
    sums: dict[tuple[str, str], int] = {}
    async with door.database.reading() as view:
        for _, tally in await store.tallies_of(view, source, door.clock.now().date()):
            sums[tally.outcome, tally.reason] = tally.n
    return sums


async def samples(door: Door, source: str = "crm") -> list[store.Kept]:
    async with door.database.reading() as view:
        return await store.payloads_of(view, source, limit=200)


async def test_an_accepted_response_is_counted_where_it_lies(door: Door) -> None:
    await door.post(DETRACTOR)

    assert await counted(door) == {}
    assert await samples(door) == []
    async with door.database.reading() as view:
        assert await store.accepted_since(view, "crm", door.clock.now()) == 1
        assert await store.last_response_at(view, "crm") == door.clock.now()


async def test_duplicates_and_revisions_are_counted(door: Door) -> None:
    await door.post(DETRACTOR)
    await door.post(DETRACTOR)
    await door.post(DETRACTOR | {"score": 9})
    await door.post(DETRACTOR | {"score": 9}, Idempotency_Key="k")
    await door.post(DETRACTOR | {"score": 9}, Idempotency_Key="k")

    assert await counted(door) == {
        ("duplicate", ""): 2,
        ("duplicate", "idempotency_key"): 1,
        ("revised", ""): 1,
    }


@pytest.mark.parametrize(
    ("body", "headers", "status", "reason", "is_kept"),
    [
        (b"{", {}, 400, ("refused", "unreadable"), True),
        (b'{"a": 1, "a": 2}', {}, 400, ("refused", "duplicate_member"), True),
        (b'{"score": 3}', {}, 422, ("rejected", "missing"), True),
        (b'{"external_id": "A-9"}', {}, 422, ("rejected", "missing"), True),
        (b"[]", {}, 422, ("rejected", "wrong_type"), True),
        (b"{}", {"content-type": "text/plain"}, 415, ("refused", "unsupported_type"), False),
        (b"{}", {"content-encoding": "gzip"}, 415, ("refused", "unsupported_type"), False),
        (BIG, {}, 413, ("refused", "too_large"), False),
        (b"{}", {"idempotency-key": '"'}, 400, ("refused", "unreadable"), False),
    ],
)
async def test_a_refused_post_is_counted_with_its_reason(
    door: Door, body: bytes, headers: dict[str, str], status: int, reason, is_kept: bool
) -> None:
    answer = await door.send(body, **headers)

    assert answer.status_code == status
    assert await counted(door) == {reason: 1}
    assert [(one.outcome, one.reason) for one in await samples(door)] == [reason] * is_kept


async def test_a_body_that_never_says_how_long_it_is_is_counted_too(door: Door) -> None:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(30):
            yield b" " * 10_000

    answer = await door.client.post(
        URL, content=parts(), headers={"content-type": "application/json", **door.rights}
    )

    assert answer.status_code == 413
    assert await counted(door) == {("refused", "too_large"): 1}


async def test_a_refusal_of_the_recording_is_counted_once(door: Door) -> None:
    await door.post(DETRACTOR, Idempotency_Key="k")
    answer = await door.post(DETRACTOR | {"score": 1}, Idempotency_Key="k")

    assert answer.status_code == 422
    assert await counted(door) == {("rejected", "idempotency_key_reused"): 1}


async def test_a_key_without_the_right_and_a_key_that_ended_are_counted(door: Door) -> None:
    reader = await door.key("desk", Scope.TASKS_READ)
    async with door.database.transaction() as tx:
        ended, plain = await create_key(
            tx, source="old", name="k", scopes=[Scope.RESPONSES_WRITE], now=door.clock.now()
        )
        await revoke_key(tx, ended.id, now=door.clock.now())

    refused = await door.client.post(URL, json=DETRACTOR, headers=reader)
    former = await door.client.post(
        URL, json=DETRACTOR, headers={"Authorization": f"Bearer {plain}"}
    )
    unknown = await door.client.post(
        URL, json=DETRACTOR, headers={"Authorization": f"Bearer {'x' * 40}"}
    )

    assert (refused.status_code, former.status_code, unknown.status_code) == (403, 401, 401)
    assert former.json()["detail"] == unknown.json()["detail"]
    assert await counted(door, "desk") == {("refused", "forbidden"): 1}
    assert await counted(door, "old") == {("refused", "key_ended"): 1}
    async with door.database.reading() as view:
        assert len(await view.all(select(tallies))) == 2


async def test_a_key_beyond_its_rate_is_counted(door: Door) -> None:
    gate: Gate = door.client._transport.app.state.gate  # type: ignore[attr-defined] # our own transport
    gate.rate = type(gate.wrong)(2)

    answers = [await door.post(DETRACTOR) for _ in range(3)]

    assert [one.status_code for one in answers] == [202, 202, 429]
    assert await counted(door) == {("duplicate", ""): 1, ("refused", "too_many"): 1}


async def test_every_refused_item_of_a_batch_is_counted_by_its_first_code(door: Door) -> None:
    await door.post(DETRACTOR)
    lines = [
        '{"external_id": "A-2", "score": 9}',
        '{"external_id": "A-3", "score": "9"}',
        '{"external_id": "A-4", "score": 99}',
        '{"external_id": "A-5"}',
        "{",
        '{"external_id": "A-2", "score": 9}',
        '{"external_id": "A-2", "score": 8}',
    ]

    answer = await door.send("\n".join(lines), BATCH, content_type="application/x-ndjson")
    again = await door.send(
        "\n".join(lines), BATCH, content_type="application/x-ndjson", idempotency_key="k"
    )
    replayed = await door.send(
        "\n".join(lines), BATCH, content_type="application/x-ndjson", idempotency_key="k"
    )
    trial = await door.send(
        "\n".join(lines), f"{BATCH}?dry_run=true", content_type="application/x-ndjson"
    )

    assert answer.json()["rejected"] == again.json()["rejected"] == 4
    assert replayed.headers["idempotency-replayed"] == "true"
    assert trial.json()["rejected"] == 4
    assert await counted(door) == {
        ("duplicate", ""): 1 + 3,
        ("duplicate", "idempotency_key"): 7,
        ("revised", ""): 1,
        ("rejected", "wrong_type"): 2,
        ("rejected", "out_of_range"): 2,
        ("rejected", "missing"): 2,
        ("refused", "not_json"): 2,
    }
    assert await samples(door) == []


async def test_a_whole_batch_that_cannot_be_read_is_one_refusal(door: Door) -> None:
    await door.send(b"{", BATCH)
    await door.send(b"", BATCH, content_type="text/csv")
    await door.send(b"[]", f"{BATCH}?dry_run=perhaps")

    assert await counted(door) == {
        ("refused", "unreadable"): 2,
        ("rejected", "bool_parsing"): 1,
    }


async def test_refusals_at_the_same_moment_all_count(door: Door) -> None:
    await asyncio.gather(*(door.send(b"{") for _ in range(40)))

    assert await counted(door) == {("refused", "unreadable"): 40}


async def test_a_trial_is_counted_and_recorded_apart(door: Door) -> None:
    async with door.database.transaction() as tx:
        _, plain = await create_key(
            tx,
            source="crm",
            name="trial",
            scopes=[Scope.RESPONSES_WRITE],
            now=door.clock.now(),
            test=True,
        )
    trial = {"Authorization": f"Bearer {plain}"}
    await door.post(DETRACTOR)
    answer = await door.client.post(URL, json=DETRACTOR, headers=trial)
    await door.client.post(
        URL, content=b"{", headers=trial | {"content-type": "application/json"}
    )

    assert answer.json()["duplicate"] is False
    assert await counted(door) == {}
    assert await counted(door, "crm:test") == {("refused", "unreadable"): 1}
    found = await door.client.get(answer.json()["status_url"], headers=trial)
    assert found.json()["source"] == "crm:test"
    foreign = await door.client.get(answer.json()["status_url"], headers=door.rights)
    assert foreign.status_code == 404


async def test_a_sample_is_sealed_and_names_whose_words_it_holds(
    door: Door, keyring: Keyring, person_keys: PersonKeys
) -> None:
    secret = "The nurse was rude."
    posted = DETRACTOR | {"score": "2", "comment": secret}
    await door.post(posted, X_Request_Id="r-1")

    (kept,) = await samples(door)
    async with door.database.reading() as view:
        row = await view.first(select(payloads))
        opened = await store.find_payload(view, kept.id, keyring=keyring)
    assert row is not None
    assert secret.encode() not in row.sealed_body
    assert row.person_refs == [person_keys.ref("crm", "C-1")]
    assert opened is not None
    assert secret.encode() in opened[1].body
    assert kept.path == "/score"
    assert "authorization" not in opened[1].headers


async def test_a_refused_customer_of_the_wrong_types_is_no_crash(
    door: Door, person_keys: PersonKeys
) -> None:
    for customer in ({"email": 5}, {"id": True, "email": ["a@example.org"]}, {"id": "  "}, 7):
        answer = await door.post(DETRACTOR | {"score": "2", "customer": customer})
        assert answer.status_code == 422
    await door.post(DETRACTOR | {"score": "2", "customer": {"id": 4711, "email": 5}})

    async with door.database.reading() as view:
        rows = await view.all(select(payloads.c.person_refs).order_by(payloads.c.id))
    refs = [row.person_refs for row in rows]
    assert refs == [[], [], [], [], [person_keys.ref("crm", "4711")]]


async def test_a_person_of_a_shared_namespace_is_one_person(
    door: Door, person_keys: PersonKeys
) -> None:
    await shares_namespace(door, "crm", "shop")
    await door.post(DETRACTOR)
    await door.send(b'[{"external_id": "A-2", "score": 3, "customer": {"id": "C-1"}}]', BATCH)

    async with door.database.reading() as view:
        refs = {row.person_ref for row in await view.all(select(responses.c.person_ref))}
    assert refs == {person_keys.ref("shop", "C-1")}


async def test_a_new_namespace_counts_within_a_second(
    door: Door, person_keys: PersonKeys
) -> None:
    await door.post(DETRACTOR)
    await shares_namespace(door, "crm", "shop")
    door.clock.advance(timedelta(seconds=1))
    await door.post(DETRACTOR | {"external_id": "A-2"})

    async with door.database.reading() as view:
        refs = {row.person_ref for row in await view.all(select(responses.c.person_ref))}
    assert refs == {person_keys.ref("crm", "C-1"), person_keys.ref("shop", "C-1")}


async def shares_namespace(door: Door, source: str, namespace: str) -> None:
    async with door.database.transaction() as tx:
        found = await store.find_source(
            tx, source, keyring=door.ingest.keyring, now=door.clock.now()
        )
        await store.save_source(
            tx,
            type(found)(
                name=source,
                namespace=namespace,
                version=found.version + 1,
                changed_at=door.clock.now(),
                changed_by="key_tests",
            ),
        )


async def test_batches_that_count_the_same_things_at_once_never_wait_for_each_other(
    door: Door,
) -> None:
    """Their rows are locked in one order, as the last thing that a transaction does."""
    await door.post(DETRACTOR)
    batches = [
        [
            {"external_id": f"B-{n}", "score": 9},
            DETRACTOR,
            {"external_id": f"B-{n}", "score": 8},
            {"external_id": "x", "score": 99},
            {"external_id": "y"},
        ]
        for n in range(12)
    ]

    answers = await asyncio.gather(
        *(
            door.client.post(BATCH, json=one[:: 1 if n % 2 else -1], headers=door.rights)
            for n, one in enumerate(batches)
        ),
        *(door.send(b"{") for _ in range(12)),
    )

    assert {one.status_code for one in answers} == {202, 400}
    assert await counted(door) == {
        ("duplicate", ""): 12,
        ("revised", ""): 12,
        ("rejected", "out_of_range"): 12,
        ("rejected", "missing"): 12,
        ("refused", "unreadable"): 12,
    }
