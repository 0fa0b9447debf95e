"""Who is asking, and whether they may: the dependency that stands in every route.

Machines show an API key in the Authorization header, staff a session cookie. A request with an
Authorization header is judged by that header alone, whatever cookies came along; that is what
makes it safe to exempt it from the cross-origin check.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from starlette.requests import Request

from shared.errors import Forbidden, TooMany, Unauthenticated, Unreadable
from shared.identity.key_cache import KeyCache
from shared.identity.limits import Allowance
from shared.identity.principal import Principal, Scope
from shared.identity.sessions import find, keep_alive
from shared.web.access import Web, web
from shared.web.problems import SecondFactorFirst, SignInFirst
from shared.web.query import each_once

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from shared.settings import Settings

POLLED_ROUTES = frozenset({"/queue/news"})
"""What an open page asks by itself: it does not show that anybody is still there."""

SECOND_FACTOR: Final = "/account/second-factor"
"""Where a second factor is set up: open also to those who may go nowhere else before."""

PUBLIC_ROUTES: dict[str, str] = {
    "/healthz": "a watchdog has no key; it learns only that the process answers",
    "/readyz": "the front door has no key; names of parts and states, no data",
    "/metrics": "a scraper on the inside network; counts by route and status, no names",
    "/openapi.json": "the description of the interface is no secret",
    "/docs": "the same description, to read",
    "/docs/{name}": "script and style of that page",
    "/errors/{slug}": "explains a problem document to whoever got one, also for a bad key",
    "/sign-in": "comes before any session",
    "/sign-in/code": "comes before any session, after the password: the cookie of it is proof",
    "/sign-in/forgot": "asks for a mail to an account's own address; tells nobody who has one",
    "/sign-in/reset": "sets a password by what the link of that mail left in the browser",
    "/sign-in/reset/{token}": "takes the signed link of that mail out of the address",
    "/sign-in/first": "makes the first administrator while there is none, from loopback only",
    "/sign-in/oidc": "sends the browser to the provider of the settings",
    "/sign-in/oidc/callback": "comes before any session; believes what the provider has signed",
    "/sign-out": "ends the session it is given, if it is one",
    "/settled/{token}": "a customer answers by the signed link in our mail, without a sign-in",
}
"""Every route without authentication, and why. A test holds this list to the routes."""

PROVEN_ROUTES: dict[str, str] = {
    "/v1/hooks/{source}": "the sender shows the source's key or signs as it always does",
    "/v1/hooks/{source}/{token}": "the source's key stands in the path, where no header can",
}
"""Every route that asks for proof of its own, and which: what it takes a guard cannot check."""

WRONG_KEYS_A_MINUTE = 100

_needed: dict[Any, frozenset[Scope]] = {}


class Gate:
    """What one application remembers about those who come in."""

    def __init__(self, web: Web) -> None:
        self.keys = KeyCache(web.database, web.clock)
        self.wrong = Allowance(WRONG_KEYS_A_MINUTE)
        per_key = web.settings.rate_per_key
        self.rate = Allowance(per_key) if per_key else None


def requires(*scopes: Scope) -> Callable[[Request], Awaitable[Principal]]:
    """Return a dependency that lets in a caller who holds all of these scopes.

    Without a scope any known caller will do. On pages whoever is not signed in is sent to the
    sign-in; on ``/v1`` the answer is a problem document.
    """

    async def guard(request: Request) -> Principal:
        principal = await authenticate(request)
        _refuse_unless(principal, all(map(principal.may, scopes)), scopes)
        return principal

    _needed[guard] = frozenset(scopes)
    return guard


def requires_any(*scopes: Scope) -> Callable[[Request], Awaitable[Principal]]:
    """Return a dependency that lets in a caller who holds at least one of these scopes."""

    async def guard(request: Request) -> Principal:
        principal = await authenticate(request)
        _refuse_unless(principal, any(map(principal.may, scopes)), scopes)
        return principal

    _needed[guard] = frozenset(scopes)
    return guard


def requires_page(*scopes: Scope) -> Callable[[Request], Awaitable[Principal]]:
    """Return a dependency that lets in signed-in staff; keys have no pages."""

    async def guard(request: Request) -> Principal:
        principal = await authenticate(request)
        if principal.kind != "staff":
            raise Forbidden("Pages are for staff. Use the same data under /v1 with this key.")
        _refuse_unless(principal, all(map(principal.may, scopes)), scopes)
        return principal

    _needed[guard] = frozenset(scopes)
    return guard


def requires_any_page(*scopes: Scope) -> Callable[[Request], Awaitable[Principal]]:
    """Return a dependency that lets in signed-in staff with at least one of these scopes."""

    async def guard(request: Request) -> Principal:
        principal = await authenticate(request)
        if principal.kind != "staff":
            raise Forbidden("Pages are for staff. Use the same data under /v1 with this key.")
        _refuse_unless(principal, any(map(principal.may, scopes)), scopes)
        return principal

    _needed[guard] = frozenset(scopes)
    return guard


def needed_by(dependency: object) -> frozenset[Scope] | None:
    """Return the scopes of a dependency made here, None for any other: for tests and docs."""
    return _needed.get(dependency)


def own_source(principal: Principal) -> str | None:
    """Return the one source whose responses this caller may see; None for all of them.

    A key that posts sees its own source only, unless it is an administrative one.
    """
    posts = principal.kind == "key" and principal.may(Scope.RESPONSES_WRITE)
    return principal.source if posts and not principal.may(Scope.SETTINGS_READ) else None


def recognised(request: Request) -> Principal | None:
    """Return whose key came with a request, also where it was not let in."""
    known: Principal | None = getattr(request.state, "recognised", None)
    return known


SESSION: Final = "session"
"""What the cookie of a session is called, behind its prefix."""


def session_cookie(settings: Settings) -> str:
    """Return the name of the session's cookie."""
    return cookie_name(settings, SESSION)


