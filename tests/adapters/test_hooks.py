"""Hooks over HTTP, on both databases: proof, answers, what is recorded and what is counted."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
import pytest
import pytest_asyncio
from sqlalchemy import select

from services.ingest.domain.mappings import Document
from services.ingest.domain.sources import Source
from services.ingest.reception import Call, mapping_of, receive
from services.ingest.tables import payloads
from shared.db.engine import Engines
from shared.errors import TryLater
from shared.identity.keys import create_key, revoke_key
from shared.identity.person_keys import PersonKeys
from shared.identity.principal import Scope
from shared.sealing import Keyring
from tests.fakes import ManualClock
from tests.hook_door import (
    HOOKS,
    MAPPING,
    SECRET,
    SIGNATURE,
    configure,
    counted,
    everything,
    kept,
    recorded,
    result,
    send,
    signed,
    standard,
)
from tests.ingest_door import Door, open_door

SIGNED: dict[str, Any] = {**MAPPING, "signature": SIGNATURE}


@pytest_asyncio.fixture
async def door(
    engines: Engines, clock: ManualClock, keyring: Keyring, person_keys: PersonKeys
) -> AsyncIterator[Door]:
    async with open_door(engines, clock, keyring, person_keys) as opened:
        yield opened


def body_of(payload: object) -> bytes:
    return json.dumps(payload).encode()


async def token_of(
    door: Door, source: str = "survey", *scopes: Scope, test: bool = False
) -> str:
    async with door.database.transaction() as tx:
        _, plain = await create_key(
            tx,
            source=source,
            name="hook",
            scopes=scopes or (Scope.RESPONSES_WRITE,),
            now=door.clock.now(),
            test=test,
        )
    return plain


async def test_a_call_is_recorded_as_its_mapping_reads_it(door: Door) -> None:
    await configure(door, mapping=MAPPING, namespace="shop")

    answer = await send(
        door, result(who="C-1", mail="anna@example.com", at="2026-03-01T10:00:00+01:00")
    )

    assert answer.status_code == 202, answer.text
    (only,) = answer.json()["results"]
    assert only == {"status": "accepted", "id": only["id"], "revision": 1}
    (row,) = await recorded(door)
    assert (row["external_id"], row["score"], row["has_comment"]) == ("R-1", 0, True)
    assert row["answered_at"].isoformat() == "2026-03-01T09:00:00+00:00"
    assert row["person_ref"] == door.ingest.person_keys.ref("shop", "C-1")


async def test_the_same_again_is_a_duplicate_and_another_meaning_a_revision(door: Door) -> None:
    await configure(door, mapping=MAPPING)

    first = (await send(door, result())).json()["results"][0]
    again = (await send(door, {**result(), "unknown": [1, {"x": None}]})).json()["results"][0]
    revised = (await send(door, result(stars="5"))).json()["results"][0]

    assert again == {"status": "duplicate", "id": first["id"], "revision": 1}
    assert revised == {"status": "accepted", "id": first["id"], "revision": 2}
    assert await counted(door) == {("duplicate", ""): 1, ("revised", ""): 1}


async def test_a_partial_answer_is_completed_by_a_later_one(door: Door) -> None:
    """The comment came first: nobody can ask a sender to wait until there is a score."""
    await configure(door, mapping=MAPPING)

    part = await send(door, result(stars=0, words="It broke."))
    assert (await recorded(door))[0]["measurement"] is None
    whole = await send(door, result(stars=2, words=None))

    assert [part.json()["results"][0]["status"], whole.json()["results"][0]["revision"]] == [
        "accepted",
        2,
    ]
    (row,) = await recorded(door)
    assert (row["score"], row["has_comment"]) == (3, True)


async def test_what_is_no_answer_is_ignored_and_why_is_counted(door: Door) -> None:
    await configure(door, mapping=MAPPING)

    ping = await send(door, {"kind": "ping"})
    thin = await send(door, {"kind": "created", "id": 5})
    empty = await send(door, result(stars=None, words="  "))

    assert ping.status_code == thin.status_code == empty.status_code == 202
    assert ping.json() == {"results": [{"status": "ignored", "reason": "ping"}]}
    assert thin.json() == {"results": [{"status": "ignored", "reason": "fetch_required"}]}
    assert empty.json()["results"][0]["reason"] == "no_answer"
    assert await recorded(door) == []
    assert await counted(door) == {
        ("ignored", "ping"): 1,
        ("ignored", "fetch_required"): 1,
        ("ignored", "no_answer"): 1,
    }


async def test_an_unknown_shape_is_rejected_with_the_path_that_was_missing(door: Door) -> None:
    await configure(door, mapping=MAPPING)

    renamed = await send(door, {"kind": "answer", "outcome": {"ref": "R-1"}})
    without_id = await send(door, {"kind": "answer", "result": {"number": "R-1", "stars": 3}})
    wrong = await send(door, result(stars="1_0"))

    (first,), (second,), (third,) = (
        one.json()["results"] for one in (renamed, without_id, wrong)
    )
    assert (first["status"], first["reason"], first["path"]) == (
        "rejected",
        "missing",
        "result",
    )
    assert (second["pointer"], second["path"]) == ("/external_id", "result.ref")
    assert (third["reason"], third["pointer"], third["path"]) == (
        "not_number",
        "/score",
        "result.stars",
    )
    assert "1_0" not in wrong.text
    assert await counted(door) == {("rejected", "missing"): 2, ("rejected", "not_number"): 1}
    assert [(one.outcome, one.reason, one.path) for one in await kept(door)] == [
        ("rejected", "not_number", "result.stars"),
        ("rejected", "missing", "result.ref"),
        ("rejected", "missing", "result"),
    ]


async def test_what_every_way_in_refuses_names_the_path_of_this_one(door: Door) -> None:
    fields = {**MAPPING["fields"], "score": "stars"}
    await configure(door, mapping={**MAPPING, "fields": fields})

    (found,) = (await send(door, result(stars=11))).json()["results"]

    assert (found["reason"], found["pointer"], found["path"]) == (
        "out_of_range",
        "/score",
        "result.stars",
    )
    assert await counted(door) == {("rejected", "out_of_range"): 1}


async def test_several_answers_of_one_call_are_told_apart(door: Door) -> None:
    await configure(door, mapping=MAPPING)
    call = {
        "result": [
            {"ref": "A", "stars": 5},
            {"stars": 1},
            {"ref": "B"},
            {"ref": "A", "stars": 5},
        ]
    }

    answer = await send(door, call)

    assert [one["status"] for one in answer.json()["results"]] == [
        "accepted",
        "rejected",
        "ignored",
        "duplicate",
    ]
    assert [row["external_id"] for row in await recorded(door)] == ["A"]
    assert await counted(door) == {
        ("duplicate", ""): 1,
        ("ignored", "no_answer"): 1,
        ("rejected", "missing"): 1,
    }


async def test_too_many_answers_of_one_call_are_refused_whole(door: Door) -> None:
    await configure(door, mapping=MAPPING)

    answer = await send(door, {"result": [{"ref": str(n), "stars": 1} for n in range(201)]})

    assert answer.status_code == 413
    assert await recorded(door) == []
    assert await counted(door) == {("refused", "too_many_answers"): 1}


async def test_forms_are_read_like_json(door: Door) -> None:
    await configure(door, mapping=MAPPING)
    parts = (
        b'--X\r\nContent-Disposition: form-data; name="result[ref]"\r\n\r\nF-2\r\n'
        b'--X\r\nContent-Disposition: form-data; name="result[stars]"\r\n\r\n3\r\n--X--\r\n'
    )

    form = await send(
        door,
        b"result[ref]=F-1&result[stars]=5&result[words]=Sch%C3%B6n+war%E2%80%99s",
        content_type="application/x-www-form-urlencoded",
    )
    several = await send(door, parts, content_type="multipart/form-data; boundary=X")

    assert [form.status_code, several.status_code] == [202, 202]
    assert [(r["external_id"], r["score"]) for r in await recorded(door)] == [
        ("F-1", 10),
        ("F-2", 5),
    ]


@pytest.mark.parametrize(
    ("body", "content_type", "status", "reason"),
    [
        (b"{", "application/json", 400, "unreadable"),
        (b"", "application/json", 400, "unreadable"),
        (b'{"a": 1, "a": 2}', "application/json", 400, "duplicate_member"),
        (b"<xml/>", "application/xml", 415, "unsupported_type"),
        (b"{}", "text/plain", 415, "unsupported_type"),
        (b"a=%FF", "application/x-www-form-urlencoded", 400, "unreadable"),
        (b"x", "multipart/form-data", 400, "unreadable"),
        (b'{"a": "' + b"x" * 256_000 + b'"}', "application/json", 413, None),
    ],
)
async def test_what_cannot_be_read_gets_one_clear_answer(
    door: Door, body: bytes, content_type: str, status: int, reason: str | None
) -> None:
    await configure(door, mapping=MAPPING)

    answer = await send(door, body, content_type=content_type)

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    if reason is not None:
        assert await counted(door) == {("refused", reason): 1}


# Proof


async def test_a_right_signature_is_enough_and_a_former_secret_still_counts(door: Door) -> None:
    await configure(door, mapping=SIGNED, secrets=["a-newer-secret", SECRET])
    bodies = [body_of(result(f"S-{n}")) for n in range(2)]

    new = await send(door, bodies[0], headers=signed(door, bodies[0], secret="a-newer-secret"))
    old = await send(door, bodies[1], headers=signed(door, bodies[1]))

    assert [new.status_code, old.status_code] == [202, 202]


async def test_every_wrong_proof_gets_the_same_answer(door: Door) -> None:
    """Only the tally knows what was wrong."""
    await configure(door, mapping=SIGNED, secrets=[SECRET])
    await configure(door, "keyed", mapping=MAPPING)
    body = body_of(result())
    reads = await token_of(door, "survey", Scope.RESPONSES_READ)
    other = await token_of(door, "keyed")
    revoked = await token_of(door)
    async with door.database.transaction() as tx:
        key = await create_key(
            tx,
            source="survey",
            name="ended",
            scopes=[Scope.RESPONSES_WRITE],
            now=door.clock.now(),
        )
        await revoke_key(tx, key[0].id, now=door.clock.now())

    async def knock(to: str, headers: Mapping[str, str]) -> httpx.Response:
        return await send(door, body, to=to, headers=headers)

    answers = [
        await knock("survey", {}),
        await knock("survey", signed(door, body, secret="wrong-secret")),
        await knock("survey", signed(door, body + b" ")),
        await knock("survey", signed(door, body, age=301)),
        await knock("survey", signed(door, body, age=-301)),
        await knock("survey", {"X-Signature": signed(door, body)["X-Signature"]}),
        await knock("survey", {"Authorization": f"Bearer {'x' * 40}"}),
        await knock("survey", {"Authorization": f"Bearer {reads}"}),
        await knock("survey", {"Authorization": f"Bearer {other}"}),
        await knock("survey", {"Authorization": "Basic eDp5"}),
        await knock(f"survey/{other}", {}),
        await knock(f"survey/{key[1]}", {}),
        await knock("survey/short", {}),
        await knock("keyed", {}),
        await knock("nobody", {}),
        await knock("nobody", signed(door, body)),
        await knock("nobody/token", {}),
        await knock("survey:test", signed(door, body)),
    ]

    assert {answer.status_code for answer in answers} == {401}
    documents = [
        {
            name: value
            for name, value in answer.json().items()
            if name not in {"instance", "request_id"}
        }
        for answer in answers
    ]
    assert [one for one in documents if one != documents[0]] == []
    assert await everything(door) == 0
    assert revoked not in str([answer.text for answer in answers])
    tally = await counted(door)
    assert tally["refused", "bad_signature"] == 2
    assert tally["refused", "old_timestamp"] == 2
    assert tally["refused", "no_signature"] >= 2
    assert tally["refused", "wrong_key"] >= 2
    assert await counted(door, "nobody") == {}


async def test_a_key_will_do_for_a_signed_sender_but_no_wrong_signature(door: Door) -> None:
    await configure(door, mapping=SIGNED, secrets=[SECRET])
    token = await token_of(door)
    body = body_of(result())

    alone = await send(door, body, to=f"survey/{token}", headers={})
    both = await send(door, body, to=f"survey/{token}", headers=signed(door, body))
    wrong = await send(door, body, to=f"survey/{token}", headers=signed(door, body + b" "))
    header = await send(door, body, headers={"Authorization": f"Bearer {token}"})

    assert [one.status_code for one in (alone, both, wrong, header)] == [202, 202, 401, 202]


async def test_a_source_that_has_only_a_key_is_known(door: Door) -> None:
    token = await token_of(door, "plain")

    answer = await send(door, {"id": "1", "score": 9}, to=f"plain/{token}", headers={})

    assert answer.json()["results"][0]["status"] == "accepted"


async def test_standard_webhooks_need_no_mapping(door: Door) -> None:
    secret = "whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode()
    await configure(door, secrets=[secret])
    body = body_of({"external_id": "W-1", "score": 3})

    right = await send(door, body, headers=standard(door, body, secret=secret))
    old = await send(door, body, headers=standard(door, body, secret=secret, age=400))
    changed = await send(door, body + b" ", headers=standard(door, body, secret=secret))

    assert [right.status_code, old.status_code, changed.status_code] == [202, 401, 401]


async def test_basic_and_a_header_of_ones_own_are_judged_before_the_body_is_read(
    door: Door,
) -> None:
    await configure(
        door,
        "basic",
        mapping={**MAPPING, "signature": {"scheme": "basic"}},
        secrets=["anna:pass"],
    )
    own = {"scheme": "token", "header": "X-Own", "prefix": "Token "}
    await configure(door, "own", mapping={**MAPPING, "signature": own}, secrets=["hush-hush"])
    word = base64.b64encode(b"anna:pass").decode()

    read: list[bool] = []

    async def never() -> AsyncIterator[bytes]:
        read.append(True)
        yield b"{}"

    assert (
        await send(door, result(), to="basic", headers={"Authorization": f"Basic {word}"})
    ).status_code == 202
    assert (
        await send(door, result(), to="own", headers={"X-Own": "Token hush-hush"})
    ).status_code == 202
    for to, headers in (
        ("basic", {"Authorization": "Basic eDp5"}),
        ("own", {"X-Own": "Token x"}),
    ):
        refused = await door.client.post(
            f"{HOOKS}/{to}",
            content=never(),
            headers={"content-type": "application/json", **headers},
        )
        assert refused.status_code == 401
    assert read == []
    token = await token_of(door, "basic")
    wrong = {"Authorization": "Basic eDp5"}
    assert (await send(door, result(), to=f"basic/{token}", headers=wrong)).status_code == 401
    assert (await send(door, result(), to=f"basic/{token}", headers={})).status_code == 202
    bearer = {"Authorization": f"Bearer {token}"}
    assert (await send(door, result(), to="basic", headers=bearer)).status_code == 202


async def test_the_whole_address_may_be_signed(door: Door) -> None:
    scheme = {
        "scheme": "hmac",
        "header": "X-Sig",
        "encoding": "base64",
        "signed": "{method}{uri}{body}{timestamp}",
        "timestamp": {"header": "X-Time", "unit": "ms", "tolerance": 300},
    }
    await configure(door, mapping={**MAPPING, "signature": scheme}, secrets=[SECRET])
    body = body_of(result())
    stamp = str(int(door.clock.now().timestamp() * 1_000))
    uri = "http://127.0.0.1:8000/v1/hooks/survey?a=1&b=%20x"
    digest = hmac.digest(
        SECRET.encode(), f"POST{uri}".encode() + body + stamp.encode(), "sha256"
    )
    headers = {"X-Sig": base64.b64encode(digest).decode(), "X-Time": stamp}

    right = await send(door, body, to="survey?a=1&b=%20x", headers=headers)
    elsewhere = await send(door, body, to="survey?a=2", headers=headers)

    assert [right.status_code, elsewhere.status_code] == [202, 401]


async def test_a_hundred_wrong_proofs_close_the_door_to_guessing_only(door: Door) -> None:
    await configure(door, mapping=SIGNED, secrets=[SECRET])
    body = body_of(result())
    wrong = [
        (await send(door, body, headers=signed(door, body, secret=f"guess-{n}"))).status_code
        for n in range(101)
    ]

    right = await send(door, body, headers=signed(door, body))

    assert wrong == [401] * 100 + [429]
    assert right.status_code == 202
    assert (await counted(door))["refused", "bad_signature"] == 100


async def test_a_key_stands_in_no_query_no_answer_and_no_log(
    door: Door, capsys: pytest.CaptureFixture[str]
) -> None:
    token = await token_of(door)

    in_query = await send(door, result(), to=f"survey?key={token}", headers={})
    broken = await send(door, b"{", to=f"survey/{token}", headers={})
    metrics = await door.client.get("/metrics")

    assert in_query.status_code == 400
    assert broken.status_code == 400
    assert token not in in_query.text + broken.text + metrics.text
    assert "/v1/hooks/{source}/{token}" in metrics.text
    printed = capsys.readouterr()
    assert token not in printed.out + printed.err


async def test_a_test_key_records_for_the_twin(door: Door) -> None:
    await configure(door, mapping=MAPPING)
    token = await token_of(door, test=True)

    answer = await send(door, result(), to=f"survey/{token}", headers={})

    assert answer.json()["results"][0]["status"] == "accepted"
    assert await recorded(door) == []
    (row,) = await recorded(door, "survey:test")
    assert row["external_id"] == "R-1"
    assert [one.source for one in await kept(door, "survey:test")] == ["survey:test"]


# Verification


QUESTIONS = [
    {"method": "HEAD", "status": 200},
    {"method": "GET", "query": "challenge", "answer": "echo"},
    {"method": "POST", "header": "X-Handshake", "status": 204},
    {"method": "POST", "when": "type == 'hello'", "answer": {"json": "{challenge: challenge}"}},
]


async def test_a_sender_that_asks_hears_what_its_documentation_says(door: Door) -> None:
    await configure(door, mapping={**SIGNED, "verification": QUESTIONS}, secrets=[SECRET])
    hook = f"{HOOKS}/survey"

    head = await door.client.head(hook)
    echo = await door.client.get(hook, params={"challenge": "abc123"})
    shake = await door.client.post(hook, headers={"X-Handshake": "1"})
    hello = await send(door, {"type": "hello", "challenge": "x"}, headers={})
    other = await send(door, result(), headers={})
    nothing = await door.client.get(hook)

    assert (head.status_code, head.content) == (200, b"")
    assert (echo.status_code, echo.text) == (200, "abc123")
    assert echo.headers["content-type"].startswith("text/plain")
    assert shake.status_code == 204
    assert (hello.status_code, hello.json()) == (200, {"challenge": "x"})
    assert [other.status_code, nothing.status_code] == [401, 401]
    assert await everything(door) == 0


async def test_a_question_about_a_source_that_is_not_there_is_not_answered(door: Door) -> None:
    await configure(door, mapping=MAPPING)
    token = await token_of(door)

    assert (await door.client.head(f"{HOOKS}/nobody")).status_code == 401
    assert (await door.client.get(f"{HOOKS}/survey")).status_code == 401
    assert (await door.client.get(f"{HOOKS}/survey/wrong")).status_code == 401
    fits = await door.client.get(f"{HOOKS}/survey/{token}")
    assert (fits.status_code, fits.json()) == (200, {"results": []})
    assert (await door.client.head(f"{HOOKS}/survey/{token}")).status_code == 200


# Recorded whole


class InTrouble(PersonKeys):
    """Keys of persons whose table cannot be reached."""

    async def for_sealing(self, *_: object, **__: object) -> dict[str, bytes]:
        raise TryLater("the database is in trouble")


async def test_a_database_in_trouble_is_answered_so_that_the_sender_repeats(
    engines: Engines, clock: ManualClock, keyring: Keyring
) -> None:
    """Nothing of the call stays behind, not even its sample."""
    async with open_door(engines, clock, keyring, InTrouble(keyring)) as door:
        await configure(door, mapping=MAPPING)
        answers = [{"ref": "A", "stars": 5}, {"ref": "B", "stars": 1, "who": "C"}]

        failed = await send(door, {"result": answers})

        assert failed.status_code == 503
        assert failed.headers["retry-after"]
        assert await everything(door) == 0


async def test_the_same_call_fifty_times_at_once_is_one_response(door: Door) -> None:
    await configure(door, mapping=MAPPING)
    headers = await door.key("survey")

    answers = await asyncio.gather(*(send(door, result(), headers=headers) for _ in range(50)))

    statuses = [one.json()["results"][0]["status"] for one in answers]
    assert sorted(statuses) == ["accepted"] + ["duplicate"] * 49
    assert len(await recorded(door)) == 1
    assert await counted(door) == {("duplicate", ""): 49}


async def test_an_idempotency_key_gets_the_same_answer_again(door: Door) -> None:
    await configure(door, mapping=MAPPING)
    headers = {**await door.key("survey"), "Idempotency-Key": "abc"}

    first = await send(door, result(), headers=headers)
    again = await send(door, result(), headers=headers)
    other = await send(door, result("R-2"), headers=headers)

    assert again.json() == first.json()
    assert again.headers["idempotency-replayed"] == "true"
    assert other.status_code == 422


async def test_a_dry_run_tells_and_leaves_nothing(door: Door) -> None:
    source = await configure(door, mapping=MAPPING)
    await send(door, result())
    before = await everything(door)

    results = await receive(
        door.ingest,
        source,
        Call(payload={"result": [result()["result"], {"ref": "N", "stars": 2}, {"ref": 5}]}),
        test=False,
        dry_run=True,
    )

    assert [(one.status, one.id) for one in results] == [
        ("duplicate", None),
        ("accepted", None),
        ("ignored", None),
    ]
    assert await everything(door) == before


async def test_a_sample_goes_with_the_persons_in_it(door: Door) -> None:
    await configure(door, mapping=MAPPING)
    await send(door, result(who="C-1"))
    anonymous = (await send(door, result("R-2"))).json()["results"][0]["id"]

    async with door.database.reading() as view:
        rows = await view.all(select(payloads.c.person_refs).order_by(payloads.c.id))

    assert door.ingest.person_keys.ref("survey", "C-1") in rows[0].person_refs
    assert anonymous in rows[1].person_refs


# Without settings


async def test_what_nobody_declared_is_read_as_our_own_format_or_by_common_names(
    door: Door,
) -> None:
    own = await send(
        door,
        {
            "external_id": "O-1",
            "score": "7",
            "colour": "red",
            "customer": {"do_not_contact": "yes"},
        },
        to="plain",
    )
    common = await send(
        door,
        {"event_id": "e", "response": {"id": "G-1", "nps": 4, "feedback": "Hm."}},
        to="plain",
    )
    several = await send(door, [{"id": "G-2", "score": 1}, {"id": "G-3"}], to="plain")
    nothing = await send(door, {"form_id": "F", "colour": "red"}, to="plain")

    assert [one.json()["results"][0]["status"] for one in (own, common)] == ["accepted"] * 2
    assert [one["status"] for one in several.json()["results"]] == ["accepted", "ignored"]
    (rejected,) = nothing.json()["results"]
    assert (rejected["reason"], rejected["pointer"]) == ("missing", "/external_id")
    assert "response_id, " in rejected["path"]
    assert [(r["external_id"], r["score"]) for r in await recorded(door, "plain")] == [
        ("O-1", 7),
        ("G-1", 4),
        ("G-2", 1),
    ]


async def test_a_mapping_that_cannot_be_used_any_more_costs_no_answer(door: Door) -> None:
    await configure(door, mapping={"version": 1, "fields": {"external_id": "a["}})

    answer = await send(door, result())

    assert answer.status_code == 503
    assert "mapping" in answer.json()["detail"]


def test_settings_of_a_source_lay_its_mapping_over_the_senders() -> None:
    over = {"version": 1, "fields": {"touchpoint": {"value": "till"}}}
    mapping = mapping_of(Source(name="s", sender="generic", mapping=over))
    assert mapping is not None
    (read,) = mapping.read({"id": "1", "score": 3}, {}, {})

    assert isinstance(read, Document)
    assert read.members == {
        "external_id": "1",
        "metric": "nps",
        "score": 3,
        "touchpoint": "till",
    }
