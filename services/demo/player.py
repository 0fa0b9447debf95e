"""Plays the sample through the real doors: HTTP in, the whole loop behind it.

Staff and touchpoint owners are set up directly, as an administrator would have done; every
response, contact and resolution is posted over HTTP with an API key.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

from services.demo.sample import PLACES, responses

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

_BATCH = 100


@dataclass(frozen=True, kw_only=True)
class Player:
    """Posts the sample to a running installation."""

    base_url: str
    key: str

    def _client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            base_url=self.base_url,
            headers={"Authorization": f"Bearer {self.key}"},
            timeout=30,
            trust_env=False,
        )

    async def name_touchpoints(
        self, touchpoints: Sequence[tuple[str, str, str | None]]
    ) -> None:
        """Describe touchpoints by code, name and, where there is one, the owner's id."""
        async with self._client() as client:
            for code, name, owner in touchpoints:
                body: dict[str, Any] = {"code": code, "name": name}
                if owner is not None:
                    body["owner"] = {"id": owner, "kind": "person"}
                answer = await client.post("/v1/touchpoints", json=body)
                if answer.status_code != httpx.codes.CONFLICT:
                    answer.raise_for_status()

    async def play(self, now: datetime) -> int:
        """Post everything, work off a few tasks, return how many responses were accepted."""
        async with self._client() as client:
            accepted = 0
            documents = responses(now)
            for start in range(0, len(documents), _BATCH):
                lines = [
                    json.dumps(document, ensure_ascii=False)
                    for document in documents[start : start + _BATCH]
                ]
                answer = await client.post(
                    "/v1/responses/batch",
                    content="\n".join(lines).encode(),
                    headers={"Content-Type": "application/x-ndjson"},
                )
                answer.raise_for_status()
                accepted += answer.json()["accepted"]
            await _until_handled(client)
            await _work(client, now)
            return accepted


async def _until_handled(client: httpx.AsyncClient) -> None:
    """Wait until the loop has taken every response in."""
    async with asyncio.timeout(120):
        while True:
            answer = await client.get("/v1/responses", params={"state": "received", "limit": 1})
            answer.raise_for_status()
            if not answer.json()["data"]:
                return
            await asyncio.sleep(0.1)


async def _work(client: httpx.AsyncClient, now: datetime) -> None:
    """Show tasks in several states: called without luck, agreed with the customer, resolved."""
    answer = await client.get("/v1/tasks", params={"state": "assigned", "limit": 50})
    answer.raise_for_status()
    tasks = answer.json()["data"]
    for position, task in enumerate(tasks[: len(tasks) // 2]):
        if position % 3 == 0:
            await _act(
                client,
                task,
                "contacts",
                {"mode": "phone", "result": "no_answer", "note": "Rang twice, will try again."},
            )
        else:
            await _resolve(client, task, now)


async def _resolve(client: httpx.AsyncClient, task: dict[str, Any], now: datetime) -> None:
    await _act(
        client,
        task,
        "contacts",
        {
            "mode": "phone",
            "result": "reached",
            "note": "Apologised and listened. The customer was glad that somebody called.",
        },
    )
    await _act(
        client,
        task,
        "agreement",
        {
            "asked_for": "that it does not happen again",
            "agreed": "a credit note, and a call before the next delivery",
            "with": "the customer",
            "at": now.isoformat(),
        },
    )
    await _act(client, task, "steps", {"step": "eliminate", "note": "Credit note sent."})
    await _act(
        client,
        task,
        "resolve",
        {
            "outcome": "solved",
            "root_cause": {"area": "process", "text": "No notice is sent when a tour is late."},
            "content": "yes",
            "avoidable": "yes",
        },
    )


async def _act(
    client: httpx.AsyncClient, task: dict[str, Any], act: str, body: dict[str, Any]
) -> None:
    answer = await client.post(f"/v1/tasks/{task['id']}/{act}", json=body)
    answer.raise_for_status()


TOUCHPOINTS = {place.code: place.name for place in PLACES}