def cookie_name(settings: Settings, name: str) -> str:
    """Return a cookie's whole name; the prefix binds it to https and to this host."""
    return f"__Host-{name}" if settings.public_url.startswith("https://") else name


def client_address(request: Request) -> str:
    """Return the peer's address, as the server (and its trusted proxy) tells it."""
    return request.client.host if request.client else "unknown"


async def authenticate(request: Request) -> Principal:
    """Return who is asking; raise ``Unauthenticated`` or, for a page, ``SignInFirst``."""
    known: Principal | None = getattr(request.state, "principal", None)
    if known is None:
        known = await _identify(request)
        request.state.principal = known
        if request.scope.get("query_string") and request.url.path.startswith("/v1/"):
            each_once(request)
    return known


async def _identify(request: Request) -> Principal:
    shown = request.headers.getlist("authorization")
    if shown:
        return await _by_key(request, shown)
    here = web(request)
    token = request.cookies.get(session_cookie(here.settings))
    if token:
        now = here.clock.now()
        async with here.database.reading() as view:
            session = await find(view, token, now=now)
        if session is not None:
            if request.url.path not in POLLED_ROUTES:
                await keep_alive(here.database, session, now=now)
            if session.needs_second_factor and not request.url.path.startswith(SECOND_FACTOR):
                raise SecondFactorFirst(
                    "Your role needs a second factor. Set it up first, on the page"
                    f" {SECOND_FACTOR}.",
                    slug="second-factor-first",
                )
            return session.principal
    if request.url.path.startswith("/v1/"):
        raise Unauthenticated("Send an API key as “Authorization: Bearer …”, or sign in.")
    raise SignInFirst("Sign in first.")


async def _by_key(request: Request, shown: list[str]) -> Principal:
    if len(shown) > 1:
        raise Unreadable("The header Authorization stands there twice. Send it once.")
    scheme, _, text = shown[0].partition(" ")
    text = text.strip()
    if scheme.lower() != "bearer" or not text:
        raise Unauthenticated("Send an API key as “Authorization: Bearer …”.")
    principal = await principal_of(request, text)
    if principal is None:
        raise Unauthenticated(
            "This API key is not valid: unknown, expired or revoked. Take one that is in use,"
            " or have one made under Settings, Keys."
        )
    return principal


async def principal_of(request: Request, text: str) -> Principal | None:
    """Return who shows this key, wherever it stood; None, counted as wrong, for nobody.

    Raises ``TooMany`` for an address with too many wrong ones, and for a key used too often.
    """
    gate: Gate = request.app.state.gate
    clock = web(request).clock
    address = client_address(request)
    wait = gate.wrong.wait(address, at=clock.monotonic())
    if wait and not gate.keys.has_met(text):
        raise TooMany("Too many wrong keys came from this address.", retry_after=wait)
    principal = await gate.keys.principal(text)
    if principal is None:
        gate.wrong.take(address, at=clock.monotonic())
        request.state.recognised = await gate.keys.ended(text)
        return None
    request.state.recognised = principal
    within_rate(request, principal.id)
    return principal


def within_rate(request: Request, caller: str) -> None:
    """Count one request of a caller; raise ``TooMany`` if it has used up its requests.

    The answer says what is left, whatever the answer is.
    """
    gate: Gate = request.app.state.gate
    at = web(request).clock.monotonic()
    if gate.rate is None:
        return
    wait = gate.rate.take(caller, at=at)
    left, seconds = gate.rate.left(caller, at=at)
    request.state.answer_headers = [
        (b"ratelimit-policy", f'"key";q={gate.rate.per_minute};w=60'.encode()),
        (b"ratelimit", f'"key";r={left};t={seconds}'.encode()),
    ]
    if wait:
        raise TooMany("This key has used up its requests for now.", retry_after=wait)


def count_wrong(request: Request) -> None:
    """Count wrong credentials of this address; raise ``TooMany`` if there were too many."""
    gate: Gate = request.app.state.gate
    at = web(request).clock.monotonic()
    if wait := gate.wrong.take(client_address(request), at=at):
        raise TooMany("Too many wrong keys came from this address.", retry_after=wait)


def _refuse_unless(principal: Principal, allowed: bool, scopes: tuple[Scope, ...]) -> None:  # noqa: FBT001 - a guard's verdict
    if allowed:
        return
    names = ", ".join(scope.value for scope in scopes)
    if principal.kind == "key":
        raise Forbidden(f"This key lacks the scope {names}.")
    raise Forbidden(f"Your role does not include the right {names}. Ask an administrator.")
