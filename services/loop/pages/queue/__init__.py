"""My queue: whom to call next. What breaks first stands first, in the customer's own words.

What the address asks for is read in ``asked``, rows become lines in ``lines``, and both the
list and the file are made of them in ``routes``.
"""

from __future__ import annotations

from typing import Final

from services.loop.pages.queue import bulk, routes, saving
from services.loop.pages.queue.bulk import BulkPage
from services.loop.pages.queue.page import QueuePage
from services.loop.pages.queue.saving import NewsPage

__all__ = ["ROUTERS", "BulkPage", "NewsPage", "QueuePage"]

ROUTERS: Final = (routes.router, bulk.router, saving.router)
