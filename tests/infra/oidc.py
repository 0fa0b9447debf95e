"""A small OpenID Connect provider on loopback, honest until a test says otherwise.

It checks what a strict provider checks: client, redirect address, PKCE, and that a code is used
once. A test may have it lie in any one thing.
"""

from __future__ import annotations

import base64
import contextlib
import secrets
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode

from fastapi import FastAPI
from joserfc import jwt
from joserfc.jwk import ECKey
from pydantic import SecretStr
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from shared.clock import Clock
from tests.infra.processes import free_port
from tests.serving import served

CLIENT_ID = "closed-loop"
CLIENT_SECRET = "a secret of the provider's, with : and & in it"


def new_key(kid: str) -> ECKey:
    """Make a key to sign with."""
    return ECKey.generate_key("P-256", {"kid": kid, "use": "sig", "alg": "ES256"})


@dataclass
class Provider:
    """What it knows, and how it lies."""

    clock: Clock
    host: str = "127.0.0.1"
    port: int = field(default_factory=free_port)
    tls: ssl.SSLContext | None = None
    person: dict[str, Any] = field(default_factory=dict)
    """The claims about whoever signs in; they are in the ID token."""
    userinfo: dict[str, Any] = field(default_factory=dict)
    key: ECKey = field(default_factory=lambda: new_key("one"))
    published: list[dict[str, Any]] | None = None
    """What stands at the address of the keys, if it is not simply the key."""
    metadata: dict[str, Any] = field(default_factory=dict)
    """Members of the discovery document that differ from the truth."""
    tamper: Callable[[dict[str, Any]], dict[str, Any]] = dict
    sign: Callable[[dict[str, Any]], str] | None = None
    on_return: dict[str, str | None] = field(default_factory=dict)
    """Parameters of the way back that differ from the truth; None leaves one out."""
    answers: dict[str, Response] = field(default_factory=dict)
    """What a path answers instead."""
    new_code: Callable[[], str] = lambda: secrets.token_urlsafe(16)
    asked: list[str] = field(default_factory=list)
    _codes: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def issuer(self) -> str:
        """Return what it calls itself."""
        return f"http{'s' if self.tls else ''}://{self.host}:{self.port}"

    @property
    def settings(self) -> dict[str, Any]:
        """Return what an installation is told of it."""
        return {
            "oidc_issuer": self.issuer,
            "oidc_client_id": CLIENT_ID,
            "oidc_client_secret": SecretStr(CLIENT_SECRET),
        }

    @property
    def app(self) -> FastAPI:
        """Return it as an application."""
        app = FastAPI()
        for path, methods, answer in (
            ("/.well-known/openid-configuration", ["GET"], self._metadata),
            ("/authorize", ["GET"], self._authorize),
            ("/token", ["POST"], self._token),
            ("/keys", ["GET"], self._keys),
            ("/userinfo", ["GET"], self._userinfo),
        ):
            app.add_route(path, self._told(path, answer), methods=methods)
        return app

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[Provider]:
        """Serve it until the block ends."""
        async with served(self.app, self.port, self.tls):
            yield self

    def _told(self, path: str, answer: Callable[[Request], Any]) -> Callable[[Request], Any]:
        async def respond(request: Request) -> Response:
            self.asked.append(path)
            if path in self.answers:
                return self.answers[path]
            given: Response = await answer(request)
            return given

        return respond

    async def _metadata(self, request: Request) -> Response:
        return JSONResponse(
            {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/keys",
                "userinfo_endpoint": f"{self.issuer}/userinfo",
                "authorization_response_iss_parameter_supported": True,
                **self.metadata,
            }
        )

    async def _authorize(self, request: Request) -> Response:
        given = dict(request.query_params)
        assert given["client_id"] == CLIENT_ID
        assert given["response_type"] == "code"
        assert given["code_challenge_method"] == "S256"
        assert "openid" in given["scope"].split()
        code = self.new_code()
        self._codes[code] = given
        back = {"code": code, "state": given["state"], "iss": self.issuer, **self.on_return}
        query = urlencode({name: value for name, value in back.items() if value is not None})
        return RedirectResponse(f"{given['redirect_uri']}?{query}", 302)

    async def _token(self, request: Request) -> Response:
        form = await request.form()
        basic = base64.b64decode(request.headers["authorization"].removeprefix("Basic "))
        user, _, password = basic.decode().partition(":")
        begun = self._codes.pop(str(form["code"]), None)
        challenge = base64.urlsafe_b64encode(
            sha256(str(form["code_verifier"]).encode()).digest()
        )
        if (
            begun is None
            or (user, password) != (CLIENT_ID, _quoted(CLIENT_SECRET))
            or form["grant_type"] != "authorization_code"
            or form["redirect_uri"] != begun["redirect_uri"]
            or challenge.decode().rstrip("=") != begun["code_challenge"]
        ):
            return JSONResponse({"error": "invalid_grant"}, 400)
        now = int(self.clock.now().timestamp())
        claims = {
            "iss": self.issuer,
            "aud": CLIENT_ID,
            "iat": now,
            "exp": now + 300,
            "nonce": begun["nonce"],
            **self.person,
        }
        token = (self.sign or self.signed)(self.tamper(claims))
        return JSONResponse({"token_type": "Bearer", "access_token": "at-1", "id_token": token})

    def signed(self, claims: dict[str, Any], key: ECKey | None = None, **header: str) -> str:
        """Return an ID token as it ought to be."""
        key = key or self.key
        return jwt.encode({"alg": "ES256", "kid": str(key.kid), **header}, claims, key)

    async def _keys(self, request: Request) -> Response:
        shown: Any = self.published or [self.key.as_dict(private=False)]
        return JSONResponse({"keys": shown})

    async def _userinfo(self, request: Request) -> Response:
        assert request.headers["authorization"] == "Bearer at-1"
        return JSONResponse({"sub": self.person.get("sub"), **self.userinfo})


def _quoted(text: str) -> str:
    return urlencode({"": text}).removeprefix("=")
