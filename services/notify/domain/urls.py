"""Where a webhook may point, by its text alone.

Stricter than any URL parser: what two parsers could read differently is refused, so that the
one that dials never sees it. Addresses behind names are judged when they are known.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address

PUBLIC_PORTS = frozenset({443, 8443})
_LONGEST = 2_048
_URL = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://"
    r"(?P<authority>[^/?#]*)"
    r"(?P<path>/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*)?"
    r"(?P<query>\?[A-Za-z0-9._~!$&'()*+,;=:@%/?\[\]-]*)?"
)
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_NUMERIC = re.compile(r"(0x[0-9a-f]*|[0-9]+)")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_INNER_NAMES = ("localhost", "local", "internal", "home.arpa", "onion", "test", "invalid")


@dataclass(frozen=True, kw_only=True)
class Target:
    """A URL that may be dialled: the parts that matter, lower-cased."""

    scheme: str
    host: str
    port: int

    @property
    def literal(self) -> IPv4Address | IPv6Address | None:
        """Return the address when the host is one, not a name."""
        return _address(self.host)


@dataclass(frozen=True, kw_only=True)
class UrlRules:
    """What this installation allows, and its own origins as ``(host, port)``.

    With ``inner_networks`` (the operator listed some) names and ports are judged together with
    the address behind them, by ``networks``.
    """

    allow_http: bool = False
    inner_networks: bool = False
    own_origins: frozenset[tuple[str, int]] = frozenset()


@dataclass(frozen=True, kw_only=True)
class UrlRefused:
    """Why a URL is not taken: a stable code and what to do instead."""

    code: str
    fix: str


def read_url(url: str, rules: UrlRules) -> Target | UrlRefused:
    """Return where ``url`` points, or why it is refused."""
    found = _parsed(url, rules)
    if isinstance(found, UrlRefused):
        return found
    scheme, authority = found
    parts = _authority(authority, 443 if scheme == "https" else 80)
    if isinstance(parts, UrlRefused):
        return parts
    host, port = parts
    if problem := _host_problem(host, inner_names=rules.inner_networks):
        return problem
    if not (port in PUBLIC_PORTS or rules.allow_http or rules.inner_networks):
        listed = ", ".join(map(str, sorted(PUBLIC_PORTS)))
        return UrlRefused(code="port", fix=f"use one of the ports {listed}")
    if (host, port) in rules.own_origins:
        return UrlRefused(code="own_origin", fix="choose a receiver other than this service")
    return Target(scheme=scheme, host=host, port=port)


def _parsed(url: str, rules: UrlRules) -> tuple[str, str] | UrlRefused:  # noqa: PLR0911 - a table
    """Return scheme and authority of a URL that every parser reads alike."""
    if len(url) > _LONGEST:
        return UrlRefused(code="too_long", fix=f"use at most {_LONGEST} characters")
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        return UrlRefused(code="characters", fix="use plain ASCII; encode others with %")
    found = _URL.fullmatch(url)
    if found is None:
        if "#" in url:
            return UrlRefused(code="fragment", fix="leave out everything from # on")
        return UrlRefused(code="not_a_url", fix="send a URL such as https://example.com/hook")
    scheme = found["scheme"].lower()
    if scheme not in ({"https", "http"} if rules.allow_http else {"https"}):
        return UrlRefused(
            code="scheme",
            fix="use https, or have the operator set CLOSED_LOOP_WEBHOOK_ALLOW_HTTP",
        )
    if "@" in found["authority"]:
        return UrlRefused(code="userinfo", fix="leave out user name and password")
    if _BAD_ESCAPE.search((found["path"] or "") + (found["query"] or "")):
        return UrlRefused(code="characters", fix="write a percent sign as %25")
    return scheme, found["authority"].lower()


def _authority(authority: str, default: int) -> tuple[str, int] | UrlRefused:
    if authority.startswith("["):
        inner, bracket, rest = authority[1:].partition("]")
        host = inner if bracket and _is_ipv6(inner) else ""
    else:
        host, colon, rest = authority.partition(":")
        rest = colon + rest
    if not host:
        return UrlRefused(code="host", fix="name the receiver's host")
    if not rest:
        return host, default
    digits = rest[1:]
    if not rest.startswith(":") or not digits.isdigit() or len(digits) > 5:
        return UrlRefused(code="port", fix="use a port from 1 to 65535")
    port = int(digits)
    if not 1 <= port <= 65_535:
        return UrlRefused(code="port", fix="use a port from 1 to 65535")
    return host, port


def _is_ipv6(text: str) -> bool:
    try:
        return "%" not in text and bool(IPv6Address(text).compressed)
    except AddressValueError:
        return False


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return IPv6Address(host) if ":" in host else IPv4Address(host)
    except AddressValueError:
        return None


def _host_problem(host: str, *, inner_names: bool) -> UrlRefused | None:
    if _address(host) is not None:
        return None
    labels = host.split(".")
    problem: UrlRefused | None = None
    if len(host) > 253 or not all(map(_LABEL.fullmatch, labels)):
        problem = UrlRefused(code="host", fix="use the host's plain name, without a final dot")
    elif _NUMERIC.fullmatch(labels[-1]):
        # 2130706433, 0x7f.1 and 127.1 are all loopback to the system's resolver.
        problem = UrlRefused(code="numeric_host", fix="write an address as four plain numbers")
    elif inner_names:
        problem = None
    elif any(host == name or host.endswith(f".{name}") for name in _INNER_NAMES):
        problem = UrlRefused(code="inner_name", fix="use a name that the public internet knows")
    elif len(labels) < 2:
        problem = UrlRefused(code="single_label", fix="use the host's full name")
    return problem


def host_of(url: str) -> str:
    """Return the host that a URL of ours names: what may be said of it to everybody."""
    return url.partition("://")[2].partition("/")[0].partition("?")[0]
