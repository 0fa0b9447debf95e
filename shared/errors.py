"""Every error of the product, sorted by what to do next.

    ClosedLoopError
    ├── Refused            the request is at fault; asking again unchanged will not help
    │   ├── Unreadable          400  the body or a header cannot be read
    │   ├── Unauthenticated     401  no usable credentials
    │   ├── Forbidden           403  the role or scope is missing
    │   ├── NotFound            404  no such thing, or not yours to see
    │   ├── Conflict            409  not allowed in this state
    │   │   └── UnderWay        409  the same request is being carried out
    │   ├── Gone                410  it was there, and its time is over
    │   ├── Stale               412  somebody changed it meanwhile
    │   ├── TooLarge            413  body or batch above its limit
    │   ├── UnsupportedType     415  content type or encoding not understood
    │   ├── Invalid             422  the content breaks a rule; lists every finding
    │   └── TooMany             429  slow down
    ├── TryLater           503  trouble on our side that time heals; carries when to come back
    ├── Malformed          a record on the bus that nobody will ever be able to read
    └── Misconfigured      the installation itself is wrong; stops the start with a sentence

Only ``shared/web/problems.py`` turns these into HTTP, only ``services/cli`` into exit codes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing wrong with a posted document; never carries the posted value.

    ``pointer`` is a JSON Pointer (RFC 6901), ``code`` is stable, ``fix`` says what to send.
    """

    pointer: str
    code: str
    detail: str
    fix: str = ""


class ClosedLoopError(Exception):
    """Root of everything this product raises on purpose."""


class Refused(ClosedLoopError):
    """The request is at fault; ``slug`` names the kind of problem and stays stable."""

    status: ClassVar[int] = 400
    slug: str = "refused"
    title: ClassVar[str] = "The request was refused"

    def __init__(
        self,
        detail: str,
        *,
        slug: str | None = None,
        extra: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        if slug is not None:
            self.slug = slug
        self.extra: Mapping[str, object] = dict(extra or {})


class Unreadable(Refused):
    """The body or a header cannot be read at all."""

    status = 400
    slug = "unreadable"
    title = "The request cannot be read"


class Unauthenticated(Refused):
    """No usable credentials came with the request."""

    status = 401
    slug = "unauthenticated"
    title = "Credentials are missing or not valid"


class Forbidden(Refused):
    """The caller is known but lacks the role or scope."""

    status = 403
    slug = "forbidden"
    title = "Not allowed with these rights"


class NotFound(Refused):
    """No such thing, or none that the caller may see; both look alike."""

    status = 404
    slug = "not-found"
    title = "Not found"


class Conflict(Refused):
    """Not allowed in this state; ``extra`` names the state and what would allow it."""

    status = 409
    slug = "conflict"
    title = "Not allowed in this state"


class UnderWay(Conflict):
    """The same request is being carried out now; ``retry_after`` is in whole seconds."""

    slug = "request-in-progress"
    title = "This request is being carried out"
    retry_after = 1


class Gone(Refused):
    """What was asked for existed and does not any more."""

    status = 410
    slug = "gone"
    title = "No longer there"


class Stale(Refused):
    """The version sent with If-Match is not the current one."""

    status = 412
    slug = "stale"
    title = "Somebody changed this meanwhile"


class TooLarge(Refused):
    """Body or batch above its published limit."""

    status = 413
    slug = "too-large"
    title = "Too large"


class UnsupportedType(Refused):
    """Content type or content encoding that this route does not understand."""

    status = 415
    slug = "unsupported-type"
    title = "Content type not supported"


class Invalid(Refused):
    """The content breaks rules; ``findings`` lists them, at most twenty."""

    status = 422
    slug = "invalid"
    title = "The content is not valid"

    def __init__(
        self,
        detail: str,
        findings: Sequence[Finding] = (),
        *,
        slug: str | None = None,
        extra: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(detail, slug=slug, extra=extra)
        self.findings: tuple[Finding, ...] = tuple(findings)[:20]


def key_reused() -> Invalid:
    """Return the refusal of an Idempotency-Key that came with another meaning before."""
    detail = "This Idempotency-Key was used for a request with another meaning."
    fix = "Use a new key for a new request."
    code = "idempotency_key_reused"
    return Invalid(
        f"{detail} Nothing was changed. {fix}",
        [Finding(pointer="", code=code, detail=detail, fix=fix)],
        extra={"code": code},
    )


class TooMany(Refused):
    """Above a rate limit; ``retry_after`` is in whole seconds."""

    status = 429
    slug = "too-many"
    title = "Too many requests"

    def __init__(self, detail: str, *, retry_after: int) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class TryLater(ClosedLoopError):
    """Trouble on our side that time heals; nothing was changed, ``retry_after`` in seconds."""

    def __init__(self, detail: str, *, retry_after: int = 2, slug: str = "try-later") -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after = retry_after
        self.slug = slug


class Malformed(ClosedLoopError):
    """A record on the bus that can never be read: park it at once, go on."""


class Misconfigured(ClosedLoopError):
    """The installation is wrong; the message names the setting and the remedy."""
