"""Whose words a document holds, and whether it names an address."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from services.ingest.domain.part import is_address
from shared.errors import Finding, Invalid

FoundBy = Literal["customer_id", "email", "response_id", "ref"]

_BEFORE: Final = r"(?<![\w.+%-])"
_AFTER: Final = r"(?![\w-]|\.\w)"


@dataclass(frozen=True, kw_only=True)
class Named:
    """A person as somebody named them, by one of four ways."""

    by: FoundBy
    value: str
    source: str | None = None
    """Of a customer id: whose id it is."""


def address_in(customer: Mapping[str, Any]) -> str | None:
    """Return the customer's e-mail address as it is compared; None where there is none."""
    email = customer.get("email")
    return tidy_address(email) if isinstance(email, str) and is_address(email) else None


def tidy_address(text: str) -> str:
    """Return an address as addresses are compared."""
    return text.strip().lower()


class Addresses:
    """Addresses that are looked for, whole: not as the end or the beginning of others."""

    def __init__(self, addresses: Iterable[str]) -> None:
        self._wanted = frozenset(map(tidy_address, addresses))
        several = "|".join(re.escape(one) for one in sorted(self._wanted))
        self._pattern = re.compile(f"{_BEFORE}(?:{several}){_AFTER}", re.IGNORECASE)

    def __bool__(self) -> bool:
        return bool(self._wanted)

    def are_of(self, customer: Mapping[str, Any]) -> bool:
        """Tell whether the customer block gives one of them as the customer's own."""
        return address_in(customer) in self._wanted

    def stand_in(self, document: object) -> bool:
        """Tell whether one of them stands anywhere in a text, or in a JSON document."""
        if not self._wanted:
            return False
        return any(self._pattern.search(text) for text in _texts(document))


def _texts(document: object) -> Iterator[str]:
    match document:
        case str():
            yield document
        case Mapping():
            for name, value in document.items():
                yield str(name)
                yield from _texts(value)
        case list() | tuple():
            for value in document:
                yield from _texts(value)
        case _:
            pass  # numbers and the like name nobody


_WAYS: Final[Mapping[FoundBy, frozenset[str]]] = {
    "customer_id": frozenset({"source", "customer_id"}),
    "email": frozenset({"email"}),
    "response_id": frozenset({"response_id"}),
    "ref": frozenset({"ref"}),
}
_LONGEST: Final = 1_000


def named(given: Mapping[str, str | None], *, pointer: str = "/person") -> Named:
    """Return the person whom these members name by one way; raise ``Invalid``."""
    said = {name: text for name, text in given.items() if text is not None}
    way = next((by for by, members in _WAYS.items() if said.keys() == members), None)
    if way is None:
        raise Invalid(
            "Name the person by one way.",
            [
                Finding(
                    pointer=pointer,
                    code="one_way",
                    detail="names the person by no way, by several, or by half of one",
                    fix="send source and customer_id, or email, or response_id, or ref",
                )
            ],
        )
    if bad := [name for name, text in said.items() if not _usable(name, text)]:
        raise Invalid(
            "The person cannot be named so.",
            [
                Finding(
                    pointer=f"{pointer}/{name}",
                    code="unusable",
                    detail="blank, too long, with control characters, or no address",
                    fix="send it as the customer's source sent it",
                )
                for name in bad
            ],
        )
    return Named(by=way, value=said[way], source=said.get("source"))


def _usable(name: str, text: str) -> bool:
    if name == "email":
        return is_address(text)
    return bool(text.strip()) and len(text) <= _LONGEST and text.strip().isprintable()
