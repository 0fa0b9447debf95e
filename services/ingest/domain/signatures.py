"""Proof that a call comes from the sender: the schemes that senders sign their calls with.

A scheme is data, part of a mapping: which header holds the proof, how it was computed and over
what. Every secret is tried, so that one can be replaced without losing a call, and compared in
constant time. Why a proof does not hold is for the tally alone; the caller is never told.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final, Literal

from services.ingest.domain.moments import read_moment

DEFAULT_TOLERANCE: Final = 300
_MOST_SIGNATURES: Final = 10

SCHEMES: Final = ("hmac", "standard_webhooks", "basic", "token")
ALGORITHMS: Final = ("sha1", "sha256", "sha512")
ENCODINGS: Final = ("hex", "base64")
UNITS: Final = ("s", "ms", "rfc3339")
SECRETS: Final = ("text", "base64", "hex")
SIGNED: Final = frozenset({"body", "timestamp", "method", "uri"})
"""What may stand in braces in ``signed``."""

_BETWEEN_SIGNATURES: Final = re.compile(r"[\s,]+")
_BRACES: Final = re.compile(r"(\{[^{}]*\})")


class BadScheme(ValueError):
    """A mapping declares a scheme that could prove nothing; says what to write instead."""


class Verdict(StrEnum):
    """Whether a call proved where it comes from; all but the first are told to nobody."""

    VALID = "valid"
    NO_SIGNATURE = "no_signature"
    BAD_SIGNATURE = "bad_signature"
    OLD_TIMESTAMP = "old_timestamp"


@dataclass(frozen=True, slots=True, kw_only=True)
class Timestamp:
    """Where a scheme says when a call was signed, and for how long that counts."""

    header: str | None = None
    """None where it stands within the signature's own header."""
    unit: Literal["s", "ms", "rfc3339"] = "s"
    tolerance: timedelta = timedelta(seconds=DEFAULT_TOLERANCE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheme:
    """How a sender signs."""

    scheme: Literal["hmac", "standard_webhooks", "basic", "token"]
    header: str = "authorization"
    algorithm: Literal["sha1", "sha256", "sha512"] = "sha256"
    encoding: Literal["hex", "base64"] = "hex"
    prefix: str = ""
    signed: str = "{body}"
    timestamp: Timestamp | None = None
    secret: Literal["text", "base64", "hex"] = "text"  # noqa: S105 - how it is written
    parts: Mapping[str, str] = field(default_factory=dict)
    """Names within a header such as ``t=…,v1=…``: of ``timestamp`` and of ``signature``."""

    @property
    def needs_body(self) -> bool:
        """Tell whether the proof can only be checked with the body at hand."""
        return self.scheme in {"hmac", "standard_webhooks"}

    def has_proof(self, headers: Mapping[str, str]) -> bool:
        """Tell whether a call carries what this scheme checks, right or wrong."""
        if self.scheme == "standard_webhooks":
            return _standard(headers, "signature") is not None
        value = headers.get(self.header)
        return value is not None and (self.scheme != "basic" or value[:6].lower() == "basic ")


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedCall:
    """One call as far as signatures look at it; ``headers`` by lower-case name.

    ``uri`` is the whole address under which the sender knows us.
    """

    method: str
    uri: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(default=b"", repr=False)


def verify(
    scheme: Scheme, secrets: Sequence[str], call: SignedCall, *, now: datetime
) -> Verdict:
    """Tell whether one of these secrets made the call's proof, and recently enough."""
    secrets = [secret for secret in secrets if secret]
    if not scheme.has_proof(call.headers):
        return Verdict.NO_SIGNATURE
    if scheme.scheme == "hmac":
        return _hmac(scheme, secrets, call, now)
    if scheme.scheme == "standard_webhooks":
        return _standard_webhooks(scheme, secrets, call, now)
    value = call.headers[scheme.header]
    given = _basic(value) if scheme.scheme == "basic" else _after(scheme.prefix, value)
    known = [secret.encode() for secret in secrets]
    return Verdict.VALID if _matches(known, [given]) else Verdict.BAD_SIGNATURE


def _hmac(scheme: Scheme, secrets: Sequence[str], call: SignedCall, now: datetime) -> Verdict:
    header = call.headers[scheme.header]
    # While a secret is being replaced some sign with both.
    stamp, signatures = "", [header, *_BETWEEN_SIGNATURES.split(header)]
    if scheme.parts:
        pairs = [part.strip().partition("=") for part in header.split(",")]
        stamp = next((v for n, _, v in pairs if n == scheme.parts.get("timestamp")), "")
        signatures = [v for n, _, v in pairs if n == scheme.parts["signature"]]
    if scheme.timestamp is not None and scheme.timestamp.header is not None:
        stamp = call.headers.get(scheme.timestamp.header, "")
    if not signatures or (scheme.timestamp is not None and not stamp):
        return Verdict.NO_SIGNATURE
    message = _message(scheme.signed, call, stamp)
    digests = [
        hmac.digest(_secret(secret, scheme.secret), message, scheme.algorithm)
        for secret in secrets
    ]
    given = [
        _decoded(_after(scheme.prefix, signature), scheme.encoding)
        for signature in signatures[:_MOST_SIGNATURES]
    ]
    if not _matches(digests, given):
        return Verdict.BAD_SIGNATURE
    if scheme.timestamp is not None and not _is_recent(scheme.timestamp, stamp, now):
        return Verdict.OLD_TIMESTAMP
    return Verdict.VALID


def _standard_webhooks(
    scheme: Scheme, secrets: Sequence[str], call: SignedCall, now: datetime
) -> Verdict:
    """Check a call signed as standardwebhooks.com describes it."""
    headers = call.headers
    message_id, stamp = _standard(headers, "id"), _standard(headers, "timestamp")
    signatures = (_standard(headers, "signature") or "").split(" ")
    if message_id is None or stamp is None:
        return Verdict.NO_SIGNATURE
    message = f"{message_id}.{stamp}.".encode() + call.body
    digests = [hmac.digest(_standard_secret(one), message, "sha256") for one in secrets]
    given = [
        _decoded(signature[3:].encode(), "base64")
        for signature in signatures[:_MOST_SIGNATURES]
        if signature.startswith("v1,")
    ]
    if not _matches(digests, given):
        return Verdict.BAD_SIGNATURE
    timestamp = scheme.timestamp or Timestamp()
    return Verdict.VALID if _is_recent(timestamp, stamp, now) else Verdict.OLD_TIMESTAMP


def _standard(headers: Mapping[str, str], name: str) -> str | None:
    """Return one of the three headers; an older name of theirs means the same."""
    return headers.get(f"webhook-{name}", headers.get(f"svix-{name}"))


def _standard_secret(secret: str) -> bytes:
    text = secret.removeprefix("whsec_")
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        return secret.encode()
    return key or secret.encode()


def _message(signed: str, call: SignedCall, stamp: str) -> bytes:
    """Return what was signed: the parts in braces, and what stands between them."""
    values = {
        "{body}": call.body,
        "{timestamp}": stamp.encode("utf-8", "surrogateescape"),
        "{method}": call.method.encode(),
        "{uri}": call.uri.encode(),
    }
    return b"".join(values.get(part, part.encode()) for part in _BRACES.split(signed))


def _secret(secret: str, written: str) -> bytes:
    try:
        if written == "hex":
            return bytes.fromhex(secret)
        if written == "base64":
            return base64.b64decode(secret, validate=True)
    except ValueError:  # binascii.Error is one
        return secret.encode()
    return secret.encode()


def _after(prefix: str, value: str) -> bytes:
    """Return what follows the prefix; nothing at all where the prefix is missing."""
    value = value.strip()
    return value[len(prefix) :].strip().encode() if value.startswith(prefix) else b""


def _decoded(signature: bytes, encoding: str) -> bytes:
    try:
        if encoding == "hex":
            return binascii.unhexlify(signature)
        return base64.b64decode(signature + b"=" * (-len(signature) % 4), validate=True)
    except ValueError:
        return b""


def _basic(value: str) -> bytes:
    """Return the ``user:password`` of a header (RFC 7617)."""
    return _decoded(value[6:].strip().encode(), "base64")


def _matches(known: Iterable[bytes], given: Iterable[bytes]) -> bool:
    """Compare all with all, and as long for a wrong one as for a right one."""
    given = list(given)
    held = [
        hmac.compare_digest(one, other) for one in known for other in given if one and other
    ]
    return any(held)


def _is_recent(timestamp: Timestamp, stamp: str, now: datetime) -> bool:
    signed_at = _moment(stamp.strip(), timestamp.unit)
    return signed_at is not None and abs(now - signed_at) <= timestamp.tolerance


def _moment(stamp: str, unit: str) -> datetime | None:
    if unit == "rfc3339":
        far = datetime.max.replace(tzinfo=UTC) - timedelta(days=2)
        moment = read_moment(stamp, now=far)
        return moment if isinstance(moment, datetime) else None
    if not stamp.isascii() or not stamp.isdigit() or len(stamp) > 15:
        return None
    try:
        per_second = 1_000 if unit == "ms" else 1
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=int(stamp) / per_second)
    except OverflowError:
        return None


