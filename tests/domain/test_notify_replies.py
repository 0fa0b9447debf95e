"""The table of a mail server's replies, row by row, at every point of a conversation."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notify.domain.deliveries import EMAIL_SCHEDULE, RetryAt, Verdict, next_step
from services.notify.domain.replies import Phase, smtp_outcome

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
ABOUT_A_MAIL = (Phase.RECIPIENT, Phase.DATA, Phase.MAIL)
ABOUT_US = (Phase.CONNECT, Phase.HELLO, Phase.TLS, Phase.LOGIN, Phase.SENDER)


@pytest.mark.parametrize("phase", ABOUT_A_MAIL)
@pytest.mark.parametrize(
    ("code", "text", "verdict", "reason"),
    [
        (421, "4.3.2 closing", Verdict.CHANNEL, "mail_server_unavailable"),
        (454, "4.7.0 TLS not available", Verdict.CHANNEL, "mail_server_unavailable"),
        (530, "5.7.0 authenticate", Verdict.CONFIGURATION, "mail_server_refuses_us"),
        (534, "5.7.9 too weak", Verdict.CONFIGURATION, "mail_server_refuses_us"),
        (535, "5.7.8 bad password", Verdict.CONFIGURATION, "mail_server_refuses_us"),
        (538, "5.7.11 encrypt", Verdict.CONFIGURATION, "mail_server_refuses_us"),
        (550, "5.1.7 bad sender", Verdict.CONFIGURATION, "sender_refused"),
        (553, "5.1.8 bad sender's system", Verdict.CONFIGURATION, "sender_refused"),
        (450, "4.7.1 greylisted", Verdict.TRANSIENT, "mail_server_said_later"),
        (451, "4.3.0 later", Verdict.TRANSIENT, "mail_server_said_later"),
        (432, "4.1.0 odd", Verdict.TRANSIENT, "mail_server_said_later"),
        (452, "4.2.2 full", Verdict.TRANSIENT, "mailbox_full"),
        (450, "4.2.2 full", Verdict.TRANSIENT, "mailbox_full"),
        (552, "5.2.2 over quota", Verdict.TRANSIENT, "mailbox_full"),
        (550, "5.2.2 over quota", Verdict.TRANSIENT, "mailbox_full"),
        (552, "storage exceeded", Verdict.TRANSIENT, "mailbox_full"),
        (550, "5.1.1 no such user", Verdict.PERMANENT, "address_dead"),
        (550, "5.1.10 null MX", Verdict.PERMANENT, "address_dead"),
        (551, "5.1.6 moved", Verdict.PERMANENT, "address_dead"),
        (553, "5.1.3 bad address", Verdict.PERMANENT, "address_dead"),
        (550, "5.7.1 blocked", Verdict.PERMANENT, "refused_by_policy"),
        (554, "5.7.26 not aligned", Verdict.PERMANENT, "refused_by_policy"),
        (554, "5.6.0 content", Verdict.PERMANENT, "refused_by_policy"),
        (550, "no", Verdict.PERMANENT, "refused"),
        (550, "x 5.1.1 not at the front", Verdict.PERMANENT, "refused"),
        (552, "5.3.4 too big", Verdict.PERMANENT, "refused"),
        (554, "5.1.1 odd", Verdict.PERMANENT, "refused"),
        (502, "5.5.1 what?", Verdict.PERMANENT, "refused"),
    ],
)
def test_a_reply_about_a_mail(
    code: int, text: str, verdict: Verdict, reason: str, phase: Phase
) -> None:
    outcome = smtp_outcome(code, text, phase)

    assert (outcome.verdict, outcome.reason, outcome.code) == (verdict, reason, code)
    assert outcome.reply == text


@pytest.mark.parametrize(
    ("code", "phase", "verdict", "reason"),
    [
        (250, Phase.MAIL, Verdict.ACCEPTED, "accepted"),
        (251, Phase.MAIL, Verdict.ACCEPTED, "accepted"),
        (250, Phase.DATA, Verdict.TRANSIENT, "reply_not_understood"),
        (354, Phase.RECIPIENT, Verdict.TRANSIENT, "reply_not_understood"),
        (354, Phase.MAIL, Verdict.DOUBT, "reply_not_understood"),
        (99, Phase.MAIL, Verdict.DOUBT, "reply_not_understood"),
        (-1, Phase.MAIL, Verdict.DOUBT, "reply_not_understood"),
    ],
)
def test_only_yes_to_the_mail_itself_is_yes(
    code: int, phase: Phase, verdict: Verdict, reason: str
) -> None:
    outcome = smtp_outcome(code, "well", phase)

    assert (outcome.verdict, outcome.reason) == (verdict, reason)


@pytest.mark.parametrize(
    ("code", "text", "phase", "verdict", "reason"),
    [
        (554, "no service", Phase.CONNECT, Verdict.CHANNEL, "connect_refused"),
        (550, "5.7.1 go away", Phase.HELLO, Verdict.CHANNEL, "hello_refused"),
        (501, "5.5.4 no", Phase.TLS, Verdict.CONFIGURATION, "tls_refused"),
        (550, "5.7.1 who?", Phase.LOGIN, Verdict.CONFIGURATION, "login_refused"),
        (550, "5.7.1 relaying denied", Phase.SENDER, Verdict.CONFIGURATION, "sender_refused"),
        (550, "5.1.1 like a dead one", Phase.SENDER, Verdict.CONFIGURATION, "sender_refused"),
        (550, "5.4.5 quota of the day", Phase.SENDER, Verdict.CHANNEL, "sender_refused"),
        (451, "4.7.1 later", Phase.SENDER, Verdict.CHANNEL, "sender_refused"),
        (454, "4.7.0 later", Phase.LOGIN, Verdict.CHANNEL, "mail_server_unavailable"),
        (535, "5.7.8 wrong", Phase.LOGIN, Verdict.CONFIGURATION, "mail_server_refuses_us"),
    ],
)
def test_a_reply_about_us(
    code: int, text: str, phase: Phase, verdict: Verdict, reason: str
) -> None:
    outcome = smtp_outcome(code, text, phase)

    assert (outcome.verdict, outcome.reason) == (verdict, reason)


@given(
    code=st.integers(-1, 999),
    text=st.from_regex(r"([245]\.\d\.\d{1,2} )?[a-z ]{0,9}", fullmatch=True),
    phase=st.sampled_from(ABOUT_US),
)
def test_nothing_said_before_the_recipient_was_named_costs_a_mail_anything(
    code: int, text: str, phase: Phase
) -> None:
    outcome = smtp_outcome(code, text, phase)

    assert outcome.verdict in {Verdict.CHANNEL, Verdict.CONFIGURATION}


@pytest.mark.parametrize(
    ("code", "text", "waits"),
    [
        (450, "4.7.1 greylisted", True),
        (451, "later", True),
        (421, "4.7.0 later", False),
        (455, "4.7.5 later", True),
        (432, "4.1.0 later", False),
        (452, "4.2.2 full", False),
    ],
)
def test_greylisting_is_given_five_minutes_before_the_first_repetition(
    code: int, text: str, waits: bool
) -> None:
    outcome = smtp_outcome(code, text, Phase.RECIPIENT)

    step = next_step(
        outcome, failures=0, troubles=0, schedule=EMAIL_SCHEDULE, now=NOW, chance=0
    )

    assert isinstance(step, RetryAt)
    assert (step.when - NOW >= timedelta(minutes=5)) is waits
