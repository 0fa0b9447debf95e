"""Plays the sample through the real doors: HTTP in, the whole loop behind it.

Staff are set up directly, as an administrator would have done; departments, touchpoints, lists,
and every response, contact and resolution are posted over HTTP with an API key.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

from services.demo.sample import OTHER_NAME, PLACES, PRODUCTS, SEGMENTS, THEMES, responses

if TYPE_CHECKING:
    from collections.abc import Mapping
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

    async def set_up(self, owners: Mapping[str, str], head: str | None) -> None:
        """Describe departments, touchpoints and lists; ``owners`` are staff by touchpoint."""
        async with self._client() as client:
            departments = {}
            for name in dict.fromkeys(place.department for place in PLACES):
                made = await _made(client, "/v1/departments", {"name": name, "head_id": head})
                departments[name] = made.get("id")
            for place in PLACES:
                body: dict[str, Any] = {
                    "code": place.code,
                    "name": place.name,
                    "macro": place.macro,
                    "key": place.key,
                    "department_id": departments[place.department],
                }
                if place.code in owners:
                    body["owner"] = {"id": owners[place.code], "kind": "person"}
                await _made(client, "/v1/touchpoints", body)
            for path, labels in (("/v1/segments", SEGMENTS), ("/v1/products", PRODUCTS)):
                for code, named in labels.items():
                    await _made(client, path, {"code": code, "labels": named})
            await _share_themes_out(client)

    async def tidy_up(self) -> None:
        """Map what one of the senders calls by a name of its own."""
        async with self._client() as client:
            answer = await client.patch(
                f"/v1/touchpoints/{OTHER_NAME}", json={"alias_of": PLACES[0].code}
            )
            answer.raise_for_status()

    async def latest(self) -> str:
        """Return the id of the response that was taken in last."""
        async with self._client() as client:
            answer = await client.get("/v1/responses", params={"limit": 1})
            answer.raise_for_status()
            latest: str = answer.json()["data"][0]["id"]
            return latest

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


async def _share_themes_out(client: httpx.AsyncClient) -> None:
    """Give each theme that nobody answers for to one of the departments."""
    answer = await client.get("/v1/taxonomy")
    answer.raise_for_status()
    taxonomy = answer.json()
    theirs = {theme: department for department, some in THEMES.items() for theme in some}
    unassigned = [each for each in taxonomy["themes"] if not each.get("department")]
    if not any(each["id"] in theirs for each in unassigned):
        return
    for each in unassigned:
        each["department"] = theirs.get(each["id"])
    changed = await client.put(
        "/v1/taxonomy", json=taxonomy, headers={"If-Match": answer.headers["ETag"]}
    )
    changed.raise_for_status()


async def _made(client: httpx.AsyncClient, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """Make something; what is there from an earlier start stays as it is."""
    answer = await client.post(path, json=body)
    if answer.status_code != httpx.codes.CONFLICT:
        answer.raise_for_status()
    made: dict[str, Any] = answer.json()
    return made


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
