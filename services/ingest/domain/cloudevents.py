"""CloudEvents 1.0 as a way to post responses: in binary and in structured mode.

The event's ``data`` is a response in our own format. Its ``id`` stands in for a missing
``external_id`` and its ``time`` for a missing ``answered_at``; nothing else of the envelope is
kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from shared.errors import Finding, Invalid, UnsupportedType

TYPE: Final = "closed-loop.response"
STRUCTURED: Final = "application/cloudevents+json"
BATCH: Final = "application/cloudevents-batch+json"

_PREFIX: Final = "ce-"
_REQUIRED: Final = ("specversion", "type", "id", "source")
_LONGEST: Final = 1_000
_JSON: Final = frozenset({"application/json", "text/json"})


def is_binary(headers: Mapping[str, str]) -> bool:
    """Tell whether a request is an event in binary mode; headers by lower-case name."""
    return f"{_PREFIX}specversion" in headers or f"{_PREFIX}type" in headers


def read_binary(headers: Mapping[str, str], data: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Return the response in an event whose attributes are headers.

    Raises ``Invalid`` with every finding.
    """
    findings: list[Finding] = []
    attributes: dict[str, Any] = {}
    for name in (*_REQUIRED, "time"):
        if (value := headers.get(f"{_PREFIX}{name}")) is not None:
            attributes[name] = _decoded(value, name, findings)
    return _response(attributes, data, findings, "")


def read_structured(event: Any, pointer: str = "") -> Any:  # noqa: ANN401 - any JSON value
    """Return the response in an event that is one JSON object; ``pointer`` says where it is.

    Raises ``Invalid`` with every finding, or ``UnsupportedType``.
    """
    findings: list[Finding] = []
    if not isinstance(event, Mapping):
        findings.append(
            _finding(pointer, "wrong_type", "The event is no JSON object.", "Send an object.")
        )
        return _response({}, None, findings, pointer)
    kind = event.get("datacontenttype")
    if isinstance(kind, str) and not _is_json(kind):
        raise UnsupportedType("The event's data is not JSON: leave datacontenttype out.")
    if "data_base64" in event:
        findings.append(
            _finding(
                f"{pointer}/data_base64",
                "unsupported",
                "The event carries its data as base64.",
                "Send the response as JSON in data.",
            )
        )
    elif "data" not in event:
        findings.append(_missing(f"{pointer}/data", "data", "the response"))
    return _response(event, event.get("data"), findings, pointer)


def _response(
    attributes: Mapping[str, Any],
    data: Any,  # noqa: ANN401 - any JSON value
    findings: list[Finding],
    pointer: str,
) -> Any:  # noqa: ANN401
    for name in _REQUIRED:
        _check(attributes.get(name), name, f"{pointer}/{name}", findings)
    if attributes.get("specversion") not in (None, "1.0"):
        findings.append(
            _finding(
                f"{pointer}/specversion",
                "unknown_value",
                "The version of CloudEvents is not known here.",
                'Send "1.0".',
            )
        )
    if attributes.get("type") not in (None, TYPE):
        findings.append(
            _finding(
                f"{pointer}/type",
                "unknown_value",
                "Events of this type are not taken.",
                f'Send responses as "{TYPE}".',
            )
        )
    if findings:
        raise Invalid("The CloudEvent breaks rules; see errors.", findings)
    if not isinstance(data, dict):
        return data  # refused as any other document that is none
    response = dict(data)
    if response.get("external_id") is None:
        response["external_id"] = attributes["id"]
    if response.get("answered_at") is None and attributes.get("time") is not None:
        response["answered_at"] = attributes["time"]
    return response


def _check(value: object, name: str, pointer: str, findings: list[Finding]) -> None:
    if value is None or value == "":
        findings.append(_missing(pointer, name, "a text"))
    elif not isinstance(value, str) or len(value) > _LONGEST:
        findings.append(
            _finding(
                pointer,
                "wrong_type",
                f"The attribute {name} is no text of up to {_LONGEST:,} characters.",
                f"Send {name} as a text.",
            )
        )


def _decoded(value: str, name: str, findings: list[Finding]) -> str | None:
    """Return a header's value: percent-encoded UTF-8, perhaps in quotes."""
    text = value.strip()
    if len(text) >= 2 and text[0] == text[-1] == '"':
        text = text[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    try:
        decoded = unquote_to_bytes(text.encode("latin-1", "replace")).decode("utf-8")
    except UnicodeDecodeError:
        decoded = "\x00"
    if not decoded.isprintable():
        findings.append(
            _finding(
                f"/{name}",
                "not_printable",
                f"The header ce-{name} is not percent-encoded UTF-8.",
                "Encode all but printable ASCII characters.",
            )
        )
        return None
    return decoded


def _is_json(kind: str) -> bool:
    kind = kind.partition(";")[0].strip().lower()
    return kind in _JSON or kind.endswith("+json")


def _missing(pointer: str, name: str, what: str) -> Finding:
    return _finding(
        pointer, "missing", f"The attribute {name} is missing.", f"Send {what} as {name}."
    )


def _finding(pointer: str, code: str, detail: str, fix: str) -> Finding:
    return Finding(pointer=pointer, code=code, detail=detail, fix=fix)


def in_data(error: Invalid) -> Invalid:
    """Return the refusal of a response with pointers into the event that brought it."""
    findings = [
        Finding(pointer=f"/data{one.pointer}", code=one.code, detail=one.detail, fix=one.fix)
        for one in error.findings
    ]
    return Invalid(error.detail, findings, extra=error.extra)
