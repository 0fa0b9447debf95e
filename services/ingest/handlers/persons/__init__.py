"""What is asked about persons: found, exported, erased."""

from __future__ import annotations

from services.ingest.handlers.persons import retention
from services.ingest.handlers.persons.asking import Found, ask, find_person
from services.ingest.handlers.persons.exporting import fetch
from services.ingest.handlers.persons.forgetting import forget, forget_responses
from services.ingest.handlers.persons.working import ARCHIVES_KEPT, work_requests

__all__ = [
    "ARCHIVES_KEPT",
    "Found",
    "ask",
    "fetch",
    "find_person",
    "forget",
    "forget_responses",
    "retention",
    "work_requests",
]
