"""The pages of ingest: the systems that send responses, and the keys that let them in."""

from __future__ import annotations

from typing import Final

from services.ingest.pages import keys, privacy, sample, sources

# A source's page comes last: a name may be anything, and its address ends with it. So does
# that of a request about a person.
ROUTERS: Final = (
    keys.router,
    privacy.retention_router,
    privacy.router,
    sample.router,
    sources.payloads_router,
    sources.router,
)
