"""Mail over real SMTP: what goes over the wire, and what every kind of ending means."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes, policy
from pathlib import Path

import pytest

from services.notify.channels.email import Limits, SmtpChannel, SmtpServer
from services.notify.channels.message import Mail, UnsafeMail, build_mail
from services.notify.channels.texts import Rendered
from services.notify.domain.deliveries import Verdict
from services.notify.domain.mail import Sender, sender_of
from shared.errors import Misconfigured
from tests.infra.certificates import Authority
from tests.infra.raw_smtp import (
    Ending,
    LockedServer,
    RawServer,
    babble,
    close,
    drip,
    half_an_answer,
    hang,
    in_two_packets,
    late,
    locked,
    raw,
    reset,
    saying,
)
from tests.infra.smtp import MailServer

DATE = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
SENDER = Sender(name="Closed Loop", address="loop@example.org")
QUICK = Limits(connect=5, command=5, end_of_data=5, whole=10)
SHORT = Limits(connect=5, command=5, end_of_data=1, whole=10)
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
    return_path: str | None = None,
) -> Mail:
    rendered = Rendered(subject=subject, text=text, html=f"<p>{len(text)}</p>", language="en")
    return build_mail(
        rendered,
        delivery_id="dlv_01",
        sender=sender,
        recipient=recipient,
        date=DATE,
        return_path=return_path,
    )


def channel_to(server: MailServer | RawServer, limits: Limits = QUICK) -> SmtpChannel:
    address = SmtpServer.read(f"smtp://127.0.0.1:{server.port}")
    return SmtpChannel(address, name="example.org", limits=limits)


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


@pytest.mark.parametrize("ending", [close, half_an_answer, reset, hang, drip])
async def test_silence_after_the_final_dot_is_doubt_and_the_next_try_has_the_same_id(
    ending: Ending,
) -> None:
    async with raw(after_dot=ending) as server:
        first = await channel_to(server, SHORT).send(a_mail())
        server.after_dot = None
        second = await channel_to(server).send(a_mail())

    assert (first.verdict, first.reason) == (Verdict.DOUBT, "no_reply_after_the_mail")
    assert second.verdict is Verdict.ACCEPTED
    once, twice = server.received
    assert once == twice
    assert b"Message-ID: <dlv_01@example.org>\r\n" in once


@pytest.mark.parametrize(
    "ending",
    [babble, saying(b"354 more?\r\n"), saying(b"99 ?\r\n")],
    ids=["another protocol", "no answer to a mail", "no code"],
)
async def test_an_answer_to_the_mail_that_nobody_understands_is_doubt(ending: Ending) -> None:
    async with raw(after_dot=ending) as server:
        outcome = await channel_to(server).send(a_mail())

    assert outcome.verdict is Verdict.DOUBT


@pytest.mark.parametrize("ending", [late(4), in_two_packets], ids=["late", "in two packets"])
async def test_a_yes_that_comes_late_or_in_pieces_is_a_yes(ending: Ending) -> None:
    async with raw(after_dot=ending) as server:
        outcome = await channel_to(server).send(a_mail())

    assert (outcome.verdict, outcome.code) == (Verdict.ACCEPTED, 250)


@pytest.mark.parametrize(
    ("reply", "verdict", "reason"),
    [
        (b"250 2.0.0 ok\r\n", Verdict.ACCEPTED, "accepted"),
        (b"251 2.0.0 elsewhere\r\n", Verdict.ACCEPTED, "accepted"),
        (b"421 4.3.2 closing\r\n", Verdict.CHANNEL, "mail_server_unavailable"),
        (b"454 4.7.0 later\r\n", Verdict.CHANNEL, "mail_server_unavailable"),
        (b"535 5.7.8 who?\r\n", Verdict.CONFIGURATION, "mail_server_refuses_us"),
        (b"450 4.7.1 greylisted\r\n", Verdict.TRANSIENT, "mail_server_said_later"),
        (b"451 4.3.0 later\r\n", Verdict.TRANSIENT, "mail_server_said_later"),
        (b"452 4.2.2 full\r\n", Verdict.TRANSIENT, "mailbox_full"),
        (b"552 5.2.2 full\r\n", Verdict.TRANSIENT, "mailbox_full"),
        (b"550-5.1.1 no\r\n550 5.1.1 such\r\n", Verdict.PERMANENT, "address_dead"),
        (b"550 5.7.1 spam\r\n", Verdict.PERMANENT, "refused_by_policy"),
        (b"554 5.6.0 content\r\n", Verdict.PERMANENT, "refused_by_policy"),
        (b"554 no\r\n", Verdict.PERMANENT, "refused"),
    ],
)
async def test_what_is_said_after_the_mail_decides(
    reply: bytes, verdict: Verdict, reason: str
) -> None:
    async with raw(after_dot=saying(reply)) as server:
        outcome = await channel_to(server).send(a_mail())

    assert (outcome.verdict, outcome.reason) == (verdict, reason)
    assert len(server.received) == 1


async def test_yes_to_the_wrong_question_is_no_delivery() -> None:
    async with raw(answers={b"DATA": b"250 2.0.0 taken\r\n"}) as server:
        outcome = await channel_to(server).send(a_mail())

    assert (outcome.verdict, outcome.reason) == (Verdict.TRANSIENT, "reply_not_understood")
    assert server.received == []


@pytest.mark.parametrize("verb", [b"EHLO", b"MAIL", b"RCPT", b"DATA"])
@pytest.mark.parametrize("how", ["hangs", "drips"])
async def test_each_command_has_its_time(verb: bytes, how: str) -> None:
    slow = b"250" if how == "hangs" else b"250-still\r\n" * 3
    limits = Limits(connect=5, command=0.3, end_of_data=5, whole=10)
    async with raw(answers={verb: slow}) as server:
        async with asyncio.timeout(3):
            outcome = await channel_to(server, limits).send(a_mail())

    assert (outcome.verdict, outcome.reason) == (Verdict.CHANNEL, "mail_server_unreachable")


async def test_one_mail_is_one_transaction_with_one_recipient_word_for_word() -> None:
    async with raw() as server:
        await channel_to(server).send(a_mail(return_path="bounces+dlv_01.0a@example.org"))
        async with asyncio.timeout(5):
            await server.has_quit.wait()

    assert server.commands == [
        b"EHLO example.org\r\n",
        b"MAIL FROM:<bounces+dlv_01.0a@example.org>\r\n",
        b"RCPT TO:<ana@example.org>\r\n",
        b"DATA\r\n",
        b"QUIT\r\n",
    ]
    (mail,) = server.received
    assert b"\r\n..\r\n...two dots\r\n" in mail
    assert mail.count(b"\r\n.\r\n") == 1


async def test_a_recipient_that_was_changed_after_the_check_is_not_written_to() -> None:
    for address in ("a@b.example>\r\nRCPT TO:<evil@example.org", "", "a@b.example)x@c.example"):
        async with raw() as server:
            outcome = await channel_to(server).send(replace(a_mail(), recipient=address))

        assert (outcome.verdict, outcome.reason) == (Verdict.PERMANENT, "address_unusable")
        assert server.commands == []


@pytest.mark.parametrize("verb", [b"EHLO", b"MAIL", b"RCPT", b"DATA"])
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


# ---------------------------------------------------------------- encryption and passwords


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority that the clients under test trust."""
    return Authority.made(tmp_path_factory.mktemp("authority"))


