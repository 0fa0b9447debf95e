"""Two hundred hostile names and subjects: none becomes a header, a recipient or a command."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from itertools import product
from typing import Any, Final

from services.notify.channels.email import Limits, SmtpChannel, SmtpServer
from services.notify.channels.message import Mail, build_mail, can_be_from
from services.notify.channels.texts import render_mail
from services.notify.domain.alerts import TaskFacts
from services.notify.domain.deliveries import Verdict
from services.notify.domain.mail import HEADERS, Sender, sender_of
from tests.infra.raw_smtp import raw
from tests.infra.smtp import MailServer

NOW: Final = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
SENDER: Final = Sender(name="Closed Loop", address="loop@example.org")
EVIL: Final = "evil@example.net"

# Ends of lines, as the standards, Unicode, and only some readers understand them.
ENDS: Final = (
    *("\r\n", "\n", "\r", "\r\r\n", "\n\r", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85"),
    *("\u2028", "\u2029", "\x00", "\r\n ", "\r\n\t", "\u202e", "\u2066", "\ufeff", "\ud800"),
    *("=?utf-8?q?=0D=0A?=", "=?utf-8?b?DQo=?=", "=?us-ascii?Q?x=0A?=", "==?utf-8?q?=0A?="),
)
# What an attacker would have stand behind one.
GOALS: Final = (
    f"Bcc: {EVIL}",
    f"To: {EVIL}",
    f"Cc:{EVIL}\r\n\r\n<h1>body</h1>",
    "Content-Type: text/html\r\n\r\n<script>alert(1)</script>",
    f"\r\n.\r\nMAIL FROM:<{EVIL}>\r\nRCPT TO:<{EVIL}>\r\nDATA\r\nx",
    f'"><{EVIL}>, "',
    "--=-dlv_01-=--\r\nContent-Type: text/html",
    "x" * 1_200,
    "ü" * 400,
)
HOSTILE: Final = [f"Door{end}{goal}" for end, goal in product(ENDS, GOALS)]


def facts(touchpoint: str) -> TaskFacts:
    return TaskFacts(
        event_id="evt_1",
        type="task.opened",
        happened_at=NOW,
        task_id="tsk_1",
        response_id="rsp_1",
        version=1,
        state="assigned",
        owner_id="team_customer_care",
        owner_kind="team",
        metric="nps",
        score=2,
        touchpoint=touchpoint,
        segment=None,
        product=None,
        opened_at=NOW,
        first_contact_due_at=NOW + timedelta(hours=1),
        due_at=NOW + timedelta(hours=24),
        person_ref="per_1",
        touchpoint_name=touchpoint,
    )


def mail_about(hostile: str, *, sender: Sender = SENDER) -> Mail:
    """Return a mail with the same hostile text wherever a stranger can put one."""
    person: dict[str, Any] = {
        "customer": {
            "name": hostile,
            "phone": hostile,
            "email": hostile,
            "language": hostile,
        },
        "comment": hostile,
    }
    rendered = render_mail(
        "task_opened",
        facts(hostile),
        person=person,
        language="en",
        time_zone="UTC",
        public_url="https://loop.example.org",
        now=NOW,
    )
    return build_mail(
        rendered,
        delivery_id="dlv_01",
        sender=sender,
        recipient="ana@example.org",
        date=NOW,
    )


def test_no_hostile_text_becomes_a_header_or_a_recipient_for_any_reader() -> None:
    assert len(set(HOSTILE)) >= 200
    for hostile in HOSTILE:
        made = mail_about(hostile)

        for reader in (policy.default, policy.SMTP, policy.compat32):
            seen: Any = message_from_bytes(made.raw, policy=reader)
            names = [name.lower() for name in seen.keys()]  # noqa: SIM118 - a message, no dict
            assert HEADERS.issuperset(names), hostile
            assert len(set(names)) == len(names), hostile
            assert str(seen["To"]) == "ana@example.org", hostile
            others = [str(value) for name, value in seen.items() if name != "Subject"]
            assert not any(EVIL in value for value in others), hostile
            assert "\n" not in str(seen["Subject"]).replace("\n ", ""), hostile
            kinds = [part.get_content_type() for part in seen.walk()]
            assert kinds == ["multipart/alternative", "text/plain", "text/html"], hostile
        assert not made.raw.replace(b"\r\n", b"").count(b"\n"), hostile
        assert not made.raw.replace(b"\r\n", b"").count(b"\r"), hostile
        assert max(map(len, made.raw.split(b"\r\n"))) <= 998, hostile
        html = message_from_bytes(made.raw, policy=policy.default).get_body(("html",))
        assert html is not None
        assert "<script>alert" not in html.get_content(), hostile


async def test_none_of_them_reaches_anybody_else(mail_server: MailServer) -> None:
    address = SmtpServer.read(f"smtp://127.0.0.1:{mail_server.port}")
    limits = Limits(connect=5, command=5, end_of_data=5, whole=10)
    channel = SmtpChannel(address, name="example.org", limits=limits)
    some = HOSTILE[::4]

    for hostile in some:
        outcome = await channel.send(mail_about(hostile))
        assert outcome.verdict is Verdict.ACCEPTED, hostile

    assert len(mail_server.mails) == len(some)
    assert {(mail.sender, mail.recipients) for mail in mail_server.mails} == {
        ("loop@example.org", ("ana@example.org",))
    }


def test_a_hostile_senders_name_is_refused_or_stays_a_name() -> None:
    taken = 0
    for hostile in [*HOSTILE, "Loop, closed", 'Loop "x"', "Loop\\", "Loop (x)", "ä" * 90]:
        sender = sender_of(f'"{hostile}" <loop@example.org>')
        if sender is None or not can_be_from(sender):
            continue
        taken += 1
        seen = message_from_bytes(mail_about("x", sender=sender).raw, policy=policy.default)
        (one,) = seen["From"].addresses
        assert one.addr_spec == "loop@example.org"
        assert seen["Bcc"] is None
    assert taken >= 1


async def test_what_is_on_the_wire_is_what_was_checked() -> None:
    """The envelope is compared with the head, and no tampered mail has a second recipient."""
    made = mail_about("Door")
    async with raw() as server:
        channel = SmtpChannel(SmtpServer.read(f"smtp://127.0.0.1:{server.port}"), name="x.org")
        for recipient in (f"ana@example.org,{EVIL}", f"ana@example.org>\r\nRCPT TO:<{EVIL}"):
            outcome = await channel.send(replace(made, recipient=recipient))
            assert outcome.verdict is Verdict.PERMANENT
        outcome = await channel.send(
            replace(made, return_path=f"a@b.org> SIZE=1\r\nRCPT TO:<{EVIL}")
        )
        assert outcome.verdict is Verdict.PERMANENT

    assert server.commands == []
