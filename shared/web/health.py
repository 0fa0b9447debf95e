"""Alive, ready, counted: what a watchdog, a front door and a scraper ask for.

Ready means that requests are answered rightly. A bus that is away is said but does not make us
unready: responses are still taken, and a restart would not bring it back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from fastapi import APIRouter
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Histogram,
    generate_latest,
)
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from shared.errors import ClosedLoopError

State = Literal["ok", "degraded", "failed"]
_PATIENCE = 5.0


@dataclass(frozen=True, kw_only=True)
class Report:
    """How one part is, and what to know about it."""

    state: State
    text: str = ""


OK = Report(state="ok")
Check = Callable[[], Awaitable[Report | None]]
"""Returns a report, or nothing when all is well; raising one of our errors means failed."""


def tolerated(check: Check) -> Check:
    """Return a check whose failure is said but does not make the installation unready."""

    async def lenient() -> Report:
        report = await _outcome(check)
        return (
            Report(state="degraded", text=report.text) if report.state == "failed" else report
        )

    return lenient


async def _outcome(check: Check) -> Report:
    try:
        async with asyncio.timeout(_PATIENCE):
            return await check() or OK
    except TimeoutError:
        return Report(state="failed", text=f"no answer within {_PATIENCE:.0f} seconds")
    except ClosedLoopError as error:
        return Report(state="failed", text=str(error) or type(error).__name__)


registry = CollectorRegistry()
_requests = Counter(
    "closed_loop_http_requests",
    "Requests answered",
    ("method", "route", "status"),
    registry=registry,
)
_seconds = Histogram(
    "closed_loop_http_request_seconds",
    "Time to answer",
    ("method", "route"),
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
    registry=registry,
)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def observe(method: str, route: str, status: int, seconds: float) -> None:
    """Count one answered request; labels are ours, never the caller's words."""
    named = method if method in _METHODS else "other"
    _requests.labels(named, route, str(status)).inc()
    _seconds.labels(named, route).observe(seconds)


router = APIRouter(include_in_schema=False)


@router.api_route("/healthz", methods=["GET", "HEAD"])
async def healthz() -> Response:
    """Say that the process answers."""
    return JSONResponse({"status": "ok"})


@router.api_route("/readyz", methods=["GET", "HEAD"])
async def readyz(request: Request) -> Response:
    """Say how every part is; 503 when one failed that requests cannot do without."""
    checks: Mapping[str, Check] = request.app.state.checks
    reports = await asyncio.gather(*(_outcome(check) for check in checks.values()))
    named = dict(zip(checks, reports, strict=True))
    states = {report.state for report in reports}
    overall = next((state for state in ("failed", "degraded") if state in states), "ok")
    return JSONResponse(
        {
            "status": overall,
            "checks": {
                name: {
                    "status": report.state,
                    **({"detail": report.text} if report.text else {}),
                }
                for name, report in named.items()
            },
        },
        status_code=503 if overall == "failed" else 200,
        headers={"Retry-After": "5"} if overall == "failed" else None,
    )


@router.get("/metrics")
async def metrics() -> Response:
    """Return the counters in Prometheus' text form."""
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)
