"""The OpenID Connect provider as we meet it: what it publishes, and what it says of somebody.

Authorization code flow with PKCE (RFC 7636), state and nonce. Issuer and client are fixed by
the settings, signatures are asymmetric ones, keys are cached and fetched anew at most once a
minute. All that comes from there is judged as if it were hostile: sizes, times, types.
"""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote_plus, urlencode, urlsplit

import httpx
from cryptography.exceptions import UnsupportedAlgorithm
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import JWKRegistry, KeySet
from joserfc.jws import JWSRegistry

from shared.identity.federation import Vouched
from shared.ids import new_token

if TYPE_CHECKING:
    from shared.clock import Clock

ALGORITHMS: Final = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "Ed25519"),
)
"""Signatures that are believed: those that only the provider can make."""

_MOST_BYTES: Final = 256_000
_MOST_GROUPS: Final = 2_000
_PATIENCE: Final = 10.0
_KEPT: Final = 3_600.0
_AGAIN: Final = 60.0
"""Seconds: for one answer; that what it publishes is kept; between two looks at its keys."""
_LEEWAY: Final = 60
_REGISTRY: Final = JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False)
_UNUSABLE: Final = (
    *(JoseError, UnsupportedAlgorithm),
    *(ValueError, TypeError, KeyError, AttributeError),
)
"""What reading a key or a token raises that is none, or not of the types that it must have."""


class ProviderFailed(Exception):
    """The provider did not answer, or not as it must; ``reason`` is a code for the log."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, kw_only=True)
class Client:
    """What this installation is to the provider, from the settings."""

    issuer: str
    client_id: str
    client_secret: str | None = field(repr=False)
    redirect_uri: str
    scopes: str
    role_claim: str
    trust_email: bool


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One sign-in that was begun: what must come back, and what proves that it was ours."""

    state: str
    nonce: str
    verifier: str

    @classmethod
    def new(cls) -> Attempt:
        """Return one that nobody can guess."""
        return cls(state=new_token(32), nonce=new_token(32), verifier=new_token(48))

    @property
    def challenge(self) -> str:
        """Return what the provider is told of the verifier."""
        digest = sha256(self.verifier.encode()).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


@dataclass(frozen=True)
class _Metadata:
    """What the provider publishes about itself, as far as it is needed."""

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None
    names_issuer: bool
    takes_basic: bool


