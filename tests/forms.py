"""The forms of a page, as a browser without a script would send them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Final
from urllib.parse import urlencode

import httpx

URLENCODED: Final = {"Content-Type": "application/x-www-form-urlencoded"}
_TYPED: Final = {
    "text",
    "search",
    "email",
    "password",
    "date",
    "datetime-local",
    "number",
    "url",
}


@dataclass
class Form:
    """Where a form goes, what stands in it untouched, and which fields are typed into."""

    path: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)
    typed: list[str] = field(default_factory=list)
    secret: list[str] = field(default_factory=list)
    """Fields for passwords; no page ever gives these back."""

    async def send(
        self, browser: httpx.AsyncClient, page: str, typed: Mapping[str, str]
    ) -> httpx.Response:
        """Send it from this page with something typed; a redirect is not followed."""
        filled = urlencode({**self.fields, **typed})
        where = self.path or page.partition("?")[0]
        if self.method == "get":
            return await browser.get(f"{where}?{filled}")
        return await browser.post(where, content=filled, headers=URLENCODED)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self._open: Form | None = None
        self._select = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        name, kind = given.get("name", ""), given.get("type", "text")
        form = self._open
        if tag == "form":
            self._open = Form(given.get("action", ""), given.get("method", "get"))
            self.forms.append(self._open)
        elif form is None or not (name or tag == "option"):
            return
        elif tag == "textarea" or (tag == "input" and kind in _TYPED):
            form.fields[name] = given.get("value", "")
            (form.secret if kind == "password" else form.typed).append(name)
        elif tag == "select":
            self._select = name
            form.fields.setdefault(name, "")
        elif tag == "option" and self._select:
            form.fields[self._select] = form.fields[self._select] or given.get("value", "")
        elif tag in {"input", "button"}:
            form.fields.setdefault(name, given.get("value", ""))

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._open = None
        if tag == "select":
            self._select = ""


def forms_in(page: str) -> list[Form]:
    """Return the forms of a page in which something can be typed."""
    reader = _Reader()
    reader.feed(page)
    return [form for form in reader.forms if form.typed or form.secret]
