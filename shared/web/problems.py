"""The single translator of errors into HTTP: problem documents (RFC 9457), or a page to read.

Nothing of what was sent is ever repeated, and an unforeseen error says nothing but the id of
its request, under which the log tells more.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from fastapi import APIRouter
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Match

from shared.errors import (
    ClosedLoopError,
    Conflict,
    Finding,
    Forbidden,
    Invalid,
    NotFound,
    Refused,
    TooLarge,
    TooMany,
    TryLater,
    Unauthenticated,
    UnderWay,
    Unreadable,
    UnsupportedType,
)
from shared.logs import get_logger
from shared.web.access import web
from shared.web.error_page import error_page
from shared.web.kinds import (
    INTERNAL,
    METHOD_NOT_ALLOWED,
    TOO_SLOW,
    TRY_LATER,
    Kind,
    kind_of,
)

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.types import Scope

PROBLEM_JSON = "application/problem+json"
MOST_FINDINGS = 20

_log = get_logger(__name__)


class SignInFirst(Unauthenticated):
    """A page was asked for by a browser that is not signed in: send it to the sign-in."""


class SecondFactorFirst(Forbidden):
    """Somebody whose role needs a second factor has none: lead them to it."""


class ProblemResponse(JSONResponse):
    """A problem document."""

    media_type = PROBLEM_JSON


def problem(
    scope: Scope,
    public_url: str,
    *,
    status: int,
    slug: str,
    title: str,
    detail: str,
    findings: Sequence[Finding] = (),
    extra: Mapping[str, object] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return one problem in the form the caller reads: a document, or a page for a browser."""
    request_id = str(scope.get("state", {}).get("request_id", ""))
    if is_page(scope):
        page = error_page(
            scope, status=status, title=title, detail=detail, request_id=request_id
        )
        page.headers.update(headers or {})
        return page
    body: dict[str, Any] = {
        **(extra or {}),
        "type": f"{public_url}/errors/{slug}",
        "title": title,
        "status": status,
        "detail": detail,
        "instance": _instance(scope),
        "request_id": request_id,
    }
    if status == HTTPStatus.UNPROCESSABLE_ENTITY:
        body["errors"] = [
            {
                "pointer": finding.pointer,
                "code": finding.code,
                "detail": finding.detail,
                "fix": finding.fix,
            }
            for finding in findings[:MOST_FINDINGS]
        ]
    return ProblemResponse(body, status_code=status, headers=dict(headers or {}))


def _instance(scope: Scope) -> str:
    """Return the path with ids of our own making, and nothing that a caller made up.

    Others may be a customer's name, or a token that lets somebody in.
    """
    made_up = _path_params(scope)
    if made_up is None:
        return "/…"
    kept = [
        "…" if part in made_up and not _OWN_ID.fullmatch(part) else part
        for part in str(scope["path"]).split("/")
    ]
    return "/".join(kept)


_OWN_ID = re.compile(r"[a-z]{2,4}_[0-9a-hjkmnp-tv-z]{26}")


def _path_params(scope: Scope) -> frozenset[str] | None:
    """Return the parts of the path that stand where a route takes anything; None: no route."""
    found = [scope.get("path_params")] if scope.get("route") else []
    if not found:  # refused before anybody looked for the route
        found = [
            child.get("path_params")
            for match, child in (route.matches(scope) for route in scope["app"].router.routes)
            if match is not Match.NONE
        ]
    if not found:
        return None
    return frozenset(
        part for value in (found[0] or {}).values() for part in str(value).split("/")
    )


def problem_of(scope: Scope, error: ClosedLoopError, *, public_url: str) -> Response:
    """Return what a caller is told about one of our own errors."""
    headers: dict[str, str] = {}
    match error:
        case TryLater():
            return problem(
                scope,
                public_url,
                status=503,
                slug=error.slug,
                title=TRY_LATER.title,
                detail=f"{error.detail[:1].upper()}{error.detail[1:]}.".replace("..", "."),
                headers={"Retry-After": str(error.retry_after)},
            )
        case Refused():
            if isinstance(error, Unauthenticated):
                headers["WWW-Authenticate"] = "Bearer"
            if isinstance(error, TooMany | UnderWay):
                headers["Retry-After"] = str(error.retry_after)
            return problem(
                scope,
                public_url,
                status=error.status,
                slug=error.slug,
                title=error.title,
                detail=error.detail,
                findings=error.findings if isinstance(error, Invalid) else (),
                extra=error.extra,
                headers=headers,
            )
        case _:
            return unforeseen(scope, public_url=public_url)


def unforeseen(scope: Scope, *, public_url: str) -> Response:
    """Return the answer to an error that nobody foresaw."""
    return explained(scope, public_url, INTERNAL)


def explained(
    scope: Scope, public_url: str, kind: Kind, headers: Mapping[str, str] | None = None
) -> Response:
    """Return a problem in the words of its explanation."""
    return problem(
        scope,
        public_url,
        status=kind.status,
        slug=kind.slug,
        title=kind.title,
        detail=kind.text,
        headers=headers,
    )


def is_page(scope: Scope) -> bool:
    """Tell whether a browser asked for something to read."""
    path: str = scope.get("path", "")
    if path == "/v1" or path.startswith("/v1/"):
        return False
    return "text/html" in Headers(scope=scope).get("accept", "")


def install(app: FastAPI) -> None:
    """Have every error of the application answered from here."""
    app.add_exception_handler(ClosedLoopError, _ours)
    app.add_exception_handler(RequestValidationError, _not_valid)
    app.add_exception_handler(HTTPException, _starlettes)


