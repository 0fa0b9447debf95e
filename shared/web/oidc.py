"""Single sign-on: to the provider and back, with nothing kept here in between.

What must come back lies sealed in a cookie of the browser that began, for ten minutes and for
one answer. The way there is a link, not a form: browsers apply ``form-action`` to where a form
is redirected to.
"""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from shared.errors import Forbidden, Misconfigured, NotFound, TooMany, Unauthenticated
from shared.i18n import marked
from shared.identity import audit
from shared.identity.federation import RoleMap, enter
from shared.logs import get_logger
from shared.sealing import CannotOpen
from shared.web.access import web
from shared.web.auth import Gate, client_address, cookie_name, count_wrong
from shared.web.browsers import browser_of
from shared.web.sign_in import entered, local_path, refused, set_cookie

if TYPE_CHECKING:
    from shared.clock import Clock
    from shared.settings import Settings
    from shared.web.oidc_provider import Attempt, Provider

router = APIRouter(include_in_schema=False)

CALLBACK: Final = "/sign-in/oidc/callback"
"""Where the provider sends people back to: what has to be registered there."""

_PURPOSE: Final = "oidc-attempt"
_COOKIE: Final = "oidc"
_LASTS: Final = timedelta(minutes=10)
_MOST_BYTES: Final = 2_000
_NOT_BEGUN: Final = marked(
    "This sign-in was not begun in this browser, or too long ago. Please begin again."
)
_CANCELLED: Final = marked("Nobody was signed in there. Begin again, or use your password.")
_FAILED: Final = marked(
    "The sign-in could not be finished. Try again; if that does not help, tell an administrator"
    " when it was: the log of the program says why."
)
_NO_ACCOUNT: Final = marked(
    "You are signed in there, but no account here is yours. Ask an administrator for one."
)
_log = get_logger("closed_loop.oidc")


class SingleSignOn:
    """The provider that the settings name, and who comes in by it as what."""

    def __init__(self, provider: Provider, roles: RoleMap) -> None:
        self.provider = provider
        self.roles = roles


def single_sign_on(settings: Settings, clock: Clock) -> SingleSignOn | None:
    """Return the way in that the settings describe, if they do.

    Raises ``Misconfigured`` for settings that cannot work, and without the extra.
    """
    if not settings.oidc_issuer:
        return None
    if find_spec("joserfc") is None:
        raise Misconfigured(
            "CLOSED_LOOP_OIDC_ISSUER is set, but what single sign-on needs is not installed."
            " Run: pip install 'closed-loop[oidc]'"
        )
    from shared.web import oidc_provider  # noqa: PLC0415 - of the extra; only whoever asks has it

    if not settings.oidc_client_id:
        raise Misconfigured(
            "CLOSED_LOOP_OIDC_ISSUER is set and CLOSED_LOOP_OIDC_CLIENT_ID is not. Set it to"
            " what the provider calls this installation."
        )
    if not oidc_provider.is_safe(settings.oidc_issuer) or len(settings.oidc_issuer) > 300:
        raise Misconfigured(
            "CLOSED_LOOP_OIDC_ISSUER must be the provider's https:// address, exactly as it"
            " calls itself in its /.well-known/openid-configuration."
        )
    if "openid" not in settings.oidc_scopes.split():
        raise Misconfigured(
            "CLOSED_LOOP_OIDC_SCOPES lacks openid, without which a provider says nothing about"
            " people. Set it to: openid email profile"
        )
    secret = settings.oidc_client_secret
    client = oidc_provider.Client(
        issuer=settings.oidc_issuer,
        client_id=settings.oidc_client_id,
        client_secret=secret.get_secret_value() if secret is not None else None,
        redirect_uri=f"{settings.public_url}{CALLBACK}",
        scopes=settings.oidc_scopes,
        role_claim=settings.oidc_role_claim,
        trust_email=settings.oidc_trust_email,
    )
    return SingleSignOn(
        oidc_provider.Provider(client, clock), RoleMap.read(settings.oidc_role_map)
    )


async def look_at_provider(settings: Settings, clock: Clock) -> str:
    """Return what is to be said of the provider; raise ``Misconfigured`` if it is no use."""
    from shared.web.oidc_provider import ProviderFailed  # noqa: PLC0415 - as above

    way_in = single_sign_on(settings, clock)
    if way_in is None:
        return "not set up"
    try:
        await way_in.provider.look()
    except ProviderFailed as error:
        raise Misconfigured(
            f"CLOSED_LOOP_OIDC_ISSUER does not answer as a provider must: {error.reason}"
        ) from None
    return f"the provider answers; it has to know {settings.public_url}{CALLBACK}"


