"""Calls that nobody declared, read without any settings, as ``undeclared.yaml`` states them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import pytest
import yaml

from services.ingest.domain.mappings import Document, Ignored, Read
from services.ingest.domain.payloads import FORM, read_payload
from services.ingest.domain.sources import Source
from services.ingest.reception import Call, interpret
from services.ingest.schemas import understand
from shared.errors import Invalid

CALLS: Final[Mapping[str, Any]] = yaml.safe_load(
    (Path(__file__).parent / "undeclared.yaml").read_text("utf-8")
)
NOW: Final = datetime(2026, 3, 2, 9, tzinfo=UTC)


@pytest.mark.parametrize("name", CALLS)
def test_a_call_that_nobody_declared_says_what_is_stated(name: str) -> None:
    body, content_type = _sent(CALLS[name])
    payload = read_payload(body, content_type)

    read = interpret(
        Source(name="s"), Call(payload=payload, headers=CALLS[name].get("headers", {}))
    ).items

    wanted = CALLS[name]["gives"]
    assert len(read) == len(wanted)
    for one, stated in zip(read, wanted, strict=True):
        shown = _shown(one)
        assert {member: shown.get(member) for member in stated} == stated
        if "rejected" in stated:
            assert shown["path"], "an error names where something is missing"
        elif "external_id" in stated:
            assert shown.get("score") == stated.get("score")


def _sent(call: Mapping[str, Any]) -> tuple[bytes, str]:
    if "form" in call:
        return urlencode(call["form"]).encode(), FORM
    if "parts" in call:
        parts = "".join(
            f'--X\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in call["parts"].items()
        )
        return f"{parts}--X--\r\n".encode(), "multipart/form-data; boundary=X"
    return json.dumps(call["payload"]).encode(), "application/json"


def _shown(one: Read) -> Mapping[str, Any]:
    if isinstance(one, Ignored):
        return {"ignored": one.reason}
    if not isinstance(one, Document):
        return {"rejected": one.reason, "pointer": one.pointer, "path": one.path}
    try:
        understand(one.members, now=NOW)
    except Invalid as error:
        wrong = error.findings[0]
        path = one.paths.get(wrong.pointer)
        return {"rejected": wrong.code, "pointer": wrong.pointer, "path": path}
    return one.members
