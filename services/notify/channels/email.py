"""Mail by SMTP: the only file that speaks it.

One recipient per transaction, so that a reply means one thing. Everything up to the final dot
may be repeated safely; silence after it is doubt, because the mail may have been taken. The
library opens the line; what is said about a mail is written here, byte for byte, because
libraries have been found to shorten or split the addresses that they were given.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Iterator
from dataclasses import dataclass, field
from typing import Final, Protocol
from urllib.parse import unquote, urlsplit

import aiosmtplib

from services.notify.channels.message import Mail
from services.notify.domain.deliveries import Outcome, Verdict
from services.notify.domain.mail import address_problem
from services.notify.domain.replies import Phase, smtp_outcome
from shared.errors import Misconfigured
from shared.tasks import spawn

_SCHEMES = {"smtp": 25, "smtps": 465, "smtp+starttls": 587}
_YES: Final = range(200, 300)
_GO_AHEAD: Final = range(354, 355)


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
        name: str,
        limits: Limits | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Speak to ``server`` under the domain ``name``.

        Certificates are checked against those that the machine trusts, or ``SSL_CERT_FILE``.
        """
        self._server = server
        self._name = name
        self._limits = limits or Limits()
        self._tls = tls or ssl.create_default_context()

    async def send(self, mail: Mail) -> Outcome:
        """Hand the mail over and say what came of it."""
        client, talk = self._client(), _Talk()
        outcome = await self._within_limits(talk, self._hand_over(client, mail, talk))
        if outcome.verdict is Verdict.ACCEPTED:
            # The mail is theirs: saying goodbye must not delay writing that down.
            _ = spawn(_goodbye(client), name="smtp-quit")
        else:
            client.close()
        return outcome

    async def try_out(self) -> Outcome:
        """Connect, encrypt and log in as for a mail, and send none."""
        client, talk = self._client(), _Talk()
        outcome = await self._within_limits(talk, self._meet(client, talk))
        if outcome.verdict is Verdict.ACCEPTED:
            await _goodbye(client)
        client.close()
        return outcome

    def _client(self) -> aiosmtplib.SMTP:
        server = self._server
        return aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            use_tls=server.scheme == "smtps",
            start_tls=False,
            tls_context=self._tls,
            timeout=self._limits.command,
            local_hostname=self._name,
        )

    async def _within_limits(self, talk: _Talk, talking: Awaitable[Outcome]) -> Outcome:
        try:
            async with asyncio.timeout(self._limits.whole):
                return await talking
        except (aiosmtplib.SMTPException, OSError) as error:
            return _failed(talk, error)

    async def _hand_over(self, client: aiosmtplib.SMTP, mail: Mail, talk: _Talk) -> Outcome:
        """Send one mail to one recipient; no word of it was not checked before."""
        for address in (mail.return_path, mail.recipient):
            if address_problem(address):
                return Outcome(verdict=Verdict.PERMANENT, reason="address_unusable")
        await self._meet(client, talk)
        talk.phase = Phase.SENDER
        await _asked(client, b"MAIL FROM:<%b>" % mail.return_path.encode("ascii"))
        talk.phase = Phase.RECIPIENT
        await _asked(client, b"RCPT TO:<%b>" % mail.recipient.encode("ascii"))
        talk.phase = Phase.DATA
        await _asked(client, b"DATA", expecting=_GO_AHEAD)
        line = client.protocol
        if line is None:
            raise aiosmtplib.SMTPServerDisconnected("Connection lost")
        line.write(_stuffed(mail.raw))
        # From here on the mail may have been taken, whatever is heard or not heard.
        talk.phase = Phase.MAIL
        reply = await line.read_response(timeout=self._limits.end_of_data)
        return smtp_outcome(reply.code, reply.message, talk.phase)

    async def _meet(self, client: aiosmtplib.SMTP, talk: _Talk) -> Outcome:
        await client.connect(timeout=self._limits.connect)
        talk.phase = Phase.HELLO
        hello = await client.ehlo()
        if self._server.scheme == "smtp+starttls":
            talk.phase = Phase.TLS
            await client.starttls(timeout=self._limits.connect)
            talk.phase = Phase.HELLO
            hello = await client.ehlo()
        if self._server.user is not None:
            talk.phase = Phase.LOGIN
            hello = await client.login(self._server.user, self._server.password or "")
        return Outcome(verdict=Verdict.ACCEPTED, reason="accepted", code=hello.code)


@dataclass
class _Talk:
    """How far the conversation came."""

    phase: Phase = Phase.CONNECT


async def _asked(client: aiosmtplib.SMTP, command: bytes, *, expecting: range = _YES) -> None:
    """Send a command, as it stands; raise unless the answer is as expected."""
    reply = await client.execute_command(command)
    if reply.code not in expecting:
        raise aiosmtplib.SMTPResponseException(reply.code, reply.message)


def _stuffed(raw: bytes) -> bytes:
    """Return the mail with its final dot; a line that begins with one gets a second."""
    lines = raw.removesuffix(b"\r\n").split(b"\r\n")
    stuffed = [b"." + line if line.startswith(b".") else line for line in lines]
    return b"\r\n".join([*stuffed, b".", b""])


def _failed(talk: _Talk, error: Exception) -> Outcome:
    """Say what a broken conversation means; it depends on how far it came."""
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return smtp_outcome(error.code, error.message, talk.phase)
    if talk.phase is Phase.MAIL:
        return Outcome(verdict=Verdict.DOUBT, reason="no_reply_after_the_mail")
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in _causes(error)):
        return Outcome(verdict=Verdict.CONFIGURATION, reason="certificate_invalid")
    if talk.phase in {Phase.TLS, Phase.LOGIN} and not isinstance(error, OSError):
        return Outcome(verdict=Verdict.CONFIGURATION, reason=f"{talk.phase}_not_offered")
    return Outcome(verdict=Verdict.CHANNEL, reason="mail_server_unreachable")


def _causes(error: BaseException) -> Iterator[BaseException]:
    found: BaseException | None = error
    while found is not None:
        yield found
        found = found.__cause__ or found.__context__


async def _goodbye(client: aiosmtplib.SMTP) -> None:
    try:
        async with asyncio.timeout(5):
            await client.quit()
    except (aiosmtplib.SMTPException, OSError):
        pass  # it has taken the mail; how it hangs up is its own affair
    finally:
        client.close()