def read_scheme(document: Any) -> Scheme:  # noqa: ANN401 - a part of a mapping, any JSON value
    """Return the scheme that a mapping declares; raise ``BadScheme`` with a sentence."""
    if not isinstance(document, Mapping):
        raise BadScheme("is an object, as in {scheme: hmac, header: X-Signature}")
    if unknown := sorted(map(str, document.keys() - _MEMBERS)):
        raise BadScheme(f"has no member {unknown[0]}; known ones are {', '.join(_MEMBERS)}")
    kind = _one_of(document, "scheme", SCHEMES, required=True)
    header = _header(document.get("header"), "header")
    if header is None and kind in {"hmac", "token"}:
        raise BadScheme("names no header, as in {header: X-Signature}")
    parts = _parts(document.get("parts"))
    signed = _string(document, "signed", "{body}")
    timestamp = _timestamp(document.get("timestamp"), in_parts="timestamp" in parts)
    named = {part[1:-1] for part in _BRACES.split(signed)[1::2]}
    if named - SIGNED:
        raise BadScheme("signed knows {body}, {timestamp}, {method} and {uri}")
    if "body" not in named:
        raise BadScheme("signed leaves out {body}: anybody could put other words under it")
    if ("timestamp" in named) is not (timestamp is not None) and kind == "hmac":
        raise BadScheme(
            "timestamp and {timestamp} in signed belong together: a time that is not signed"
            " proves nothing, and one that is signed has to be found"
        )
    return Scheme(
        scheme=kind,
        header=header or "authorization",
        algorithm=_one_of(document, "algorithm", ALGORITHMS) or "sha256",
        encoding=_one_of(document, "encoding", ENCODINGS) or "hex",
        prefix=_string(document, "prefix", ""),
        signed=signed,
        timestamp=timestamp,
        secret=_one_of(document, "secret", SECRETS) or "text",
        parts=parts,
    )


