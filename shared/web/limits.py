"""What a request may be made of before anybody looks at what it says.

Sizes, framing and pace of headers, address and body; keys in addresses. nginx in front has
walls of its own; these hold where there is none.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, unquote_to_bytes

from starlette.exceptions import HTTPException

from shared.errors import Refused, TooLarge, Unreadable, UnsupportedType
from shared.web.kinds import ADDRESS_TOO_LONG, HEADERS_TOO_LARGE, Kind
from shared.web.problems import explained, problem_of

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from shared.web.access import Web

BODY_LIMIT: Final = 256_000
_TAXONOMY: Final = 8_000_000
BODY_LIMITS: Final[Mapping[str, int]] = {
    "/v1/responses/batch": 16_000_000,
    "/v1/taxonomy": _TAXONOMY,
    "/v1/taxonomy/draft": _TAXONOMY,
    "/v1/taxonomy/preview": _TAXONOMY,
    "/settings/taxonomy/import": _TAXONOMY,
}
"""Bytes a body may have, where it may have more than usual."""

MOST_HEADERS: Final = 100
HEADER_LIMIT: Final = 8_192
HEADERS_LIMIT: Final = 16_384
ADDRESS_LIMIT: Final = 8_192

GRACE: Final = 10.0
DRAINED: Final = 64_000_000
SLOWEST: Final = 10_000
"""Seconds that a body has anyway, and bytes that must come a second after that; and bytes that
are thrown away behind a refusal, where a connection could not be closed without."""

_HOST: Final = re.compile(
    rb"[A-Za-z0-9._-]*(?::[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](?::[0-9]{1,5})?"
)
_KEY: Final = b"cfl_"
_KEY_NAMES: Final = frozenset(
    {"key", "apikey", "xapikey", "accesstoken", "authorization", "bearer", "bearertoken"}
)
_SECRET_NAMES: Final = frozenset({"token", "secret", "clientsecret", "password", "passwd"})
_HOOKS: Final = "/v1/hooks/"
_CALLBACK: Final = "/sign-in/oidc/callback"
"""Where a provider's codes arrive, which may hold anything, also what our keys begin with."""
_REFUSED: Final = frozenset(range(400, 600)) - {408}
_COUNTED: Final = frozenset({"/v1/responses", "/v1/responses/batch"})
"""Doors that count what they refuse, as soon as they know whose it is; so do the hooks."""


class Limits:
    """Refuses what is too large, too slow, or framed so that two readers could disagree."""

    def __init__(self, app: ASGIApp, *, web: Web) -> None:
        self._app = app
        self._public_url = web.settings.public_url

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, counting and timing what is really read."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = BODY_LIMITS.get(scope["path"], BODY_LIMIT)
        refusal = _refusal(scope, limit)
        if _ends_with_the_answer(scope):
            receive, send = _hearing_out(receive, send)
        if isinstance(refusal, Kind):
            await explained(scope, self._public_url, refusal)(scope, receive, send)
            return
        if refusal is not None and not _is_counted(scope, refusal):
            await problem_of(scope, refusal, public_url=self._public_url)(scope, receive, send)
            return
        clock = asyncio.get_running_loop()
        read, began, whole = 0, 0.0, False

        async def receive_counted() -> Message:
            nonlocal read, began, whole
            if refusal is not None:  # nothing of it is read; the route knows whose it is
                raise refusal
            if whole:  # what comes now is the end of the connection, whenever that is
                return await receive()
            began = began or clock.time()
            try:
                async with asyncio.timeout_at(began + GRACE + read / SLOWEST):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408) from None
            whole = not message.get("more_body", False)
            read += len(message.get("body", b""))
            if read > limit:
                # The one kind of error that the framework lets through while it reads.
                raise HTTPException(413)
            return message

        await self._app(scope, receive_counted, send)


def _ends_with_the_answer(scope: Scope) -> bool:
    """Tell whether a body may be on its way over a connection that our answer closes."""
    headers = dict(scope["headers"])
    closes = scope["http_version"] == "1.0" or b"close" in headers.get(b"connection", b"")
    sends = b"content-length" in headers or b"transfer-encoding" in headers
    return closes and sends and b"expect" not in headers


def _hearing_out(receive: Receive, send: Send) -> tuple[Receive, Send]:
    """Return how to refuse a body that is still being sent so that the refusal is read.

    A connection that is closed with bytes on their way to it is reset, and the other side's
    system throws our answer away. So the rest of the body is thrown away here first, for as
    long and as much as anybody can be given.
    """
    whole = False

    async def receive_noting() -> Message:
        nonlocal whole
        message = await receive()
        whole = not message.get("more_body", False)
        return message

    async def send_last(message: Message) -> None:
        # Whoever was too slow has had that time.
        if message["type"] == "http.response.start" and message["status"] in _REFUSED:
            left = DRAINED
            with suppress(TimeoutError):
                async with asyncio.timeout(GRACE):
                    while not whole and left > 0:
                        left -= len((await receive_noting()).get("body", b""))
        await send(message)

    return receive_noting, send_last


