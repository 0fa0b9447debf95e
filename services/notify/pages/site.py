"""What every page of notify renders with."""

from __future__ import annotations

from typing import Final

from shared.web.templating import Pages

pages: Final = Pages("services.notify.pages")
