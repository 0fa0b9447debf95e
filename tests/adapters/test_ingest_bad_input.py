"""Bad input at the posting doors: a clear problem document, no row, no echo.

Every case carries a canary wherever something can be put; it must come back from nowhere.
"""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import create_engine
from structlog.testing import capture_logs

from services.ingest.tables import PLUMBING
from shared.db.base import metadata
from shared.db.engine import Engines
from shared.db.transaction import Database, Transaction
from shared.errors import TryLater
from shared.identity.person_keys import PersonKeys
from shared.identity.principal import Scope
from shared.sealing import Keyring
from tests.fakes import ManualClock
from tests.ingest_door import BATCH, URL, Door, open_door
from tests.plumbing import load_tables

CANARY = "canary7f3a"
GOOD = {"external_id": "A-1", "score": 9}


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with every table and no row, to be copied for each test."""
    path = tmp_path_factory.mktemp("empty") / "closed-loop.db"
    load_tables()
    engine = create_engine(f"sqlite:///{path}")
    metadata.create_all(engine)
    engine.dispose()
    return path


@pytest_asyncio.fixture
async def engines(empty: Path, tmp_path: Path) -> AsyncIterator[Engines]:
    """One kind of database is enough: nothing of this may get as far as a database."""
    path = shutil.copy(empty, tmp_path / "closed-loop.db")
    opened = Engines.open(f"sqlite+aiosqlite:///{path}")
    yield opened
    await opened.close()


@pytest_asyncio.fixture
async def door(
    engines: Engines, clock: ManualClock, keyring: Keyring, person_keys: PersonKeys
) -> AsyncIterator[Door]:
    async with open_door(engines, clock, keyring, person_keys) as opened:
        yield opened


def body(**members: object) -> bytes:
    return json.dumps({**GOOD, **members}).encode()


def raw(member: str) -> bytes:
    return f'{{"external_id":"A-1","comment":"{CANARY}",{member}}}'.encode()


UNREADABLE = {
    "empty": b"",
    "blank": b"  \n",
    "broken": raw('"score":9')[:-1],
    "trailing comma": raw('"score":9,'),
    "trailing text": raw('"score":9') + CANARY.encode(),
    "single quotes": f"{{'{CANARY}': 1}}".encode(),
    "a comment": raw('"score":9') + b"// " + CANARY.encode(),
    "duplicate score": raw('"score":9,"score":2'),
    "duplicate made-up member": raw(f'"score":9,"{CANARY}":1,"{CANARY}":2'),
    "duplicate in an escape": raw('"score":9,"\\u0073core":2'),
    "duplicate deep down": raw(f'"score":9,"x":[{{"{CANARY}":1,"{CANARY}":1}}]'),
    "NaN": raw('"score":NaN'),
    "infinity": raw('"score":9,"x":Infinity'),
    "minus infinity": raw('"score":9,"x":-Infinity'),
    "1e400": raw('"score":9,"x":1e400'),
    "nineteen digits": raw('"score":1234567890123456789'),
    "five thousand digits": raw(f'"score":{"9" * 5_000}'),
    "raw NUL": raw('"score":9,"x":"\x00"'),
    "33 levels": raw(f'"score":9,"x":{"[" * 32}{"]" * 32}'),
    "many levels": b"[" * 100_000,
    "1,001 members": json.dumps({f"{CANARY}{n}": n for n in range(1_001)}).encode(),
    "byte order mark": b"\xef\xbb\xbf" + raw('"score":9'),
    "UTF-16": raw('"score":9').decode().encode("utf-16"),
    "UTF-32": raw('"score":9').decode().encode("utf-32-le"),
    "Latin-1": raw('"score":9,"x":"é"').decode().encode("latin-1"),
    "overlong encoding": raw('"score":9,"x":"~"').replace(b"~", b"\xc0\xaf"),
    "encoded surrogate": raw('"score":9,"x":"~"').replace(b"~", b"\xed\xa0\x80"),
}

INVALID = {
    "an array": json.dumps([GOOD]).encode(),
    "a text": json.dumps(CANARY).encode(),
    "null": b"null",
    "no external id": json.dumps({"score": 9, "comment": CANARY}).encode(),
    "blank external id": body(external_id=" \u2003\t"),
    "long external id": body(external_id=CANARY * 21),
    "external id with control characters": body(external_id=f"{CANARY}\x1b[31m"),
    "external id as a number": body(external_id=4711),
    "score as text": body(score="9"),
    "score as padded text": body(score=" 9 "),
    "score as true": body(score=True),
    "score with a fraction of nothing": raw('"score":9.0'),
    "score with an exponent": raw('"score":1e1'),
    "score as a list": body(score=[9]),
    "score too high": body(score=11),
    "score too low": body(score=-1),
    "csat 0": body(metric="csat", score=0),
    "ces 8": body(metric="ces", score=8),
    "no score": json.dumps({"external_id": "A-1", "comment": CANARY}).encode(),
    "null score": body(score=None),
    "unknown metric": body(metric=CANARY),
    "unknown measurement": body(measurement=CANARY),
    "unknown sentiment": body(sentiment=CANARY),
    "comment as a number": body(comment=7),
    "comment too long": body(comment=CANARY * 1_001),
    "touchpoint too long": body(touchpoint=CANARY * 21),
    "touchpoint with a line feed": body(touchpoint=f"{CANARY}\nx"),
    "time as a number": body(answered_at=1700000000),
    "time as digits": body(answered_at="1700000000"),
    "time without offset": body(answered_at="2026-03-01T10:00:00"),
    "time that overflows": body(answered_at="0001-01-01T00:00:00+14:00"),
    "time two days ahead": body(answered_at="2026-03-04T10:00:00Z"),
    "time made up": body(answered_at=CANARY),
    "customer as text": body(customer=CANARY),
    "customer name as an object": body(customer={"name": {CANARY: CANARY}}),
    "customer name with a header": body(customer={"name": f"{CANARY}\r\nBcc: x@y.example"}),
    "51 attributes": body(attributes={f"{CANARY}{n}": CANARY for n in range(51)}),
    "a long attribute name": body(attributes={CANARY * 11: 1}),
    "a large object": body(**{CANARY: {CANARY: CANARY * 200}}),
    "attributes as a list": body(attributes=[CANARY]),
    "NUL": raw('"score":9,"x":"\\u0000"'),
    "NUL in a name": raw('"score":9,"a\\u0000":1'),
    "lone high surrogate": raw('"score":9,"x":"\\ud800"'),
    "lone low surrogate": raw('"score":9,"x":"\\udc00"'),
    "swapped surrogates": raw('"score":9,"x":"\\ude00\\ud83d"'),
    "surrogate in a name": raw('"score":9,"\\ud800":1'),
    "NUL in the comment": body(comment=f"{CANARY}\x00"),
}


async def refused(door: Door, answer, status: int) -> dict[str, Any]:
    """Check what every refusal has in common; return the problem document."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].split(";")[0] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    for member in ("type", "title", "status", "detail", "instance", "request_id"):
        assert problem[member] not in ("", None), member
    assert problem["status"] == status
    assert CANARY not in answer.text
    assert CANARY not in str(answer.headers)
    assert await door.rows() == 0
    if status == 422:
        assert 1 <= len(problem["errors"]) <= 20
        for finding in problem["errors"]:
            assert set(finding) == {"pointer", "code", "detail", "fix"}
            assert finding["detail"]
            assert finding["fix"]
    return problem


