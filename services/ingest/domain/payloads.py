"""Bodies of hooks as JSON values: JSON itself, forms, and forms in several parts.

Form fields named ``a[b][c]`` and ``a[]`` are nested as PHP and Rails read them; a field that
is repeated is a list. A file in a form is left out: it is nobody's answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from shared.errors import TooLarge, Unreadable, UnsupportedType
from shared.strict_json import MAX_DEPTH, MAX_MEMBERS, flaw, parse_json, refusal_of

LIMIT: Final = 256_000
"""Bytes that the body of a hook may have."""

FORM: Final = "application/x-www-form-urlencoded"
MULTIPART: Final = "multipart/form-data"
ACCEPTED: Final = ("application/json", "application/*+json", "text/json", FORM, MULTIPART)

_LONGEST_BOUNDARY: Final = 70  # RFC 2046
_MARK: Final = b"\xef\xbb\xbf"
_UTF8: Final = frozenset({"utf-8", "utf8", "us-ascii"})


def read_payload(body: bytes, content_type: str) -> Any:  # noqa: ANN401 - any JSON value
    """Return the JSON value in a body of this type.

    Raises ``UnsupportedType``, ``TooLarge``, ``Unreadable`` or, for text that nobody should
    store, ``Invalid``.
    """
    if len(body) > LIMIT:
        raise TooLarge(
            f"The body is longer than {LIMIT:,} bytes. Send less at once.",
            extra={"limit": LIMIT},
        )
    kind, parameters = _options(content_type)
    if parameters.get("charset", "utf-8").lower() not in _UTF8:
        raise UnsupportedType("Send the body in UTF-8.")
    body = body.removeprefix(_MARK)
    # Many a script sends JSON and leaves the type at a form's; no form begins like this.
    if kind == FORM and not body.lstrip().startswith((b"{", b"[")):
        return _nested(_pairs(body))
    if kind == MULTIPART:
        return _nested(_parts(body, parameters.get("boundary", "")))
    if kind != FORM and not is_json(kind):
        raise UnsupportedType(f"Send the body with Content-Type {', '.join(ACCEPTED)}.")
    return parse_json(body)


def is_json(kind: str) -> bool:
    """Tell whether a media type, in lower case, is one of JSON."""
    return kind in {"application/json", "text/json"} or (
        kind.startswith("application/") and kind.endswith("+json")
    )


def _options(value: str) -> tuple[str, dict[str, str]]:
    """Split a header into what it says and its parameters, whose names are in lower case."""
    main, *rest = _split_outside_quotes(value)
    parameters: dict[str, str] = {}
    for part in rest:
        name, _, text = part.partition("=")
        text = text.strip()
        if len(text) >= 2 and text[0] == text[-1] == '"':
            text = text[1:-1].replace('\\"', '"').replace("\\\\", "\\")
        parameters.setdefault(name.strip().lower(), text)
    return main.strip().lower(), parameters


def _split_outside_quotes(value: str) -> list[str]:
    parts = [""]
    quoted = escaped = False
    for sign in value:
        if sign == ";" and not quoted:
            parts.append("")
            continue
        if sign == '"' and not escaped:
            quoted = not quoted
        escaped = quoted and sign == "\\" and not escaped
        parts[-1] += sign
    return parts


def _pairs(body: bytes) -> Iterator[tuple[str, str]]:
    """Yield the fields of a form (WHATWG URL, application/x-www-form-urlencoded)."""
    for field in _bounded(part for part in body.split(b"&") if part):
        name, _, value = field.partition(b"=")
        yield _decoded(name), _decoded(value)


def _decoded(text: bytes) -> str:
    return _text(unquote_to_bytes(text.replace(b"+", b" ")))


def _text(text: bytes) -> str:
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        raise Unreadable("A form field is not UTF-8.") from None


def _parts(body: bytes, boundary: str) -> Iterator[tuple[str, str]]:
    """Yield the text fields of a form in parts (RFC 7578)."""
    if not 1 <= len(boundary) <= _LONGEST_BOUNDARY or not boundary.isascii():
        raise Unreadable("The Content-Type multipart/form-data names no usable boundary.")
    _, *parts = (b"\r\n" + body).split(b"\r\n--" + boundary.encode())
    if not parts or not parts[-1].startswith(b"--"):
        raise Unreadable("The last boundary of the multipart body is missing.")
    for part in _bounded(parts[:-1]):
        padding, line_end, rest = part.partition(b"\r\n")
        head, blank_line, content = (line_end + rest).partition(b"\r\n\r\n")
        if padding.strip(b" \t") or not line_end or not blank_line:
            raise Unreadable("A part of the multipart body has no headers.")
        name, is_file = _disposition(_text(head))
        if not is_file:
            yield name, _text(content)


def _disposition(head: str) -> tuple[str, bool]:
    """Return a part's name and whether it is a file."""
    for line in head.split("\r\n"):
        header, _, value = line.partition(":")
        if header.strip().lower() == "content-disposition":
            kind, parameters = _options(value)
            if kind == "form-data" and "name" in parameters:
                return parameters["name"], bool({"filename", "filename*"} & parameters.keys())
    raise Unreadable("A part of the multipart body has no name.")


