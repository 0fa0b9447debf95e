"""What no library would send: to our own server, and to the real nginx in front of it.

Each is answered with a problem document, or cut off, within the limits, and has no effect.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio
import uvicorn
from fastapi import FastAPI
from structlog.testing import capture_logs

from services.commands.protocol import HEADER_SECONDS, Protocol
from services.commands.serving import uvicorn_config
from shared.db.engine import Engines
from shared.identity.principal import Scope
from shared.sealing import Keyring
from shared.tasks import spawn
from tests.fakes import ManualClock
from tests.infra.nginx import Nginx
from tests.infra.processes import LOOPBACK, free_port
from tests.plumbing import create_tables
from tests.whole_house import WholeHouse, open_house
from tests.wire import Reply, speak

CANARY = b"canary7f3a"
GOOD = b'{"external_id":"' + CANARY + b'","score":9}'
SLOW = HEADER_SECONDS + 3
NGINX = Path(__file__).parents[2] / "deploy" / "nginx.conf"


@dataclass
class FrontDoor:
    """A port to knock at, and the house behind it."""

    kind: str
    port: int
    house: WholeHouse
    key: bytes = field(default=b"", repr=False)

    async def send(self, *parts: bytes | float, whole: bool = True) -> Reply:
        filled = [p.replace(b"$KEY", self.key) if isinstance(p, bytes) else p for p in parts]
        return await speak(self.port, filled, whole=whole)

    async def effects(self) -> int:
        """Return how much of what was sent has stayed."""
        rows = await self.house.rows()
        return rows["ingest_responses"] + rows["ingest_outbox"] + rows["ingest_requests"]


class _Server(uvicorn.Server):
    """The test ends it, no signal does."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def serving(app: FastAPI, **more: object) -> AsyncIterator[int]:
    """Serve an application on a free port as the program does; give the port."""
    port = free_port()
    config = uvicorn_config(app, trusted=("127.0.0.0/8",))
    config.host, config.port = LOOPBACK, port
    for name, value in more.items():
        setattr(config, name, value)
    server = _Server(config)
    running = spawn(server.serve(), name="http")
    async with asyncio.timeout(10):
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event to wait for
            await asyncio.sleep(0.01)
    yield port
    server.should_exit = True
    server.force_exit = True
    await running


@pytest_asyncio.fixture
async def house(
    tmp_path: Path, clock: ManualClock, keyring: Keyring
) -> AsyncIterator[WholeHouse]:
    """One kind of database is enough: nothing of this may get as far as a database."""
    url = f"sqlite+aiosqlite:///{tmp_path}/closed-loop.db"
    await create_tables(url)
    engines = Engines.open(url)
    async with open_house(engines, clock, keyring) as opened:
        yield opened
    await engines.close()


def _configured(port: int, front: int) -> str:
    text = NGINX.read_text(encoding="utf-8")
    for role in ("ingest", "loop", "notify"):
        text = text.replace(f"server {role}:8000;", f"server {LOOPBACK}:{port};")
    return text.replace("listen 8080;", f"listen {LOOPBACK}:{front};")


@pytest_asyncio.fixture(params=["direct", pytest.param("nginx", marks=pytest.mark.nginx)])
async def door(request: pytest.FixtureRequest, house: WholeHouse) -> AsyncIterator[FrontDoor]:
    key = (await house.key(Scope.RESPONSES_WRITE))["authorization"].encode()
    async with serving(house.app) as port:
        if request.param == "direct":
            yield FrontDoor("direct", port, house, key)
            return
        front = free_port()
        with Nginx(_configured(port, front), port=front):
            yield FrontDoor("nginx", front, house, key)


def post(*headers: bytes, path: bytes = b"/v1/responses", host: bytes = b"Host: a") -> bytes:
    """Return the header of a POST that would be taken if nothing were wrong with it."""
    lines = [b"POST " + path + b" HTTP/1.1", host, b"Authorization: $KEY",
             b"Content-Type: application/json", *headers]  # fmt: skip
    return b"\r\n".join(line for line in lines if line) + b"\r\n\r\n"


def sized(body: bytes = GOOD) -> bytes:
    return b"Content-Length: %d" % len(body)


CHUNKED = b"Transfer-Encoding: chunked"
ONE_CHUNK = b"%x\r\n" % len(GOOD) + GOOD + b"\r\n0\r\n\r\n"