_MEMBERS: Final = (
    "scheme", "header", "algorithm", "encoding", "prefix", "signed", "timestamp", "secret",
    "parts",
)  # fmt: skip


def _one_of(
    document: Mapping[str, Any], name: str, known: Sequence[str], *, required: bool = False
) -> Any:  # noqa: ANN401 - one of the known words
    value = document.get(name)
    if value is None and not required:
        return None
    if value not in known:
        raise BadScheme(f"{name} is one of {', '.join(known)}")
    return value


def _string(document: Mapping[str, Any], name: str, default: str) -> str:
    value = document.get(name)
    if value is not None and (not isinstance(value, str) or len(value) > 200):
        raise BadScheme(f"{name} is a text of up to 200 characters")
    return default if value is None else value


def _header(value: object, name: str) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9_-]{1,100}", value):
        raise BadScheme(f"{name} is the name of a header, such as X-Signature")
    return value.lower()


def _parts(value: object) -> dict[str, str]:
    if value is None:
        return {}
    if (
        not isinstance(value, Mapping)
        or "signature" not in value
        or value.keys() - {"signature", "timestamp"}
        or not all(isinstance(one, str) and one for one in value.values())
    ):
        raise BadScheme("parts names those of the header, as in {timestamp: t, signature: v1}")
    return dict(value)


def _timestamp(value: object, *, in_parts: bool) -> Timestamp | None:
    if value is None:
        return Timestamp() if in_parts else None
    if not isinstance(value, Mapping) or value.keys() - {"header", "unit", "tolerance"}:
        raise BadScheme("timestamp is an object with header, unit and tolerance")
    header = _header(value.get("header"), "timestamp.header")
    if header is None and not in_parts:
        raise BadScheme("timestamp names no header")
    tolerance = value.get("tolerance", DEFAULT_TOLERANCE)
    if isinstance(tolerance, bool) or not isinstance(tolerance, int):
        raise BadScheme("timestamp.tolerance is a number of seconds")
    if not 1 <= tolerance <= 86_400:
        raise BadScheme("timestamp.tolerance is 1 to 86400 seconds")
    return Timestamp(
        header=header,
        unit=_one_of(value, "unit", UNITS) or "s",
        tolerance=timedelta(seconds=tolerance),
    )
