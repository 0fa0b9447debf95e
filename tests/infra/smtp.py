"""A real SMTP server on loopback that keeps what it is sent, and refuses what it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any, Self, cast

from aiosmtpd.controller import Controller

from tests.infra.processes import LOOPBACK, wait_until


@dataclass(frozen=True, kw_only=True)
class Mail:
    """One mail as it went over the wire: the envelope and the bytes."""

    sender: str
    recipients: tuple[str, ...]
    raw: bytes

    @property
    def message(self) -> EmailMessage:
        """The parsed mail."""
        return message_from_bytes(self.raw, policy=policy.default)


def _nothing() -> None:
    """Wait for nothing before an answer."""


@dataclass
class MailServer:
    """Collects mail between ``start`` and ``stop``.

    ``refuse_recipient["a@b.example"] = "550 5.1.1 no such mailbox"`` refuses an address;
    ``answer_data = ["451 4.3.0 later"]`` answers the next mails so, one entry each.
    ``on_recipient`` and ``on_data`` are called before the answers to an address and to a mail
    that is kept already.
    """

    mails: list[Mail] = field(default_factory=list)
    refuse_recipient: dict[str, str] = field(default_factory=dict)
    answer_data: list[str] = field(default_factory=list)
    on_recipient: Callable[[], None] = _nothing
    on_data: Callable[[], None] = _nothing
    port: int = 0
    _controller: Controller | None = None

    @property
    def url(self) -> str:
        """The address for our settings."""
        return f"smtp://{LOOPBACK}:{self.port}"

    def start(self) -> None:
        """Listen; on the same port again after a ``stop``."""
        controller = _OnFreePort(_Handler(self), hostname=LOOPBACK, port=self.port)
        controller.start()
        self.port = controller.port
        self._controller = controller

    def stop(self) -> None:
        """Stop listening; what was collected stays."""
        if self._controller is not None:
            self._controller.stop()
            self._controller = None

    def wait_for(self, count: int, *, seconds: float = 20) -> list[Mail]:
        """Return what has come as soon as there are that many mails."""
        wait_until(lambda: len(self.mails) >= count, what=f"{count} mails", seconds=seconds)
        return list(self.mails)

    def to(self, address: str) -> list[Mail]:
        """Return the mails to one address, in the order of their arrival."""
        return [mail for mail in self.mails if address in mail.recipients]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class _OnFreePort(Controller):
    """A controller that may be given port 0 and then knows the port it got."""

    def _create_server(self) -> Any:
        coroutine = super()._create_server()

        async def listen() -> asyncio.Server:
            server = cast("asyncio.Server", await coroutine)
            self.port = server.sockets[0].getsockname()[1]
            return server

        return listen()


class _Handler:
    """aiosmtpd's hooks, by the names it calls them."""

    def __init__(self, server: MailServer) -> None:
        self._server = server

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: list[str]
    ) -> str:
        self._server.on_recipient()
        if refusal := self._server.refuse_recipient.get(address):
            return refusal
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 ok"

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, _server: Any, _session: Any, envelope: Any
    ) -> str:
        if self._server.answer_data:
            answer = self._server.answer_data.pop(0)
            if not answer.startswith("2"):
                return answer
        self._server.mails.append(
            Mail(
                sender=envelope.mail_from,
                recipients=tuple(envelope.rcpt_tos),
                raw=envelope.original_content,
            )
        )
        self._server.on_data()
        return "250 2.0.0 queued"
