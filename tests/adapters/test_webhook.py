"""Webhooks over real sockets: signatures, bad receivers, and doors that stay shut."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gzip
import json
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from services.notify.channels.webhook import Call, Limits, Rules, WebhookChannel, headers_of
from services.notify.domain.deliveries import Outcome, State, Verdict
from services.notify.domain.networks import Address
from services.notify.tables import deliveries, webhooks
from shared.clock import SystemClock
from shared.db.transaction import Database
from shared.identity.person_keys import PersonKeys
from shared.sealing import Keyring
from shared.settings import Settings
from tests.fakes import ManualClock
from tests.infra.receiver import Receiver
from tests.notices import House

SECRET = f"whsec_{base64.b64encode(bytes(range(32))).decode()}"
BODY = '{"type":"task.opened","data":{"words":"Änne ✓"}}'.encode()
HERE = (ip_network("127.0.0.0/8"),)
LOOPBACK = Settings(
    webhook_allow_networks=HERE, webhook_allow_http=True, public_url="http://x.example"
)
QUICK = Limits(whole=2, resolve=1, connect=1, body_time=0.3)
Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def a_call(url: str, **members: Any) -> Call:
    return Call(
        **{
            "url": url,
            "body": BODY,
            "message_id": "msg_01",
            "secrets": [SECRET],
            "at": SystemClock().now(),
            **members,
        }
    )


@dataclass
class Peer:
    """A receiver that does one thing to every request, and counts."""

    behaviour: Behaviour
    port: int = 0
    hits: int = 0
    heads: list[bytes] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    open: dict[asyncio.StreamWriter, asyncio.Event] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.hits += 1
        self.open[writer] = over = asyncio.Event()
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            self.heads.append(head)
            length = next(
                int(line.split(b":")[1])
                for line in head.split(b"\r\n")
                if line.lower().startswith(b"content-length")
            )
            self.bodies.append(await reader.readexactly(length))
            await self.behaviour(reader, writer)
        writer.close()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await writer.wait_closed()
        over.set()


@asynccontextmanager
async def peer(
    behaviour: Behaviour, *, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Peer]:
    made = Peer(behaviour)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0, ssl=tls)
    made.port = server.sockets[0].getsockname()[1]
    async with server:
        yield made
        for writer, over in made.open.items():
            writer.transport.abort()
            await over.wait()


def answering(head: str, body: bytes = b"") -> Behaviour:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 {head}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()

    return answer


def channel(
    *,
    settings: Settings = LOOPBACK,
    resolver: Callable[[str, int], Awaitable[Sequence[Address]]] | None = None,
    limits: Limits = QUICK,
    tls: ssl.SSLContext | None = None,
) -> WebhookChannel:
    return WebhookChannel(Rules.of(settings), resolver=resolver, limits=limits, tls=tls)


def names(*answers: Sequence[str]) -> Callable[[str, int], Awaitable[Sequence[Address]]]:
    """Return a resolver that gives these answers, one a question, the last one for ever."""
    left = list(answers)

    async def resolve(_host: str, _port: int) -> Sequence[Address]:
        answer = left.pop(0) if len(left) > 1 else left[0]
        return [ip_address(one) for one in answer]

    return resolve


# ---------------------------------------------------------------- signatures


async def test_what_is_sent_verifies_with_the_official_library_in_another_process(
    receiver: Receiver,
) -> None:
    receiver.use_secret(SECRET)

    outcome = await channel().send(a_call(receiver.url))

    assert (outcome.verdict, outcome.code) == (Verdict.ACCEPTED, 200)
    (request,) = receiver.requests()
    assert request.verified
    assert request.body == BODY.decode()
    assert request.webhook_id == "msg_01"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["accept-encoding"] == "identity"
    assert set(request.headers) == {
        "host",
        "accept",
        "accept-encoding",
        "content-length",
        "content-type",
        "user-agent",
        "webhook-id",
        "webhook-signature",
        "webhook-timestamp",
    }


def test_during_a_rotation_the_old_and_the_new_secret_verify() -> None:
    other = f"whsec_{base64.b64encode(b'x' * 32).decode()}"
    headers = dict(headers_of(a_call("https://crm.example.com/", secrets=[other, SECRET])))

    for secret in (SECRET, other):
        Webhook(secret).verify(BODY, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(f"whsec_{base64.b64encode(b'y' * 32).decode()}").verify(BODY, headers)


def test_a_changed_body_id_or_time_verifies_no_more() -> None:
    headers = dict(headers_of(a_call("https://crm.example.com/")))
    later = str(int(headers["webhook-timestamp"]) + 1)

    for body, changed in (
        (BODY.replace(b"opened", b"closed"), headers),
        (BODY, {**headers, "webhook-id": "msg_02"}),
        (BODY, {**headers, "webhook-timestamp": later}),
    ):
        with pytest.raises(WebhookVerificationError):
            Webhook(SECRET).verify(body, changed)


# ---------------------------------------------------------------- verdicts


@pytest.mark.parametrize(
    ("head", "verdict", "reason"),
    [
        ("204 No Content", Verdict.ACCEPTED, "accepted"),
        ("410 Gone", Verdict.GONE, "receiver_gone"),
        ("500 Oops", Verdict.TRANSIENT, "http_500"),
        ("404 Not Found", Verdict.TRANSIENT, "http_404"),
    ],
)
async def test_the_status_decides(head: str, verdict: Verdict, reason: str) -> None:
    async with peer(answering(head)) as receiver:
        outcome = await channel().send(a_call(receiver.url))

    assert (outcome.verdict, outcome.reason) == (verdict, reason)


async def test_retry_after_is_heard() -> None:
    async with peer(answering("503 Busy\r\nRetry-After: 77")) as receiver:
        outcome = await channel().send(a_call(receiver.url))

    assert outcome.asked_wait is not None
    assert outcome.asked_wait.total_seconds() == 77


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_refused_wherever_they_lead(status: int) -> None:
    async with peer(answering("200 OK")) as forbidden:
        head = f"{status} Elsewhere\r\nLocation: {forbidden.url}"
        async with peer(answering(head)) as receiver:
            outcome = await channel().send(a_call(receiver.url))

        assert (outcome.verdict, outcome.reason) == (Verdict.TRANSIENT, "redirect_refused")
        assert (receiver.hits, forbidden.hits) == (1, 0)


async def test_what_an_inside_receiver_says_is_not_kept() -> None:
    async with peer(answering("500 Oops", b"password: hunter2")) as receiver:
        outcome = await channel().send(a_call(receiver.url))

    assert outcome.reply == ""


# ---------------------------------------------------------------- doors that stay shut


@pytest.mark.parametrize(
    "settings",
    [
        Settings(),
        Settings(webhook_allow_http=True),
        Settings(webhook_allow_http=True, webhook_allow_networks=(ip_network("10.0.0.0/8"),)),
    ],
    ids=["strict", "http", "other network"],
)
async def test_loopback_is_never_reached_unless_the_operator_allows_it(
    settings: Settings,
) -> None:
    async with peer(answering("200 OK")) as forbidden:
        for host in ("127.0.0.1", "localhost", "2130706433", "127.1", "[::1]"):
            url = f"http://{host}:{forbidden.port}/"
            outcome = await channel(settings=settings).send(a_call(url))
            assert outcome.verdict is Verdict.TRANSIENT
            assert outcome.reason in {"url_refused", "address_refused", "name_not_found"}

        assert forbidden.hits == 0


@pytest.mark.parametrize(
    "answer",
    [
        ["127.0.0.1"],
        ["93.184.216.34", "127.0.0.1"],
        ["127.0.0.1", "93.184.216.34"],
        ["::ffff:127.0.0.1"],
        ["64:ff9b::7f00:1"],
        ["169.254.169.254"],
        ["93.184.216.34"] * 21,
        [],
    ],
)
async def test_a_name_with_one_bad_address_is_not_dialled_at_all(answer: list[str]) -> None:
    settings = Settings(webhook_allow_http=True)
    async with peer(answering("200 OK")) as forbidden:
        url = f"http://crm.example.com:{forbidden.port}/"
        outcome = await channel(settings=settings, resolver=names(answer)).send(a_call(url))

        assert outcome.verdict is Verdict.TRANSIENT
        assert outcome.reason in {"address_refused", "too_many_addresses", "name_not_found"}
        assert forbidden.hits == 0


async def test_a_name_that_changes_its_mind_after_the_check_is_dialled_as_checked() -> None:
    asked = []
    async with peer(answering("200 OK")) as good, peer(answering("200 OK")) as forbidden:

        async def rebinding(host: str, _port: int) -> Sequence[Address]:
            asked.append(host)
            return [ip_address("127.0.0.2" if len(asked) > 1 else "127.0.0.1")]

        url = f"http://rebind.example.com:{good.port}/"
        outcome = await channel(resolver=rebinding).send(a_call(url))

        assert outcome.verdict is Verdict.ACCEPTED
        assert asked == ["rebind.example.com"]
        assert b"host: rebind.example.com" in good.heads[0].lower()
        assert forbidden.hits == 0


async def test_our_own_origin_is_refused_although_its_network_is_allowed() -> None:
    async with peer(answering("200 OK")) as ourselves:
        settings = Settings(
            webhook_allow_networks=HERE,
            webhook_allow_http=True,
            public_url=f"http://127.0.0.1:{ourselves.port}",
            port=ourselves.port,
        )
        for url in (ourselves.url, f"http://me.example.com:{ourselves.port}/"):
            outcome = await channel(settings=settings, resolver=names(["127.0.0.1"])).send(
                a_call(url)
            )
            assert outcome.reason in {"url_refused", "address_refused"}
        assert Rules.of(settings).refuse(ourselves.url) is not None
        assert ourselves.hits == 0


async def test_proxies_of_the_environment_are_not_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with peer(answering("200 OK")) as proxy, peer(answering("200 OK")) as receiver:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("ALL_PROXY", proxy.url)

        await channel().send(a_call(receiver.url))

        assert (receiver.hits, proxy.hits) == (1, 0)


async def test_a_cookie_of_one_receiver_is_not_brought_along_next_time() -> None:
    async with peer(answering("200 OK\r\nSet-Cookie: a=b")) as receiver:
        sender = channel()
        await sender.send(a_call(receiver.url))
        await sender.send(a_call(receiver.url))

    assert not any(b"cookie" in head.lower() for head in receiver.heads)


# ---------------------------------------------------------------- receivers that misbehave


async def _drip_head(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    for _n in range(10_000):
        writer.write(b"x: y\r\n")
        await writer.drain()
        await asyncio.sleep(0.01)


async def _never(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
    await asyncio.sleep(3_600)


async def _continue_for_ever(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0.001)


@pytest.mark.parametrize("behaviour", [_drip_head, _never, _continue_for_ever])
async def test_a_receiver_that_takes_for_ever_is_left_at_the_deadline(
    behaviour: Behaviour,
) -> None:
    async with peer(cancellable(behaviour)) as receiver:
        async with asyncio.timeout(10):
            outcome = await channel(limits=Limits(whole=0.5)).send(a_call(receiver.url))

    assert (outcome.verdict, outcome.reason) in {
        (Verdict.DOUBT, "timeout"),
        (Verdict.DOUBT, "connection_broken"),
    }


def cancellable(behaviour: Behaviour) -> Behaviour:
    """Return a behaviour that ends when the other side has gone."""

    async def until_gone(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        acting = asyncio.ensure_future(behaviour(reader, writer))  # noqa: TID251 - a test's own
        gone = asyncio.ensure_future(reader.read())  # noqa: TID251
        await asyncio.wait({acting, gone}, return_when=asyncio.FIRST_COMPLETED)
        for task in (acting, gone):
            task.cancel()
        await asyncio.gather(acting, gone, return_exceptions=True)

    return until_gone


async def _endless_body(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"4000\r\n" + b"x" * 0x4000 + b"\r\n")
        await writer.drain()


async def _drip_body(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("behaviour", [_endless_body, _drip_body])
async def test_once_the_status_is_there_the_body_changes_nothing_and_costs_little(
    behaviour: Behaviour,
) -> None:
    # A public name, so that the answer is read; the address behind it is the peer's.
    async with peer(cancellable(behaviour)) as receiver:
        async with asyncio.timeout(10):
            outcome = await outside(receiver)

    assert outcome.verdict is Verdict.ACCEPTED
    assert set(outcome.reply) <= {"x"}
    assert len(outcome.reply) <= 2_000


async def test_a_compressed_answer_is_never_unpacked() -> None:
    bomb = gzip.compress(b"x" * 10_000_000)
    behaviour = answering("200 OK\r\nContent-Encoding: gzip", bomb)
    async with peer(behaviour) as receiver:
        outcome = await outside(receiver)

    assert outcome.verdict is Verdict.ACCEPTED
    assert "xxxx" not in outcome.reply


async def outside(receiver: Peer) -> Outcome:
    """Post as if the peer were outside: checked by rules that find nothing wrong with it."""
    rules = Rules.of(Settings(webhook_allow_http=True))
    sender = WebhookChannel(rules, limits=QUICK)

    async def found(_target: object) -> Sequence[Address]:
        return [ip_address("127.0.0.1")]

    sender._checked = found  # type: ignore[method-assign, assignment] # a fake look-up
    return await sender.send(a_call(f"http://crm.example.com:{receiver.port}/"))


async def test_an_answer_from_outside_is_kept_cleaned_and_short() -> None:
    async with peer(answering("500 Oops", b"a\x00\x1b[31m\r\nb" + b"y" * 50_000)) as receiver:
        outcome = await outside(receiver)

    assert outcome.reply.startswith("a [31m byyy")
    assert len(outcome.reply) == 2_000


@pytest.mark.parametrize(
    "behaviour",
    [
        answering("999999999 What"),
        answering("200 OK\r\nX: " + "y" * 200_000),
    ],
    ids=["status", "header"],
)
async def test_nonsense_is_a_broken_exchange(behaviour: Behaviour) -> None:
    async with peer(behaviour) as receiver:
        outcome = await channel().send(a_call(receiver.url))

    assert (outcome.verdict, outcome.reason) == (Verdict.DOUBT, "connection_broken")


async def test_a_receiver_that_is_down_has_certainly_got_nothing() -> None:
    async with peer(answering("200 OK")) as receiver:
        url = receiver.url

    outcome = await channel().send(a_call(url))

    assert (outcome.verdict, outcome.reason) == (Verdict.TRANSIENT, "connection_failed")


# ---------------------------------------------------------------- certificates


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(  # noqa: S603 - fixed arguments
        [  # noqa: S607 - the machine's own openssl
            "openssl",
            *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=crm.example.com"),
            *("-addext", "subjectAltName=DNS:crm.example.com"),
            *("-keyout", folder / "both.pem", "-out", folder / "certificate.pem"),
        ],
        check=True,
        capture_output=True,
    )
    both = folder / "both.pem"
    both.write_text(both.read_text() + (folder / "certificate.pem").read_text())
    return both


@pytest.mark.parametrize(
    ("host", "reason"),
    [("crm.example.com", "accepted"), ("other.example.com", "tls_failed")],
)
async def test_the_certificate_is_checked_against_the_name_although_an_address_is_dialled(
    certificate: Path, host: str, reason: str
) -> None:
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.load_cert_chain(certificate)
    ours = ssl.create_default_context(cafile=str(certificate))
    async with peer(answering("200 OK"), tls=theirs) as receiver:
        sender = channel(resolver=names(["127.0.0.1"]), tls=ours)
        outcome = await sender.send(a_call(f"https://{host}:{receiver.port}/"))

    assert outcome.reason == reason


# ---------------------------------------------------------------- the whole of it


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_receiver_that_fails_first_gets_the_same_message_until_it_takes_it(
    database_of: Callable[[str], Database],
    keyring: Keyring,
    person_keys: PersonKeys,
    receiver: Receiver,
) -> None:
    clock = ManualClock(SystemClock().now())
    house = House(
        database=database_of("notify"), clock=clock, keyring=keyring, person_keys=person_keys
    )
    await house.prepare()
    receiver.answer(next_codes=[500, 503])
    webhook, secret = await house.webhook(detail="full")
    receiver.use_secret(secret)
    async with house.database.transaction() as tx:
        await tx.execute(webhooks.update().values(url=receiver.url))
    await house.hear(await house.event())

    for _ in range(3):
        clock.advance(SystemClock().now() - clock.now())
        async with house.database.transaction() as tx:
            await tx.execute(deliveries.update().values(next_attempt_at=clock.now()))
        dispatcher = house.dispatcher(webhooks=channel())  # as after a restart
        while await dispatcher.step():
            pass
        await dispatcher.close()

    requests = receiver.requests()
    assert [request.answered for request in requests] == [500, 503, 200]
    assert all(request.verified for request in requests)
    assert len({request.webhook_id for request in requests}) == 1
    assert len({request.body for request in requests}) == 1
    assert json.loads(requests[0].body)["data"]["customer"]["name"] == "Ana Berg"
    (one,) = [each for each in await house.deliveries() if each.target == webhook.id]
    assert (one.state, one.attempts, one.failures) == (State.DELIVERED, 3, 2)
