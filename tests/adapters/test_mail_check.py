"""What ``closed-loop check`` says of mail: how it goes, or what to do that it goes."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from services.notify.service import look_at_mail
from shared.errors import Misconfigured
from shared.settings import Settings
from tests.infra.certificates import Authority
from tests.infra.processes import free_port
from tests.infra.raw_smtp import locked, raw
from tests.infra.smtp import MailServer


def settings(url: str, **members: str) -> Settings:
    return Settings(
        **{"smtp_url": SecretStr(url), "mail_from": "Loop <loop@example.org>", **members}  # type: ignore[arg-type] # validated
    )


@pytest.fixture
def authority(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Authority:
    """An authority that this machine trusts."""
    made = Authority.made(tmp_path_factory.mktemp("authority"))
    monkeypatch.setenv("SSL_CERT_FILE", str(made.bundle))
    return made


async def test_captured_mail_is_said_to_be_never_sent() -> None:
    assert await look_at_mail(Settings()) == "kept on the mail page, never sent"


async def test_a_server_that_takes_mail_is_greeted_and_sent_none(
    mail_server: MailServer,
) -> None:
    said = await look_at_mail(settings(mail_server.url))

    assert said == f"127.0.0.1:{mail_server.port} takes mail, not encrypted on the way there"
    assert mail_server.mails == []


async def test_encryption_and_password_are_tried(authority: Authority) -> None:
    with locked(authority.serving(), implicit=False) as server:
        place = f"127.0.0.1:{server.port}"
        said = await look_at_mail(settings(f"smtp+starttls://loop:s3cret@{place}"))
        with pytest.raises(Misconfigured, match="CLOSED_LOOP_SMTP_URL") as refused:
            await look_at_mail(settings(f"smtp+starttls://loop:wr0ng@{place}"))

    assert said == f"{place} takes mail, encrypted, and knows us"
    assert str(refused.value).startswith(f"{place} (535): ")
    assert "wr0ng" not in str(refused.value)
    assert server.mails == []


async def test_a_certificate_of_another_name_says_what_to_do(authority: Authority) -> None:
    with (
        locked(authority.serving("mail.example.org"), implicit=True) as server,
        pytest.raises(Misconfigured, match="SSL_CERT_FILE"),
    ):
        await look_at_mail(settings(f"smtps://loop:s3cret@127.0.0.1:{server.port}"))


async def test_a_server_that_does_not_encrypt_says_what_to_do() -> None:
    async with raw() as server:
        with pytest.raises(Misconfigured, match="does not encrypt"):
            await look_at_mail(settings(f"smtp+starttls://u:p@127.0.0.1:{server.port}"))


async def test_a_server_that_is_away_says_what_to_do() -> None:
    with pytest.raises(Misconfigured, match="could not be reached"):
        await look_at_mail(settings(f"smtp://127.0.0.1:{free_port()}"))


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("mail_from", "nobody"),
        ("mail_from", "A <a@example.org>, B <b@example.org>"),
        ("mail_from", "=?utf-8?q?x=0ABcc:_evil?= <a@example.org>"),
        ("mail_return_path", "nobody"),
        ("mail_return_path", "Bounces <bounces@example.org>"),
        ("mail_return_path", "bounces-of-closed-loop@example.org"),
    ],
)
async def test_addresses_that_cannot_be_used_are_named(member: str, value: str) -> None:
    with pytest.raises(Misconfigured, match=f"CLOSED_LOOP_{member.upper()}"):
        await look_at_mail(settings("capture:", **{member: value}))
