"""One task: the customer's words, the clocks, and a form for everything one may do about it.

What the page holds stands in ``page``, how it is filled in ``reading``, and what its forms
post is carried out in ``routes``.
"""

from __future__ import annotations

from services.loop.pages.task.page import TaskPage
from services.loop.pages.task.routes import router

__all__ = ["TaskPage", "router"]
