"""What each member of a posted document must be, and what is made of it.

Takes a document whose members have the right JSON types (``schemas.py`` sees to that) and
returns its part, or every finding. A finding never carries what was posted, not even a name
that the sender made up.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from unicodedata import is_normalized, normalize

from services.ingest.domain.merging import score_out_of_range
from services.ingest.domain.moments import read_moment
from services.ingest.domain.part import TEXTS, Part, identifier_of, unusable_in
from shared.errors import Finding, Invalid
from shared.stats.categories import RANGES

if TYPE_CHECKING:
    from datetime import datetime

SHORT: Final = 200
LONGEST_COMMENT: Final = 10_000
MOST_ATTRIBUTES: Final = 50
LONGEST_NAME: Final = 100
LONGEST_COMPOUND: Final = 2_000
LONGEST_ATTRIBUTE: Final = 10_000
_LARGEST_AMOUNT: Final = 10**15
_EXACT: Final = 2**53

CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_CURRENCY: Final = re.compile("[A-Z]{3}")
_CHOICES: Final = ("measurement", "metric", "sentiment")
KNOWN: Final = frozenset(
    {
        "external_id",
        "score",
        "comment",
        "answered_at",
        "customer",
        "attributes",
        *_CHOICES,
        *TEXTS,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Warned:
    """Something that was kept although it is of no use; never costs the feedback."""

    pointer: str
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadResponse:
    """A posted document, understood."""

    external_id: str
    part: Part
    warnings: tuple[Warned, ...] = ()


def read_response(document: Mapping[str, Any], *, now: datetime) -> ReadResponse:
    """Return what ``document`` says; raise ``Invalid`` with every finding.

    A member that is null counts as not sent, and so does an empty text where only a short text
    can stand.
    """
    findings: list[Finding] = []
    external_id = _external_id(document.get("external_id"), findings)
    clear = _clear(document, findings)
    transaction_id = clear.pop("transaction_id", None)
    answered_at = _answered_at(document.get("answered_at"), now, findings)
    comment = _comment(document.get("comment"), findings)
    customer, others = _customer(document.get("customer") or {}, findings)
    named, warnings = _named(document, others)
    attributes = _attributes(named, findings)
    if findings:
        raise Invalid("The response breaks rules; see errors.", findings)
    if customer:
        warnings += [
            Warned(pointer=f"/customer/{name}", code=f"unusable_{name}")
            for name in unusable_in(customer)
        ]
    return ReadResponse(
        external_id=external_id,
        part=Part(
            clear=clear,
            answered_at=answered_at,
            transaction_id=transaction_id,
            comment=comment,
            customer=customer,
            attributes=attributes,
        ),
        warnings=tuple(warnings),
    )


def tidy(text: str) -> str:
    """Return ``text`` composed (NFC) and without blanks around it."""
    text = text.strip()
    return text if is_normalized("NFC", text) else normalize("NFC", text)


def identifier_in(block: object) -> str | None:
    """Return what identifies the customer in a block that may break every rule, or None.

    It is what ``identifier_of`` says once the block has been read, so that what is kept of a
    refused answer is found under the same person.
    """
    if not isinstance(block, Mapping):
        return None
    texts = {
        name: str(given)
        for name in ("id", "email")
        if isinstance(given := block.get(name), str | int) and not isinstance(given, bool)
    }
    if "id" in texts:
        texts["id"] = tidy(texts["id"])
    return identifier_of({name: text for name, text in texts.items() if text})


def _external_id(value: object, findings: list[Finding]) -> str:
    if value is None:
        findings.append(
            Finding(
                pointer="/external_id",
                code="missing",
                detail="external_id is required.",
                fix="Send the id that this answer has in your own system.",
            )
        )
        return ""
    text = _short(str(value), "/external_id", findings)
    if not text:
        findings.append(
            Finding(
                pointer="/external_id",
                code="blank",
                detail="external_id is blank.",
                fix=f"Send 1 to {SHORT} characters.",
            )
        )
    return text


def _short(value: str, pointer: str, findings: list[Finding]) -> str:
    text = value if value.isascii() and value.isalnum() else tidy(value)
    if len(text) > SHORT:
        findings.append(_too_long(pointer, SHORT))
    if not text.isprintable() and CONTROL.search(text):
        findings.append(_control(pointer))
    return text


def _clear(document: Mapping[str, Any], findings: list[Finding]) -> dict[str, Any]:
    clear: dict[str, Any] = {}
    for name in _CHOICES:
        if (value := document.get(name)) is not None:
            clear[name] = value
    if (score := document.get("score")) is not None:
        metric = clear.get("metric", "nps")
        lowest, highest = RANGES[metric]
        # Without a metric this may be a later part of a response on another scale.
        if not lowest <= score <= highest:
            findings.append(score_out_of_range(metric))
        clear["score"] = score
    for name in TEXTS:
        if (value := document.get(name)) is not None and (
            text := _short(value, f"/{name}", findings)
        ):
            clear[name] = text
    return clear


def _answered_at(value: str | None, now: datetime, findings: list[Finding]) -> datetime | None:
    if value is None:
        return None
    moment = read_moment(value, now=now)
    if isinstance(moment, str):
        findings.append(_TIME_FINDINGS[moment])
        return None
    return moment


def _comment(value: str | None, findings: list[Finding]) -> str | None:
    if value is not None:
        if len(value) > LONGEST_COMMENT:
            findings.append(_too_long("/comment", LONGEST_COMMENT))
        if "\x00" in value:
            findings.append(_control("/comment"))
    return value


def _customer(
    block: Mapping[str, Any], findings: list[Finding]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the customer, and what was sent beside what the format knows of one."""
    customer: dict[str, Any] = {}
    others: dict[str, Any] = {}
    for name, value in block.items():
        if value is None:
            continue
        if (reader := _CUSTOMER.get(name)) is None:
            others[f"customer.{name}"] = value
        elif (read := reader(value, f"/customer/{name}", findings)) not in ("", {}):
            customer[name] = read
    return customer, others


