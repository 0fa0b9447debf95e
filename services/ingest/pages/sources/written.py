"""Mappings and payloads as people read and write them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import yaml

from services.ingest.domain.payloads import read_payload
from shared.errors import Refused

MOST_SHOWN: Final = 100_000
"""Characters of a payload that a page shows."""
LONGEST_MAPPING: Final = 60_000

EXAMPLE: Final = """\
version: 1
answers: form.entries
fields:
  external_id: token
  score: {path: rating, type: integer, scale: {from: [1, 5], to: [0, 10]}}
  comment: "answers[?kind=='text'].value | [0]"
  answered_at: submitted_at
  customer.email: respondent.email
"""
"""A mapping to begin with."""

_LONGEST_PATH: Final = 160


class NotWritten(ValueError):
    """A text that is no mapping; ``line`` is where, counted from 1, or 0."""

    def __init__(self, line: int = 0) -> None:
        super().__init__(f"line {line}" if line else "no mapping")
        self.line = line


def mapping_text(mapping: Mapping[str, Any] | None) -> str:
    """Return a mapping as YAML; nothing for none."""
    if mapping is None:
        return ""
    text: str = yaml.safe_dump(dict(mapping), sort_keys=False, allow_unicode=True, width=88)
    return text


def read_mapping_text(text: str) -> dict[str, Any] | None:
    """Return the JSON document that a YAML text writes; None for an empty one.

    Raises ``NotWritten``. Aliases are refused: a short text could stand for an endless one.
    """
    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text)):
            raise NotWritten
        document = yaml.safe_load(text)
        document = json.loads(json.dumps(document, default=str, allow_nan=False))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise NotWritten(mark.line + 1 if mark else 0) from None
    except (yaml.YAMLError, ValueError, TypeError, RecursionError):
        raise NotWritten from None
    if document is not None and not isinstance(document, dict):
        raise NotWritten
    return document


def payload_text(body: bytes, content_type: str) -> str:
    """Return a payload as a person reads it: its meaning, or where it has none, its text."""
    try:
        text = pretty(read_payload(body, content_type))
    except Refused:
        text = body.decode("utf-8", "replace")
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}\n…"


def pretty(value: Any) -> str:  # noqa: ANN401 - any JSON value
    """Return a JSON value over several lines."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def brief(value: Any) -> str:  # noqa: ANN401 - any JSON value
    """Return a JSON value on one line: text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def shortened(path: str) -> str:
    """Return a path, or the beginning of one that nobody would read to its end."""
    return path if len(path) <= _LONGEST_PATH else f"{path[:_LONGEST_PATH]}…"
