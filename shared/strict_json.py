"""JSON, strictly read: what is taken here means the same to every reader.

Python's own JSON reader takes more than JSON is: the last of two equal members, NaN, numbers
without end, half a surrogate pair. Errors name the rule that was broken and where to look it
up, never what was posted.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from shared.errors import Finding, Invalid, Unreadable

if TYPE_CHECKING:
    from collections.abc import Container

MAX_DEPTH: Final = 32
MAX_MEMBERS: Final = 1_000
MAX_DIGITS: Final = 18
_MAX_FRACTION: Final = 64

_BOM: Final = b"\xef\xbb\xbf"
# Only these escapes can bring NUL or half a surrogate pair into a text that is sound UTF-8.
_SUSPECT: Final = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")


@dataclass(frozen=True, slots=True)
class Unfit:
    """Stands in a parsed document where something was that no reader should take."""

    code: str


_REASONS: Final = {
    "duplicate_member": "An object has two members of the same name.",
    "not_finite": "A number is not finite. JSON has neither NaN nor infinity.",
    "number_too_long": f"A number has more than {MAX_DIGITS} digits. Send it as text.",
    "too_many_members": f"An object has more than {MAX_MEMBERS} members.",
    "too_deep": f"The document is nested more than {MAX_DEPTH} levels deep.",
    "nul": "A text contains the character NUL. Leave it out.",
    "lone_surrogate": "A text contains half of a surrogate pair. Send valid Unicode.",
}


_OF_TEXTS: Final = frozenset({"nul", "lone_surrogate"})


def refusal_of(
    code: str,
    value: Any,  # noqa: ANN401 - any JSON value
    members: Container[str] = (),
) -> Unreadable | Invalid:
    """Return the refusal of a parsed ``value`` for one of ``flaw``'s codes.

    Text that nobody should store can be read, so it is content that breaks a rule. Of the
    ``members`` of the format the refusal names the one; a made-up name is not repeated.
    """
    reason = _REASONS[code]
    if code not in _OF_TEXTS:
        return Unreadable(reason, extra={"code": code})
    named = value if isinstance(value, dict) else {}
    at = (n for n, part in named.items() if n in members and flaw(part, suspect=True) == code)
    detail, _, fix = reason.partition(". ")
    finding = Finding(
        pointer="".join(f"/{name}" for name in list(at)[:1]),
        code=code,
        detail=f"{detail}.",
        fix=fix,
    )
    return Invalid(reason, [finding], extra={"code": code})


def parse_json(body: bytes, *, members: Container[str] = ()) -> Any:  # noqa: ANN401 - any JSON value
    """Return the JSON value in ``body``; raise ``Unreadable`` for anything not quite JSON.

    Text with NUL or half a surrogate pair is ``Invalid``; it names one of ``members``.
    """
    value, suspect = parse_leniently(body)
    if (code := flaw(value, suspect=suspect)) is not None:
        raise refusal_of(code, value, members)
    return value


def parse_leniently(body: bytes) -> tuple[Any, bool]:
    """Return a JSON value that may hold ``Unfit`` parts, and whether its texts are suspect.

    For lists in which one bad item must not cost the others; each item goes through ``flaw``.
    """
    text = decode(body)
    try:
        value = _decoder.decode(text)
    except json.JSONDecodeError as error:
        raise Unreadable(
            f"The body is not valid JSON (line {error.lineno}, column {error.colno})."
        ) from None
    except RecursionError:
        raise Unreadable(_REASONS["too_deep"], extra={"code": "too_deep"}) from None
    return value, _SUSPECT.search(text) is not None


def decode(body: bytes) -> str:
    """Return the body's text; raise ``Unreadable`` unless it is UTF-8 without a mark."""
    if body.startswith(_BOM):
        raise Unreadable("The body begins with a byte order mark. Send UTF-8 without one.")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise Unreadable("The body is not UTF-8.") from None
    if not text or text.isspace():
        raise Unreadable("The body is empty.")
    return text


def flaw(value: Any, *, suspect: bool, depth: int = MAX_DEPTH) -> str | None:  # noqa: ANN401
    """Return the code of what makes a parsed value unfit, or None.

    ``suspect`` asks for a look at every text as well.
    """
    kind = type(value)
    if kind is dict:
        parts = value.values()
        if suspect and (code := _flaw_in_names(value)) is not None:
            return code
    elif kind is list:
        parts = value
    elif kind is str:
        return _flaw_in_text(value) if suspect else None
    else:
        return value.code if isinstance(value, Unfit) else None
    if depth == 0:
        return "too_deep"
    for part in parts:
        # Most members are short texts and numbers: ask further only where it can matter.
        if (suspect or type(part) not in _PLAIN) and (
            code := flaw(part, suspect=suspect, depth=depth - 1)
        ) is not None:
            return code
    return None


_PLAIN: Final = frozenset({str, int, float, bool, type(None)})


def _flaw_in_names(value: Any) -> str | None:  # noqa: ANN401 - a dict of JSON values
    return next((code for name in value if (code := _flaw_in_text(name))), None)


def _flaw_in_text(text: str) -> str | None:
    if "\x00" in text:
        return "nul"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "lone_surrogate"
    return None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any] | Unfit:
    members = dict(pairs)
    if len(members) != len(pairs):
        return Unfit("duplicate_member")
    return members if len(members) <= MAX_MEMBERS else Unfit("too_many_members")


def _integer(text: str) -> int | Unfit:
    return int(text) if len(text.lstrip("-")) <= MAX_DIGITS else Unfit("number_too_long")


def _fraction(text: str) -> float | Unfit:
    if len(text) > _MAX_FRACTION:
        return Unfit("number_too_long")
    number = float(text)
    # 1e400 is valid JSON, and infinite.
    return number if -1.8e308 < number < 1.8e308 else Unfit("not_finite")


def _constant(_name: str) -> Unfit:
    return Unfit("not_finite")


_decoder: Final = json.JSONDecoder(
    object_pairs_hook=_object,
    parse_int=_integer,
    parse_float=_fraction,
    parse_constant=_constant,
)
