"""Cutting to size what a hook says beside the point.

Whoever posts our own format can mend it and post again; a survey tool cannot. So what is too
long or holds a control character costs a hook's answer nothing but that part, and is said in a
warning. The answer's id, score and time stay as strict as ever.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from services.ingest.domain.part import TEXTS
from services.ingest.domain.reading import (
    CONTROL,
    KNOWN,
    LONGEST_ATTRIBUTE,
    LONGEST_COMMENT,
    LONGEST_COMPOUND,
    LONGEST_NAME,
    MOST_ATTRIBUTES,
    SHORT,
    Warned,
    tidy,
)

_OF_CUSTOMERS: Final = ("name", "language", "account", "contact_owner")
_CUT: Final = "cut"


def fit(members: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[Warned, ...]]:
    """Return the members with what is beside the point cut to size, and what was cut."""
    fitted = dict(members)
    cut: list[str] = []
    for name in TEXTS:
        _shorten(fitted, name, f"/{name}", cut)
    comment = fitted.get("comment")
    if isinstance(comment, str) and (len(comment) > LONGEST_COMMENT or "\x00" in comment):
        fitted["comment"] = comment.replace("\x00", "")[:LONGEST_COMMENT]
        cut.append("/comment")
    if isinstance(fitted.get("customer"), Mapping):
        fitted["customer"] = dict(fitted["customer"])
        for name in _OF_CUSTOMERS:
            _shorten(fitted["customer"], name, f"/customer/{name}", cut)
    if isinstance(fitted.get("attributes") or {}, Mapping):
        _fit_attributes(fitted, cut)
    return fitted, tuple(Warned(pointer=pointer, code=_CUT) for pointer in cut)


def _shorten(holder: dict[str, Any], name: str, pointer: str, cut: list[str]) -> None:
    value = holder.get(name)
    if isinstance(value, str) and (len(value) > SHORT or CONTROL.search(value)):
        short = tidy(CONTROL.sub(" ", value))
        if short != (kept := short[:SHORT].rstrip()) or CONTROL.search(value):
            cut.append(pointer)
        holder[name] = kept


def _fit_attributes(fitted: dict[str, Any], cut: list[str]) -> None:
    """Keep the first attributes, those under ``attributes`` before members of no meaning."""
    named = {
        **(fitted.pop("attributes", None) or {}),
        **{name: fitted.pop(name) for name in [*fitted] if name not in KNOWN},
    }
    kept: dict[str, Any] = {}
    is_whole = True
    for given, value in named.items():
        name = tidy(CONTROL.sub(" ", given))[:LONGEST_NAME].rstrip()
        if value is None or not name:
            continue
        if len(kept) == MOST_ATTRIBUTES and name not in kept:
            is_whole = False
            break
        fits = _fitting(value)
        is_whole = is_whole and name == tidy(given) and fits == value
        kept[name] = fits
    if kept:
        fitted["attributes"] = kept
    if not is_whole:
        cut.append("/attributes")


def _fitting(value: object) -> object:
    if isinstance(value, str):
        return value.replace("\x00", "")[:LONGEST_ATTRIBUTE]
    if isinstance(value, Mapping | list):
        # Half of a list is no list; as text its beginning still tells something.
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        return value if len(text) <= LONGEST_COMPOUND else text[:LONGEST_COMPOUND]
    return value
