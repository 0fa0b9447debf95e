"""What each kind of problem means: the texts behind the addresses in ``type``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from shared import errors


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of problem; ``text`` says what to do about it."""

    slug: str
    status: int
    title: str
    text: str


def _of(error: type[errors.Refused], text: str) -> Kind:
    return Kind(slug=error.slug, status=error.status, title=error.title, text=text)


METHOD_NOT_ALLOWED: Final = Kind(
    slug="method-not-allowed",
    status=405,
    title="Method not allowed",
    text="The header Allow lists the methods of this address.",
)
INTERNAL: Final = Kind(
    slug="internal",
    status=500,
    title="Something went wrong on our side",
    text="Tell your administrator the request_id; the log of the service knows more under it.",
)
TOO_SLOW: Final = Kind(
    slug="too-slow",
    status=408,
    title="The request came too slowly",
    text="Nothing was changed. Send the same request again, in one go.",
)
HEADERS_TOO_LARGE: Final = Kind(
    slug="headers-too-large",
    status=431,
    title="The headers are too large",
    text="At most 100 headers of at most 8 kB each, and 16 kB together with the address. Leave"
    " out what is not needed.",
)
ADDRESS_TOO_LONG: Final = Kind(
    slug="address-too-long",
    status=414,
    title="The address is too long",
    text="At most 8 kB. Send what belongs into a body in a body.",
)
TRY_LATER: Final = Kind(
    slug="try-later",
    status=503,
    title="Try again later",
    text="Nothing was changed. Send the same request again after as many seconds as the header"
    " Retry-After says.",
)

_KINDS: Final = {
    kind.slug: kind
    for kind in (
        _of(
            errors.Unreadable,
            "The body, a header or the query cannot be read. Correct it first: the same request"
            " will fail again.",
        ),
        _of(
            errors.Unauthenticated,
            "Send an API key as “Authorization: Bearer …”, or sign in. A key may also have"
            " expired or been revoked.",
        ),
        _of(
            errors.Forbidden,
            "The key lacks a scope, or the role a right; the detail names it. An administrator"
            " can give it.",
        ),
        _of(errors.NotFound, "There is no such thing, or it is not yours to see."),
        _of(
            errors.Conflict,
            "The thing is in a state that does not allow this. The document names the state and"
            " what would allow it.",
        ),
        _of(
            errors.UnderWay,
            "A request with the same Idempotency-Key is being carried out at this moment. Send"
            " it again after as many seconds as the header Retry-After says.",
        ),
        _of(errors.Gone, "It was there, and its time is over. Ask for a new one."),
        _of(errors.Stale, "Somebody changed it since you read it. Read it again, then decide."),
        _of(
            errors.TooLarge,
            "Send less at once: a single body has at most 256 kB, a batch at most 16 MB and"
            " 10,000 items.",
        ),
        _of(
            errors.UnsupportedType,
            "Send a content type that the route documents, and no Content-Encoding.",
        ),
        _of(
            errors.Invalid,
            "The member errors lists what is wrong, where, and what to send instead.",
        ),
        _of(errors.TooMany, "Wait for as many seconds as the header Retry-After says."),
        METHOD_NOT_ALLOWED,
        TOO_SLOW,
        HEADERS_TOO_LARGE,
        ADDRESS_TOO_LONG,
        INTERNAL,
        TRY_LATER,
        Kind(
            slug="key-in-query",
            status=400,
            title="A key stands in the address",
            text="Addresses end up in logs and histories. Revoke the key that was shown, make a"
            " new one, and send it in the header “Authorization: Bearer …”.",
        ),
        Kind(
            slug="cross-origin",
            status=403,
            title="The request came from another site",
            text="A signed-in browser may change things only from pages of this installation,"
            " opened under the address in CLOSED_LOOP_PUBLIC_URL.",
        ),
        Kind(
            slug="database-unavailable",
            status=503,
            title="The database cannot answer right now",
            text="Nothing was changed. Send the same request again after as many seconds as the"
            " header Retry-After says.",
        ),
        Kind(
            slug="storage-full",
            status=503,
            title="There is no room for more",
            text="Nothing was changed, and what is there can still be read. The operator must"
            " make room on the disk, or bring back the broker that everything waits for; then"
            " send the same request again. Nothing need be restarted.",
        ),
        Kind(
            slug="unconfirmed",
            status=503,
            title="The database has not confirmed this",
            text="It may or may not have been changed: the connection broke while the database"
            " was asked to keep it. Send the same request again; a response that was taken in"
            " is answered as a duplicate, and an Idempotency-Key protects everything else.",
        ),
    )
}
_SLUG: Final = re.compile(r"[a-z][a-z0-9-]{0,60}")


def kind_of(slug: str) -> Kind | None:
    """Return what is known of a kind; the finer ones explain themselves in their detail."""
    if slug in _KINDS:
        return _KINDS[slug]
    if not _SLUG.fullmatch(slug):
        return None
    return Kind(
        slug=slug,
        status=0,
        title=slug.replace("-", " ").capitalize(),
        text="The member detail of the problem document says what happened and what to do.",
    )
