"""Every real server starts, does one true thing, and is the one that was started."""

from __future__ import annotations

import smtplib
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import TYPE_CHECKING

import asyncpg
import httpx
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from standardwebhooks import Webhook

from shared.clock import SystemClock
from tests.infra.kafka import KafkaBroker, cluster_id
from tests.infra.nginx import Nginx
from tests.infra.postgres import PostgresServer
from tests.infra.processes import free_port
from tests.infra.receiver import Receiver
from tests.infra.smtp import MailServer

if TYPE_CHECKING:
    from playwright.async_api import Page


async def _make_topic(bootstrap: str, topic: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, num_partitions=2, replication_factor=1)])
    finally:
        await admin.close()


async def _produce(bootstrap: str, topic: str, value: bytes) -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all") as producer:
        await producer.send_and_wait(topic, value, key=b"anna")


async def _consume(bootstrap: str, topic: str, count: int) -> list[bytes]:
    async with AIOKafkaConsumer(
        topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest"
    ) as consumer:
        return [(await consumer.getone()).value for _ in range(count)]


@pytest.mark.kafka
async def test_kafka_carries_a_record(kafka_broker: KafkaBroker, unique: str) -> None:
    topic = f"closed-loop.self-test-{unique}"
    await _make_topic(kafka_broker.bootstrap, topic)

    await _produce(kafka_broker.bootstrap, topic, "ni hao 你好".encode())

    assert await _consume(kafka_broker.bootstrap, topic, 1) == ["ni hao 你好".encode()]


@pytest.mark.kafka
async def test_kafka_keeps_its_records_over_a_power_cut(
    own_kafka_broker: KafkaBroker, unique: str
) -> None:
    broker = own_kafka_broker
    await _make_topic(broker.bootstrap, unique)
    await _produce(broker.bootstrap, unique, b"before")

    broker.kill()
    assert cluster_id(broker.bootstrap) is None
    broker.restart()
    broker.pause()
    broker.resume()
    await _produce(broker.bootstrap, unique, b"after")

    assert sorted(await _consume(broker.bootstrap, unique, 2)) == [b"after", b"before"]


@pytest.mark.postgres
async def test_postgres_gives_each_test_a_durable_database(postgres_url: str) -> None:
    connection = await asyncpg.connect(postgres_url.replace("+asyncpg", ""))
    try:
        await connection.execute("CREATE TABLE words (word text)")
        await connection.execute("INSERT INTO words VALUES ($1)", "Überraschung")

        assert await connection.fetchval("SELECT word FROM words") == "Überraschung"
        assert await connection.fetchval("SHOW fsync") == "on"
    finally:
        await connection.close()


@pytest.mark.postgres
async def test_a_postgres_user_may_do_nothing_until_granted(
    postgres_server: PostgresServer,
) -> None:
    name = postgres_server.create_database()
    user = postgres_server.create_user()
    postgres_server.run(["CREATE TABLE loop_secrets (word text)"], database=name)
    address = postgres_server.url(name, user=user, password=user).replace("+asyncpg", "")
    connection = await asyncpg.connect(address)
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.fetch("SELECT * FROM loop_secrets")
    finally:
        await connection.close()
    postgres_server.drop_user(user, database=name)
    postgres_server.drop_database(name)


@pytest.mark.postgres
def test_postgres_keeps_what_was_committed_over_a_power_cut(
    own_postgres_server: PostgresServer,
) -> None:
    server = own_postgres_server
    server.run(["CREATE TABLE kept (n int)", "INSERT INTO kept VALUES (7)"])

    server.kill()
    server.restart()
    server.pause()
    server.resume()

    assert server.run(["SELECT n FROM kept"]) == [[{"n": 7}]]


@pytest.mark.nginx
async def test_nginx_passes_a_request_on(
    start_nginx: Callable[..., Nginx], receiver: Receiver
) -> None:
    port = free_port()
    start_nginx(
        "events {}\n"
        f"http {{ server {{ listen 127.0.0.1:{port};"
        f" location / {{ proxy_pass http://127.0.0.1:{receiver.port}; }} }} }}",
        port=port,
    )

    async with httpx.AsyncClient() as client:
        answer = await client.post(f"http://127.0.0.1:{port}/through", content=b"{}")

    assert answer.status_code == 200
    assert [request.path for request in receiver.requests()] == ["/through"]


@pytest.mark.chromium
@pytest.mark.asyncio(loop_scope="session")
async def test_the_browser_runs_a_page(page: Page) -> None:
    await page.set_content(
        "<button onclick=\"document.title = 'done'\">Close the loop</button>"
    )

    await page.get_by_role("button", name="Close the loop").click()

    assert await page.title() == "done"


def test_the_mail_server_collects_and_refuses(mail_server: MailServer) -> None:
    mail_server.refuse_recipient["nobody@example.test"] = "550 5.1.1 no such mailbox"
    mail_server.answer_data = ["451 4.3.0 try later"]
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "loop@example.test", "a@example.test", "Grüße"
    mail.set_content("x")

    with smtplib.SMTP("127.0.0.1", mail_server.port, timeout=10) as client:
        with pytest.raises(smtplib.SMTPDataError, match="try later"):
            client.send_message(mail)
        client.send_message(mail)
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            client.send_message(mail, to_addrs=["nobody@example.test"])

    assert [each.message["Subject"] for each in mail_server.to("a@example.test")] == ["Grüße"]


async def test_the_receiver_verifies_and_answers_as_told(receiver: Receiver) -> None:
    body = '{"type":"task.opened"}'
    now = datetime.fromtimestamp(_wall_clock(), UTC)
    signed = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(receiver.secret).sign("msg_1", now, body),
    }
    receiver.answer(next_codes=[503], always=204, headers={"retry-after": "7"})

    async with httpx.AsyncClient() as client:
        first = await client.post(receiver.url, content=body, headers=signed)
        second = await client.post(receiver.url, content=body + " ", headers=signed)

    assert (first.status_code, first.headers["retry-after"]) == (503, "7")
    assert second.status_code == 204
    assert [each.verified for each in receiver.wait_for(2)] == [True, False]


def test_no_test_reaches_another_machine() -> None:
    """An address of the documentation range stands for the outside."""
    with pytest.raises(Exception, match=r"192\.0\.2\.1"):
        urllib.request.urlopen("http://192.0.2.1/", timeout=5)


def _wall_clock() -> float:
    """The receiver's library compares with the machine's clock, so this test needs it."""
    return SystemClock().now().timestamp()
