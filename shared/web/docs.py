"""The description of the interface, to read and to try, from our own files only."""

from __future__ import annotations

from importlib.resources import files
from typing import Final

from fastapi import APIRouter
from starlette.responses import HTMLResponse, Response

from shared.errors import NotFound

router = APIRouter(include_in_schema=False)

_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta name="color-scheme" content="light dark">
  <title>Interface description · Closed Loop</title>
  <link rel="icon" href="/static/icon.svg" type="image/svg+xml">
  <link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
  <div class="swagger-ui"><p class="wrapper"><a href="/">Closed Loop</a></p></div>
  <noscript><p><a href="/openapi.json">The description as a file</a></p></noscript>
  <div id="swagger-ui"></div>
  <script src="/docs/swagger-ui-bundle.js"></script>
  <script src="/docs/start.js"></script>
</body>
</html>
"""
_START: Final = """const dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", follow);
follow();
SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  validatorUrl: null,
  persistAuthorization: false,
});
"""
_SHIPPED: Final = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
}


@router.get("/docs")
async def page() -> Response:
    """Show the description."""
    return HTMLResponse(_PAGE)


@router.get("/docs/{name}")
async def part(name: str) -> Response:
    """Return a script or style of that page."""
    headers = {"Cache-Control": "public, max-age=3600"}
    if name == "start.js":
        return Response(_START, media_type="text/javascript", headers=headers)
    if name not in _SHIPPED:
        raise NotFound("There is nothing at this address.")
    content = (files("fastapi_offline") / "static" / name).read_bytes()
    return Response(content, media_type=_SHIPPED[name], headers=headers)
