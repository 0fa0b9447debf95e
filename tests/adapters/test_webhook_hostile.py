"""Receivers that mean harm, and doors that stay shut: each costs little and reaches nothing."""

from __future__ import annotations

import asyncio
import socket
import struct
import zlib
from collections.abc import Callable, Sequence
from functools import cache
from ipaddress import ip_address
from itertools import count
from pathlib import Path

import httpcore
import pytest

from services.notify import store
from services.notify.channels.webhook import Limits, WebhookChannel
from services.notify.domain.deliveries import Channel, Verdict
from services.notify.jobs import Dispatcher, Pace
from services.notify.store import NewDelivery
from services.notify.tables import webhooks
from shared.clock import SystemClock
from shared.db.transaction import Database
from shared.identity.person_keys import PersonKeys
from shared.sealing import Keyring
from shared.settings import Settings
from shared.tasks import spawn
from tests.adapters.test_webhook import (
    Behaviour,
    a_call,
    answering,
    cancellable,
    channel,
    names,
    peer,
)
from tests.fakes import ManualClock
from tests.notices import House

PUBLIC = "93.184.216.34"
HTTP = Settings(webhook_allow_http=True)


def outside(limits: Limits) -> WebhookChannel:
    """Return a channel to which the peers of a test are outside: their answers are read."""
    sender = channel(settings=HTTP, limits=limits)

    async def found(_target: object) -> Sequence[object]:
        return [ip_address("127.0.0.1")]

    sender._checked = found  # type: ignore[method-assign, assignment] # a fake look-up
    return sender


# ---------------------------------------------------------------- doors that stay shut


async def test_a_name_that_points_inside_the_second_time_never_reaches_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dialled: list[str] = []

    async def dial(_self: object, host: str, *_given: object, **_named: object) -> object:
        dialled.append(host)
        raise httpcore.ConnectError

    async with peer(answering("200 OK")) as forbidden:
        sender = channel(settings=HTTP, resolver=names([PUBLIC], ["127.0.0.1"]))
        url = f"http://rebind.example.com:{forbidden.port}/"
        with monkeypatch.context() as patched:
            patched.setattr(httpcore.AnyIOBackend, "connect_tcp", dial)
            first = await sender.send(a_call(url))
        second = await sender.send(a_call(url))

        assert dialled == [PUBLIC]
        assert first.reason == "connection_failed"
        assert second.reason == "address_refused"
        assert forbidden.hits == 0


async def test_a_connection_that_ends_elsewhere_is_left_before_a_byte_is_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = httpcore.AnyIOBackend.connect_tcp

    async def astray(self: object, host: str, *given: object, **named: object) -> object:
        assert host == "127.0.0.2"
        return await real(self, "127.0.0.1", *given, **named)  # type: ignore[arg-type] # as given

    monkeypatch.setattr(httpcore.AnyIOBackend, "connect_tcp", astray)
    async with peer(answering("200 OK")) as forbidden:
        url = f"http://crm.example.com:{forbidden.port}/"
        outcome = await channel(resolver=names(["127.0.0.2"])).send(a_call(url))

        assert outcome.reason == "address_refused"
        assert forbidden.heads == []


async def test_no_receiver_lives_in_a_file(tmp_path: Path) -> None:
    url = f"http+unix://{tmp_path}/socket/"

    outcome = await channel().send(a_call(url))

    assert outcome.reason == "url_refused"


# ---------------------------------------------------------------- receivers that mean harm


async def _drip_head(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"x: y\r\n")
        await writer.drain()
        await asyncio.sleep(0.05)


async def _drip_body(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.05)