@pytest.mark.parametrize("case", UNREADABLE)
async def test_a_body_that_cannot_be_read_is_400(door: Door, case: str) -> None:
    with capture_logs() as logs:
        answer = await door.send(UNREADABLE[case])
    await refused(door, answer, 400)
    assert CANARY not in repr(logs)


@pytest.mark.parametrize("case", INVALID)
async def test_a_body_that_breaks_a_rule_is_422(door: Door, case: str) -> None:
    with capture_logs() as logs:
        answer = await door.send(INVALID[case])
    await refused(door, answer, 422)
    assert CANARY not in repr(logs)


@pytest.mark.parametrize("sent", ["\\u0000", "\\ud800"])
async def test_unfit_text_is_named_by_its_member_where_the_format_knows_it(
    door: Door, sent: str
) -> None:
    known = await door.send(raw(f'"score":9,"reason":"{sent}"'))
    made_up = await door.send(raw(f'"score":9,"{CANARY}":"{sent}"'))
    assert [e["pointer"] for e in known.json()["errors"]] == ["/reason"]
    assert [e["pointer"] for e in made_up.json()["errors"]] == [""]


@pytest.mark.parametrize("url", [URL, BATCH])
@pytest.mark.parametrize(
    "kind",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/xml",
        "text/json",
        "application/json5",
        "application/json; charset=utf-16",
        "application/json, text/plain",
        CANARY,
        "",
    ],
)
async def test_another_content_type_is_415(door: Door, url: str, kind: str) -> None:
    await refused(door, await door.send(body(), url, content_type=kind), 415)


