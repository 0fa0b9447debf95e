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
from shared.figures import Board, LookedUp, counters
from shared.tasks import spawn

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


class _Tolerated:
    """A check whose failure is said and makes nobody unready."""

    def __init__(self, check: Check) -> None:
        self._check = check

    async def __call__(self) -> Report | None:
        return await self._check()


def tolerated(check: Check) -> Check:
    """Return a check whose failure is said but does not make the installation unready."""
    return _Tolerated(check)


async def _outcome(check: Check) -> Report:
    try:
        return await check() or OK
    except ClosedLoopError as error:
        return Report(state="failed", text=str(error) or type(error).__name__)


class Checks:
    """The checks of one installation, each of them under way once however many ask."""

    def __init__(self, checks: Mapping[str, Check]) -> None:
        self._checks = dict(checks)
        self._running: dict[str, asyncio.Task[Report]] = {}

    async def reports(self) -> Mapping[str, Report]:
        """Return how every part is, within a few seconds whatever hangs."""
        found = await asyncio.gather(*(self._judged(name) for name in self._checks))
        return dict(zip(self._checks, found, strict=True))

    async def _judged(self, name: str) -> Report:
        report = await self._report(name)
        if report.state == "failed" and isinstance(self._checks[name], _Tolerated):
            return Report(state="degraded", text=report.text)
        return report

    async def _report(self, name: str) -> Report:
        task = self._running.get(name)
        if task is None or task.done():
            task = self._running[name] = spawn(
                _outcome(self._checks[name]), name=f"check.{name}"
            )
        # Never cut off: a check that hangs would hang in its cleaning up as well.
        done, _ = await asyncio.wait({task}, timeout=_PATIENCE)
        if done:
            return task.result()
        return Report(state="failed", text=f"no answer within {_PATIENCE:.0f} seconds")


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
    checks: Checks = request.app.state.checks
    named = await checks.reports()
    states = {report.state for report in named.values()}
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
async def metrics(request: Request) -> Response:
    """Return what is counted and what is looked up, in Prometheus' text form."""
    board: Board = request.app.state.board
    text = b"".join(
        generate_latest(each) for each in (registry, counters, LookedUp(await board.figures()))
    )
    return Response(text, media_type=CONTENT_TYPE_LATEST)
