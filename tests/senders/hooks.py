"""A source of one sender behind the composed door, and how it is called."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import httpx

from shared.identity.principal import Scope
from tests.ingest_door import Door
from tests.senders.folders import Folder, Post

PUBLIC = "http://127.0.0.1:8000"


class Hooks:
    """A source of one sender, and how it is called."""

    def __init__(self, door: Door, folder: Folder) -> None:
        self.door = door
        self.folder = folder
        self.path = ""

    async def open(self, name: str) -> Hooks:
        """Set a source up as an operator would; no other test has one of this name."""
        # Wrong proofs of the tests before are none of this one's.
        self.door.clock.advance(timedelta(minutes=1))
        rights = await self.door.key(name, Scope.SETTINGS_WRITE, Scope.RESPONSES_READ)
        self.reader = rights
        client = self.door.client
        answer = await client.put(
            f"/v1/sources/{name}", json={"sender": self.folder.sender}, headers=rights
        )
        assert answer.status_code == 200, answer.text
        self.path = f"/v1/hooks/{name}"
        if self.folder.secret is None:
            key = await self.door.key(name)
            self.path += "/" + key["Authorization"].removeprefix("Bearer ")
        else:
            answer = await client.post(
                f"/v1/sources/{name}/secrets",
                json={"secret": self.folder.secret},
                headers=rights,
            )
            assert answer.status_code == 201, answer.text
        return self

    async def send(
        self,
        post: Post,
        *,
        body: bytes | None = None,
        at: datetime | None = None,
        secret: str | None = None,
        proof: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """Call the hook; signed now and over what is sent unless the test says otherwise."""
        if proof is None:
            now = at or self.door.clock.now()
            proof = self.folder.signed(
                "POST", PUBLIC + self.path, post.body, now, secret=secret
            )
        return await self.door.client.post(
            self.path,
            content=post.body if body is None else body,
            headers={**post.headers, **proof},
        )

    async def results(self, post: Post) -> list[dict[str, Any]]:
        """Call the hook and return what became of each answer."""
        answer = await self.send(post)
        assert answer.status_code == 202, answer.text
        results: list[dict[str, Any]] = answer.json()["results"]
        return results

    async def found(self, response_id: str) -> dict[str, Any]:
        """Return a response as it stands now."""
        answer = await self.door.client.get(f"/v1/responses/{response_id}", headers=self.reader)
        assert answer.status_code == 200, answer.text
        shown: dict[str, Any] = answer.json()
        return shown
