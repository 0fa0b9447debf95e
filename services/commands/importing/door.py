"""The way in: the batch route and what is behind it, of this process or of a running one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import httpx

from services.commands.output import say_if_new
from services.composition import compose
from shared.clock import SystemClock
from shared.errors import Finding, Forbidden, Invalid, NotFound, TryLater, Unauthenticated
from shared.identity import keys
from shared.identity.principal import Scope
from shared.logs import set_up
from shared.settings import Settings

_SCOPES: Final = (
    Scope.RESPONSES_WRITE,
    Scope.RESPONSES_READ,
    Scope.DELIVERIES_READ,
    Scope.SETTINGS_WRITE,
)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What became of one posted document."""

    status: str
    finding: Finding | None = None


@dataclass(frozen=True, kw_only=True)
class Effects:
    """What the loop made of an import; ``alerts`` is None where the key may not see it."""

    responses: int = 0
    waiting: int = 0
    tasks_opened: int = 0
    themes: int = 0
    alerts: int | None = 0


@dataclass(frozen=True, kw_only=True)
class Door:
    """The batch route and what is behind it.

    ``work`` lets the loop work for a moment, ``settle`` until alerts have been handed out too.
    """

    client: httpx.AsyncClient
    work: Callable[[], Awaitable[None]]
    settle: Callable[[], Awaitable[None]]

    async def post(
        self,
        documents: Sequence[Mapping[str, Any]],
        *,
        import_id: str | None,
        place: str,
        as_new: bool,
    ) -> list[Verdict]:
        """Post documents durably; without an import they are tried and nothing is recorded.

        ``place`` names the batch within its import: posted again after an accident, it gets
        the answer that it had, so that an accepted row is never counted as a duplicate.
        """
        body = "\n".join(json.dumps(document, ensure_ascii=False) for document in documents)
        query = {"as_new": "true"} if as_new else {}
        headers = {"Content-Type": "application/x-ndjson"}
        if import_id is None:
            query["dry_run"] = "true"
        else:
            query["import_id"] = import_id
            headers["Idempotency-Key"] = f"{import_id}:{place}"
        answer = await self._ask(
            "POST",
            "/v1/responses/batch",
            params=query,
            content=body.encode("utf-8", "surrogatepass"),
            headers=headers,
        )
        return [
            Verdict(status=result["status"], finding=_finding(result.get("error")))
            for result in answer["results"]
        ]

    async def effects(self, import_id: str) -> Effects:
        """Return what an import has led to so far, alerts left out."""
        try:
            stands = await self._ask("GET", f"/v1/imports/{import_id}")
        except NotFound:
            return Effects()  # nothing of it was new
        return Effects(
            responses=stands["responses"],
            waiting=stands["waiting"],
            tasks_opened=stands["tasks"],
            themes=stands["themes"],
        )

    async def alerts(self, import_id: str) -> int | None:
        """Return how many deliveries an import has led to."""
        found = 0
        cursor: dict[str, str] = {}
        while True:
            query = {"import_id": import_id, "limit": "200", **cursor}
            try:
                page = await self._ask("GET", "/v1/deliveries", params=query)
            except Forbidden:
                return None
            found += len(page["data"])
            if not page["has_more"]:
                return found
            cursor = {"cursor": page["next_cursor"]}

    async def _ask(self, method: str, path: str, **rest: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
        try:
            answer = await self.client.request(method, path, **rest)
        except httpx.HTTPError as error:
            message = f"The installation does not answer ({type(error).__name__}). Try later."
            raise TryLater(message) from None
        if answer.is_success:
            document: dict[str, Any] = answer.json()
            return document
        detail = f"{path}: {answer.status_code}"
        if "json" in answer.headers.get("content-type", ""):
            detail = answer.json().get("detail", detail)
        match answer.status_code:
            case 401:
                raise Unauthenticated(detail)
            case 403:
                raise Forbidden(detail)
            case 404:
                raise NotFound(detail)
            case 429 | 503:
                raise TryLater(detail)
            case _:
                raise Invalid(detail)


def _finding(error: Mapping[str, Any] | None) -> Finding | None:
    if error is None:
        return None
    first = (error.get("errors") or [error])[0]
    return Finding(
        pointer=str(first.get("pointer", "")),
        code=str(first.get("code", "invalid")),
        detail=str(first.get("detail", "")),
        fix=str(first.get("fix", "")),
    )


@asynccontextmanager
async def running(url: str, key: str | None) -> AsyncIterator[Door]:
    """Speak to a running installation."""
    if not key:
        message = (
            "--url needs --key (or CLOSED_LOOP_KEY): a key of the source, with its scopes."
        )
        raise Unauthenticated(message)

    async def work() -> None:
        await asyncio.sleep(0.5)  # the installation's own workers do it

    async with httpx.AsyncClient(
        base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=60, trust_env=False
    ) as client:
        yield Door(client=client, work=work, settle=work)


@asynccontextmanager
async def own(source: str) -> AsyncIterator[Door]:
    """Open this installation in this process, with a key that ends with the import."""
    settings = Settings.load()
    say_if_new(settings)
    set_up(form=settings.log_format, level="error")
    clock = SystemClock()
    async with compose(settings) as system:
        async with system.database.transaction() as tx:
            key, plain = await keys.create_key(
                tx,
                source=source,
                name="import",
                scopes=_SCOPES,
                now=clock.now(),
                expires_at=clock.now() + timedelta(days=1),
            )

        async def work() -> None:
            """Let every worker take a turn for about a second."""
            until = clock.monotonic() + 1
            busy = True
            while busy and clock.monotonic() < until:
                busy = any([await worker.step() for worker in system.workers])

        async def settle() -> None:
            await system.settle()

        transport = httpx.ASGITransport(app=system.app, client=("127.0.0.1", 0))
        try:
            async with httpx.AsyncClient(
                transport=transport,
                base_url=settings.public_url,
                headers={"Authorization": f"Bearer {plain}"},
            ) as client:
                yield Door(client=client, work=work, settle=settle)
        finally:
            async with system.database.transaction() as tx:
                await keys.revoke_key(tx, key.id, now=clock.now())
