"""Signatures: right ones, wrong ones, and schemes that could prove nothing."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.ingest.domain.signatures import (
    BadScheme,
    SignedCall,
    Verdict,
    read_scheme,
    verify,
)

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
STAMP = int(NOW.timestamp())
BODY = '{"score": 3, "comment": "Grüße"}'.encode()
URI = "https://loop.example.com/v1/hooks/s?a=b"


def mac(secret: str, message: bytes, algorithm: str = "sha256") -> bytes:
    return hmac.digest(secret.encode(), message, algorithm)


def call(headers: Mapping[str, str], body: bytes = BODY) -> SignedCall:
    return SignedCall(method="POST", uri=URI, headers=headers, body=body)


def judged(
    scheme: Mapping[str, Any], headers: Mapping[str, str], *secrets: str, body: bytes = BODY
) -> Verdict:
    return verify(read_scheme(scheme), secrets or ("secret",), call(headers, body), now=NOW)


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "sha512"])
@pytest.mark.parametrize("encoding", ["hex", "base64"])
def test_a_body_signed_in_any_way(algorithm: str, encoding: str) -> None:
    scheme = {
        "scheme": "hmac",
        "header": "X-Sig",
        "algorithm": algorithm,
        "encoding": encoding,
        "prefix": "v=",
    }
    digest = mac("secret", BODY, algorithm)
    shown = digest.hex() if encoding == "hex" else base64.b64encode(digest).decode()

    assert judged(scheme, {"x-sig": f"v={shown}"}) is Verdict.VALID
    assert judged(scheme, {"x-sig": f"v={shown}"}, "other", "secret") is Verdict.VALID
    assert judged(scheme, {"x-sig": shown}) is Verdict.BAD_SIGNATURE
    assert judged(scheme, {"x-sig": f"v={shown}"}, body=BODY + b" ") is Verdict.BAD_SIGNATURE
    assert judged(scheme, {"x-sig": f"v={shown}"}, "other") is Verdict.BAD_SIGNATURE
    assert judged(scheme, {"x-sig": f"v={shown[:-4]}"}) is Verdict.BAD_SIGNATURE
    assert judged(scheme, {"x-sig": "v="}) is Verdict.BAD_SIGNATURE
    assert judged(scheme, {}) is Verdict.NO_SIGNATURE


@pytest.mark.parametrize(
    ("signed", "message"),
    [
        ("{timestamp}{body}", str(STAMP).encode() + BODY),
        ("{timestamp}.{body}", str(STAMP).encode() + b"." + BODY),
        ("v0:{timestamp}:{body}", b"v0:" + str(STAMP).encode() + b":" + BODY),
        (
            "{method}{uri}{body}{timestamp}",
            b"POST" + URI.encode() + BODY + str(STAMP).encode(),
        ),
    ],
)
def test_what_else_may_be_signed(signed: str, message: bytes) -> None:
    scheme = {
        "scheme": "hmac",
        "header": "X-Sig",
        "signed": signed,
        "timestamp": {"header": "X-Time", "tolerance": 60},
    }
    headers = {"x-sig": mac("secret", message).hex(), "x-time": str(STAMP)}

    assert judged(scheme, headers) is Verdict.VALID
    assert judged(scheme, {**headers, "x-time": str(STAMP + 1)}) is Verdict.BAD_SIGNATURE
    assert judged(scheme, {"x-sig": headers["x-sig"]}) is Verdict.NO_SIGNATURE


@pytest.mark.parametrize(
    ("age", "verdict"),
    [
        (0, Verdict.VALID),
        (60, Verdict.VALID),
        (-60, Verdict.VALID),
        (61, Verdict.OLD_TIMESTAMP),
        (-61, Verdict.OLD_TIMESTAMP),
    ],
)
@pytest.mark.parametrize("unit", ["s", "ms", "rfc3339"])
def test_an_old_call_is_not_taken_again(unit: str, age: int, verdict: Verdict) -> None:
    scheme = {
        "scheme": "hmac",
        "header": "X-Sig",
        "signed": "{timestamp}{body}",
        "timestamp": {"header": "X-Time", "unit": unit, "tolerance": 60},
    }
    signed_at = NOW - timedelta(seconds=age)
    stamp = {
        "s": str(int(signed_at.timestamp())),
        "ms": str(int(signed_at.timestamp() * 1_000)),
        "rfc3339": signed_at.isoformat(),
    }[unit]
    headers = {"x-sig": mac("secret", stamp.encode() + BODY).hex(), "x-time": stamp}

    assert judged(scheme, headers) is verdict


@pytest.mark.parametrize("stamp", ["", "soon", "1e9", "9" * 15, "9" * 30, "-5", "٣"])
def test_a_time_that_is_none_is_old(stamp: str) -> None:
    scheme = {
        "scheme": "hmac",
        "header": "X-Sig",
        "signed": "{timestamp}{body}",
        "timestamp": {"header": "X-Time"},
    }
    headers = {"x-sig": mac("secret", stamp.encode() + BODY).hex(), "x-time": stamp}

    assert judged(scheme, headers) in {Verdict.OLD_TIMESTAMP, Verdict.NO_SIGNATURE}


def test_several_signatures_may_stand_in_one_header() -> None:
    scheme = {"scheme": "hmac", "header": "X-Sig", "prefix": "sha256="}
    right, wrong = mac("secret", BODY).hex(), "0" * 64

    for header in (f"sha256={wrong},sha256={right}", f"sha256={right.upper()} sha256={wrong}"):
        assert judged(scheme, {"x-sig": header}) is Verdict.VALID
    for header in (f"sha256={wrong}, {right}", f"sha256={wrong},sha256={wrong}"):
        assert judged(scheme, {"x-sig": header}) is Verdict.BAD_SIGNATURE


def test_time_and_signatures_may_stand_in_one_header() -> None:
    scheme = {
        "scheme": "hmac",
        "header": "X-Sig",
        "signed": "{timestamp}.{body}",
        "parts": {"timestamp": "t", "signature": "v1"},
    }
    right = mac("secret", f"{STAMP}.".encode() + BODY).hex()

    assert (
        judged(scheme, {"x-sig": f"t={STAMP}, v1={'0' * 64},v1={right},v0=x"}) is Verdict.VALID
    )
    assert judged(scheme, {"x-sig": f"t={STAMP},v0={right}"}) is Verdict.NO_SIGNATURE
    assert judged(scheme, {"x-sig": f"v1={right}"}) is Verdict.NO_SIGNATURE
    assert judged(scheme, {"x-sig": f"t={STAMP - 999},v1={right}"}) is Verdict.BAD_SIGNATURE


def test_standard_webhooks_by_the_example_of_its_specification() -> None:
    """The secret, message and signature that the specification's own libraries test with."""
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    signed = call(headers, b'{"test": 2432232314}')
    scheme = read_scheme({"scheme": "standard_webhooks"})
    at = datetime.fromtimestamp(1614265330, UTC)

    def verdict(**changed: Any) -> Verdict:
        named = {"now": at, "secrets": [secret], **changed}
        return verify(
            scheme, named["secrets"], replace(signed, **named.get("call", {})), now=named["now"]
        )

    older = {name.replace("webhook-", "svix-"): value for name, value in headers.items()}
    several = f"v1,AAAA v2,x {headers['webhook-signature']}"
    assert verdict() is Verdict.VALID
    assert verdict(secrets=["whsec_AAAA", secret.removeprefix("whsec_")]) is Verdict.VALID
    assert verdict(call={"headers": older}) is Verdict.VALID
    assert verdict(call={"headers": {**headers, "webhook-signature": several}}) is Verdict.VALID
    assert verdict(call={"body": b"{}"}) is Verdict.BAD_SIGNATURE
    assert verdict(call={"headers": {**headers, "webhook-id": "x"}}) is Verdict.BAD_SIGNATURE
    assert verdict(now=at + timedelta(seconds=301)) is Verdict.OLD_TIMESTAMP
    assert verdict(call={"headers": {}}) is Verdict.NO_SIGNATURE
    del headers["webhook-id"]
    assert verdict() is Verdict.NO_SIGNATURE


