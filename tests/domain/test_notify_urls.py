"""Where a webhook may point: texts that are refused, and addresses that are never dialled."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from services.notify.domain.networks import NetworkRules, address_problem
from services.notify.domain.urls import Target, UrlRefused, UrlRules, read_url

STRICT = UrlRules(own_origins=frozenset({("loop.example.org", 443)}))
WITH_HTTP = UrlRules(allow_http=True)
CLOSED_NETWORK = UrlRules(allow_http=True, inner_networks=True)


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("https://crm.example.com/hooks?a=1&b=%20", "crm.example.com", 443),
        ("HTTPS://CRM.Example.COM", "crm.example.com", 443),
        ("https://crm.example.com:8443/", "crm.example.com", 8443),
        ("https://xn--bcher-kva.example.com/", "xn--bcher-kva.example.com", 443),
        ("https://93.184.216.34/x", "93.184.216.34", 443),
        ("https://[2606:2800:220:1::1]/x", "2606:2800:220:1::1", 443),
    ],
)
def test_plain_urls_are_taken(url: str, host: str, port: int) -> None:
    assert read_url(url, STRICT) == Target(scheme="https", host=host, port=port)


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("", "not_a_url"),
        ("crm.example.com/hook", "not_a_url"),
        ("//crm.example.com/hook", "not_a_url"),
        ("http://crm.example.com/", "scheme"),
        ("ftp://crm.example.com/", "scheme"),
        ("file:///etc/passwd", "scheme"),
        ("gopher://crm.example.com/", "scheme"),
        ("https://user@crm.example.com/", "userinfo"),
        ("https://user:pass@crm.example.com/", "userinfo"),
        ("https://127.0.0.1\\@example.com/", "characters"),
        ("https://crm.example.com/#part", "fragment"),
        ("https://crm.example.com/a b", "characters"),
        ("https://crm.example.com/\r\nX: y", "characters"),
        ("https://crm.example.com/\x00", "characters"),
        ("https://crm.example.com/ü", "characters"),
        ("https://①②⑦.⓪.⓪.①/", "characters"),
        ("https://crm.example.com/%zz", "characters"),
        ("https:///hook", "host"),
        ("https://:443/", "host"),
        ("https://crm.example.com:0/", "port"),
        ("https://crm.example.com:65536/", "port"),
        ("https://crm.example.com:99999/", "port"),
        ("https://crm.example.com:/", "port"),
        ("https://crm.example.com:4a3/", "port"),
        ("https://crm.example.com:22/", "port"),
        ("https://crm.example.com:8080/", "port"),
        ("https://[fe80::1%25eth0]/", "host"),
        ("https://[::1/", "host"),
        ("https://[zz]/", "host"),
        ("https://[::1]x/", "port"),
        ("https://crm.example.com./", "host"),
        ("https://crm..example.com/", "host"),
        ("https://-crm.example.com/", "host"),
        ("https://crm_x.example.com/", "host"),
        ("https://xn--/", "host"),
        ("https://" + "a" * 64 + ".com/", "host"),
        ("https://" + "a." * 130 + "com/", "host"),
        ("https://crm.example.com/" + "x" * 2_048, "too_long"),
        ("https://localhost/", "inner_name"),
        ("https://x.localhost/", "inner_name"),
        ("https://printer.local/", "inner_name"),
        ("https://db.internal/", "inner_name"),
        ("https://nas.home.arpa/", "inner_name"),
        ("https://abc.onion/", "inner_name"),
        ("https://crm.test/", "inner_name"),
        ("https://intranet/", "single_label"),
        ("https://2130706433/", "numeric_host"),
        ("https://0x7f000001/", "numeric_host"),
        ("https://0x7f.1/", "numeric_host"),
        ("https://0177.0.0.1/", "numeric_host"),
        ("https://127.1/", "numeric_host"),
        ("https://0/", "numeric_host"),
        ("https://1.2.3.4.5/", "numeric_host"),
        ("https://256.1.1.1/", "numeric_host"),
        ("https://loop.example.org/v1/x", "own_origin"),
        ("https://LOOP.example.org:443/", "own_origin"),
    ],
)
def test_urls_that_could_be_read_in_two_ways_or_lead_inside_are_refused(
    url: str, code: str
) -> None:
    refused = read_url(url, STRICT)

    assert isinstance(refused, UrlRefused)
    assert refused.code == code
    assert refused.fix


def test_plain_http_may_be_allowed_on_any_port() -> None:
    assert isinstance(read_url("http://crm.example.com:8080/", WITH_HTTP), Target)
    assert isinstance(read_url("http://intranet/", WITH_HTTP), UrlRefused)


def test_a_closed_network_may_use_inner_names_but_never_odd_numbers() -> None:
    assert isinstance(read_url("http://receiver:9000/", CLOSED_NETWORK), Target)
    assert isinstance(read_url("http://localhost:9000/", CLOSED_NETWORK), Target)
    assert isinstance(read_url("http://2130706433/", CLOSED_NETWORK), UrlRefused)


ORDINARY = NetworkRules()


@pytest.mark.parametrize(
    "address",
    ["93.184.216.34", "8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "2a00:1450:4001::1"],
)
def test_public_addresses_may_be_dialled(address: str) -> None:
    assert address_problem(ip_address(address), 443, ORDINARY) is None


@pytest.mark.parametrize(
    "address",
    [
        "1.0.0.0",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "169.253.255.255",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.1",
        "192.167.255.255",
        "198.17.255.255",
        "198.20.0.0",
        "223.255.255.255",
        "::ffff:8.8.8.8",
        "2001:200::1",
        "2003::1",
    ],
)
def test_their_neighbours_outside_may_be(address: str) -> None:
    assert address_problem(ip_address(address), 443, ORDINARY) is None


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",  # noqa: S104 - to be refused
        "0.1.2.3",
        "10.0.0.1",
        "10.255.255.255",
        "100.64.0.1",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.255.255",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.0.192",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "233.252.0.16",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::a00:1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "2001:10::1",
        "2001:20::1",
        "2001:db8::1",
        "2002:a00:1::1",
        "2002:7f00:1::1",
        "3fff::1",
        "5f00::1",
        "fc00::1",
        "fd12:3456:789a::1",
        "fe80::1",
        "fe80::1%eth0",
        "febf::1",
        "fec0::1",
        "feff::1",
        "ff02::1",
        "ff0e::1",
    ],
)
def test_addresses_inside_or_special_are_never_dialled(address: str) -> None:
    assert address_problem(ip_address(address), 443, ORDINARY) is not None


def test_only_usual_ports_are_dialled_outside() -> None:
    assert address_problem(ip_address("93.184.216.34"), 22, ORDINARY) == "port"
    assert address_problem(ip_address("93.184.216.34"), 8443, ORDINARY) is None


def test_the_operator_may_allow_a_network_on_any_port_and_no_other() -> None:
    rules = NetworkRules(allowed=(ip_network("127.0.0.0/8"), ip_network("fd00::/8")))

    assert address_problem(ip_address("127.0.0.1"), 9000, rules) is None
    assert address_problem(ip_address("::ffff:127.0.0.1"), 9000, rules) is None
    assert address_problem(ip_address("fd00::7"), 9000, rules) is None
    assert address_problem(ip_address("10.0.0.1"), 443, rules) == "private"


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "::", "198.18.7.7"])
def test_our_own_origin_stays_refused_even_where_its_network_is_allowed(address: str) -> None:
    rules = NetworkRules(
        allowed=(ip_network("0.0.0.0/0"), ip_network("::/0")),
        own_addresses=frozenset({ip_address("198.18.7.7")}),
        own_ports=frozenset({8000}),
    )

    assert address_problem(ip_address(address), 8000, rules) == "own_origin"
    assert address_problem(ip_address(address), 8001, rules) is None


def test_this_machines_public_address_is_inside_too() -> None:
    rules = NetworkRules(own_addresses=frozenset({ip_address("93.184.216.34")}))

    assert address_problem(ip_address("93.184.216.34"), 443, rules) == "own_address"
