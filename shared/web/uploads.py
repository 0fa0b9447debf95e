"""A posted form with one file in it (RFC 7578), as a browser without a script sends it."""

from __future__ import annotations

from dataclasses import dataclass, field
from email.errors import MessageError
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import HTTP
from typing import TYPE_CHECKING, Final, cast

from shared.errors import Unreadable, UnsupportedType
from shared.web.bodies import read_body

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

_FORM: Final = "multipart/form-data"
_MOST_PARTS: Final = 20


@dataclass(frozen=True, kw_only=True)
class Upload:
    """The fields of a form, and the content of the file; empty where none was chosen."""

    fields: Mapping[str, str] = field(repr=False)
    file: bytes = field(repr=False)


async def read_upload(request: Request, name: str, *, limit: int) -> Upload:
    """Return the fields of a form and the file that stands in the field ``name``.

    Raises for what no browser sends: other content types, broken parts, too much.
    """
    kind = request.headers.get("content-type", "")
    if kind.partition(";")[0].strip().lower() != _FORM or not kind.isascii():
        raise UnsupportedType(f"Send the form as {_FORM}.")
    body = await read_body(request, limit=limit)
    head = f"Content-Type: {kind}\r\n\r\n".encode("ascii")
    try:
        message = BytesParser(policy=HTTP).parsebytes(head + body)
        parts = [cast("EmailMessage", part) for part in message.iter_parts()]
    except (MessageError, ValueError, LookupError):
        raise _unreadable() from None
    if message.defects or not 0 < len(parts) <= _MOST_PARTS:
        raise _unreadable()
    fields: dict[str, str] = {}
    file = b""
    for part in parts:
        content = part.get_payload(decode=True)
        field_name = part.get_param("name", header="content-disposition")
        if not isinstance(content, bytes) or not isinstance(field_name, str):
            raise _unreadable()
        if field_name == name:
            file = content
        else:
            try:
                fields[field_name] = content.decode("utf-8").strip()
            except UnicodeDecodeError:
                raise _unreadable() from None
    return Upload(fields=fields, file=file)


def _unreadable() -> Unreadable:
    return Unreadable("The form cannot be read. Open the page again and repeat.")
