"""A process that dies between a mail server's yes and writing it down: twice, and said so."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.infra.processes import wait_until
from tests.infra.smtp import MailServer
from tests.journeys.installation import Embedded


@pytest.fixture
def installation() -> Iterator[Embedded]:
    """A program that is not started yet."""
    made = Embedded()
    yield made
    made.stop()


def test_a_mail_that_was_taken_and_not_written_down_is_sent_again_under_its_id_and_marked(
    installation: Embedded, mail_server: MailServer, unique: str
) -> None:
    by_mail = {
        "CLOSED_LOOP_SMTP_URL": mail_server.url,
        "CLOSED_LOOP_MAIL_FROM": "Closed Loop <loop@example.org>",
    }
    installation.start("all", {**by_mail, "CLOSED_LOOP_TEST_FAULT": "delivery.sent:1"})
    with installation.client() as client:
        reply = client.post("/v1/responses", json={"external_id": unique, "score": 2})
    assert reply.status_code == 202
    installation.wait_dead("all", seconds=40)
    assert installation.exit_code("all") == 137
    assert len(mail_server.mails) == 1

    installation.start("all", by_mail)
    first, second = mail_server.wait_for(2, seconds=90)

    def settled() -> bool:
        with installation.client() as client:
            (delivery,) = client.get("/v1/deliveries").json()["data"]
        return bool(delivery["state"] == "delivered")

    wait_until(settled, what="the mail to be written down", seconds=30)
    assert first.message["Message-ID"] == second.message["Message-ID"]
    assert first.message["Date"] == second.message["Date"]
    assert first.recipients == second.recipients
    with installation.client() as client:
        (listed,) = client.get("/v1/deliveries").json()["data"]
        delivery = client.get(f"/v1/deliveries/{listed['id']}").json()
    assert delivery["possible_duplicate"] is True
    assert [one["result"] for one in delivery["attempts"]] == ["interrupted", "accepted"]
    with installation.browser() as browser:
        assert "It may have arrived twice." in browser.get("/settings/mail").text