def test_passwords_and_words_in_headers() -> None:
    word = base64.b64encode("anna:pä:ss".encode()).decode()
    basic = {"scheme": "basic"}
    own = {"scheme": "token", "header": "X-Own", "prefix": "Token "}

    assert judged(basic, {"authorization": f"BASIC {word}"}, "anna:pä:ss") is Verdict.VALID
    assert judged(basic, {"authorization": f"Basic {word}"}, "anna:x") is Verdict.BAD_SIGNATURE
    assert judged(basic, {"authorization": "Basic !"}, "x") is Verdict.BAD_SIGNATURE
    assert judged(basic, {"authorization": "Bearer x"}, "x") is Verdict.NO_SIGNATURE
    assert judged(own, {"x-own": "Token hush"}, "hush") is Verdict.VALID
    assert judged(own, {"x-own": "hush"}, "hush") is Verdict.BAD_SIGNATURE


@pytest.mark.parametrize("secrets", [[], [""]])
def test_no_secret_proves_nothing(secrets: list[str]) -> None:
    """Not even what anybody could compute with an empty one."""
    for document, headers in (
        ({"scheme": "hmac", "header": "X"}, {"x": mac("", BODY).hex()}),
        ({"scheme": "basic"}, {"authorization": "Basic "}),
        ({"scheme": "token", "header": "X"}, {"x": ""}),
    ):
        verdict = verify(read_scheme(document), secrets, call(headers), now=NOW)
        assert verdict is Verdict.BAD_SIGNATURE