def _text(value: object, pointer: str, findings: list[Finding]) -> str:
    return _short(str(value), pointer, findings)


def _contact(value: object, pointer: str, findings: list[Finding]) -> str:
    """Keep an address as given, whatever it is: it never costs the feedback."""
    text = value if isinstance(value, str) else _compact(value)
    if len(text) > LONGEST_COMPOUND:
        findings.append(_too_long(pointer, LONGEST_COMPOUND))
    return text if text.strip() else ""


def _flag(value: object, _pointer: str, _findings: list[Finding]) -> object:
    return value


def _consent(
    value: Mapping[str, Any], _pointer: str, _findings: list[Finding]
) -> dict[str, Any]:
    return {name: value[name] for name in ("follow_up", "news") if value.get(name) is not None}


def _annual_value(
    value: Mapping[str, Any], pointer: str, findings: list[Finding]
) -> dict[str, Any]:
    amount, currency = value.get("amount"), value.get("currency")
    if amount is None and currency is None:
        return {}
    if amount is None or not -_LARGEST_AMOUNT <= amount <= _LARGEST_AMOUNT:
        findings.append(
            Finding(
                pointer=f"{pointer}/amount",
                code="missing" if amount is None else "out_of_range",
                detail="The amount is missing or too large.",
                fix='Send a number, as in {"amount": 1200, "currency": "EUR"}.',
            )
        )
    if currency is None or not _CURRENCY.fullmatch(currency.strip().upper()):
        findings.append(
            Finding(
                pointer=f"{pointer}/currency",
                code="missing" if currency is None else "unknown_value",
                detail="The currency is missing or no code of three letters.",
                fix='Send an ISO 4217 code, as in {"amount": 1200, "currency": "EUR"}.',
            )
        )
        return {}
    return {"amount": _plain(amount), "currency": currency.strip().upper()}


_CUSTOMER: Final[Mapping[str, Callable[[Any, str, list[Finding]], Any]]] = {
    **dict.fromkeys(("id", "name", "language", "account", "contact_owner"), _text),
    **dict.fromkeys(("email", "phone"), _contact),
    "annual_value": _annual_value,
    "consent": _consent,
    "do_not_contact": _flag,
}