async def test_no_content_type_is_415(door: Door) -> None:
    answer = await door.client.post(URL, content=body(), headers=door.rights)
    await refused(door, answer, 415)


@pytest.mark.parametrize(
    "kind", ["application/json", "Application/JSON; charset=UTF-8",
     'application/json;charset="utf-8"']
)  # fmt: skip
async def test_json_is_json_however_it_is_spelled(door: Door, kind: str) -> None:
    assert (await door.send(body(), content_type=kind)).status_code == 202


async def test_a_compressed_body_is_415(door: Door) -> None:
    await refused(door, await door.send(gzip.compress(body()), content_encoding="gzip"), 415)


async def test_a_body_that_is_too_large_is_413(door: Door) -> None:
    await refused(door, await door.send(body(x=CANARY * 30_000)), 413)


async def test_a_body_that_does_not_say_its_length_is_413_too(door: Door) -> None:
    async def drip() -> AsyncIterator[bytes]:
        for _ in range(30):
            yield CANARY.encode() * 1_000

    answer = await door.client.post(
        URL, content=drip(), headers={**door.rights, "content-type": "application/json"}
    )
    await refused(door, answer, 413)


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        (None, 401),
        ("", 401),
        ("Bearer", 401),
        ("Bearer " + CANARY, 401),
        ("Bearer " + CANARY * 4, 401),
        ("Basic " + CANARY, 401),
        ("bearer\x00", 401),
        ("Bearer " + "x" * 5_000, 401),
    ],
)
@pytest.mark.parametrize("url", [URL, BATCH])
async def test_a_wrong_or_missing_key_is_401(
    door: Door, url: str, authorization: str | None, status: int
) -> None:
    headers = {} if authorization is None else {"authorization": authorization}
    answer = await door.client.post(url, json=GOOD, headers=headers)
    await refused(door, answer, status)
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_a_key_that_may_only_read_is_403(door: Door) -> None:
    door.rights = await door.key("crm", Scope.RESPONSES_READ)
    await refused(door, await door.send(body()), 403)
    await refused(door, await door.send(b"[]", BATCH), 403)


async def test_a_key_in_the_address_is_refused(door: Door) -> None:
    key = door.rights["Authorization"].removeprefix("Bearer ")
    answer = await door.send(body(), f"{URL}?api_key={key}")
    await refused(door, answer, 400)
    assert key not in answer.text


@pytest.mark.parametrize(
    "key",
    ["", " ", '"', '""', '"open', 'open"x" y"' * 30, "é", "x" * 256, '"' + "x" * 256 + '"'],
)
@pytest.mark.parametrize("url", [URL, BATCH])
async def test_an_idempotency_key_that_is_none_is_400(door: Door, url: str, key: str) -> None:
    sent = {**door.rights, "content-type": "application/json"}
    headers = [(n.encode(), v.encode()) for n, v in sent.items()]
    headers.append((b"idempotency-key", key.encode()))
    answer = await door.client.post(url, content=b"[]" if url == BATCH else body(),
                                    headers=headers)  # fmt: skip
    await refused(door, answer, 400)


