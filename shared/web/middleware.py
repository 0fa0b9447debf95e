"""What happens to every request before and after its route, as plain ASGI.

From the outside in: ``SafeHeaders`` tells browsers what a page may do; ``RequestLog`` gives the
request its id, writes its one line and answers what nobody foresaw; ``shared.web.limits``
bounds what is read; ``SameOrigin`` refuses what another site makes a signed-in browser send;
``HeadAsGet`` answers HEAD wherever there is a GET.
"""

from __future__ import annotations

import asyncio
import re
import traceback
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.routing import Match

from shared.errors import Forbidden, Refused, TryLater, UnsupportedType
from shared.ids import new_id
from shared.logs import correlation_id, get_logger
from shared.web.auth import session_cookie
from shared.web.health import observe
from shared.web.problems import problem_of, unforeseen

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from shared.web.access import Web

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:/+=-]{1,100}")
_UNSAFE = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_log = get_logger("closed_loop.http")


class RequestLog:
    """Names the request, counts it, and writes one line without query and without people."""

    def __init__(self, app: ASGIApp, *, web: Web) -> None:
        self._app = app
        self._web = web

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; a failure that nobody foresaw becomes a plain 500."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        token = correlation_id.set(request_id)
        clock = self._web.clock
        began = clock.monotonic()
        status = 0

        async def send_named(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message.setdefault("headers", [])
                message["headers"] = [
                    *message["headers"],
                    (b"x-request-id", request_id.encode("latin-1")),
                    *scope["state"].get("answer_headers", ()),
                ]
            await send(message)

        try:
            await self._app(scope, receive, send_named)
        except asyncio.CancelledError:
            # The process ends and has waited long enough: not a word would read as a crash.
            if status == 0:
                cut_off = TryLater(_CUT_OFF, slug="unconfirmed")
                answer = problem_of(scope, cut_off, public_url=self._web.settings.public_url)
                await answer(scope, receive, send_named)
            raise
        except Exception as error:  # noqa: BLE001 - the last resort: a caller gets an answer
            # Never the text of the error: it may hold what was posted.
            _log.error("request.crashed", error=type(error).__name__, at=_places(error))
            if status == 0:
                answer = unforeseen(scope, public_url=self._web.settings.public_url)
                await answer(scope, receive, send_named)
            else:
                raise ConnectionAbortedError from None
        finally:
            route = _template(scope)
            seconds = clock.monotonic() - began
            status = status or _WENT_AWAY
            observe(scope["method"], route, status, seconds)
            if status >= 500 or not route.startswith(_QUIET):
                _log.info(
                    "request",
                    method=scope["method"],
                    route=route,
                    status=status,
                    ms=round(seconds * 1000, 1),
                )
            correlation_id.reset(token)


_CUT_OFF = (
    "The service ends before this request was through, so it may or may not have taken effect."
    " Send it again: what was taken in is recognised"
)
_WENT_AWAY = 499
"""What the log and the counters say when the caller left before an answer began."""
_QUIET = ("/healthz", "/readyz", "/metrics", "/static")


def _request_id(scope: Scope) -> str:
    """Return the caller's id for this request if it is a decent one, else a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return str(value.decode("ascii"))
    return new_id("req")


def _template(scope: Scope) -> str:
    """Return the path as the route was written, so that ids stay out of logs and metrics."""
    path = getattr(scope.get("route"), "path", None)
    return path if isinstance(path, str) and path else "unmatched"


def _places(error: BaseException) -> list[str]:
    """Return where an error came from, innermost first: files and lines, no values."""
    frames = traceback.extract_tb(error.__traceback__)
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames[-8:]][::-1]


class SafeHeaders:
    """Adds what tells a browser to run, frame, guess and remember nothing."""

    def __init__(self, app: ASGIApp, *, web: Web) -> None:
        self._app = app
        public = urlsplit(web.settings.public_url)
        secure = public.scheme == "https"
        # The pages' own frame says "same-origin" instead: with "no-referrer" a browser would
        # send the Origin of our own forms as "null".
        headers = {
            "Content-Security-Policy": (
                "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
                " connect-src 'self'; form-action 'self'; frame-ancestors 'none';"
                " base-uri 'none'"
            ),
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
            "X-Frame-Options": "DENY",
            **({"Strict-Transport-Security": "max-age=31536000"} if secure else {}),
        }
        self._raw = [(k.lower().encode(), v.encode()) for k, v in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; what the route set itself stays."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        always = (*self._raw, (b"cache-control", _keep(scope)))

        async def send_safe(message: Message) -> None:
            if message["type"] == "http.response.start":
                present = {name.lower() for name, _ in message.get("headers", ())}
                message["headers"] = [
                    *message.get("headers", ()),
                    *(pair for pair in always if pair[0] not in present),
                ]
            await send(message)

        await self._app(scope, receive, send_safe)


def _keep(scope: Scope) -> bytes:
    """Return how long an answer may be kept: data never, files by the version in their name."""
    if not scope["path"].startswith("/static/"):
        return b"no-store"
    versioned = scope["query_string"].startswith(b"v=")
    return b"public, max-age=31536000, immutable" if versioned else b"no-cache"


class SameOrigin:
    """Refuses changes that another site makes a browser send (cross-site request forgery).

    Browsers say where a request comes from (``Sec-Fetch-Site``, else ``Origin``); a session
    without either is refused. A request with an Authorization header is exempt: a browser adds
    none for another site, and such a request is judged by that header alone.
    """

    def __init__(self, app: ASGIApp, *, web: Web) -> None:
        self._app = app
        self._public_url = web.settings.public_url
        public = urlsplit(web.settings.public_url)
        self._origin = f"{public.scheme}://{public.netloc}".lower()
        self._cookie = session_cookie(web.settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request unless a browser was made to send it."""
        if scope["type"] == "http" and scope["method"] in _UNSAFE:
            refusal = self._refusal(scope["path"], Headers(scope=scope))
            if refusal is not None:
                answer = problem_of(scope, refusal, public_url=self._public_url)
                await answer(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _refusal(self, path: str, headers: Headers) -> Refused | None:
        if "authorization" in headers:
            return None
        in_session = self._in_session(headers)
        if not in_session and path.startswith("/v1/"):
            return None  # nothing rides along: the route asks for a key or a signature
        site, origin = headers.get("sec-fetch-site"), headers.get("origin")
        if site is not None:
            ours = site in {"same-origin", "none"}
        elif origin is not None:
            ours = origin.lower() in {self._origin, self._as_addressed(headers)}
        else:
            ours = not in_session
        if not ours:
            return Forbidden(
                "This request did not come from a page of this installation. Open the page"
                " again under the address of CLOSED_LOOP_PUBLIC_URL and repeat it there.",
                slug="cross-origin",
            )
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if in_session and path.startswith("/v1/") and kind in _FORM_TYPES:
            return UnsupportedType("Send JSON with Content-Type application/json.")
        return None

    def _in_session(self, headers: Headers) -> bool:
        return any(
            part.strip().partition("=")[0] == self._cookie
            for line in headers.getlist("cookie")
            for part in line.split(";")
        )

    def _as_addressed(self, headers: Headers) -> str:
        """Return our origin by the name the browser used; cookies belong to that name alone."""
        return f"{self._origin.partition('://')[0]}://{headers.get('host', '')}".lower()


_FORM_TYPES = frozenset(
    {"text/plain", "application/x-www-form-urlencoded", "multipart/form-data"}
)


class HeadAsGet:
    """Answers HEAD as GET without the body, where no route answers it by itself."""

    def __init__(self, app: ASGIApp, *, web: Web) -> None:  # noqa: ARG002 - built like the others
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["method"] != "HEAD" or _has_route(scope):
            await self._app(scope, receive, send)
            return

        async def send_bare(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        as_get = {**scope, "method": "GET"}
        try:
            await self._app(as_get, receive, send_bare)
        finally:
            if "route" in as_get:  # for the log
                scope["route"] = as_get["route"]


def _has_route(scope: Scope) -> bool:
    routes = scope["app"].router.routes
    return any(route.matches(scope)[0] is Match.FULL for route in routes)