def secure(
    server: RawServer | LockedServer,
    authority: Authority,
    *,
    scheme: str,
    login: str = "loop:s3cret@",
) -> SmtpChannel:
    address = SmtpServer.read(f"{scheme}://{login}127.0.0.1:{server.port}")
    return SmtpChannel(address, name="example.org", limits=QUICK, tls=authority.trusting())


@pytest.mark.parametrize("scheme", ["smtps", "smtp+starttls"])
async def test_a_mail_goes_encrypted_to_a_server_that_knows_us(
    authority: Authority, scheme: str
) -> None:
    with locked(authority.serving(), implicit=scheme == "smtps") as server:
        channel = secure(server, authority, scheme=scheme)
        outcome = await channel.send(a_mail())
        tried = await channel.try_out()

    assert (outcome.verdict, tried.verdict) == (Verdict.ACCEPTED, Verdict.ACCEPTED)
    assert server.mails == [a_mail().raw]


@pytest.mark.parametrize("scheme", ["smtps", "smtp+starttls"])
async def test_a_wrong_password_is_our_setting(authority: Authority, scheme: str) -> None:
    with locked(authority.serving(), implicit=scheme == "smtps") as server:
        channel = secure(server, authority, scheme=scheme, login="loop:wrong@")
        outcome = await channel.send(a_mail())
        tried = await channel.try_out()

    assert (outcome.verdict, outcome.code) == (Verdict.CONFIGURATION, 535)
    assert (tried.verdict, tried.code) == (Verdict.CONFIGURATION, 535)
    assert server.mails == []


