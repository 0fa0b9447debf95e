"""A part: what one posting says about a response, normalised, without defaults.

A sender may post a response at once, in parts (score first, comment later) or again with
another meaning. Each posting is a part; ``merging`` makes one response of them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

TEXTS: Final = (
    "language",
    "touchpoint",
    "transaction_id",
    "segment",
    "product",
    "channel",
    "reason",
    "emotion",
    "question_version",
)
"""Short texts that say where and about what."""

SEALED_TEXTS: Final = frozenset({"transaction_id"})
"""Those that lead to a person: the sender's words, maybe an order, maybe an address."""

CLEAR: Final = (
    *("measurement", "metric", "score", "sentiment"),
    *(name for name in TEXTS if name not in SEALED_TEXTS),
)
"""The members that stay readable; the others are sealed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What one posting said; a member that was not sent is not there."""

    clear: Mapping[str, Any] = field(default_factory=dict)
    answered_at: datetime | None = None
    transaction_id: str | None = field(default=None, repr=False)
    comment: str | None = field(default=None, repr=False)
    customer: Mapping[str, Any] = field(default_factory=dict, repr=False)
    attributes: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def is_personal(self) -> bool:
        """Tell whether there is anything to seal."""
        return (
            self.comment is not None
            or self.transaction_id is not None
            or bool(self.customer)
            or bool(self.attributes)
        )

    def meaning(self) -> str:
        """Return a text that is equal for two parts if, and only if, they mean the same."""
        said: dict[str, Any] = dict(self.clear)
        if self.transaction_id is not None:
            said["transaction_id"] = self.transaction_id
        if self.answered_at is not None:
            said["answered_at"] = self.answered_at.isoformat(timespec="microseconds")
        if self.comment is not None:
            said["comment"] = self.comment
        if self.customer:
            said["customer"] = self.customer
        if self.attributes:
            said["attributes"] = {
                name: _in_order(value) if isinstance(value, str) else value
                for name, value in self.attributes.items()
            }
        return json.dumps(said, sort_keys=True, separators=(",", ":"))


def _in_order(text: str) -> str:
    """Return an object or a list that is kept as JSON with its members in order."""
    if not text.startswith(("{", "[")):
        return text
    try:
        return json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"))
    except (ValueError, RecursionError):
        return text


def identifier_of(customer: Mapping[str, Any]) -> str | None:
    """Return what identifies the person: the id, else the e-mail address, else nothing.

    Names and telephone numbers never identify, nor does an address that is none.
    """
    if (given := customer.get("id")) is not None:
        return str(given)
    email = customer.get("email")
    if email is None or "email" in unusable_in(customer):
        return None
    return str(email).strip().lower()


def unusable_in(customer: Mapping[str, Any]) -> tuple[str, ...]:
    """Return which ways of reaching the customer were given but are none."""
    return tuple(
        name
        for name, fits in (("email", is_address), ("phone", is_telephone_number))
        if (value := customer.get(name)) is not None and not fits(value)
    )


_ADDRESS_LENGTH: Final = 254
_TELEPHONE_DIGITS: Final = range(5, 18)
_IN_TELEPHONE_NUMBERS: Final = frozenset("0123456789 +()-./\u00a0\u2011")
_NOT_IN_ADDRESSES: Final = frozenset(' \t,;:<>()[]\\"')


def is_address(text: str) -> bool:
    """Tell whether mail could be sent to ``text``: one plain address and nothing else."""
    text = text.strip()
    local, at, domain = text.rpartition("@")
    name, dot, top = domain.rpartition(".")
    return (
        bool(at and dot and local and name and top)
        and len(text) <= _ADDRESS_LENGTH
        and text.isprintable()
        and "@" not in local
        and ".." not in text
        and not local.startswith(".")
        and not local.endswith(".")
        and not name.startswith((".", "-"))
        and len(top) > 1
        and not top.isdigit()
        and not _NOT_IN_ADDRESSES.intersection(text)
    )


def is_telephone_number(text: str) -> bool:
    """Tell whether ``text`` could be dialled."""
    number = text.strip().lower()
    for sign in ("ext", "x", "#"):
        number, found, extension = number.partition(sign)
        if found and not extension.strip(" .").isdigit():
            return False
    return (
        _IN_TELEPHONE_NUMBERS.issuperset(number)
        and "+" not in number[1:]
        and sum(sign.isdigit() for sign in number) in _TELEPHONE_DIGITS
    )
