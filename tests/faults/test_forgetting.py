"""The process dies while persons are forgotten: each is forgotten once, and wholly."""

from __future__ import annotations

import sqlite3
import uuid
from contextlib import closing

import pytest

from tests.faults.test_fault_points import ERRANDS, WHILE_FORGETTING, die, embedded
from tests.infra.processes import wait_until
from tests.journeys.installation import Embedded

__all__ = ["embedded"]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Requests that were answered, each with the response whose customer it names."""
    answered: dict[str, str] = {}

    def have_somebody_forgotten(installation: Embedded) -> None:
        address = f"{uuid.uuid4().hex}@example.org"
        response = {
            "external_id": address,
            "score": 2,
            "comment": "Waited forty minutes.",
            "customer": {"email": address},
        }
        request = {"kind": "erasure", "person": {"email": address}}
        with installation.client() as client:
            posted = client.post("/v1/responses", json=response)
            reply = client.post("/v1/person-requests", json=request)
        if reply.status_code == 202:
            answered[reply.json()["id"]] = posted.json()["id"]

    for point in WHILE_FORGETTING:
        monkeypatch.setitem(ERRANDS, point, have_somebody_forgotten)
    return answered


def test_dying_twice_while_persons_are_forgotten_forgets_each_once(
    embedded: Embedded, asked: dict[str, str]
) -> None:
    embedded.start()
    embedded.kill("all")

    for point in WHILE_FORGETTING:
        for arrival in (2, 1):
            die(embedded, point, arrival)

    embedded.start()
    with embedded.client() as client:

        def waiting() -> list[str]:
            listed = client.get("/v1/person-requests", params={"limit": 200}).json()["data"]
            return [one["id"] for one in listed if one["state"] != "done"]

        wait_until(lambda: not waiting(), what="the end of all requests", seconds=60)
        requests = {
            request_id: client.get(f"/v1/person-requests/{request_id}").json()
            for request_id in asked
        }
    assert asked
    for one in requests.values():
        assert one["persons"] == 1
        done = one["certificate"]["services"]
        assert set(done) == {"ingest", "loop", "notify"}
        assert done["ingest"]["responses"] == 1
    with closing(sqlite3.connect(f"file:{embedded.database}?mode=ro", uri=True)) as view:
        for table in ("ingest_responses", "loop_responses"):
            left = dict(view.execute(f"SELECT id, sealed_person FROM {table}"))  # noqa: S608 - ours
            assert {left.get(response, "erased") for response in asked.values()} == {"erased"}
        (keys,) = view.execute(
            "SELECT count(*) FROM shared_person_keys k JOIN ingest_responses r"
            " ON r.person_ref = k.ref WHERE k.wrapped_key IS NOT NULL AND r.sealed_person ="
            " 'erased'"
        ).fetchone()
        assert keys == 0
        # What is published twice has one id, by which everybody knows it again.
        (told,) = view.execute(
            "SELECT max(n) FROM (SELECT count(DISTINCT json_extract(said, '$.id')) AS n FROM"
            " (SELECT key, CAST(body AS TEXT) AS said FROM shared_log)"
            " WHERE said LIKE '%customer.erased.v1%' GROUP BY key)"
        ).fetchone()
        assert told == 1