@pytest.mark.parametrize("scheme", ["smtps", "smtp+starttls"])
@pytest.mark.parametrize("wrong", ["name", "time", "authority"])
async def test_a_certificate_that_is_not_valid_stops_all_mail(
    authority: Authority, tmp_path: Path, scheme: str, wrong: str
) -> None:
    theirs = Authority.made(tmp_path) if wrong == "authority" else authority
    name = "mail.example.org" if wrong == "name" else "127.0.0.1"
    shown = theirs.serving(name, days=-1 if wrong == "time" else 1)
    with locked(shown, implicit=scheme == "smtps") as server:
        outcome = await secure(server, authority, scheme=scheme).send(a_mail())

    assert (outcome.verdict, outcome.reason) == (Verdict.CONFIGURATION, "certificate_invalid")
    assert server.mails == []


async def test_a_server_without_tls_never_sees_a_password(authority: Authority) -> None:
    async with raw() as server:
        outcome = await secure(server, authority, scheme="smtp+starttls").send(a_mail())

    assert (outcome.verdict, outcome.reason) == (Verdict.CONFIGURATION, "tls_not_offered")
    assert server.commands == [b"EHLO example.org\r\n"]


async def test_a_server_that_offers_tls_and_refuses_it_never_sees_a_password(
    authority: Authority,
) -> None:
    features = b"250-raw\r\n250-AUTH PLAIN\r\n250 STARTTLS\r\n"
    for refusal, verdict in (
        (b"501 5.5.4 no\r\n", Verdict.CONFIGURATION),
        (b"454 4.7.0 not now\r\n", Verdict.CHANNEL),
        (b"220 go\r\nnonsense instead of a handshake\r\n", Verdict.CHANNEL),
    ):
        async with raw(features=features, answers={b"STAR": refusal}) as server:
            outcome = await secure(server, authority, scheme="smtp+starttls").send(a_mail())

        assert outcome.verdict is verdict
        assert [line[:4] for line in server.commands[:2]] == [b"EHLO", b"STAR"]
        assert not any(line.startswith((b"AUTH", b"MAIL")) for line in server.commands)


async def test_a_server_that_speaks_in_the_clear_where_tls_is_meant_is_left_alone(
    authority: Authority,
) -> None:
    async with raw() as server:
        outcome = await secure(server, authority, scheme="smtps").send(a_mail())

    assert outcome.verdict is Verdict.CHANNEL
    assert not any(b"MAIL" in line for line in server.commands)


async def test_a_server_that_takes_no_password_is_our_setting(authority: Authority) -> None:
    async with raw(tls=authority.serving()) as server:
        outcome = await secure(server, authority, scheme="smtps").send(a_mail())

    assert (outcome.verdict, outcome.reason) == (Verdict.CONFIGURATION, "login_not_offered")


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
