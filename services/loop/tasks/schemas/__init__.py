"""The wire shapes of follow-up: what acts are posted as, and the document of a task."""

from __future__ import annotations

from services.loop.tasks.schemas.acts import ACTS, ActIn, body_of, parse
from services.loop.tasks.schemas.document import document_of, moment, warnings_of

__all__ = ["ACTS", "ActIn", "body_of", "document_of", "moment", "parse", "warnings_of"]
