"""A stranger with a Kafka client: knows the topic's name and the published schemas, no more.

``python -I independent_reader.py BOOTSTRAP SCHEMAS TOUCHPOINT`` prints ``listening``, then one
JSON line about the record that carries this touchpoint.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

import jsonschema
from aiokafka import AIOKafkaConsumer


async def main(bootstrap: str, schemas: Path, touchpoint: str) -> None:
    """Find the record, validate it, say when it was seen."""
    consumer = AIOKafkaConsumer(
        "closed-loop.responses", bootstrap_servers=bootstrap, auto_offset_reset="latest"
    )
    await consumer.start()
    await consumer.seek_to_end()
    for partition in consumer.assignment():
        await consumer.position(partition)
    print("listening", flush=True)
    async for record in consumer:
        document = json.loads(record.value)
        if document["data"]["touchpoint"] != touchpoint:
            continue
        schema = json.loads((schemas / f"{document['type']}.json").read_text())
        jsonschema.Draft202012Validator(schema).validate(document)
        print(
            json.dumps(
                {
                    "at": time.time(),
                    "valid": True,
                    "type": document["type"],
                    "response_id": document["data"]["response_id"],
                    "plain_words_found": b"forty minutes" in record.value,
                }
            )
        )
        break
    await consumer.stop()


asyncio.run(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3]))
