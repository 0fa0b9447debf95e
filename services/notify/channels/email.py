"""Mail by SMTP: the only file that speaks it.

One recipient per transaction, so that a reply means one thing. Everything up to the final dot
may be repeated safely; silence after it is doubt, because the mail may have been taken.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import unquote, urlsplit

import aiosmtplib

from services.notify.channels.message import Mail
from services.notify.domain.deliveries import Outcome, Verdict
from services.notify.domain.verdicts import cleaned, smtp_outcome
from shared.errors import Misconfigured
from shared.tasks import spawn

_SCHEMES = {"smtp": 25, "smtps": 465, "smtp+starttls": 587}


class MailChannel(Protocol):
    """Takes one mail to where it goes."""

    async def send(self, mail: Mail) -> Outcome:
        """Hand the mail over and say what came of it; never raises for the other side."""
        ...


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How long each phase may take, in seconds; a shorter end means more duplicates."""

    connect: float = 10
    command: float = 60
    end_of_data: float = 120
    whole: float = 400


@dataclass(frozen=True, kw_only=True)
class SmtpServer:
    """Where mail is handed over, and how."""

    scheme: str
    host: str
    port: int
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    @classmethod
    def read(cls, url: str) -> SmtpServer:
        """Read ``smtp://``, ``smtps://`` or ``smtp+starttls://user:pass@host:port``.

        Raises ``Misconfigured``; the message holds nothing of the value.
        """
        hint = (
            "CLOSED_LOOP_SMTP_URL must be capture:, or smtp://, smtps:// or smtp+starttls://"
            " with user:password@host:port."
        )
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise Misconfigured(hint) from None
        if parts.scheme not in _SCHEMES or not parts.hostname:
            raise Misconfigured(hint)
        if parts.scheme == "smtp" and parts.username:
            raise Misconfigured(
                "CLOSED_LOOP_SMTP_URL would send a password in the clear. Use smtps:// or"
                " smtp+starttls://."
            )
        return cls(
            scheme=parts.scheme,
            host=parts.hostname,
            port=port or _SCHEMES[parts.scheme],
            user=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
        )


class SmtpChannel:
    """Hands mails to one SMTP server, a connection each."""

    def __init__(
        self,
        server: SmtpServer,
        *,
        limits: Limits | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._server = server
        self._limits = limits or Limits()
        self._tls = tls or ssl.create_default_context()

    async def send(self, mail: Mail) -> Outcome:
        """Hand the mail over and say what came of it."""
        server, limits = self._server, self._limits
        client = aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            use_tls=server.scheme == "smtps",
            start_tls=False,
            tls_context=self._tls,
            timeout=limits.command,
            local_hostname=mail.sender.rpartition("@")[2],
        )
        talk = _Talk()
        try:
            async with asyncio.timeout(limits.whole):
                outcome = await self._converse(client, mail, talk)
        except (aiosmtplib.SMTPException, OSError) as error:
            client.close()
            return _failed(talk, error)
        if outcome.verdict is Verdict.ACCEPTED:
            # The mail is theirs: saying goodbye must not delay writing that down.
            _ = spawn(_goodbye(client), name="smtp-quit")
        else:
            client.close()
        return outcome

    async def _converse(self, client: aiosmtplib.SMTP, mail: Mail, talk: _Talk) -> Outcome:
        await client.connect(timeout=self._limits.connect)
        talk.phase = "hello"
        await client.ehlo()
        if self._server.scheme == "smtp+starttls":
            talk.phase = "tls"
            await client.starttls(timeout=self._limits.connect)
            await client.ehlo()
        if self._server.user is not None:
            talk.phase = "login"
            await client.login(self._server.user, self._server.password or "")
        talk.phase = "sender"
        await client.mail(mail.sender)
        talk.phase = "recipient"
        await client.rcpt(mail.recipient)
        talk.phase = "data"
        reply = await client.data(mail.raw, timeout=self._limits.end_of_data)
        return smtp_outcome(reply.code, reply.message)


@dataclass
class _Talk:
    """How far the conversation came."""

    phase: str = "connect"


def _failed(talk: _Talk, error: Exception) -> Outcome:
    """Say what a broken conversation means; it depends on how far it came."""
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return _refused(talk, error.code, error.message)
    if talk.phase == "data":
        # Also when the line broke before the dot: better a doubt too many than one too few.
        return Outcome(verdict=Verdict.DOUBT, reason="no_reply_after_the_mail")
    cause = error.__cause__ or error.__context__ or error
    if isinstance(cause, ssl.SSLCertVerificationError):
        return Outcome(verdict=Verdict.CONFIGURATION, reason="certificate_invalid")
    is_silence = isinstance(error, OSError)
    if talk.phase in {"tls", "login"} and not is_silence:
        return Outcome(verdict=Verdict.CONFIGURATION, reason=f"{talk.phase}_not_offered")
    return Outcome(verdict=Verdict.CHANNEL, reason="mail_server_unreachable")


def _refused(talk: _Talk, code: int, text: str) -> Outcome:
    outcome = smtp_outcome(code, text)
    if talk.phase in {"recipient", "data"} or outcome.verdict in {
        Verdict.CHANNEL,
        Verdict.CONFIGURATION,
    }:
        return outcome
    if talk.phase == "sender" and outcome.verdict is Verdict.TRANSIENT:
        return outcome
    # What is refused before a recipient was named is refused to all of our mails.
    is_ours = talk.phase in {"login", "sender", "tls"}
    return Outcome(
        verdict=Verdict.CONFIGURATION if is_ours else Verdict.CHANNEL,
        reason=f"{talk.phase}_refused",
        code=code,
        reply=cleaned(text),
    )


async def _goodbye(client: aiosmtplib.SMTP) -> None:
    try:
        async with asyncio.timeout(5):
            await client.quit()
    except (aiosmtplib.SMTPException, OSError):
        pass  # it has taken the mail; how it hangs up is its own affair
    finally:
        client.close()
