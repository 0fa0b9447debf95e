"""Mail over real SMTP: what goes over the wire, and what every kind of ending means."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes, policy
from typing import Any

import pytest

from services.notify.channels.email import Limits, SmtpChannel, SmtpServer
from services.notify.channels.message import Mail, UnsafeMail, build_mail
from services.notify.channels.texts import Rendered
from services.notify.domain.deliveries import Verdict
from services.notify.domain.mail import Sender, sender_of
from shared.errors import Misconfigured
from tests.infra.smtp import MailServer

DATE = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
SENDER = Sender(name="Closed Loop", address="loop@example.org")
QUICK = Limits(connect=5, command=5, end_of_data=5, whole=10)
HOSTILE = [
    "a\r\nBcc: evil@example.org",
    "a\nBcc: evil@example.org",
    "a\rBcc: evil@example.org",
    "=?utf-8?q?x=0D=0ABcc=3A_evil=40example=2Eorg?=",
    "=?utf-8?b?eA0KQmNjOiBldmlsQGV4YW1wbGUub3Jn?=",
    "==?utf-8?q?=0ABcc:_evil?=",
    "a\u2028Bcc: evil@example.org",
    "a\u2029b\u202ec\u2066d",
    "a\x00b\x0bc\x0cd\x1be\x85f",
    "a\ud800b",
    "\ufeff\u200b\u200e",
    "x" * 5_000,
    "ü" * 5_000,
    "你好 " * 400,
    "<script>alert(1)</script> & \"quotes\" 'too'",
    "To: evil@example.org",
    ".\r\n.\r\nMAIL FROM:<evil@example.org>",
]


def a_mail(
    *,
    subject: str = "4/10 from Doorstep delivery",
    text: str = "Hello\n.\n..two dots\nFrom here\n",
    recipient: str = "ana@example.org",
    sender: Sender = SENDER,
) -> Mail:
    rendered = Rendered(subject=subject, text=text, html=f"<p>{len(text)}</p>", language="en")
    return build_mail(
        rendered, delivery_id="dlv_01", sender=sender, recipient=recipient, date=DATE
    )


def channel_to(server: MailServer | RawServer) -> SmtpChannel:
    address = SmtpServer.read(f"smtp://127.0.0.1:{server.port}")
    return SmtpChannel(address, name="example.org", limits=QUICK)


async def test_a_mail_arrives_with_its_envelope_its_headers_and_both_parts(
    mail_server: MailServer,
) -> None:
    outcome = await channel_to(mail_server).send(a_mail())

    assert (outcome.verdict, outcome.code) == (Verdict.ACCEPTED, 250)
    (mail,) = mail_server.mails
    assert (mail.sender, mail.recipients) == ("loop@example.org", ("ana@example.org",))
    message = mail.message
    assert {name: str(message[name]) for name in message} == {
        "From": "Closed Loop <loop@example.org>",
        "To": "ana@example.org",
        "Subject": "4/10 from Doorstep delivery",
        "Date": "Mon, 02 Mar 2026 09:00:00 +0000",
        "Message-ID": "<dlv_01@example.org>",
        "Auto-Submitted": "auto-generated",
        "X-Entity-Ref-ID": "dlv_01",
        "MIME-Version": "1.0",
        "Content-Type": 'multipart/alternative; boundary="=-dlv_01-="',
    }
    text, html = message.iter_parts()
    assert text.get_content().splitlines() == ["Hello", ".", "..two dots", "From here"]
    assert html.get_content().strip() == "<p>29</p>"


async def test_the_same_mail_has_the_same_bytes_on_every_try() -> None:
    assert a_mail().raw == a_mail().raw


@pytest.mark.parametrize("hostile", HOSTILE)
async def test_no_text_becomes_a_header_or_a_second_recipient(
    mail_server: MailServer, hostile: str
) -> None:
    body = hostile.encode("utf-8", "replace").decode()
    mail = a_mail(subject=hostile, text=body)

    await channel_to(mail_server).send(mail)

    (sent,) = mail_server.mails
    message = sent.message
    assert sent.recipients == ("ana@example.org",)
    assert [name.lower() for name in message.keys()] == [  # noqa: SIM118 - a message, no dict
        "from",
        "to",
        "subject",
        "date",
        "message-id",
        "auto-submitted",
        "x-entity-ref-id",
        "mime-version",
        "content-type",
    ]
    assert message["Bcc"] is None
    assert [one.addr_spec for one in message["To"].addresses] == ["ana@example.org"]
    assert str(message["Subject"]).isprintable()


@pytest.mark.parametrize(
    "recipient",
    [
        "",
        "ana@example.org\r\nRCPT TO:<evil@example.org>",
        "ana@example.org, evil@example.org",
        "alice@example.org)bob@evil.example",
        "ana@example",
        "Ana <ana@example.org>",
        "änne@example.org",
    ],
)
def test_a_recipient_that_is_not_one_plain_address_is_never_written_to(recipient: str) -> None:
    with pytest.raises(UnsafeMail):
        a_mail(recipient=recipient)


def test_a_domain_with_umlauts_is_written_to_by_its_plain_form() -> None:
    assert a_mail(recipient="ana@bücher.example").recipient == "ana@xn--bcher-kva.example"


def test_a_senders_name_keeps_its_commas() -> None:
    sender = sender_of('"Loop, closed" <loop@example.org>')
    assert sender is not None

    message = message_from_bytes(a_mail(sender=sender).raw, policy=policy.default)

    assert [one.display_name for one in message["From"].addresses] == ["Loop, closed"]


@pytest.mark.parametrize(
    ("reply", "verdict", "reason"),
    [
        ("550 5.1.1 no such mailbox", Verdict.PERMANENT, "address_dead"),
        ("550 5.7.1 not you", Verdict.PERMANENT, "refused_by_policy"),
        ("450 4.7.1 greylisted", Verdict.TRANSIENT, "mail_server_said_later"),
        ("452 4.2.2 full", Verdict.TRANSIENT, "mailbox_full"),
        ("421 4.3.2 closing", Verdict.CHANNEL, "mail_server_unavailable"),
        ("530 5.7.0 sign in", Verdict.CONFIGURATION, "mail_server_refuses_us"),
    ],
)
async def test_a_refused_recipient(
    mail_server: MailServer, reply: str, verdict: Verdict, reason: str
) -> None:
    mail_server.refuse_recipient["ana@example.org"] = reply

    outcome = await channel_to(mail_server).send(a_mail())

    assert (outcome.verdict, outcome.reason) == (verdict, reason)
    assert outcome.code == int(reply[:3])
    assert mail_server.mails == []


async def test_a_mail_refused_after_its_end_is_not_in_doubt(mail_server: MailServer) -> None:
    mail_server.answer_data = ["451 4.3.0 later"]

    outcome = await channel_to(mail_server).send(a_mail())

    assert (outcome.verdict, outcome.reason) == (Verdict.TRANSIENT, "mail_server_said_later")


async def test_a_server_that_is_away_costs_the_mail_nothing(mail_server: MailServer) -> None:
    mail_server.stop()

    outcome = await channel_to(mail_server).send(a_mail())

    assert (outcome.verdict, outcome.reason) == (Verdict.CHANNEL, "mail_server_unreachable")


# ---------------------------------------------------------------- a server with faults


@dataclass
class RawServer:
    """A server as bad as it is told to be: what it does after the final dot, and before."""

    port: int = 0
    greeting: bytes = b"220 raw ESMTP\r\n"
    features: bytes = b"250 raw\r\n"
    answers: dict[bytes, bytes] = field(default_factory=dict)
    after_dot: Callable[[asyncio.StreamWriter], Awaitable[None]] | None = None
    received: list[bytes] = field(default_factory=list)
    has_quit: asyncio.Event = field(default_factory=asyncio.Event)
    open: dict[asyncio.StreamWriter, asyncio.Event] = field(default_factory=dict)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open[writer] = over = asyncio.Event()
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await self.talk(reader, writer)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        over.set()

    async def end(self) -> None:
        for writer, over in self.open.items():
            writer.transport.abort()
            await over.wait()

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(self.greeting)
        while line := await reader.readline():
            verb = line[:4].upper()
            if verb in self.answers:
                answer = self.answers[verb]
                if not answer:
                    break
                writer.write(answer)
            elif verb == b"EHLO":
                writer.write(self.features)
            elif verb == b"DATA":
                writer.write(b"354 go\r\n")
                self.received.append(await reader.readuntil(b"\r\n.\r\n"))
                if self.after_dot is not None:
                    await self.after_dot(writer)
                    break
                writer.write(b"250 2.0.0 taken\r\n")
            elif verb == b"QUIT":
                self.has_quit.set()
                writer.write(b"221 bye\r\n")
                break
            else:
                writer.write(b"250 ok\r\n")


@asynccontextmanager
async def raw(**members: Any) -> AsyncIterator[RawServer]:
    server = RawServer(**members)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    async with listening:
        yield server
        await server.end()


async def close(writer: asyncio.StreamWriter) -> None:
    writer.close()


async def half_an_answer(writer: asyncio.StreamWriter) -> None:
    writer.write(b"250")
    await writer.drain()


async def reset(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


@pytest.mark.parametrize("ending", [close, half_an_answer, reset])
async def test_silence_after_the_final_dot_is_doubt_and_the_next_try_has_the_same_id(
    ending: Callable[[asyncio.StreamWriter], Awaitable[None]],
) -> None:
    async with raw(after_dot=ending) as server:
        first = await channel_to(server).send(a_mail())
        server.after_dot = None
        second = await channel_to(server).send(a_mail())

    assert (first.verdict, first.reason) == (Verdict.DOUBT, "no_reply_after_the_mail")
    assert second.verdict is Verdict.ACCEPTED
    once, twice = server.received
    assert once == twice
    assert b"Message-ID: <dlv_01@example.org>\r\n" in once


@pytest.mark.parametrize("verb", [b"EHLO", b"MAIL", b"RCPT"])
async def test_a_line_that_breaks_before_the_mail_is_no_doubt(verb: bytes) -> None:
    async with raw(answers={verb: b""}) as server:
        outcome = await channel_to(server).send(a_mail())

    assert (outcome.verdict, outcome.reason) == (Verdict.CHANNEL, "mail_server_unreachable")


async def test_a_server_that_never_greets_is_left_alone_in_time() -> None:
    impatient = Limits(connect=0.2, command=0.2, end_of_data=0.2, whole=1)
    async with raw(greeting=b"") as server:
        channel = SmtpChannel(
            SmtpServer.read(f"smtp://127.0.0.1:{server.port}"),
            name="example.org",
            limits=impatient,
        )
        outcome = await channel.send(a_mail())

    assert outcome.verdict is Verdict.CHANNEL


@pytest.mark.parametrize(
    ("greeting", "verdict"),
    [(b"421 4.3.2 busy\r\n", Verdict.CHANNEL), (b"554 no service\r\n", Verdict.CHANNEL)],
)
async def test_a_server_that_turns_everybody_away(greeting: bytes, verdict: Verdict) -> None:
    async with raw(greeting=greeting) as server:
        outcome = await channel_to(server).send(a_mail())

    assert outcome.verdict is verdict


async def test_a_refused_sender_is_our_setting_not_the_recipients_fault() -> None:
    async with raw(answers={b"MAIL": b"550 5.7.1 relaying denied\r\n"}) as server:
        outcome = await channel_to(server).send(a_mail())

    assert (outcome.verdict, outcome.reason) == (Verdict.CONFIGURATION, "sender_refused")


async def test_a_server_without_tls_never_sees_a_password() -> None:
    async with raw() as server:
        address = SmtpServer.read(f"smtp+starttls://user:secret@127.0.0.1:{server.port}")
        outcome = await SmtpChannel(address, name="example.org", limits=QUICK).send(a_mail())

    assert (outcome.verdict, outcome.reason) == (Verdict.CONFIGURATION, "tls_not_offered")
    assert server.received == []


async def test_saying_goodbye_delays_nothing_and_happens() -> None:
    async with raw() as server:
        outcome = await channel_to(server).send(a_mail())
        assert outcome.verdict is Verdict.ACCEPTED
        async with asyncio.timeout(5):
            await server.has_quit.wait()


@pytest.mark.parametrize(
    ("url", "scheme", "host", "port", "user"),
    [
        ("smtp://mail.example.org", "smtp", "mail.example.org", 25, None),
        ("smtps://u%40x:p@mail.example.org", "smtps", "mail.example.org", 465, "u@x"),
        ("smtp+starttls://u:p@[::1]:2525", "smtp+starttls", "::1", 2525, "u"),
    ],
)
def test_addresses_of_mail_servers(
    url: str, scheme: str, host: str, port: int, user: str | None
) -> None:
    server = SmtpServer.read(url)

    assert (server.scheme, server.host, server.port, server.user) == (scheme, host, port, user)
    assert "p@" not in repr(server)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "mail.example.org",
        "http://mail.example.org",
        "smtp://",
        "smtp://u:p@mail.example.org",
        "smtp://mail.example.org:99999",
    ],
)
def test_other_addresses_stop_the_start_with_a_sentence_that_tells_no_secret(url: str) -> None:
    with pytest.raises(Misconfigured) as refused:
        SmtpServer.read(url)

    assert "CLOSED_LOOP_SMTP_URL" in str(refused.value)
    assert "u:p" not in str(refused.value)
