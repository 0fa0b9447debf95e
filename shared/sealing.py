"""Sub-keys from the one secret, and sealing with AES-256-GCM.

Personal words are sealed under a key of their own person; that key is wrapped under a sub-key
of the installation's secret, which lies outside the database. Forgetting a person is forgetting
that key.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import os
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

if TYPE_CHECKING:
    from collections.abc import Mapping

_VERSION = "s1"

LASTING: Final = frozenset(
    {
        "person-refs",
        "search",
        "natural-keys",
        "response-meanings",
        "batch-meanings",
        "idempotency-keys",
        "idempotency-fingerprints",
        "audit-seals",
    }
)
"""What is looked up by a digest, in rows that nobody can compute anew: the keys of these
purposes outlive the secret. Everything else is derived from the secret of the day."""


class CannotOpen(Exception):
    """The key does not fit or the sealed text was changed."""


def _subkey(secret: str, purpose: str) -> bytes:
    """Derive 32 bytes for one purpose (HKDF, RFC 5869)."""
    return HKDF(
        algorithm=SHA256(), length=32, salt=None, info=f"closed-loop/{purpose}/v1".encode()
    ).derive(secret.encode())


class Keyring:
    """The installation's secret, and what is derived from it per purpose."""

    def __init__(self, secret: str, previous: str | None = None) -> None:
        self._secrets = (secret, *([previous] if previous else []))
        self._derived: dict[tuple[str, str], bytes] = {}
        self._lasting: dict[str, bytes] = {}

    def use_lasting(self, keys: Mapping[str, bytes]) -> None:
        """Use these keys for their purposes from now on, whatever the secret is."""
        self._lasting = {**keys}

    def subkey(self, purpose: str) -> bytes:
        """Return the current 32-byte key for ``purpose``."""
        return self.subkeys(purpose)[0]

    def subkeys(self, purpose: str) -> tuple[bytes, ...]:
        """Return the current key and, while the secret is being replaced, the former one.

        A purpose whose key outlives the secret has this one key.
        """
        if (lasting := self._lasting.get(purpose)) is not None:
            return (lasting,)
        for secret in self._secrets:
            if (secret, purpose) not in self._derived:
                self._derived[secret, purpose] = _subkey(secret, purpose)
        return tuple(self._derived[secret, purpose] for secret in self._secrets)

    def mac(self, purpose: str, *parts: str) -> str:
        """Return a keyed digest (HMAC-SHA-256, hex) that reveals nothing about its parts."""
        return self.macs(purpose, *parts)[0]

    def macs(self, purpose: str, *parts: str) -> tuple[str, ...]:
        """Return that digest and, while the secret is being replaced, the former secret's."""
        message = "\x00".join(parts).encode("utf-8", "surrogatepass")
        return tuple(hmac.digest(key, message, sha256).hex() for key in self.subkeys(purpose))

    def seal(self, purpose: str, plain: bytes, *, context: str) -> bytes:
        """Seal bytes under the installation's own key for ``purpose``."""
        return seal(self.subkey(purpose), plain, context=context)

    def open(self, purpose: str, sealed: bytes, *, context: str) -> bytes:
        """Open what ``seal`` made, also while the secret is being replaced."""
        for key in self.subkeys(purpose):
            try:
                return unseal(key, sealed, context=context)
            except CannotOpen:
                continue
        message = f"sealed bytes of purpose {purpose} do not open"
        raise CannotOpen(message)

    def rewrap(self, purpose: str, sealed: bytes, *, context: str) -> bytes | None:
        """Return the same under the current secret; None where it is under it already.

        Raises ``CannotOpen`` for what no secret that we know opens.
        """
        try:
            unseal(self.subkey(purpose), sealed, context=context)
        except CannotOpen:
            plain = self.open(purpose, sealed, context=context)
            return self.seal(purpose, plain, context=context)
        return None


def seal(key: bytes, plain: bytes, *, context: str) -> bytes:
    """Seal ``plain``; it opens only with the same key and the same ``context``."""
    nonce = os.urandom(12)
    return nonce + AESGCM(key).encrypt(nonce, plain, context.encode())


def unseal(key: bytes, sealed: bytes, *, context: str) -> bytes:
    """Open what ``seal`` made; raise ``CannotOpen`` otherwise."""
    try:
        return AESGCM(key).decrypt(sealed[:12], sealed[12:], context.encode())
    except (InvalidTag, ValueError):
        message = "the key does not fit or the sealed text was changed"
        raise CannotOpen(message) from None


def seal_document(key: bytes, document: Mapping[str, Any], *, context: str) -> str:
    """Seal a JSON document into the text form that events and tables carry."""
    plain = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    return f"{_VERSION}.{base64.urlsafe_b64encode(seal(key, plain, context=context)).decode()}"


def open_document(key: bytes, token: str, *, context: str) -> dict[str, Any]:
    """Open what ``seal_document`` made; raise ``CannotOpen`` otherwise."""
    version, _, body = token.partition(".")
    sealed = b""
    try:
        sealed = base64.urlsafe_b64decode(body)
    except (binascii.Error, ValueError):
        version = ""
    if version != _VERSION:
        message = "not a sealed document of a known version"
        raise CannotOpen(message)
    document: dict[str, Any] = json.loads(unseal(key, sealed, context=context))
    return document