def test_secrets_may_be_written_as_bytes() -> None:
    key = bytes(range(32))
    for written, secret in (("hex", key.hex()), ("base64", base64.b64encode(key).decode())):
        scheme = {"scheme": "hmac", "header": "X", "secret": written}
        shown = hmac.digest(key, BODY, "sha256").hex()
        assert judged(scheme, {"x": shown}, secret) is Verdict.VALID


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ([], "object"),
        ({}, "scheme"),
        ({"scheme": "md5"}, "scheme"),
        ({"scheme": "hmac"}, "header"),
        ({"scheme": "hmac", "header": "X Y"}, "header"),
        ({"scheme": "hmac", "header": "X", "algorithm": "md5"}, "algorithm"),
        ({"scheme": "hmac", "header": "X", "encoding": "base32"}, "encoding"),
        ({"scheme": "hmac", "header": "X", "typo": 1}, "typo"),
        ({"scheme": "hmac", "header": "X", "signed": "{timestamp}"}, "body"),
        ({"scheme": "hmac", "header": "X", "signed": "{body}{secret}"}, "signed"),
        ({"scheme": "hmac", "header": "X", "signed": "{timestamp}{body}"}, "timestamp"),
        ({"scheme": "hmac", "header": "X", "timestamp": {"header": "T"}}, "timestamp"),
        (
            {
                "scheme": "hmac",
                "header": "X",
                "signed": "{timestamp}{body}",
                "timestamp": {"header": "T", "tolerance": 0},
            },
            "tolerance",
        ),
        ({"scheme": "hmac", "header": "X", "parts": {"timestamp": "t"}}, "parts"),
        ({"scheme": "hmac", "header": "X", "prefix": 5}, "prefix"),
    ],
)
def test_a_scheme_that_could_prove_nothing_is_refused(document: Any, says: str) -> None:
    with pytest.raises(BadScheme, match=says):
        read_scheme(document)


SCHEMES = st.sampled_from(
    [
        {"scheme": "hmac", "header": "X"},
        {"scheme": "hmac", "header": "X", "encoding": "base64", "prefix": "s="},
        {
            "scheme": "hmac",
            "header": "X",
            "signed": "{timestamp}{body}",
            "parts": {"timestamp": "t", "signature": "s"},
        },
        {
            "scheme": "hmac",
            "header": "X",
            "signed": "{body}{timestamp}",
            "timestamp": {"header": "T", "unit": "rfc3339"},
        },
        {"scheme": "standard_webhooks"},
        {"scheme": "basic"},
        {"scheme": "token", "header": "X"},
    ]
)
HEADERS = st.dictionaries(
    st.sampled_from(
        ["x", "t", "authorization", "webhook-id", "webhook-timestamp", "webhook-signature"]
    ),
    st.text(st.characters(max_codepoint=255), max_size=60)
    | st.sampled_from(["Basic YTpi", "v1,YTpi", "t=1,s=00", "s=00"]),
)


@settings(derandomize=True, max_examples=300)
@given(SCHEMES, HEADERS, st.binary(max_size=20))
def test_whatever_headers_come_nobody_gets_in_without_the_secret(
    document: dict[str, Any], headers: dict[str, str], body: bytes
) -> None:
    verdict = judged(document, headers, "a-secret-that-nobody-has-guessed", body=body)

    assert verdict is not Verdict.VALID