class Provider:
    """Begins sign-ins and finishes them; one per process."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self.client = client
        self._clock = clock
        self._tls = ssl.create_default_context()  # heeds SSL_CERT_FILE, as mail does
        self._metadata: tuple[float, _Metadata] | None = None
        self._keys: tuple[float, KeySet] | None = None

    async def look(self) -> None:
        """Read what the provider publishes; raise ``ProviderFailed`` if that is no use."""
        await self._key_set(await self._published())

    async def authorization_url(self, attempt: Attempt) -> str:
        """Return where to send the browser; raise ``ProviderFailed``."""
        endpoint = (await self._published()).authorization_endpoint
        query = urlencode(
            {
                "response_type": "code",
                "client_id": self.client.client_id,
                "redirect_uri": self.client.redirect_uri,
                "scope": self.client.scopes,
                "state": attempt.state,
                "nonce": attempt.nonce,
                "code_challenge": attempt.challenge,
                "code_challenge_method": "S256",
            }
        )
        return f"{endpoint}{'&' if urlsplit(endpoint).query else '?'}{query}"

    async def identify(self, attempt: Attempt, code: str, issuer: str | None) -> Vouched:
        """Exchange the code and return whom the provider vouches for.

        ``issuer`` is who says that the code is theirs (RFC 9207), where it is said. Raises
        ``ProviderFailed``.
        """
        published = await self._published()
        if issuer != self.client.issuer and (issuer is not None or published.names_issuer):
            raise ProviderFailed("other_issuer")
        answer = await self._exchange(published, attempt, code)
        token, access = answer.get("id_token"), answer.get("access_token")
        if not isinstance(token, str):
            raise ProviderFailed("no_id_token")
        claims = await self._verified(published, token)
        self._judge(claims, attempt)
        lacks = not isinstance(claims.get("email"), str) or self._value(claims) is None
        if lacks and published.userinfo_endpoint and isinstance(access, str):
            more = await self._userinfo(published.userinfo_endpoint, access)
            if more.get("sub") != claims["sub"]:
                raise ProviderFailed("other_subject")
            claims = {**more, **claims}
        return self._vouched(claims)

    # ------------------------------------------------------------------ what it says

    async def _verified(self, published: _Metadata, token: str) -> dict[str, Any]:
        """Return the claims of a token that the provider has signed."""
        keys = await self._key_set(published)
        try:
            try:
                return jwt.decode(token, keys, registry=_REGISTRY).claims
            except InvalidKeyIdError:
                # Keys are changed now and then; strangers must not make us ask for it.
                keys = await self._key_set(published, anew=True)
                return jwt.decode(token, keys, registry=_REGISTRY).claims
        except _UNUSABLE:
            raise ProviderFailed("signature") from None

    def _judge(self, claims: dict[str, Any], attempt: Attempt) -> None:
        """Raise unless the token is meant for us, for this attempt and for now."""
        rules = jwt.JWTClaimsRegistry(
            now=int(self._clock.now().timestamp()),
            leeway=_LEEWAY,
            iss={"essential": True, "value": self.client.issuer},
            aud={"essential": True, "value": self.client.client_id},
            sub={"essential": True},
            exp={"essential": True},
            iat={"essential": True},
        )
        try:
            rules.validate(claims)
        except (JoseError, ValueError, TypeError) as error:
            claim = getattr(error, "claim", "")
            known = claim in {"iss", "aud", "sub", "exp", "iat", "nbf"}
            raise ProviderFailed(f"claim_{claim}" if known else "claims") from None
        if claims.get("nonce") != attempt.nonce:
            raise ProviderFailed("claim_nonce")
        several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        if claims.get("azp", None if several else self.client.client_id) != (
            self.client.client_id
        ):
            raise ProviderFailed("claim_azp")

    def _vouched(self, claims: Mapping[str, Any]) -> Vouched:
        email, name = claims.get("email"), claims.get("name")
        # Some write it as text.
        verified = self.client.trust_email or claims.get("email_verified") in (True, "true")
        return Vouched(
            issuer=self.client.issuer,
            subject=claims["sub"],
            email=email if isinstance(email, str) and verified else None,
            name=_plain(name) if isinstance(name, str) else "",
            groups=_texts(self._value(claims)),
        )

    def _value(self, claims: Mapping[str, Any]) -> object:
        """Return what the role claim holds; an exact name goes before a way inwards."""
        name = self.client.role_claim
        if name in claims:
            return claims[name]
        value: object = claims
        for part in name.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        return value

    # ------------------------------------------------------------------ what is asked

    async def _published(self) -> _Metadata:
        at = self._clock.monotonic()
        if self._metadata is None or at - self._metadata[0] >= _KEPT:
            base = self.client.issuer.rstrip("/")
            document = await _asked(
                self._tls, "GET", f"{base}/.well-known/openid-configuration"
            )
            self._metadata = (at, _read_metadata(document, self.client.issuer))
        return self._metadata[1]

    async def _key_set(self, published: _Metadata, *, anew: bool = False) -> KeySet:
        at = self._clock.monotonic()
        if self._keys is None or at - self._keys[0] >= (_AGAIN if anew else _KEPT):
            self._keys = (at, _read_keys(await _asked(self._tls, "GET", published.jwks_uri)))
        return self._keys[1]

    async def _exchange(
        self, published: _Metadata, attempt: Attempt, code: str
    ) -> dict[str, Any]:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.client.redirect_uri,
            "code_verifier": attempt.verifier,
        }
        headers = {}
        secret = self.client.client_secret
        if secret is not None and published.takes_basic:
            pair = f"{quote_plus(self.client.client_id)}:{quote_plus(secret)}"
            headers["authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        else:
            form["client_id"] = self.client.client_id
            if secret is not None:
                form["client_secret"] = secret
        return await _asked(
            self._tls, "POST", published.token_endpoint, headers=headers, form=form
        )

    async def _userinfo(self, endpoint: str, access: str) -> dict[str, Any]:
        if not access.isascii() or not access.isprintable():
            raise ProviderFailed("access_token")
        return await _asked(
            self._tls, "GET", endpoint, headers={"authorization": f"Bearer {access}"}
        )


def is_safe(url: object) -> bool:
    """Tell whether a provider may be reached there: encrypted, or on this very machine."""
    if not isinstance(url, str) or not url.isascii() or not url.isprintable():
        return False
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    if not host or parts.username or parts.fragment or "\\" in url:
        return False
    here = host in {"localhost", "127.0.0.1", "::1"}
    return parts.scheme == "https" or (parts.scheme == "http" and here)


def _read_metadata(document: Mapping[str, Any], issuer: str) -> _Metadata:
    if document.get("issuer") != issuer:
        raise ProviderFailed("metadata_issuer")
    wanted = ("authorization_endpoint", "token_endpoint", "jwks_uri")
    if not all(is_safe(document.get(name)) for name in wanted):
        raise ProviderFailed("metadata_endpoints")
    userinfo = document.get("userinfo_endpoint")
    ways = document.get("token_endpoint_auth_methods_supported")
    return _Metadata(
        authorization_endpoint=document["authorization_endpoint"],
        token_endpoint=document["token_endpoint"],
        jwks_uri=document["jwks_uri"],
        userinfo_endpoint=userinfo if is_safe(userinfo) else None,
        names_issuer=document.get("authorization_response_iss_parameter_supported") is True,
        takes_basic=not isinstance(ways, list) or "client_secret_basic" in ways,
    )


def _read_keys(document: Mapping[str, Any]) -> KeySet:
    """Return the keys that can be used; others are of no concern to us."""
    found = []
    listed = document.get("keys")
    for each in listed if isinstance(listed, list) else []:
        try:
            key = JWKRegistry.import_key(each)
            key.check_use("sig")
        except _UNUSABLE:
            continue
        found.append(key)
    if not found:
        raise ProviderFailed("no_keys")
    return KeySet(found)


async def _asked(
    tls: ssl.SSLContext,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    form: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Ask the provider once and return the JSON object that it answers with."""
    try:
        async with (
            asyncio.timeout(_PATIENCE),
            # No proxy, no password file, no cookies, no redirects: exactly this address.
            httpx.AsyncClient(trust_env=False, timeout=_PATIENCE, verify=tls) as client,
            client.stream(
                method,
                url,
                headers={
                    "accept": "application/json",
                    "accept-encoding": "identity",
                    **(headers or {}),
                },
                data=form,
            ) as answer,
        ):
            body = bytearray()
            async for part in answer.aiter_raw():
                body += part
                if len(body) > _MOST_BYTES:
                    raise ProviderFailed("too_large")
            status = answer.status_code
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, OSError, UnicodeError):
        raise ProviderFailed("unreachable") from None
    if status != httpx.codes.OK:
        raise ProviderFailed(f"status_{status}")
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise ProviderFailed("not_json")
    return document


def _plain(name: str) -> str:
    """Return a name as it can be stored; nothing where nothing is left of it."""
    return " ".join("".join(c if c.isprintable() else " " for c in name[:400]).split())[:200]


def _texts(value: object) -> frozenset[str]:
    listed = value if isinstance(value, list) else [value]
    return frozenset(each for each in listed[:_MOST_GROUPS] if isinstance(each, str))