async def test_two_idempotency_keys_are_400(door: Door) -> None:
    headers = [*door.rights.items(), ("content-type", "application/json")]
    headers += [("idempotency-key", "a"), ("idempotency-key", "a")]
    await refused(door, await door.client.post(URL, content=body(), headers=headers), 400)


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("application/json", json.dumps({"external_id": CANARY, "score": 9}).encode()),
        ("application/json", b'[{"external_id":"A-1","score":9},'),
        ("application/json", b"\xef\xbb\xbf[]"),
        ("application/json", f'[{{"external_id":"{CANARY}\xff"}}]'.encode("latin-1")),
        ("application/json", b"[" * 100_000),
        ("application/json", b""),
        ("application/x-ndjson", b""),
        ("application/x-ndjson", b"\xef\xbb\xbf{}"),
        ("text/csv", b""),
        ("text/csv", f"score,{CANARY}\n9,x\n".encode()),
        ("text/csv", f"external_id,{CANARY},{CANARY}\nA,1,2\n".encode()),
        ("text/csv", b"external_id,score\nA-1,\xff\n"),
        ("text/csv", "external_id,score\nA-1,9\n".encode("utf-16")),
    ],
)
async def test_a_batch_that_cannot_be_read_at_all_is_400(
    door: Door, kind: str, content: bytes
) -> None:
    await refused(door, await door.send(content, BATCH, content_type=kind), 400)


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        (
            "application/json",
            b"["
            + b",".join([*(v for k, v in INVALID.items() if k != "an array"), b"[]"])
            + b"]",
        ),
        (
            "application/x-ndjson",
            b"\n".join(
                v
                for v in [*UNREADABLE.values(), *INVALID.values()]
                if v.strip() and b"\n" not in v and v[:3] != b"\xef\xbb\xbf"
            ),
        ),
        (
            "text/csv",
            f"external_id,score,comment,{CANARY}\n"
            f"{CANARY},11,{CANARY},\n{CANARY}\n,9,,\n{CANARY},{CANARY},,\n"
            f'"{CANARY}"x,1,,\n'.encode(),
        ),
    ],
)
async def test_a_batch_of_bad_rows_leaves_no_row_and_says_why(
    door: Door, kind: str, content: bytes
) -> None:
    with capture_logs() as logs:
        answer = await door.send(content, BATCH, content_type=kind)
    assert answer.status_code == 202, answer.text
    results = answer.json()["results"]
    assert {result["status"] for result in results} == {"rejected"}
    assert all(result["error"]["detail"] and result["id"] is None for result in results)
    assert CANARY not in answer.text
    assert CANARY not in repr(logs)
    assert await door.rows() == 0


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
async def test_another_method_is_405(door: Door, method: str) -> None:
    for url in (URL, BATCH):
        answer = await door.client.request(method, url, headers=door.rights)
        await refused(door, answer, 405)
        assert "POST" in answer.headers["allow"]


class Unreliable(Database):
    """A database that can be away."""

    away = False

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        if self.away:
            raise TryLater("the database cannot answer right now", retry_after=7)
        async with super().transaction() as tx:
            yield tx


@pytest.mark.parametrize("url", [URL, BATCH])
async def test_a_database_that_is_away_is_503_and_says_when_to_come_back(
    engines: Engines,
    clock: ManualClock,
    keyring: Keyring,
    person_keys: PersonKeys,
    url: str,
) -> None:
    database = Unreliable(engines, PLUMBING)
    async with open_door(engines, clock, keyring, person_keys, database=database) as door:
        database.away = True
        answer = await door.send(b"[]" if url == BATCH else body(), url)
        await refused(door, answer, 503)
        assert answer.headers["retry-after"] == "7"
        database.away = False
        assert (await door.send(b"[]" if url == BATCH else body(), url)).status_code == 202