def _named(
    document: Mapping[str, Any], others: dict[str, Any]
) -> tuple[dict[str, Any], list[Warned]]:
    """Gather the attributes and every member that the format does not know."""
    named = others
    if not document.keys() <= KNOWN:
        named |= {name: value for name, value in document.items() if name not in KNOWN}
    sent = document.get("attributes")
    if not sent:
        return named, []
    twice = any(name in named and named[name] != value for name, value in sent.items())
    warnings = [Warned(pointer="/attributes", code="attribute_sent_twice")] if twice else []
    return named | sent, warnings


def _attributes(named: Mapping[str, Any], findings: list[Finding]) -> dict[str, Any]:
    attributes: dict[str, Any] = {}
    for name, value in named.items():
        if value is not None:
            attributes[_name(name, findings)] = _scalar(value, findings)
    if len(attributes) > MOST_ATTRIBUTES:
        findings.append(
            _attribute(
                "too_many",
                f"There are more than {MOST_ATTRIBUTES} attributes, counting members that are"
                " not part of the format.",
                f"Send up to {MOST_ATTRIBUTES}.",
            )
        )
    return attributes


def _name(given: str, findings: list[Finding]) -> str:
    name = tidy(given)
    if not name:
        findings.append(_attribute("blank", "An attribute has no name.", "Name it."))
    elif len(name) > LONGEST_NAME:
        findings.append(
            _attribute(
                "too_long",
                "The name of an attribute is too long.",
                f"Use names of up to {LONGEST_NAME} characters.",
            )
        )
    elif CONTROL.search(name):
        findings.append(_control("/attributes"))
    return name


def _scalar(value: object, findings: list[Finding]) -> object:
    if isinstance(value, bool | int | float):
        return _plain(value)
    compound = not isinstance(value, str)
    text = _compact(_plainly(value)) if compound else str(value)
    if len(text) > (LONGEST_COMPOUND if compound else LONGEST_ATTRIBUTE):
        findings.append(
            _attribute(
                "too_long",
                "The value of an attribute is too long.",
                f"Send texts of up to {LONGEST_ATTRIBUTE:,} characters, objects and lists"
                f" of up to {LONGEST_COMPOUND:,} as compact JSON.",
            )
        )
    return text


def _plain(value: Any) -> Any:  # noqa: ANN401 - a number in, the same number out
    """Return a number as an integer where it is one: 1.0 and 1 mean the same."""
    if isinstance(value, float) and abs(value) < _EXACT and value.is_integer():
        return int(value)
    return value


def _plainly(value: object) -> object:
    """Return an object or a list with its numbers as ``_plain`` has them."""
    if isinstance(value, dict):
        return {name: _plainly(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_plainly(part) for part in value]
    return _plain(value)


def _compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _too_long(pointer: str, most: int) -> Finding:
    return Finding(
        pointer=pointer,
        code="too_long",
        detail=f"This text is longer than {most:,} characters.",
        fix=f"Send up to {most:,} characters.",
    )


def _control(pointer: str) -> Finding:
    return Finding(
        pointer=pointer,
        code="control_character",
        detail="This text contains a control character.",
        fix="Leave control characters out.",
    )


def _attribute(code: str, detail: str, fix: str) -> Finding:
    return Finding(pointer="/attributes", code=code, detail=detail, fix=fix)


_TIME_FINDINGS: Final = {
    code: Finding(pointer="/answered_at", code=code, detail=detail, fix=fix)
    for code, detail, fix in (
        (
            "not_a_time",
            "answered_at is not a time with an offset as in RFC 3339.",
            "Send a text such as 2026-03-02T09:30:00+01:00.",
        ),
        (
            "out_of_range",
            "answered_at is outside the calendar.",
            "Send the moment at which the customer answered.",
        ),
        (
            "in_future",
            "answered_at is more than 24 hours ahead.",
            "Check the clock and the offset of the sending system.",
        ),
    )
}
