"""Webhooks: signed POSTs to receivers that may be hostile. The only file that dials out.

The receiver's name is resolved once, every address behind it is checked, and exactly a checked
address is dialled, while the name stays in the request and the certificate check. There are no
redirects, no cookies, no proxies from the environment, no decompression; the whole exchange has
one deadline and the answer one size.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from ipaddress import ip_address
from typing import Any, Protocol
from urllib.parse import urlsplit

import httpcore
from standardwebhooks import Webhook as Signer
from typing_extensions import override

from services.notify.domain.deliveries import Outcome, Verdict
from services.notify.domain.networks import (
    Address,
    NetworkRules,
    address_problem,
    is_allowed,
    unwrapped,
)
from services.notify.domain.urls import Target, UrlRefused, UrlRules, read_url
from services.notify.domain.verdicts import http_outcome
from shared.settings import Settings

Resolver = Callable[[str, int], Awaitable[Sequence[Address]]]

MOST_ADDRESSES = 20
MOST_DIALLED = 3
USER_AGENT = "Closed-Loop-Webhooks/1"


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one exchange may cost; times in seconds."""

    whole: float = 20
    resolve: float = 5
    connect: float = 5
    body_time: float = 5
    body_bytes: int = 64_000


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What may be configured and what may be dialled."""

    url: UrlRules
    network: NetworkRules

    @classmethod
    def of(cls, settings: Settings) -> Rules:
        """Return the rules of an installation."""
        public = urlsplit(settings.public_url)
        public_port = public.port or (443 if public.scheme == "https" else 80)
        allowed = settings.webhook_allow_networks
        return cls(
            url=UrlRules(
                allow_http=settings.webhook_allow_http,
                inner_networks=bool(allowed),
                own_origins=frozenset(
                    {(public.hostname or "", public_port), (settings.host, settings.port)}
                ),
            ),
            network=NetworkRules(
                allowed=allowed,
                any_port=settings.webhook_allow_http,
                own_addresses=own_addresses(settings.host),
                own_ports=frozenset({public_port, settings.port}),
            ),
        )

    def refuse(self, url: str) -> UrlRefused | None:
        """Say why a URL cannot be configured, or None; names are resolved only when dialled."""
        target = read_url(url, self.url)
        if isinstance(target, UrlRefused):
            return target
        literal = target.literal
        problem = literal and address_problem(literal, target.port, self.network)
        if problem:
            return UrlRefused(code="address", fix="use an address of the public internet")
        return None


@dataclass(frozen=True, kw_only=True)
class Call:
    """One POST: where, what, under which id, signed with which secrets."""

    url: str
    body: bytes = field(repr=False)
    message_id: str
    secrets: Sequence[str] = field(repr=False)
    at: datetime


def message_id(delivery_id: str) -> str:
    """Return the ``webhook-id`` of a delivery: the same over all its tries."""
    return f"msg_{delivery_id.partition('_')[2]}"


def headers_of(call: Call) -> Mapping[str, str]:
    """Return the headers of a call: Standard Webhooks, one signature per valid secret."""
    text = call.body.decode()
    signatures = [
        Signer(secret).sign(msg_id=call.message_id, timestamp=call.at, data=text)
        for secret in call.secrets
    ]
    return {
        "content-type": "application/json",
        "user-agent": USER_AGENT,
        "accept": "*/*",
        "accept-encoding": "identity",
        "webhook-id": call.message_id,
        "webhook-timestamp": str(int(call.at.timestamp())),
        "webhook-signature": " ".join(signatures),
    }


class Poster(Protocol):
    """Takes one call to its receiver."""

    async def send(self, call: Call) -> Outcome:
        """Post once and say what came of it; never raises for the other side."""
        ...


class WebhookChannel:
    """Posts to receivers."""

    def __init__(
        self,
        rules: Rules,
        *,
        resolver: Resolver | None = None,
        limits: Limits | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._rules = rules
        self._resolve = resolver or resolve
        self._limits = limits or Limits()
        self._given_tls = tls

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return self._given_tls or ssl.create_default_context()

    async def send(self, call: Call) -> Outcome:
        """Post once and say what came of it; never raises for the other side."""
        progress = _Progress()
        try:
            async with asyncio.timeout(self._limits.whole):
                return await self._post(call, progress)
        except _Refused as refused:
            return Outcome(verdict=Verdict.TRANSIENT, reason=refused.reason)
        except (TimeoutError, httpcore.TimeoutException):
            return _broken(progress, "timeout")
        except httpcore.ConnectError as error:
            return _broken(progress, "tls_failed" if _is_tls(error) else "connection_failed")
        except (httpcore.NetworkError, httpcore.ProtocolError, OSError):
            return _broken(progress, "connection_broken")

    async def _post(self, call: Call, progress: _Progress) -> Outcome:
        target = read_url(call.url, self._rules.url)
        if isinstance(target, UrlRefused):
            raise _Refused("url_refused")
        addresses = await self._checked(target)
        backend = _Pinned(addresses, progress, self._limits.connect)
        is_inside = any(is_allowed(one, self._rules.network.allowed) for one in addresses)
        scheme, _, rest = call.url.partition("://")
        _, slash, path = rest.partition("/")
        if not slash:
            _, mark, query = rest.partition("?")
            path = f"{mark}{query}"
        url = httpcore.URL(
            scheme=scheme.lower().encode(),
            host=target.host.encode(),
            port=target.port,
            target=f"/{path}".encode(),
        )
        default = 443 if target.scheme == "https" else 80
        name = f"[{target.host}]" if ":" in target.host else target.host
        host = name if target.port == default else f"{name}:{target.port}"
        async with (
            httpcore.AsyncConnectionPool(
                ssl_context=self._tls,
                network_backend=backend,
                max_connections=1,
                http2=False,
                retries=0,
            ) as pool,
            pool.stream(
                "POST",
                url,
                headers=[
                    (k.encode(), v.encode())
                    for k, v in {"host": host, **headers_of(call)}.items()
                ],
                content=call.body,
                extensions={"timeout": {"connect": self._limits.connect}},
            ) as response,
        ):
            reply = b"" if is_inside else await self._beginning(response)
            retry_after = next(
                (
                    value.decode("latin-1")
                    for name_, value in response.headers
                    if name_.lower() == b"retry-after"
                ),
                None,
            )
            return http_outcome(
                response.status,
                retry_after=retry_after,
                reply=reply[:8_000].decode("utf-8", "replace"),
                now=call.at,
            )

    async def _checked(self, target: Target) -> Sequence[Address]:
        """Return the addresses behind a host; raise unless every one of them may be dialled."""
        literal = target.literal
        if literal is not None:
            addresses: Sequence[Address] = [literal]
        else:
            try:
                async with asyncio.timeout(self._limits.resolve):
                    addresses = await self._resolve(target.host, target.port)
            except (OSError, UnicodeError):
                raise _Refused("name_not_found") from None
        if not addresses:
            raise _Refused("name_not_found")
        if len(addresses) > MOST_ADDRESSES:
            raise _Refused("too_many_addresses")
        for address in addresses:
            if address_problem(address, target.port, self._rules.network):
                raise _Refused("address_refused")
        return addresses

    async def _beginning(self, response: httpcore.Response) -> bytes:
        """Return the first bytes of an answer; its status stands whatever its body does."""
        read = bytearray()
        with contextlib.suppress(
            TimeoutError,
            httpcore.TimeoutException,
            httpcore.NetworkError,
            httpcore.ProtocolError,
        ):
            async with asyncio.timeout(self._limits.body_time):
                async for chunk in response.aiter_stream():
                    read += chunk
                    if len(read) >= self._limits.body_bytes:
                        break
        return bytes(read[: self._limits.body_bytes])


@dataclass
class _Progress:
    """Whether anything may have reached the receiver."""

    is_connected: bool = False


class _Refused(Exception):
    """We do not post there; the reason is a stable code."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class _Pinned(httpcore.AsyncNetworkBackend):
    """Dials the addresses that were checked, whatever name the request carries."""

    def __init__(
        self, addresses: Sequence[Address], progress: _Progress, patience: float
    ) -> None:
        self._addresses = addresses[:MOST_DIALLED]
        self._progress = progress
        self._patience = patience
        self._inner = httpcore.AnyIOBackend()

    @override
    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first checked address that answers."""
        last = len(self._addresses) - 1
        for place, address in enumerate(self._addresses):
            try:
                stream = await self._inner.connect_tcp(
                    str(address),
                    port,
                    timeout=timeout or self._patience,
                    local_address=local_address,
                    socket_options=socket_options,
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if place == last:
                    raise
                continue
            peer = stream.get_extra_info("server_addr")
            if peer is None or unwrapped(ip_address(peer[0])) != unwrapped(address):
                await stream.aclose()
                raise _Refused("address_refused")
            self._progress.is_connected = True
            return stream
        raise _Refused("name_not_found")

    @override
    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Refuse: no receiver lives in a file."""
        raise _Refused("address_refused")

    @override
    async def sleep(self, seconds: float) -> None:
        """Wait, as httpcore asks between tries of its own; it makes none here."""
        await asyncio.sleep(seconds)


async def resolve(host: str, port: int) -> Sequence[Address]:
    """Ask the system's resolver for every address behind a name, once."""
    found = await asyncio.get_running_loop().getaddrinfo(
        host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP
    )
    return list(dict.fromkeys(ip_address(str(sockaddr[0])) for *_, sockaddr in found))


def own_addresses(host: str) -> frozenset[Address]:
    """Return this machine's own addresses, as far as it knows them by name."""
    names = {socket.gethostname(), host} - {"0.0.0.0", "::", ""}  # noqa: S104 - excluded here
    found: set[Address] = set()
    for name in names:
        with contextlib.suppress(OSError, ValueError, UnicodeError):
            found |= {
                ip_address(str(sockaddr[0]).partition("%")[0])
                for *_, sockaddr in socket.getaddrinfo(name, None)
            }
    return frozenset(found)


def _is_tls(error: BaseException) -> bool:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def _broken(progress: _Progress, reason: str) -> Outcome:
    """Say what a broken exchange means: once connected, the receiver may have got it."""
    verdict = Verdict.DOUBT if progress.is_connected else Verdict.TRANSIENT
    return Outcome(verdict=verdict, reason=reason)
