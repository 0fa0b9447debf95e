"""Everything that can be set from outside, with its default and a sentence.

Read from the environment and ``.env``, prefix ``CLOSED_LOOP_``. An unknown name with our prefix
stops the start, because a typo in a setting must not be silent. ``docs/configuration.md`` is
held equal to this file by a test.
"""

from __future__ import annotations

import os
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Literal, Self

from dotenv import dotenv_values
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from shared.errors import Misconfigured

PREFIX = "CLOSED_LOOP_"
SQLITE_DEFAULT = "sqlite+aiosqlite:///./closed-loop.db"


class Settings(BaseSettings):
    """One installation's settings; names in the environment carry ``CLOSED_LOOP_``."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, frozen=True, extra="ignore"
    )

    database_url: str = Field(
        SQLITE_DEFAULT, description="`sqlite+aiosqlite:///…` or `postgresql+asyncpg://…`"
    )
    bus: str = Field("embedded", description="`embedded`, or `kafka://host:port[,host:port]`")
    smtp_url: SecretStr = Field(
        SecretStr("capture:"),
        description="`capture:` keeps mail in the application's own mail page; or"
        " `smtp://`, `smtps://`, `smtp+starttls://user:pass@host:port`",
    )
    mail_from: str = Field(
        "Closed Loop <closed-loop@localhost.localdomain>", description="sender of every mail"
    )
    mail_return_path: str = Field(
        "",
        description="mailbox that takes the bounces of every mail, each at an address of its"
        " own (`bounces+<delivery>.<mac>@example.org` for `bounces@example.org`: sub-addresses"
        " must arrive there); left out, bounces go to the sender",
    )
    public_url: str = Field(
        "http://127.0.0.1:8000",
        description="base of every link; its scheme decides cookie name and flags",
    )
    secret: SecretStr | None = Field(
        None,
        description="root of all sub-keys, at least 32 characters; generated once for the"
        " embedded default and kept beside the database, required otherwise",
    )
    secret_previous: SecretStr | None = Field(
        None, description="the former secret while it is being replaced"
    )
    webhook_allow_networks: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode] = Field(
        (),
        description="CIDRs, comma separated, that outgoing webhooks may reach on any port"
        " although private or loopback; our own origin stays refused",
    )
    webhook_allow_http: bool = Field(
        default=False, description="allow plain http receivers, on any port"
    )
    rate_per_key: int = Field(
        0, ge=0, description="requests a minute and API key; 0 is unlimited"
    )
    backlog_limit: int = Field(
        1_000_000,
        ge=0,
        description="responses that may wait to be published while the bus is away; then new"
        " ones are answered 503 `storage-full`; 0 is unlimited",
    )
    disk_floor_mb: int = Field(
        512,
        ge=0,
        description="free megabytes that the disk of the SQLite file keeps: with less, new"
        " responses are answered 503 `storage-full`; 0 asks for none",
    )
    trusted_proxies: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode] = Field(
        (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128")),
        description="CIDRs, comma separated, of proxies in front of us: only they are believed"
        " about whom they speak for (`X-Forwarded-For`, `X-Forwarded-Proto`)",
    )
    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8000, ge=1, le=65535, description="port to listen on")
    log_format: Literal["auto", "json", "text"] = Field(
        "auto", description="`auto` is text on a terminal and JSON elsewhere"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="least severity that is logged"
    )
    oidc_issuer: str = Field(
        "",
        description="issuer URL of an OpenID Connect provider; with it staff can sign in there"
        " (needs the extra: `pip install 'closed-loop[oidc]'`)",
    )
    oidc_client_id: str = Field("", description="what the provider calls this installation")
    oidc_client_secret: SecretStr | None = Field(
        None,
        description="the client's secret; left out for a public client, which has PKCE only",
    )
    oidc_scopes: str = Field(
        "openid email profile", description="scopes asked for; some providers want `groups` too"
    )
    oidc_role_claim: str = Field(
        "groups",
        description="claim that holds groups or roles; dots lead inwards, as in"
        " `realm_access.roles`",
    )
    oidc_role_map: str = Field(
        "",
        description="`value=role` pairs, separated by semicolons; the first whose value the"
        " claim holds counts. With it the provider decides: whoever has none of them stays out,"
        " whoever is new gets an account. Without it people and roles are made here",
    )
    oidc_trust_email: bool = Field(
        default=False,
        description="recognise people by an address although the provider does not say that it"
        " is verified; only where nobody can choose their own address there",
    )
    oidc_name: str = Field(
        "single sign-on", description="what the button on the sign-in page calls the provider"
    )
    bootstrap_api_key: SecretStr | None = Field(
        None,
        description="if set (at least 32 characters), a key of source `bootstrap` with every"
        " scope exists from the first start",
    )
    bootstrap_admin: SecretStr | None = Field(
        None, description="`email:password` of a first administrator"
    )

    @field_validator("webhook_allow_networks", "trusted_proxies", mode="before")
    @classmethod
    def _networks(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(ip_network(part.strip()) for part in value.split(",") if part.strip())
        return value

    @field_validator("public_url")
    @classmethod
    def _no_slash(cls, value: str) -> str:
        if not value.startswith(("http://", "https://")):
            message = "must start with http:// or https://"
            raise ValueError(message)
        return value.rstrip("/")

    @field_validator("secret", "secret_previous", "bootstrap_api_key")
    @classmethod
    def _long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < 32:
            message = "must have at least 32 characters"
            raise ValueError(message)
        return value

    @field_validator("bootstrap_admin")
    @classmethod
    def _address_and_password(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            address, _, password = value.get_secret_value().partition(":")
            if "@" not in address or not password:
                message = "must look like email:password"
                raise ValueError(message)
        return value

    @property
    def is_sqlite(self) -> bool:
        """Tell whether the database is the embedded one."""
        return self.database_url.startswith("sqlite")

    @property
    def is_embedded_bus(self) -> bool:
        """Tell whether the bus lives in the same database."""
        return self.bus == "embedded"

    @property
    def sqlite_path(self) -> Path | None:
        """Return the SQLite file, or None on PostgreSQL."""
        return Path(self.database_url.partition("///")[2]) if self.is_sqlite else None

    @classmethod
    def load(cls, **overrides: object) -> Self:
        """Read the environment and ``.env``; raise ``Misconfigured`` with a sentence."""
        from_file = {k: v for k, v in dotenv_values(".env").items() if v is not None}
        given = {k.upper(): v for k, v in {**from_file, **os.environ}.items()}
        known = {PREFIX + name.upper() for name in cls.model_fields}
        unknown = sorted(
            name
            for name in given
            if name.startswith(PREFIX)
            and name not in known
            and not name.startswith(PREFIX + "TEST_")
        )
        if unknown:
            message = (
                f"Unknown setting {unknown[0]}. Remove it or correct the name;"
                " docs/configuration.md lists every setting."
            )
            raise Misconfigured(message)
        values = {
            name: given[PREFIX + name.upper()]
            for name in cls.model_fields
            if given.get(PREFIX + name.upper())  # set to nothing is not set
        }
        chosen = {**values, **overrides}
        if chosen.get("port") and "public_url" not in chosen:
            # Whoever moves the port without a public address means this machine.
            chosen["public_url"] = f"http://127.0.0.1:{chosen['port']}"
        try:
            return cls.model_validate(chosen)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            name = PREFIX + str(first["loc"][0]).upper() if first["loc"] else "A setting"
            message = f"{name} is not usable: {first['msg']}. See docs/configuration.md."
            raise Misconfigured(message) from None