@router.get("/sign-in/oidc")
async def begin(request: Request) -> Response:
    """Send the browser to the provider, with what must come back kept in it, sealed."""
    from shared.web.oidc_provider import Attempt, ProviderFailed  # noqa: PLC0415 - as above

    provider = _way_in(request).provider
    attempt = Attempt.new()
    try:
        there = await provider.authorization_url(attempt)
    except ProviderFailed as error:
        return _failed(request, error.reason)
    answer = RedirectResponse(there, 303)
    then = local_path(request.query_params.get("next"))
    _keep(request, answer, _sealed(request, attempt, then))
    return answer


@router.get(CALLBACK)
async def come_back(request: Request) -> Response:
    """Check what came back, have the code exchanged, begin a session."""
    way_in = _way_in(request)
    kept = _opened(request)
    given = {name: request.query_params.getlist(name) for name in ("state", "code", "iss")}
    if kept is None or given["state"] != [kept[0].state]:
        return _ended(request, refused(request, _NOT_BEGUN, Unauthenticated(_NOT_BEGUN)))
    if len(given["code"]) != 1 or len(given["iss"]) > 1:
        said = "error" in request.query_params
        _log.info("oidc.refused", reason="provider_error" if said else "no_code")
        answer = refused(request, _CANCELLED, Unauthenticated(_CANCELLED))
        return _ended(request, answer)
    return _ended(request, await _finished(request, way_in, kept, given))


async def _finished(
    request: Request,
    way_in: SingleSignOn,
    kept: tuple[Attempt, str],
    given: dict[str, list[str]],
) -> Response:
    from shared.web.oidc_provider import ProviderFailed  # noqa: PLC0415 - as above

    here = web(request)
    gate: Gate = request.app.state.gate
    if wait := gate.wrong.wait(client_address(request), at=here.clock.monotonic()):
        raise TooMany("Too many sign-ins of this address have failed.", retry_after=wait)
    attempt, then = kept
    issuer = given["iss"][0] if given["iss"] else None
    try:
        who = await way_in.provider.identify(attempt, given["code"][0], issuer)
    except ProviderFailed as error:
        count_wrong(request)
        await _note(request, error.reason)
        return _failed(request, error.reason)
    try:
        async with here.database.transaction() as tx:
            token = await enter(
                tx, who, way_in.roles, browser=browser_of(request), now=here.clock.now()
            )
    except Forbidden as error:
        await _note(request, error.slug)
        return refused(request, _NO_ACCOUNT, error)
    return await entered(request, token, then)


async def _note(request: Request, reason: str) -> None:
    """Leave a trace of a sign-in that failed; of whom, only the provider knows."""
    here = web(request)
    detail = {"at": "oidc", "reason": reason}
    async with here.database.transaction() as tx:
        await audit.record(
            tx, audit.SYSTEM, "session.refused", "nobody", detail, now=here.clock.now()
        )


def _way_in(request: Request) -> SingleSignOn:
    found: SingleSignOn | None = request.app.state.single_sign_on
    if found is None:
        raise NotFound("Single sign-on is not set up here. Sign in with your password.")
    return found


def _failed(request: Request, reason: str) -> Response:
    """Say that it did not work; why is for the log, in one word that names nobody."""
    _log.warning("oidc.failed", reason=reason)
    return refused(request, _FAILED, Unauthenticated(_FAILED))


# ------------------------------------------------------------------ what lies in the browser


def _context(request: Request) -> str:
    return str(request.app.state.single_sign_on.provider.client.issuer)


def _sealed(request: Request, attempt: Attempt, then: str) -> str:
    here = web(request)
    until = int((here.clock.now() + _LASTS).timestamp())
    document = [attempt.state, attempt.nonce, attempt.verifier, until, then]
    plain = json.dumps(document).encode()
    if len(plain) > _MOST_BYTES:  # a browser keeps 4 kB
        plain = json.dumps([*document[:-1], "/"]).encode()
    sealed = here.keyring.seal(_PURPOSE, plain, context=_context(request))
    return base64.urlsafe_b64encode(sealed).decode()


def _opened(request: Request) -> tuple[Attempt, str] | None:
    """Return the attempt that this browser began, and where it wanted to go; None for none."""
    from shared.web.oidc_provider import Attempt  # noqa: PLC0415 - as above

    here = web(request)
    try:
        sealed = base64.urlsafe_b64decode(
            request.cookies.get(cookie_name(here.settings, _COOKIE), "")
        )
        plain = here.keyring.open(_PURPOSE, sealed, context=_context(request))
    except (CannotOpen, ValueError):
        return None
    state, nonce, verifier, until, then = json.loads(plain)
    if here.clock.now().timestamp() >= until:
        return None
    return Attempt(state=state, nonce=nonce, verifier=verifier), local_path(then)


def _keep(request: Request, answer: Response, value: str) -> None:
    lasts = int(_LASTS.total_seconds()) if value else 0
    set_cookie(answer, web(request).settings, _COOKIE, value, lasts=lasts)


def _ended(request: Request, answer: Response) -> Response:
    """Have the browser forget the attempt: it was good for one answer."""
    _keep(request, answer, "")
    return answer
