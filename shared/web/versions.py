"""Versions on the wire: ``ETag: "3"`` out, ``If-Match: "3"`` in."""

from __future__ import annotations

import re
from typing import Final

from starlette.requests import Request

from shared.errors import Unreadable

_TAG: Final = re.compile(r'(?:W/)?"?([0-9]{1,9})"?')


def etag(version: int) -> str:
    """Return the header value that names this version."""
    return f'"{version}"'


def expected_version(request: Request) -> int | None:
    """Return the version in If-Match; None where any version will do."""
    sent = request.headers.getlist("if-match")
    if not sent or sent == ["*"]:
        return None
    match = _TAG.fullmatch(sent[0].strip()) if len(sent) == 1 else None
    if match is None:
        raise Unreadable('If-Match takes one version, as the ETag of an answer gave it: "3".')
    return int(match[1])