async def _endless_body(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    chunk = b"4000\r\n" + b"x" * 0x4000 + b"\r\n"
    while True:
        writer.write(chunk)
        await writer.drain()


async def _endless_head(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nX: ")
    part = b"y" * 65_536
    for _n in range(80):
        writer.write(part)
        await writer.drain()
    writer.write(b"\r\n\r\n")


async def _continue(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    for _n in range(1_000):
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        await writer.drain()
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    await writer.drain()


async def _reset(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200")
    await writer.drain()
    linger = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()


async def _hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def _never(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
    await asyncio.sleep(3_600)


@cache
def bomb() -> bytes:
    """Return 200 MB of nothing, packed small."""
    pack = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join([*(pack.compress(bytes(1_000_000)) for _ in range(200)), pack.flush()])


async def _bomb(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answering("200 OK\r\nContent-Encoding: gzip", bomb())(reader, writer)


HARM: dict[str, tuple[Behaviour, set[tuple[Verdict, str]]]] = {
    "drip head": (_drip_head, {(Verdict.DOUBT, "timeout")}),
    "drip body": (_drip_body, {(Verdict.ACCEPTED, "accepted")}),
    "endless body": (_endless_body, {(Verdict.ACCEPTED, "accepted")}),
    "200 MB of gzip": (_bomb, {(Verdict.ACCEPTED, "accepted")}),
    "5 MB header": (_endless_head, {(Verdict.DOUBT, "connection_broken")}),
    "1,000 times 100": (_continue, {(Verdict.ACCEPTED, "accepted")}),
    "reset": (_reset, {(Verdict.DOUBT, "connection_broken")}),
    "hangs up": (_hang_up, {(Verdict.DOUBT, "connection_broken")}),
    "never answers": (_never, {(Verdict.DOUBT, "timeout")}),
    "no HTTP": (
        answering("x\r\n\r\n" + "\x00\x16\x03\x01" * 40),
        {(Verdict.DOUBT, "connection_broken")},
    ),
}


def resident() -> int:
    """Return how much memory this process holds."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4_096


@pytest.mark.parametrize("harm", HARM)
async def test_a_receiver_that_means_harm_costs_little_and_ends_at_the_deadline(
    harm: str,
) -> None:
    behaviour, expected = HARM[harm]
    async with peer(cancellable(behaviour)) as receiver:
        sender = outside(Limits(whole=3, body_time=2))
        await sender.send(a_call(receiver.url))  # so that what is made once is made
        before = resident()
        began = asyncio.get_running_loop().time()
        outcomes = await asyncio.gather(*(sender.send(a_call(receiver.url)) for _ in range(4)))
        took = asyncio.get_running_loop().time() - began

    assert {(one.verdict, one.reason) for one in outcomes} <= expected
    assert took < 8
    if harm == "endless body":
        assert took < 1.8  # 64 kB are there at once: nobody reads on until the time is up
    assert resident() - before < 20_000_000
    assert all(len(one.reply) <= 2_000 for one in outcomes)


async def test_a_receiver_without_a_certificate_gets_nothing() -> None:
    async with peer(answering("200 OK")) as plain:
        outcome = await channel(resolver=names(["127.0.0.1"])).send(
            a_call(f"https://crm.example.com:{plain.port}/")
        )

    assert outcome.reason in {"tls_failed", "connection_broken", "timeout"}
    assert plain.bodies == []


# ---------------------------------------------------------------- one that hangs


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_one_that_hangs_with_a_thousand_waiting_keeps_nobody_else_waiting(
    database_of: Callable[[str], Database], keyring: Keyring, person_keys: PersonKeys
) -> None:
    clock = SystemClock()
    house = House(
        database=database_of("notify"),
        clock=ManualClock(clock.now()),
        keyring=keyring,
        person_keys=person_keys,
    )
    await house.prepare()
    arrived: dict[str, float] = {}
    loop = asyncio.get_running_loop()

    async def well(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for head in healthy.heads[-30:]:
            path = head.split(b" ", 2)[1].decode()
            body = head.partition(b"webhook-id: ")[2].partition(b"\r\n")[0].decode()
            arrived.setdefault(f"{path} {body}", loop.time())
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        await writer.drain()

    async with peer(cancellable(_never)) as hanging, peer(well) as healthy:
        ids = []
        for n, url in enumerate(
            [hanging.url, *(f"http://127.0.0.1:{healthy.port}/{n}" for n in range(20))]
        ):
            webhook, _ = await house.webhook(f"https://r{n}.example.com/")
            async with house.database.transaction() as tx:
                await tx.execute(
                    webhooks.update().where(webhooks.c.id == webhook.id).values(url=url)
                )
            ids.append(webhook.id)
        await add(house, clock, ids[0], range(1_000))
        dispatcher = Dispatcher(
            database=house.database,
            clock=clock,
            keyring=keyring,
            person_keys=person_keys,
            mail=house.mail,
            webhooks=channel(limits=Limits(whole=20)),
            composer=house.dispatcher()._composer,
            pace=Pace(patience=0.05),
        )
        working = spawn(work(dispatcher), name="worker")
        await asyncio.sleep(0.5)
        took: list[float] = []
        for each in range(5):
            since = loop.time()
            for webhook_id in ids[1:]:
                await add(house, clock, webhook_id, [each])
            dispatcher.wake()
            async with asyncio.timeout(10):
                while len(arrived) < 20 * (each + 1):  # noqa: ASYNC110 - others count
                    await asyncio.sleep(0.01)
            took += [moment - since for moment in arrived.values() if moment >= since]
        most_at_once = len(hanging.open)
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        dispatcher_left = list(dispatcher._sending)
        for task in dispatcher_left:
            task.cancel()
        await asyncio.gather(*dispatcher_left, return_exceptions=True)

    assert len(took) == 100
    assert max(took) < 2
    assert most_at_once == 4


async def work(dispatcher: Dispatcher) -> None:
    """Work as the supervisor has it work."""
    while True:
        if not await dispatcher.step():
            await dispatcher.wait()


_numbers = count()


async def add(house: House, clock: SystemClock, webhook_id: str, which: Sequence[int]) -> None:
    """Have this much to be sent to an endpoint."""
    fresh = [
        NewDelivery(
            event_id=f"evt_{next(_numbers)}",
            event_type="task.opened",
            channel=Channel.WEBHOOK,
            target=webhook_id,
            purpose="event",
            payload=b'{"type":"task.opened","data":{}}',
        )
        for _ in which
    ]
    async with house.database.transaction() as tx:
        await store.add_deliveries(tx, fresh, now=clock.now())
