"""What a running installation holds, read behind its back: database, log, mailbox, receiver.

One pass, with no code of the product between the rows and the checker but the definitions of
its tables and the seal of what is personal. The embedded log is a table; Kafka's is read from
its first record on.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Column, Row, select
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from services.ingest import tables as ingest
from services.loop.responses import tables as loop_responses
from services.loop.tables import PLUMBING as LOOP
from services.loop.tasks import tables as loop_tasks
from services.notify import tables as notify
from shared.db import plumbing
from shared.events import topics
from shared.identity.tables import person_keys
from shared.sealing import Keyring, open_document
from tests.infra.receiver import Received, Receiver
from tests.infra.smtp import Mail, MailServer
from tests.journeys.installation import Installation

PLUMBINGS = (ingest.PLUMBING, LOOP, notify.PLUMBING)
Place = tuple[str, int, int]
"""Topic, partition and offset of a record."""


@dataclass(frozen=True, kw_only=True)
class Announced:
    """A row of an outbox."""

    seq: int
    event_id: str
    topic: str
    key: str
    kind: str
    data: Mapping[str, Any]
    is_published: bool


@dataclass(frozen=True, kw_only=True)
class Logged:
    """A record of the log."""

    place: Place
    key: str
    event_id: str
    kind: str


@dataclass(kw_only=True)
class Evidence:
    """Everything the checker looks at; rows are plain named tuples of our tables."""

    responses: Sequence[Any] = ()
    taken_in: Mapping[str, int] = field(default_factory=dict)
    """By response, the revision that the loop has."""
    tasks: Sequence[Any] = ()
    outboxes: Mapping[str, Sequence[Announced]] = field(default_factory=dict)
    inbox: set[tuple[str, str]] = field(default_factory=set)
    parked: set[tuple[str, Place]] = field(default_factory=set)
    deliveries: Sequence[Any] = ()
    gathered: Sequence[Any] = ()
    webhooks: int = 0
    log: Sequence[Logged] = ()
    positions: Mapping[tuple[str, str, int], int] = field(default_factory=dict)
    """By group, topic and partition, the first record that is not committed."""
    mails: Mapping[str, int] = field(default_factory=dict)
    """How many mails went out, by delivery."""
    calls: Mapping[str, int] | None = None
    """How many calls the receiver has taken, by ``webhook-id``; None when nobody listened."""
    unverified: int = 0
    """How many calls came whose signature is wrong."""

    @property
    def announced(self) -> list[Announced]:
        """The rows of all outboxes."""
        return [one for rows in self.outboxes.values() for one in rows]


def gather(
    installation: Installation,
    *,
    receiver: Receiver | None = None,
    mail: MailServer | None = None,
    with_log: bool = True,
) -> Evidence:
    """Read everything once."""
    # In a thread of its own: a test may be inside a running event loop.
    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(lambda: asyncio.run(_read(installation, with_log))).result()
    if mail is not None:
        found.mails = Counter(map(_delivery_of, mail.mails))
    if receiver is not None:
        requests = receiver.requests()
        found.calls = Counter(one.webhook_id for one in requests if _is_taken(one))
        found.unverified = sum(not one.verified for one in requests)
    return found


def _is_taken(request: Received) -> bool:
    return 200 <= request.answered < 300


def _delivery_of(mail: Mail) -> str:
    return str(mail.message["Message-ID"]).strip("<>").partition("@")[0]


async def _read(installation: Installation, with_log: bool) -> Evidence:
    engine = create_async_engine(installation.whole_database)
    try:
        async with engine.connect() as connection, connection.begin():
            found = await _read_tables(connection)
            found.responses = await _opened(connection, Keyring(installation.secret))
            if installation.bootstrap is None:
                await _read_embedded_log(connection, found)
    finally:
        await engine.dispose()
    if installation.bootstrap is not None and with_log:
        await _read_kafka(installation.bootstrap, found)
    return found


async def _rows(connection: AsyncConnection, *columns: Column[Any]) -> Sequence[Row[Any]]:
    return (await connection.execute(select(*columns))).all()


async def _read_tables(connection: AsyncConnection) -> Evidence:
    d, t = notify.deliveries.c, loop_tasks.tasks.c
    found = Evidence(
        taken_in=dict(
            map(
                tuple,
                await _rows(
                    connection,
                    loop_responses.responses.c.id,
                    loop_responses.responses.c.revision,
                ),
            )
        ),
        tasks=await _rows(
            connection, t.id, t.response_id, t.other_responses, t.import_id, t.state
        ),
        outboxes={
            one.owner: [
                _announced(row)
                for row in await _rows(
                    connection,
                    one.outbox.c.seq,
                    one.outbox.c.event_id,
                    one.outbox.c.topic,
                    one.outbox.c.key,
                    one.outbox.c.body,
                    one.outbox.c.published_at,
                )
            ]
            for one in PLUMBINGS
        },
        deliveries=await _rows(
            connection,
            d.id,
            d.event_id,
            d.event_type,
            d.channel,
            d.target,
            d.purpose,
            d.task_id,
            d.import_id,
            d.state,
            d.reason,
            d.attempts,
            d.in_doubt,
        ),
        gathered=await _rows(
            connection,
            notify.summary_items.c.event_id,
            notify.summary_items.c.target,
            notify.summary_items.c.task_id,
            notify.summary_items.c.delivery_id,
        ),
        webhooks=len(await _rows(connection, notify.webhooks.c.id)),
    )
    for one in PLUMBINGS:
        inbox, letters = one.inbox.c, one.dead_letters.c
        found.inbox |= {
            (row.consumer, row.event_id)
            for row in await _rows(connection, inbox.consumer, inbox.event_id)
        }
        found.parked |= {
            (row.consumer, (row.topic, row.partition, row.offset))
            for row in await _rows(
                connection, letters.consumer, letters.topic, letters.partition, letters.offset
            )
        }
    captured = notify.captured_mails.c
    found.mails = Counter(
        row.delivery_id for row in await _rows(connection, captured.delivery_id)
    )
    return found


async def _opened(connection: AsyncConnection, keyring: Keyring) -> Sequence[Any]:
    """Return the responses, each with the id that its sender knows it by."""
    r, k = ingest.responses.c, person_keys.c
    keys = {
        row.ref: keyring.open("person-keys", row.wrapped_key, context=row.ref)
        for row in await _rows(connection, k.ref, k.wrapped_key)
        if row.wrapped_key is not None
    }
    columns = (
        *(r.id, r.revision, r.score, r.import_id, r.event_id, r.announced, r.handled, r.state),
        *(r.task_id, r.person_ref, r.sealed_person),
    )
    return [
        SimpleNamespace(
            **row._asdict(),
            external_id=open_document(keys[row.person_ref], row.sealed_person, context=row.id)[
                "external_id"
            ],
        )
        for row in await _rows(connection, *columns)
    ]


def _announced(row: Row[Any]) -> Announced:
    body = json.loads(row.body)
    return Announced(
        seq=row.seq,
        event_id=row.event_id,
        topic=row.topic,
        key=row.key,
        kind=body["type"],
        data=body["data"],
        is_published=row.published_at is not None,
    )


async def _read_embedded_log(connection: AsyncConnection, found: Evidence) -> None:
    log, positions = plumbing.log.c, plumbing.log_positions.c
    found.log = [
        Logged(
            place=(row.topic, 0, row.offset),
            key=row.key,
            event_id=row.headers["ce_id"],
            kind=row.headers["ce_type"],
        )
        for row in await _rows(connection, log.topic, log.offset, log.key, log.headers)
    ]
    found.positions = {
        (row.consumer, row.topic, 0): row.next_offset
        for row in await _rows(
            connection, positions.consumer, positions.topic, positions.next_offset
        )
    }


async def _read_kafka(bootstrap: str, found: Evidence) -> None:
    from aiokafka import AIOKafkaConsumer, TopicPartition
    from aiokafka.admin import AIOKafkaAdminClient

    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    await consumer.start()
    try:
        places = [
            TopicPartition(topic, partition)
            for topic in topics.ALL
            for partition in await _partitions(consumer, topic)
        ]
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        ends = await consumer.end_offsets(places)
        records: list[Logged] = []
        while any([await consumer.position(place) < end for place, end in ends.items()]):
            for some in (await consumer.getmany(timeout_ms=500)).values():
                records += map(_logged, some)
    finally:
        await consumer.stop()
    found.log = records
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        found.positions = {
            (group, place.topic, place.partition): committed.offset
            for group in ("ingest", "loop", "notify")
            for place, committed in (await admin.list_consumer_group_offsets(group)).items()
        }
    finally:
        await admin.close()


async def _partitions(consumer: Any, topic: str) -> Sequence[int]:
    await consumer._client.force_metadata_update()
    consumer._client.add_topic(topic)
    await consumer._client.force_metadata_update()
    return sorted(consumer.partitions_for_topic(topic) or ())


def _logged(message: Any) -> Logged:
    headers = {name: value.decode() for name, value in message.headers}
    return Logged(
        place=(message.topic, message.partition, message.offset),
        key=(message.key or b"").decode(),
        event_id=headers["ce_id"],
        kind=headers["ce_type"],
    )
