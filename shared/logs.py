"""Structured logs: stable event names, ids instead of people, one correlation id throughout.

A log line never holds a name, an address or a customer's words; control characters in values
are escaped so that one event is one line.
"""

from __future__ import annotations

import logging
import sys
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import structlog

if TYPE_CHECKING:
    from collections.abc import MutableMapping

_NOISY = (
    "aiokafka",
    "aiosqlite",
    "alembic",
    "asyncio",
    "httpcore",
    "httpx",
    "sqlalchemy",
    "uvicorn",
)

correlation_id: ContextVar[str | None] = ContextVar("correlation_id", default=None)
"""The id that follows one request through events, rows and deliveries."""


def _add_correlation(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    if (current := correlation_id.get()) is not None:
        event.setdefault("correlation_id", current)
    return event


def _one_line(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    for name, value in event.items():
        if isinstance(value, str) and not value.isprintable():
            event[name] = value.encode("unicode_escape").decode("ascii")
    return event


class _Lines(structlog.WriteLogger):
    """Writes whole lines to standard error, and knows whose they are."""

    def __init__(self, name: str = "closed_loop") -> None:
        super().__init__(sys.stderr)
        self.name = name


def set_up(*, form: str = "auto", level: str = "info") -> None:
    """Send our own and the libraries' logs to standard error, as text or JSON.

    Ours are rendered at once: a request's line costs a third of what it would cost by way of
    the standard library, which is left to the libraries.
    """
    as_text = form == "text" or (form == "auto" and sys.stderr.isatty())
    least = logging.getLevelNamesMapping()[level.upper()]
    head: list[structlog.types.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_correlation,
    ]
    tail: list[structlog.types.Processor] = [
        *([] if as_text else [structlog.processors.format_exc_info]),
        _one_line,
        # Plain traces: the pretty ones show every variable, and so what was posted.
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        if as_text
        else structlog.processors.JSONRenderer(),
    ]
    structlog.configure(
        processors=[*head, *tail],
        logger_factory=_Lines,
        wrapper_class=structlog.make_filtering_bound_logger(least),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=head,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *tail],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(least)
    for noisy in _NOISY:
        logging.getLogger(noisy).setLevel(max(logging.WARNING, least))


def get_logger(name: str) -> structlog.typing.FilteringBoundLogger:
    """Return the logger of one module."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(name)
    return logger