def _is_counted(scope: Scope, refusal: Refused) -> bool:
    """Tell whether a route counts this refusal, which it meets when it begins to read."""
    path: str = scope["path"]
    if scope["method"] != "POST" or not (path in _COUNTED or path.startswith(_HOOKS)):
        return False
    # Without that header only the address of a hook says whose it may be.
    shows_key = any(name == b"authorization" for name, _ in scope["headers"])
    return shows_key or (path.startswith(_HOOKS) and refusal.status in {413, 415})


def _refusal(scope: Scope, limit: int) -> Refused | Kind | None:
    """Return what is wrong with the header; the body is yet to come."""
    if scope["http_version"] not in {"1.0", "1.1"}:
        return Unreadable("This server speaks HTTP/1.1. Send the request in that version.")
    return _refused_header(scope["headers"], limit) or _refused_address(scope)


def _refused_header(headers: list[tuple[bytes, bytes]], limit: int) -> Refused | Kind | None:
    sizes = [len(name) + len(value) for name, value in headers] or [0]
    if len(sizes) > MOST_HEADERS or sum(sizes) > HEADERS_LIMIT or max(sizes) > HEADER_LIMIT:
        return HEADERS_TOO_LARGE
    framing = {b"content-length": 0, b"transfer-encoding": 0, b"host": 0}
    for name, value in headers:
        if name in framing:
            framing[name] += 1
        if (judge := _JUDGES.get(name)) and (refusal := judge(value, limit)) is not None:
            return refusal
    if max(framing.values()) > 1 or (
        framing[b"content-length"] and framing[b"transfer-encoding"]
    ):
        return Unreadable(
            "The headers Host, Content-Length and Transfer-Encoding contradict each other."
        )
    return None


def _bad_length(value: bytes, limit: int) -> Refused | None:
    if not value.isdigit():
        return Unreadable("The header Content-Length cannot be read.")
    return _too_large(limit) if len(value) > 15 or int(value) > limit else None


def _bad_encoding(value: bytes, _limit: int) -> Refused | None:
    if value.strip().lower() in {b"", b"identity"}:
        return None
    return UnsupportedType(
        "Compressed bodies are not taken. Send the body without Content-Encoding."
    )


def _bad_host(value: bytes, _limit: int) -> Refused | None:
    if _HOST.fullmatch(value):
        return None
    return Unreadable(
        "The header Host cannot be read. Send the name of this installation and nothing else;"
        " a user and a password have no place in an address."
    )


_JUDGES: Final[Mapping[bytes, Callable[[bytes, int], Refused | None]]] = {
    b"content-length": _bad_length,
    b"content-encoding": _bad_encoding,
    b"host": _bad_host,
}


def _too_large(limit: int) -> TooLarge:
    return TooLarge(
        f"The body is larger than {limit:,} bytes. Send less at once.", extra={"limit": limit}
    )


def _refused_address(scope: Scope) -> Refused | Kind | None:
    path, query = scope["path"], scope["query_string"]
    if len(path) + len(query) > ADDRESS_LIMIT:
        return ADDRESS_TOO_LONG
    if "\x00" in path or "\ufffd" in path:
        return _UNREADABLE_ADDRESS
    if not query:
        return None
    plain = unquote_to_bytes(query)
    if b"\x00" in plain or not _is_text(plain):
        return _UNREADABLE_ADDRESS
    is_ours = _KEY in plain and path != _CALLBACK
    if is_ours or not _secret_names(path).isdisjoint(_names(query)):
        return Unreadable(
            "Never put a key into an address: it ends up in logs. Send it in the header"
            " “Authorization: Bearer …”, and replace the key you have just shown.",
            slug="key-in-query",
        )
    return None


_UNREADABLE_ADDRESS: Final = Unreadable(
    "The address holds bytes that are no text. Send UTF-8 without NUL, percent-encoded."
)


def _is_text(plain: bytes) -> bool:
    try:
        plain.decode()
    except UnicodeDecodeError:
        return False
    return True


def _secret_names(path: str) -> frozenset[str]:
    """Return parameters that hold credentials; a sender's own call may have a token in it."""
    if path.startswith(_HOOKS):
        return _KEY_NAMES
    return _KEY_NAMES | _SECRET_NAMES if path.startswith("/v1/") else frozenset()


def _names(query: bytes) -> set[str]:
    """Return the names of the parameters, however they are spelled."""
    pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    return {name.lower().replace("_", "").replace("-", "") for name, _ in pairs}
