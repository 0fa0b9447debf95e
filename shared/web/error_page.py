"""The page a browser shows when something cannot be answered: no script, no outside file."""

from __future__ import annotations

from html import escape


def error_page(*, status: int, title: str, detail: str, request_id: str) -> str:
    """Return a whole page; every part is escaped."""
    reference = f"<p><small>Reference: {escape(request_id)}</small></p>" if request_id else ""
    code = f"<p><small>{status}</small></p>" if status else ""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)} · Closed Loop</title>"
        '<link rel="stylesheet" href="/static/app.css"></head>'
        f"<body><main><h1>{escape(title)}</h1><p>{escape(detail)}</p>"
        f'<p><a href="/">Back to the start</a></p>{code}{reference}'
        "</main></body></html>"
    )