async def _ours(request: Request, error: Exception) -> Response:
    if isinstance(error, SignInFirst):
        return RedirectResponse(f"/sign-in?next={quote(_here(request), safe='')}", 303)
    if isinstance(error, SecondFactorFirst) and not request.url.path.startswith("/v1/"):
        return RedirectResponse("/account/second-factor", 303)
    if not isinstance(error, ClosedLoopError):  # pragma: no cover - registered for ours only
        raise error
    if not isinstance(error, Refused | TryLater):
        _log.error("request.failed", error=type(error).__name__)
    return problem_of(request.scope, error, public_url=web(request).settings.public_url)


def _here(request: Request) -> str:
    """Return where to come back to after the sign-in; a form's target is no place to be."""
    if request.method not in {"GET", "HEAD"}:
        return "/"
    query = f"?{request.url.query}" if request.url.query else ""
    return f"{request.url.path}{query}"


async def _not_valid(request: Request, error: Exception) -> Response:
    """Translate pydantic's findings; its ``input``, ``ctx`` and texts may repeat what came."""
    details: Sequence[Any] = error.errors() if isinstance(error, RequestValidationError) else ()
    if any(found.get("type") == "json_invalid" for found in details):
        return problem_of(
            request.scope,
            Unreadable("The body is not valid JSON."),
            public_url=web(request).settings.public_url,
        )
    findings = [
        Finding(
            pointer=_pointer(found.get("loc", ())),
            code=str(found.get("type", "invalid")),
            detail=_EXPLAINED.get(str(found.get("type")), "does not have the expected form"),
            fix=_fix(found),
        )
        for found in details[:MOST_FINDINGS]
    ]
    return problem_of(
        request.scope,
        Invalid("The content breaks the rules listed in errors.", findings),
        public_url=web(request).settings.public_url,
    )


def _fix(found: Mapping[str, Any]) -> str:
    """Return what to send instead; of its context only what our own schema allows."""
    allowed = found.get("ctx", {}).get("expected")
    if found.get("type") in {"literal_error", "enum"} and allowed:
        return f"send {str(allowed).replace(chr(39), '')}"
    return "see the description of this route in /docs"


_EXPLAINED = {
    "missing": "is required",
    "extra_forbidden": "is not known here",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "string_type": "must be text",
    "string_too_long": "is too long",
    "string_too_short": "is too short",
    "string_pattern_mismatch": "does not have the expected form",
    "enum": "is not one of the allowed values",
    "literal_error": "is not one of the allowed values",
    "greater_than_equal": "is below the smallest allowed value",
    "greater_than": "is below the smallest allowed value",
    "less_than_equal": "is above the largest allowed value",
    "less_than": "is above the largest allowed value",
    "datetime_parsing": "must be an RFC 3339 time with offset",
    "datetime_from_date_parsing": "must be an RFC 3339 time with offset",
    "list_type": "must be a list",
    "dict_type": "must be an object",
    "model_attributes_type": "must be an object",
    "too_long": "has too many items",
    "too_short": "has too few items",
}


def _pointer(loc: Sequence[int | str]) -> str:
    """Return a JSON Pointer within the body, or ``/name`` of a parameter.

    Names that the caller invented stay out of it.
    """
    parts = [str(part) for part in loc if part not in {"body", "query", "path", "header"}]
    safe = [part for part in parts if len(part) <= 100 and part.isprintable()]
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in safe)


async def _starlettes(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):  # pragma: no cover - registered for these only
        raise error
    public_url = web(request).settings.public_url
    headers = dict(error.headers or {})
    status = error.status_code
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = _allowed(request) or headers.get("Allow", "")
        return explained(
            request.scope, public_url, METHOD_NOT_ALLOWED, headers={"Allow": allowed}
        )
    if status == HTTPStatus.REQUEST_TIMEOUT:
        return explained(request.scope, public_url, TOO_SLOW, headers={"Connection": "close"})
    for kind in (
        Unreadable, Unauthenticated, Forbidden, NotFound, Conflict, TooLarge, UnsupportedType,
    ):  # fmt: skip
        if kind.status == status:
            return problem_of(
                request.scope,
                kind(_PLAIN.get(status, f"{kind.title}.")),
                public_url=public_url,
            )
    phrase = HTTPStatus(status).phrase
    return problem(
        request.scope,
        public_url,
        status=status,
        slug=phrase.lower().replace(" ", "-"),
        title=phrase,
        detail=f"{phrase}.",
        headers=headers,
    )


_PLAIN = {
    400: "The request cannot be read.",
    404: "There is nothing at this address.",
    413: "The body is larger than this route takes. Send less at once.",
    415: "This route does not take this content type. /docs says what it takes.",
}


def _allowed(request: Request) -> str:
    """Return every method that some route has at this path, not only the first route's."""
    scope = request.scope
    found: set[str] = set()
    for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
        attempt = {**scope, "method": method, "path_params": {}}
        if any(route.matches(attempt)[0] is Match.FULL for route in request.app.router.routes):
            found |= {"GET", "HEAD"} if method == "GET" else {method}
    return ", ".join(sorted(found))


router = APIRouter(include_in_schema=False)


@router.get("/errors/{slug}")
async def explain(request: Request, slug: str) -> Response:
    """Say what a kind of problem means: the address that ``type`` names."""
    kind = kind_of(slug)
    if kind is None:
        raise NotFound("There is no explanation under this name.")
    if is_page(request.scope):
        return error_page(
            request.scope,
            status=kind.status or 0,
            title=kind.title,
            detail=kind.text,
            explains=True,
        )
    return JSONResponse(
        {
            "type": f"{web(request).settings.public_url}/errors/{kind.slug}",
            "title": kind.title,
            "detail": kind.text,
            **({"status": kind.status} if kind.status else {}),
        }
    )
