"""The application as a list of contents: what it is made of, in the order it takes effect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.staticfiles import StaticFiles

from shared.figures import Board, Gauges
from shared.web import account, audit, docs, forgotten, health, oidc, openapi, problems, sign_in
from shared.web.auth import Gate
from shared.web.health import Checks
from shared.web.limits import Limits
from shared.web.middleware import HeadAsGet, RequestLog, SafeHeaders, SameOrigin

if TYPE_CHECKING:
    from shared.service import Service
    from shared.web.access import Web
    from shared.web.health import Check

_SILENT: Any = {
    # The framework's own telemetry would hold bodies and the texts of errors.
    "tracing": False,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "auto_configure": False,
}


def create_app(
    *, web: Web, services: Sequence[Service], checks: Mapping[str, Check] | None = None
) -> FastAPI:
    """Return the application of these services.

    ``checks`` are the named parts of ``/readyz``; see ``shared.web.health``.
    """
    app = FastAPI(
        title="Closed Loop",
        summary="Responses in, follow-up tasks with owners and deadlines out.",
        version=_version(),
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        redirect_slashes=False,
        telemetry=_SILENT,
        middleware=[
            Middleware(SafeHeaders, web=web),
            Middleware(RequestLog, web=web),
            Middleware(Limits, web=web),
            Middleware(SameOrigin, web=web),
            Middleware(HeadAsGet, web=web),
        ],
    )
    app.state.web = web
    app.state.resources = {type(service.resources): service.resources for service in services}
    app.state.checks = Checks(checks or {})
    app.state.board = Board(
        [
            Gauges(each.name, each.workers, clock=web.clock, measure=each.measure)
            for each in services
        ],
        web.clock,
    )
    app.state.gate = Gate(web)
    app.state.single_sign_on = oidc.single_sign_on(web.settings, web.clock)

    problems.install(app)
    openapi.install(app)

    for service in services:
        for router in service.routers:
            # Not include_router: its routes are matched twice for every request, which was
            # 50 of the frame's 190 microseconds.
            app.router.routes.extend(router.routes)
    for router in (*audit.ROUTERS, *account.ROUTERS):
        app.router.routes.extend(router.routes)
    app.include_router(sign_in.router)
    app.include_router(forgotten.router)
    app.include_router(oidc.router)
    app.include_router(docs.router)
    app.include_router(problems.router)
    app.include_router(health.router)
    app.mount("/static", StaticFiles(packages=[("shared.web", "static")]), name="static")
    return app


def _version() -> str:
    try:
        return version("closed-loop")
    except PackageNotFoundError:  # a checkout that was never installed
        return "0"
