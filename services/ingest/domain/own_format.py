"""Our own format, where a hook brings it: as posted to ``/v1/responses``, read tolerantly.

It may lie in a CloudEvent of ours, as there.

A form knows texts only, and a sender that fills a template writes ``"9"``: what a conversion
can read is read. What none can is left as it came, and refused where every way in is checked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from services.ingest.domain.cloudevents import TYPE, read_binary, read_structured
from services.ingest.domain.hook_parts import (
    NO_ANSWER,
    Document,
    Ignored,
    Read,
    Rejected,
    split,
    within_limit,
)
from services.ingest.domain.mapping_rules import MEMBERS
from services.ingest.domain.values import CannotConvert, Conversion
from shared.errors import Invalid

_WORDS: Final = ("metric", "measurement", "sentiment")


def is_own(payload: Any, headers: Mapping[str, str]) -> bool:  # noqa: ANN401 - any JSON value
    """Tell whether a payload is in our own format, or a list with such an item."""
    items = payload if isinstance(payload, list) else [payload]
    return headers.get("ce-type") == TYPE or any(
        isinstance(one, dict) and ("external_id" in one or _is_event(one)) for one in items
    )


def read_own(payload: Any, headers: Mapping[str, str]) -> Sequence[Read]:  # noqa: ANN401
    """Return what a payload in our own format says, one item for each response.

    Raises ``TooLarge`` for more responses than one call may bring.
    """
    items = payload if isinstance(payload, list) else [payload]
    within_limit(len(items))
    return [_opened(one, headers) for one in items]


def _is_event(one: Mapping[str, Any]) -> bool:
    return "specversion" in one and one.get("type") == TYPE


def _opened(one: Any, headers: Mapping[str, str]) -> Read:  # noqa: ANN401
    try:
        if headers.get("ce-type") == TYPE:
            return _read(read_binary(headers, one))
        return _read(read_structured(one) if isinstance(one, dict) and _is_event(one) else one)
    except Invalid as error:
        first = error.findings[0]
        return Rejected(
            reason=first.code,
            pointer=first.pointer,
            path=".".join(first.pointer.split("/")[1:]),
            detail=f"{first.detail} {first.fix}",
        )


def _read(document: object) -> Read:
    if not isinstance(document, dict):
        return Rejected(
            reason="not_an_object",
            pointer="",
            path="@",
            detail="A response is an object with members.",
        )
    members: dict[str, Any] = dict(document)
    for name in _WORDS:
        if isinstance(word := members.get(name), str):
            members[name] = word.strip().lower() or None
    for name, kind in MEMBERS.items():
        if kind is None or (kind == "text" and name != "external_id"):
            continue
        *groups, last = split(name)
        holder = _copied(members, groups)
        if holder is not None and holder.get(last) is not None:
            holder[last] = _converted(holder[last], Conversion(kind=kind))
    if members.get("score") is None and not members.get("comment"):
        return Ignored(reason=NO_ANSWER, path="score, comment")
    paths = {"".join(f"/{part}" for part in split(name)): name for name in MEMBERS}
    return Document(members=members, paths=paths)


def _copied(members: dict[str, Any], groups: Sequence[str]) -> dict[str, Any] | None:
    """Return the object that holds a member, copied on the way; None if there is none."""
    holder = members
    for group in groups:
        if not isinstance(inner := holder.get(group), dict):
            return None
        inner = dict(inner)
        holder[group] = inner
        holder = inner
    return holder


def _converted(value: Any, conversion: Conversion) -> Any:  # noqa: ANN401
    try:
        return conversion.convert(value)
    except CannotConvert:
        return value
