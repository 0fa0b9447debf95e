"""Words to learn from without the person: names, addresses and numbers are covered up.

What was posted about the customer is covered wherever it is repeated, and besides whatever has
the form of an address or of a number. What is left over may still tell who knows the case: who
marks an example reads it first.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any, Final

NAME: Final = "[name]"
EMAIL: Final = "[e-mail]"
NUMBER: Final = "[number]"

_EMAIL: Final = re.compile(r"[^\s@<>\"',;:()]+@[^\s@<>\"',;:()]+\.[^\s@<>\"',;:()]+")
_URL: Final = re.compile(r"\b(?:https?://|www\.)\S+", re.IGNORECASE)
_NUMBER: Final = re.compile(
    # Five digits or more, however they are set apart: telephones, orders, accounts.
    r"(?<!\w)[+#(]?(?:[A-Za-z]{1,4}[-_/]?)?\d(?:[\s./()-]{0,2}\d){4,}(?:[-_/]?[A-Za-z0-9]+)*"
)
_SHORTEST_PART: Final = 2
_LONG_ENOUGH: Final = 5
_PARTS: Final = re.compile(r"[\w'’-]+")


def secrets_of(
    customer: Mapping[str, Any], attributes: Mapping[str, Any], transaction_id: str | None
) -> tuple[tuple[str, str], ...]:
    """Return what must not be read, each with what stands in its place; the longest first."""
    found: dict[str, str] = {}
    for member, cover in (("email", EMAIL), ("phone", NUMBER), ("id", NUMBER)):
        _add(found, customer.get(member), cover)
    for member in ("name", "account", "contact_owner"):
        value = customer.get(member)
        _add(found, value, NAME)
        for part in _PARTS.findall(value) if isinstance(value, str) else ():
            if len(part) > _SHORTEST_PART:
                _add(found, part, NAME)
    _add(found, transaction_id, NUMBER)
    for value in attributes.values():
        # A word may be anybody's; what holds a digit is an order, a contract or a parcel.
        if isinstance(value, str) and not any(char.isdigit() for char in value):
            continue
        if not isinstance(value, bool):
            _add(found, str(value), NUMBER)
    return tuple(sorted(found.items(), key=lambda item: -len(item[0])))


def _add(found: dict[str, str], value: object, cover: str) -> None:
    text = unicodedata.normalize("NFC", str(value)).strip() if value is not None else ""
    if len(text) > 1:
        found.setdefault(text, cover)


def _stem(name: str) -> str:
    """Return a pattern that a name fits in every case, with whatever ending it then has."""
    kept = (
        name[:-1] if len(name) >= _LONG_ENOUGH and name[-1].casefold() in "aeiouyáąę" else name
    )
    return rf"{re.escape(kept)}\w{{0,4}}"


def masked(text: str | None, secrets: Iterable[tuple[str, str]]) -> str | None:
    """Return a text with everything covered up that tells who it is about."""
    if text is None:
        return None
    covered = unicodedata.normalize("NFC", text)
    covered = _EMAIL.sub(EMAIL, covered)
    covered = _URL.sub(NUMBER, covered)
    for secret, cover in secrets:
        pattern = rf"(?<!\w){_stem(secret) if cover == NAME else re.escape(secret)}(?!\w)"
        covered = re.sub(pattern, cover, covered, flags=re.IGNORECASE)
    return _NUMBER.sub(NUMBER, covered)