# What is sent, and the status from our own server and from nginx.
SHAPES: dict[str, tuple[list[bytes | float], int, int]] = {
    "no HTTP": ([b"\x16\x03\x01\x02\x00" + CANARY + b"\r\n\r\n"], 400, 400),
    "HTTP/2 without a word": ([b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"], 400, 400),
    "HTTP/9.9": ([b"GET / HTTP/9.9\r\nHost: a\r\n\r\n"], 400, 400),
    "no Host": ([post(sized(), host=b""), GOOD], 400, 400),
    "two Hosts": ([post(b"Host: b", sized()), GOOD], 400, 400),
    "a user in Host": ([post(sized(), host=b"Host: me:" + CANARY + b"@a"), GOOD], 400, 400),
    "a space before the colon": ([post(b"X-A : b", sized()), GOOD], 400, 400),
    "NUL in a header": ([post(b"X-A: b\x00" + CANARY, sized()), GOOD], 400, 400),
    "a header of 9 kB": ([post(b"X-A: " + b"a" * 9_000, sized()), GOOD], 431, 431),
    "headers of 20 kB": (
        [post(*(b"X-%d: " % n + b"a" * 5_000 for n in range(4)), sized()), GOOD], 431, 431,
    ),
    "101 headers": (
        [post(*(b"X-%d: a" % n for n in range(101)), sized()), GOOD], 431, 431,
    ),
    "a header without end": ([b"GET / HTTP/1.1\r\nHost: a\r\nX-A: " + b"a" * 40_000], 431, 431),
    "an address of 9 kB": ([post(sized(), path=b"/v1/" + b"a" * 9_000), GOOD], 414, 414),
    "lengths that differ": ([post(sized(), b"Content-Length: 3"), GOOD], 400, 400),
    "lengths in a list": ([post(b"Content-Length: 3, 4"), GOOD], 400, 400),
    "a signed length": ([post(b"Content-Length: +%d" % len(GOOD)), GOOD], 400, 400),
    "a length in hexadecimals": ([post(b"Content-Length: 0x20"), GOOD], 400, 400),
    "length and chunks": ([post(sized(), CHUNKED), ONE_CHUNK], 400, 400),
    "chunks and length": ([post(CHUNKED, sized()), ONE_CHUNK], 400, 400),
    "chunks twice": ([post(CHUNKED, CHUNKED), ONE_CHUNK], 400, 400),
    "gzip, chunked": ([post(b"Transfer-Encoding: gzip, chunked"), ONE_CHUNK], 400, 400),
    "identity": ([post(b"Transfer-Encoding: identity"), GOOD], 400, 400),
    "a tab before chunked": ([post(b"Transfer-Encoding: \x0bchunked"), ONE_CHUNK], 400, 400),
    "no chunk size": ([post(CHUNKED), b"zz\r\n" + GOOD + b"\r\n0\r\n\r\n"], 400, 400),
    "a negative chunk": ([post(CHUNKED), b"-5\r\n" + GOOD + b"\r\n0\r\n\r\n"], 400, 400),
    "a chunk that is longer": ([post(CHUNKED), b"2\r\n" + GOOD + b"\r\n0\r\n\r\n"], 400, 400),
    "a length too large": ([post(b"Content-Length: 99999999")], 413, 413),
    "a length of twenty digits": ([post(b"Content-Length: " + b"9" * 20)], 413, 400),
    "256 kB and one": ([post(b"Content-Length: 256001"), b"a" * 256_001], 413, 413),
    "chunks without end": (
        [post(CHUNKED), *[b"fa0\r\n" + b"a" * 4_000 + b"\r\n"] * 70, b"0\r\n\r\n"], 413, 413,
    ),
    "a compressed body": ([post(b"Content-Encoding: gzip", sized()), GOOD], 415, 415),
    "NUL in the address": ([post(sized(), path=b"/v1/responses/%00"), GOOD], 400, 400),
    "no UTF-8 in the address": ([post(sized(), path=b"/v1/responses/%ff"), GOOD], 400, 400),
    "an overlong slash": ([post(sized(), path=b"/v1/responses%c0%af"), GOOD], 400, 400),
    "NUL in the query": ([b"GET /v1/tasks?state=%00 HTTP/1.1\r\nHost: a\r\n\r\n"], 400, 400),
    "a key in the query": (
        [b"GET /v1/tasks?Api-Key=" + CANARY + b" HTTP/1.1\r\nHost: a\r\n\r\n"], 400, 400,
    ),
    "upwards": ([b"GET /v1/../metrics HTTP/1.1\r\nHost: a\r\n\r\n"], 404, 404),
    "upwards, encoded": ([b"GET /v1/%2e%2e%2fmetrics HTTP/1.1\r\nHost: a\r\n\r\n"], 404, 404),
    "out of the house": ([b"GET /../../etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n"], 404, 400),
    "a file above": ([b"GET /static/..%2fauth.py HTTP/1.1\r\nHost: a\r\n\r\n"], 404, 404),
    "no method": ([b"FOO /v1/tasks HTTP/1.1\r\nHost: a\r\n\r\n"], 405, 405),
    "a method in small letters": ([b"get /v1/tasks HTTP/1.1\r\nHost: a\r\n\r\n"], 405, 400),
    "TRACE": ([b"TRACE /v1/tasks HTTP/1.1\r\nHost: a\r\n\r\n"], 405, 405),
    "CONNECT": ([b"CONNECT mail.example:25 HTTP/1.1\r\nHost: a\r\n\r\n"], 404, 400),
    "OPTIONS of everything": ([b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"], 404, 400),
    "another method in a header": (
        [b"GET /v1/webhooks/x HTTP/1.1\r\nHost: a\r\nAuthorization: $KEY\r\n",
         b"X-HTTP-Method-Override: DELETE\r\n\r\n"], 403, 403,
    ),
}  # fmt: skip


async def test_what_breaks_the_rules_of_http_is_refused_without_effect(door: FrontDoor) -> None:
    for name, (parts, direct, through) in SHAPES.items():
        expected = direct if door.kind == "direct" else through
        reply = await door.send(*parts)
        assert reply.status == expected, (name, reply)
        assert reply.problem()["detail"], name
        assert await door.effects() == 0, name
        assert CANARY not in reply.body, name
        if expected == 405:
            assert "GET" in reply.headers["allow"], name


async def test_what_is_unusual_and_right_is_taken(door: FrontDoor) -> None:
    waited = await door.send(post(b"Expect: 100-continue", sized()), 0.2, GOOD)
    chunked = await door.send(post(CHUNKED), ONE_CHUNK[:5], 0.1, ONE_CHUNK[5:])
    old = await door.send(b"GET /healthz HTTP/1.0\r\n\r\n", whole=False)
    split = await door.send(b"GET /heal", 0.1, b"thz HTTP/1.1\r\nHost", 0.1, b": a\r\n\r\n")
    bare = await door.send(b"HEAD /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
                           whole=False)  # fmt: skip

    assert (waited.status, chunked.status) == (202, 202)
    assert json.loads(chunked.body)["duplicate"] is True
    assert (old.status, split.status, bare.status) == (200, 200, 200)
    assert (old.body, bare.body) == (b'{"status":"ok"}', b"")


async def test_nobody_is_waited_for_without_end(door: FrontDoor) -> None:
    """One letter a second, or none: cut off by the limits, answered where there is a way."""
    drip = [part for letter in b"a" * 30 for part in (bytes([letter]), 1.0)]
    header = b"POST /v1/responses HTTP/1.1\r\nHost: a\r\nX-A: "
    stalled, dripped = post(b"Content-Length: 1000"), post(CHUNKED)
    slow = {
        "idle": await_(door, 30.0),
        "a header by letters": await_(door, header, *drip),
        "a header that stops": await_(door, header, 30.0),
        "a body that stops": await_(door, stalled, b"{", 30.0),
        "a body that never begins": await_(door, dripped, 30.0),
        "a line left open": await_(door, b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\nGET", 30.0),
    }
    if door.kind == "direct":
        # nginx takes this in for its own account and passes on what is whole.
        slow["a body by letters"] = await_(door, stalled, *drip)
        slow["a refused body by letters"] = await_(door, post(b"Content-Length: 256001"), *drip)

    replies = dict(zip(slow, await asyncio.gather(*slow.values()), strict=True))

    for name, reply in replies.items():
        assert reply.closed, name
        assert reply.seconds < SLOW + 15 * (name == "a line left open"), (name, reply)
        if reply.status in {408, 413}:
            reply.problem()
        else:
            assert reply.status in {0, 200}, (name, reply)
    if door.kind == "direct":
        for name in ("a header by letters", "a header that stops", "a body that stops",
                     "a body by letters"):  # fmt: skip
            assert replies[name].status == 408, name
        assert replies["a refused body by letters"].status == 413
    assert await door.effects() == 0


async def await_(door: FrontDoor, *parts: bytes | float) -> Reply:
    return await door.send(*parts, whole=False)


def _shout(port: int, text: bytes) -> bytes:
    """Send everything before a word is read, as simple libraries do; return the status line."""
    with socket.create_connection((LOOPBACK, port), timeout=SLOW) as line:
        line.sendall(text)
        return line.makefile("rb").readline()


@pytest.mark.parametrize("version", [b"HTTP/1.0", b"HTTP/1.1"])
async def test_a_refusal_is_read_also_by_who_first_sends_everything(
    door: FrontDoor, version: bytes
) -> None:
    """What is far too large, on a connection that ends with the answer, is answered."""
    large = b" " * 20_000_000
    closing = post(b"Content-Length: %d" % len(large), b"Connection: close")
    head = closing.replace(b"HTTP/1.1", version).replace(b"$KEY", door.key)
    nobody = head.replace(b"20000000", b"200000").replace(door.key, b"Bearer nobody")

    too_large = await asyncio.to_thread(_shout, door.port, head + large)
    unknown = await asyncio.to_thread(_shout, door.port, nobody + large[:200_000])

    assert too_large.split()[1] == b"413"
    assert unknown.split()[1] == b"401"
    assert await door.effects() == 0


async def test_a_body_that_breaks_off_has_no_effect(door: FrontDoor) -> None:
    with capture_logs() as logs:
        for head, body in ((post(sized()), GOOD[:-1]), (post(CHUNKED), ONE_CHUNK[:-5])):
            _, writer = await asyncio.open_connection(LOOPBACK, door.port)
            writer.write(head.replace(b"$KEY", door.key) + body)
            await writer.drain()
            await asyncio.sleep(0.2)
            writer.transport.abort()
        await asyncio.sleep(0.3)

    assert await door.effects() == 0
    assert (await door.send(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")).status == 200
    assert CANARY.decode() not in repr(logs)


# ------------------------------------------------------------------ who is calling


async def _wrong(port: int, forged: str, *, source: str = "127.0.0.1") -> int:
    reply = await speak(
        port,
        [f"GET /v1/tasks HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer wrong\r\n"
         f"X-Forwarded-For: {forged}\r\nForwarded: for={forged}\r\nX-Real-IP: {forged}\r\n"
         f"\r\n".encode()],
        source=source,
    )  # fmt: skip
    return reply.status


@pytest.mark.nginx
async def test_behind_nginx_everybody_is_who_they_are(house: WholeHouse) -> None:
    """A forged address counts for nothing, and one caller's wrong keys are not another's."""
    front = free_port()
    async with serving(house.app) as port:
        with Nginx(_configured(port, front), port=front):
            forged = [await _wrong(front, f"10.0.0.{n}") for n in range(101)]
            other = await _wrong(front, "127.0.0.1", source="127.0.0.2")

    assert forged == [401] * 100 + [429]
    assert other == 401


async def test_a_forged_address_counts_only_from_a_proxy_that_is_trusted(
    house: WholeHouse,
) -> None:
    async with serving(house.app, forwarded_allow_ips=["10.0.0.0/8"]) as port:
        strange = [await _wrong(port, f"10.0.0.{n}") for n in range(101)]
    async with serving(house.app, forwarded_allow_ips=["127.0.0.0/8"]) as port:
        trusted = await _wrong(port, "10.0.0.7")
        # Of a list only what the trusted proxy added itself.
        appended = await _wrong(port, "10.0.0.7, 127.0.0.1")

    assert strange == [401] * 100 + [429]
    assert (trusted, appended) == (401, 401)


# ------------------------------------------------------------------ too many, nobody there


@pytest.mark.nginx
async def test_an_address_has_so_many_connections_and_no_more(house: WholeHouse) -> None:
    front = free_port()
    head = b"POST /v1/responses HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n"
    async with serving(house.app) as port:
        with Nginx(_configured(port, front), port=front):
            held = [await asyncio.open_connection(LOOPBACK, front) for _ in range(200)]
            for _, writer in held:
                writer.write(head)
            await asyncio.sleep(1)
            over = await speak(front, [b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"])
            for _, writer in held:
                writer.transport.abort()
            await asyncio.sleep(1)
            after = await speak(front, [b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"])

    assert over.status == 429
    assert over.problem()["type"].endswith("/errors/too-many")
    assert int(over.headers["retry-after"]) >= 1
    assert after.status == 200


async def test_when_all_places_are_taken_one_is_told_to_come_back(house: WholeHouse) -> None:
    class Few(Protocol):
        most_connections = 3

    async with serving(house.app, http=Few) as port:
        held = [await asyncio.open_connection(LOOPBACK, port) for _ in range(3)]
        over = await speak(port, [b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"])
        held[0][1].transport.abort()
        await asyncio.sleep(0.2)
        after = await speak(port, [b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"])
        for _, writer in held[1:]:
            writer.transport.abort()

    assert over.status == 503
    assert over.problem()["type"].endswith("/errors/try-later")
    assert over.headers["retry-after"] == "1"
    assert after.status == 200


@pytest.mark.nginx
async def test_a_role_that_is_away_is_said_to_be_back_soon() -> None:
    front = free_port()
    with Nginx(_configured(free_port(), front), port=front):
        reply = await speak(
            front,
            [b"POST /v1/responses HTTP/1.1\r\nHost: a\r\nX-Request-ID: req-1\r\n", sized(),
             b"\r\n\r\n", GOOD],
        )  # fmt: skip

    assert reply.status == 503
    assert int(reply.headers["retry-after"]) >= 1
    assert reply.problem()["request_id"] == "req-1"
