"""The interface keeps to its description, whatever is generated from it, on both databases.

The cases come from ``/openapi.json``: some fit it, some break it on purpose. The same ones come
every time. ``CLOSED_LOOP_TEST_EXAMPLES`` asks for more of each (``make soak``).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import threading
from collections.abc import Coroutine, Iterator
from contextlib import AsyncExitStack
from typing import Any, TypeVar

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from hypothesis.strategies import SearchStrategy
from schemathesis.checks import CheckFunction, not_a_server_error
from schemathesis.core.failures import AcceptedNegativeData, Failure, FailureGroup
from schemathesis.generation import GenerationMode
from schemathesis.generation.case import Case
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    missing_required_header,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from shared.db.engine import Engines
from shared.sealing import Keyring
from shared.web.auth import PROVEN_ROUTES
from tests.fakes import ManualClock
from tests.plumbing import create_tables
from tests.whole_house import BASE, WholeHouse, api_routes, open_house

T = TypeVar("T")

EXAMPLES = int(os.environ.get("CLOSED_LOOP_TEST_EXAMPLES", "4"))  # noqa: TID251 - a test's switch
CHECKS: list[CheckFunction] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
    missing_required_header,
]


class Running:
    """A house in a loop of its own, for tests that are not asynchronous."""

    def __init__(self, url: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._stack = AsyncExitStack()
        self._url = url
        self._made = 0
        self.house: WholeHouse
        self.client: httpx.AsyncClient
        self.nobody: httpx.AsyncClient

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def start(self) -> None:
        self._thread.start()
        self.do(self._open())

    async def _open(self) -> None:
        if self._url.startswith("sqlite"):
            await create_tables(self._url)
        engines = Engines.open(self._url)
        self._stack.push_async_callback(engines.close)
        self.house = await self._stack.enter_async_context(
            open_house(engines, ManualClock(), Keyring("s" * 40))
        )
        self.client = await self._stack.enter_async_context(self.house.client())
        self.nobody = await self._stack.enter_async_context(self.house.client(headers={}))

    def stop(self) -> None:
        self.do(self._stack.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def things(self) -> dict[str, str]:
        """Return the ids of fresh things, by how paths call them."""
        self._made += 1
        posted = await self.client.post(
            "/v1/responses",
            json={
                "external_id": f"A-{self._made}",
                "score": 1,
                "comment": "Late.",
                "touchpoint": "door",
                "customer": {"name": "Ann Example", "email": "ann@example.org"},
            },
        )
        await self.house.settle(sending=False)
        response = posted.json()["id"]
        webhook = await self.client.post(
            "/v1/webhooks", json={"url": f"https://hooks.example.org/{self._made}"}
        )
        return {
            "response_id": response,
            "task_id": await self._first(f"/v1/tasks?response_id={response}"),
            "webhook_id": webhook.json()["id"],
            "delivery_id": await self._first("/v1/deliveries"),
            "theme_id": await self._first("/v1/themes"),
            **_NAMED,
        }

    async def _first(self, path: str) -> str:
        found: str = (await self.client.get(path)).json()["data"][0]["id"]
        return found

    async def send(self, case: Case[Any], client: httpx.AsyncClient) -> httpx.Response:
        """Send a case as it is, but for who asks."""
        members = case.as_transport_kwargs(base_url=BASE)
        made = requests.Request(
            **{name: members[name] for name in _SENT if name in members}
        ).prepare()
        body = made.body or b""
        assert isinstance(body, bytes | str)
        headers = [
            (name, value if isinstance(value, bytes) else value.encode("latin-1"))
            for name, value in made.headers.items()
            if name.lower() not in {"authorization", "cookie"}
        ]
        request = httpx.Request(
            str(made.method),
            str(made.url),
            headers=[
                *((name.encode("latin-1"), value) for name, value in headers),
                *((n, v) for n, v in client.headers.raw if n.lower() == b"authorization"),
            ],
            content=body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body,
        )
        return await client.send(request)


_THINGS = {"response_id", "task_id", "webhook_id", "delivery_id", "theme_id"}
_NAMED = {"code": "door", "source": "crm", "name": "crm", "n": "1"}
_SENT = ("method", "url", "headers", "params", "json", "data", "files", "cookies")


@pytest.fixture
def running(database_url: str) -> Iterator[Running]:
    made = Running(database_url)
    made.start()
    yield made
    made.stop()


def test_whatever_is_generated_is_answered_as_described(running: Running) -> None:
    """No crash, nothing that is not described, and what does not fit is refused."""
    schema = schemathesis.openapi.from_dict(running.house.app.openapi())
    broken: dict[str, str] = {}
    tried = 0
    for found in schema.get_all_operations():
        operation = found.ok()  # type: ignore[union-attr] # it raises where there is none
        for mode in GenerationMode:
            names = set(re.findall(r"{(\w+)}", operation.path))
            things = running.do(running.things()) if names & _THINGS else _NAMED
            fixed = {name: things[name] for name in names if name in things}
            cases = operation.as_strategy(mode, path_parameters=fixed or None)
            tried += _try(running, operation, cases, broken)

    assert broken == {}
    assert tried > EXAMPLES * len({route.name for route in api_routes(running.house.app)})


def _try(
    running: Running,
    operation: APIOperation[Any, Any, Any, Any],
    cases: SearchStrategy[Case[Any]],
    broken: dict[str, str],
) -> int:
    tried = 0

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases)
    def one(case: Case[Any]) -> None:
        nonlocal tried
        tried += 1
        answer = running.do(running.send(case, running.client))
        try:
            case.validate_response(answer, checks=CHECKS)
        except (Failure, FailureGroup) as failure:
            parts = failure.exceptions if isinstance(failure, FailureGroup) else (failure,)
            for each in parts:
                if _is_all_right(each, operation, answer):
                    continue
                name = f"{operation.label}: {type(each).__name__}"
                broken.setdefault(name, f"{each}\n{answer.request.content!r}\n{answer.text}")
        if tried > 1 or operation.path in PROVEN_ROUTES or answer.status_code in _BEFORE_WHO:
            return
        refused = running.do(running.send(case, running.nobody))
        if refused.status_code != 401:
            broken.setdefault(f"{operation.label}: open", refused.text)

    # Nothing breaks the description of a route that takes nothing.
    with contextlib.suppress(Unsatisfiable):
        one()
    return tried


def _is_all_right(
    failure: Failure, operation: APIOperation[Any, Any, Any, Any], answer: httpx.Response
) -> bool:
    """Tell whether what should be refused was refused, or is by design taken in parts."""
    return isinstance(failure, AcceptedNegativeData) and (
        answer.status_code >= 400 or operation.path in _TAKEN_IN_PARTS
    )


_TAKEN_IN_PARTS = {"/v1/responses/batch", *PROVEN_ROUTES}
"""Where the answer names each item that was refused."""
_BEFORE_WHO = frozenset({400, 405, 413, 414, 415, 431})
"""What may be said before it is known who asks."""
