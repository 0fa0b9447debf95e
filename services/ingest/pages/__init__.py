"""The pages of ingest: the systems that send responses, and the keys that let them in."""

from __future__ import annotations

from typing import Final

from services.ingest.pages import keys

ROUTERS: Final = (keys.router,)