def _bounded(fields: Iterable[bytes]) -> Iterator[bytes]:
    for n, field in enumerate(fields):
        if n == MAX_MEMBERS:
            raise Unreadable(
                f"The form has more than {MAX_MEMBERS} fields.",
                extra={"code": "too_many_members"},
            )
        yield field


class _Group(dict[str, Any]):
    """An object that form fields made; unlike any other it may still grow."""


class _List(list[Any]):
    """A list that form fields made."""


def _nested(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    root = _Group()
    for name, value in pairs:
        _put(root, _keys(name), value)
    found = {name: _plain(part) for name, part in root.items()}
    if (code := flaw(found, suspect=True)) is not None:
        raise refusal_of(code, found)
    return found


def _keys(name: str) -> list[str]:
    """Return ``a[b][]`` as ``a``, ``b`` and an empty key; a name that is not so, as it is."""
    first, bracket, rest = name.partition("[")
    if not first or not bracket or not rest.endswith("]"):
        return [name]
    keys = rest[:-1].split("][")
    if any("[" in key or "]" in key for key in keys):
        return [name]
    if len(keys) >= MAX_DEPTH:
        raise Unreadable(
            f"A form field is nested more than {MAX_DEPTH} levels deep.",
            extra={"code": "too_deep"},
        )
    return [first, *keys]


def _put(root: _Group, keys: list[str], value: str) -> None:
    holder: _Group | _List = root
    for n, key in enumerate(keys[:-1]):
        wanted: Callable[[], _Group | _List] = _List if keys[n + 1] == "" else _Group
        holder = _within(holder, key, keys[n + 1], wanted)
    last = keys[-1]
    if isinstance(holder, _List):
        holder.append(value)
        return
    there = holder.get(last)
    if isinstance(there, _Group):
        raise _both()
    if there is None:
        holder[last] = value
    elif isinstance(there, _List):
        there.append(value)
    else:
        holder[last] = _List([there, value])


def _within(
    holder: _Group | _List, key: str, following: str, wanted: Callable[[], _Group | _List]
) -> _Group | _List:
    """Return the group or list under ``key``; a list's last group until a field repeats."""
    if isinstance(holder, _List):
        last = holder[-1] if holder else None
        if not isinstance(last, _Group) or following in last or following == "":
            holder.append(last := wanted())
        found: object = last
    else:
        found = holder.setdefault(key, wanted())
    if isinstance(found, _Group | _List) and isinstance(found, type(wanted())):
        return found
    raise _both()


def _both() -> Unreadable:
    return Unreadable("A form field is a value in one place and a group in another.")


def _plain(value: Any) -> Any:  # noqa: ANN401 - any part of a form
    """Return groups as objects, and those numbered from 0 on as lists."""
    if isinstance(value, Mapping):
        parts = {name: _plain(part) for name, part in value.items()}
        numbered = bool(parts) and list(parts) == [str(n) for n in range(len(parts))]
        return list(parts.values()) if numbered else parts
    return [_plain(part) for part in value] if isinstance(value, list) else value
