"""Which addresses an outgoing request may reach: a table of our own.

``ipaddress.is_global`` is not used: it calls multicast, NAT64, 6to4 and several others global.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import TYPE_CHECKING

from services.notify.domain.urls import PUBLIC_PORTS

if TYPE_CHECKING:
    from collections.abc import Sequence

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_INNER: tuple[tuple[Network, str], ...] = tuple(
    (ip_network(network), kind)
    for network, kind in (
        ("0.0.0.0/8", "this_network"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "carrier_nat"),
        ("127.0.0.0/8", "loopback"),
        ("169.254.0.0/16", "link_local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "protocol"),
        ("192.0.2.0/24", "documentation"),
        ("192.88.99.0/24", "relay"),
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "benchmark"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
        ("::1/128", "loopback"),
        ("::/96", "v4_compatible"),
        ("64:ff9b::/96", "nat64"),
        ("64:ff9b:1::/48", "nat64"),
        ("100::/64", "discard"),
        ("2001::/23", "protocol"),
        ("2001:db8::/32", "documentation"),
        ("2002::/16", "relay"),
        ("3fff::/20", "documentation"),
        ("5f00::/16", "segment_routing"),
        ("fc00::/7", "private"),
        ("fe80::/10", "link_local"),
        ("fec0::/10", "site_local"),
        ("ff00::/8", "multicast"),
    )
)


def unwrapped(address: Address) -> Address:
    """Return the IPv4 address inside an IPv4-mapped one, anything else unchanged."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


@dataclass(frozen=True, kw_only=True)
class NetworkRules:
    """The operator's exceptions, and where this installation itself is found."""

    allowed: tuple[Network, ...] = ()
    any_port: bool = False
    own_addresses: frozenset[Address] = frozenset()
    own_ports: frozenset[int] = frozenset()


def address_problem(address: Address, port: int, rules: NetworkRules) -> str | None:
    """Say why ``address`` may not be dialled on ``port``, or None."""
    address = unwrapped(address)
    is_own = address in {unwrapped(one) for one in rules.own_addresses}
    if port in rules.own_ports and (is_own or address.is_loopback or address.is_unspecified):
        return "own_origin"
    if is_allowed(address, rules.allowed):
        return None
    if not rules.any_port and port not in PUBLIC_PORTS:
        return "port"
    for network, kind in _INNER:
        if address in network:
            return kind
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        return "link_local"
    return "own_address" if is_own else None


def is_allowed(address: Address, allowed: Sequence[Network]) -> bool:
    """Tell whether the operator made an exception for this address."""
    address = unwrapped(address)
    return any(address in network for network in allowed)
