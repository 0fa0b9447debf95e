"""What the interface description says about every route: keys, sessions, problem documents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi.openapi.utils import get_openapi

from shared.web.auth import PROVEN_ROUTES, PUBLIC_ROUTES, session_cookie
from shared.web.idempotency import PARAMETER
from shared.web.problems import PROBLEM_JSON

if TYPE_CHECKING:
    from fastapi import FastAPI

_PROBLEM: dict[str, Any] = {
    "type": "object",
    "title": "Problem",
    "description": "What went wrong and what to do (RFC 9457). Never repeats what was sent.",
    "required": ["type", "title", "status", "detail", "instance", "request_id"],
    "properties": {
        "type": {"type": "string", "format": "uri", "description": "opens an explanation"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {
            "type": "string",
            "description": "the path, with … for what is no id of ours",
        },
        "request_id": {"type": "string"},
        "errors": {
            "type": "array",
            "description": "with 422: what is wrong, at most twenty",
            "items": {
                "type": "object",
                "required": ["pointer", "code", "detail", "fix"],
                "properties": {
                    "pointer": {"type": "string", "description": "JSON Pointer (RFC 6901)"},
                    "code": {"type": "string"},
                    "detail": {"type": "string"},
                    "fix": {"type": "string"},
                },
            },
        },
    },
}
_KINDS = {
    "400": "The body, a header or the query cannot be read",
    "401": "Credentials are missing or not valid",
    "403": "The scope or the role is missing",
    "404": "No such thing, or not yours to see",
    "408": "The body came too slowly",
    "409": "Not allowed in this state; the document names it",
    "412": "Somebody changed it since the version in If-Match",
    "413": "The body is too large",
    "414": "The address is too long",
    "415": "The content type or encoding is not understood",
    "422": "The content breaks a rule",
    "429": "Too many requests; see Retry-After",
    "431": "The headers are too large",
    "500": "Something went wrong on our side",
    "503": "Try again later; see Retry-After",
}
_WITH_BODY = frozenset({"408", "413", "415"})
_CHANGING = frozenset({"409", "412"})
_CLOSED = frozenset({"401", "403"})
_UNKEPT = {"get": _WITH_BODY | _CHANGING, "head": _WITH_BODY | _CHANGING, "delete": _WITH_BODY}
"""Kinds of problem that a method does not have."""
_METHODS = frozenset({"get", "put", "post", "delete", "options", "head", "patch"})


def install(app: FastAPI) -> None:
    """Have ``/openapi.json`` describe keys, sessions and problems; made once, when asked."""

    def describe() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _described(app)
        return app.openapi_schema

    app.openapi = describe  # type: ignore[method-assign] # FastAPI's own way


def _described(app: FastAPI) -> dict[str, Any]:
    web = app.state.web
    schema = get_openapi(
        title=app.title,
        summary=app.summary,
        version=app.version,
        routes=app.routes,
        servers=[{"url": web.settings.public_url}],
    )
    parts = schema.setdefault("components", {})
    schemas = parts.setdefault("schemas", {})
    schemas["Problem"] = _PROBLEM
    for framework in ("HTTPValidationError", "ValidationError"):
        schemas.pop(framework, None)
    parts["securitySchemes"] = {
        "key": {"type": "http", "scheme": "bearer", "description": "an API key"},
        "session": {
            "type": "apiKey",
            "in": "cookie",
            "name": session_cookie(web.settings),
            "description": "a signed-in member of staff",
        },
    }
    for path, operations in schema.get("paths", {}).items():
        public = path in PUBLIC_ROUTES
        for method, operation in operations.items():
            if method in _METHODS:
                _describe(operation, method, public=public)
                if path in PROVEN_ROUTES:
                    # A key, or a proof of the sender's own that no scheme here describes.
                    operation["security"] = [{"key": []}, {}]
            if method == "post":
                operation.setdefault("parameters", []).append(PARAMETER)
    return schema


def _describe(operation: dict[str, Any], method: str, *, public: bool) -> None:
    left_out = _UNKEPT.get(method, frozenset()) | (_CLOSED if public else frozenset())
    operation["security"] = [] if public else [{"key": []}, {"session": []}]
    responses = operation.setdefault("responses", {})
    problem = {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    for status, description in _KINDS.items():
        if status in left_out:
            continue
        known = responses.get(status)
        if known is None or status == "422":
            responses[status] = {"description": description, "content": problem}
        else:
            known.setdefault("content", {}).update(problem)
