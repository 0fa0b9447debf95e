"""Names in one spelling, however a sender writes them: ``responseId`` is ``response_id``."""

from __future__ import annotations

import re
from typing import Any, Final

from shared.errors import Refused
from shared.strict_json import parse_json

BETWEEN: Final = re.compile(r"[\W_]+")
"""What stands between the words of a name."""

_CAPITAL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_CUSTOM: Final = re.compile(r"__[cr]$")
_STORED: Final = frozenset({"$oid", "$date"})


def spelt_alike(name: str) -> str:
    """Return a name as ``response_id``, however the sender writes it."""
    parted = _CAPITAL.sub("_", _CUSTOM.sub("", name))
    return BETWEEN.sub("_", parted).strip("_").lower()


def alike(value: Any, *, outermost: bool = True) -> Any:  # noqa: ANN401 - any JSON value
    """Return a payload with its names spelt alike; of equal ones the first counts.

    JSON in a text of the outermost object is read, and so are ids and moments of a document
    store.
    """
    if isinstance(value, list):
        return [alike(one, outermost=outermost) if one else one for one in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1 and (stored := next(iter(value))) in _STORED:
        return value[stored]
    found: dict[str, Any] = {}
    for name, part in value.items():
        read = _unpacked(part) if outermost else part
        found.setdefault(spelt_alike(name) or name, alike(read, outermost=False))
    return found


def _unpacked(part: Any) -> Any:  # noqa: ANN401 - any JSON value
    if not isinstance(part, str) or not part.startswith("{"):
        return part
    try:
        return parse_json(part.encode("utf-8", "surrogatepass"))
    except Refused:
        return part
