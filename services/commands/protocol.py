"""HTTP/1.1 as uvicorn speaks it with h11, with deadlines and answers that say what to do.

uvicorn waits for the rest of a request as long as anybody likes, and answers what it cannot
read with a line of text. Here a request's header must be there within ten seconds, and so must
what is left of a body that nobody waits for any more; how fast a body must come is the
application's to say (``shared.web.middleware``).
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import h11
from typing_extensions import override
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from shared.errors import Unreadable
from shared.ids import new_id
from shared.logs import get_logger
from shared.web.kinds import HEADERS_TOO_LARGE, TOO_SLOW, TRY_LATER, Kind
from shared.web.problems import PROBLEM_JSON

if TYPE_CHECKING:
    import asyncio

    from starlette.types import Receive, Scope, Send

HEADER_SECONDS: Final = 10.0
HEADER_BYTES: Final = 16_384

_log = get_logger("closed_loop.http")
_UNREADABLE: Final = Kind(
    slug=Unreadable.slug,
    status=400,
    title=Unreadable.title,
    text="The request line, a header or the framing of the body breaks the rules of HTTP."
    " Correct it first: the same request will fail again.",
)


class Protocol(H11Protocol):
    """One connection; a problem document also where no application was asked."""

    most_connections = 1_000
    _deadline: asyncio.TimerHandle | None = None
    _application: Any = None

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # uvicorn types it more narrowly
        """Wait for the first request, not for ever."""
        super().connection_made(transport)
        self._watch()

    @override
    def data_received(self, data: bytes) -> None:
        """Read on; who comes when all places are taken is told so."""
        if self._application is None:
            self._application = self.app
        busy = len(self.connections) > self.most_connections
        self.app = _busy if busy else self._application
        super().data_received(data)
        self._watch()

    @override
    def on_response_complete(self) -> None:
        """Do not wait for ever for the rest of a body that was answered already."""
        super().on_response_complete()
        self._watch()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the deadline."""
        super().connection_lost(exc)
        if self._deadline is not None:
            self._deadline.cancel()

    def _watch(self) -> None:
        """Begin, keep or end the deadline, whichever fits where the connection stands."""
        waiting = not self.transport.is_closing() and (
            (self.conn.their_state is h11.IDLE and self.timeout_keep_alive_task is None)
            or (self.conn.their_state is h11.SEND_BODY and self._is_answered)
        )
        if not waiting and self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        elif waiting and self._deadline is None:
            self._deadline = self.loop.call_later(HEADER_SECONDS, self._give_up)

    @property
    def _is_answered(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle  # None before the first request
        return cycle is not None and cycle.response_complete

    def _give_up(self) -> None:
        self._deadline = None
        begun = bool(self.conn.trailing_data[0])
        if self.transport.is_closing():
            return
        if self.conn.their_state is h11.IDLE and begun:
            self._refuse(TOO_SLOW)
        else:
            self.transport.close()

    @override
    def send_400_response(self, msg: str) -> None:
        """Answer what h11 refuses to read."""
        if self.conn.our_state not in {h11.IDLE, h11.SEND_RESPONSE}:
            self.transport.close()  # an answer is on its way already
        elif self.conn.their_state is h11.ERROR and self._is_too_large:
            self._refuse(HEADERS_TOO_LARGE)
        else:
            self._refuse(_UNREADABLE)

    @property
    def _is_too_large(self) -> bool:
        return len(self.conn.trailing_data[0]) > HEADER_BYTES

    def _refuse(self, kind: Kind) -> None:
        request_id = new_id("req")
        _log.info("connection.refused", status=kind.status, request_id=request_id)
        body = _document(kind, request_id)
        headers = [*_headers(body, request_id), (b"connection", b"close")]
        response = h11.Response(
            status_code=kind.status,
            headers=headers,
            reason=HTTPStatus(kind.status).phrase.encode(),
        )
        for event in (response, h11.Data(data=body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()


def _document(kind: Kind, request_id: str) -> bytes:
    members: dict[str, Any] = {
        "type": f"/errors/{kind.slug}",
        "title": kind.title,
        "status": kind.status,
        "detail": kind.text,
        "instance": f"urn:closed-loop:request:{request_id}",
        "request_id": request_id,
    }
    return json.dumps(members, separators=(",", ":")).encode()


def _headers(body: bytes, request_id: str) -> list[tuple[bytes, bytes]]:
    return [
        (b"content-type", PROBLEM_JSON.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"x-request-id", request_id.encode()),
        (b"x-content-type-options", b"nosniff"),
        (b"cache-control", b"no-store"),
    ]


async def _busy(_scope: Scope, _receive: Receive, send: Send) -> None:
    """Say that all places are taken."""
    request_id = new_id("req")
    body = _document(TRY_LATER, request_id)
    headers = [*_headers(body, request_id), (b"retry-after", b"1"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": body})
