"""What a former version stored is opened by this one, and goes on working."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

from tests.infra.postgres import PostgresServer
from tests.infra.stored import STORED, VERSIONS, known_of, load_postgres, unpack_sqlite
from tests.journeys.installation import PROGRAM, Embedded
from tests.journeys.test_one_response import a_response, handled


class Former(Embedded):
    """An installation that goes on with a database of a former version."""

    def __init__(self, known: dict[str, Any], url: str | None = None) -> None:
        super().__init__()
        self.secret, self.key = known["secret"], known["key"]
        self._url = url

    @override
    def environment(self) -> dict[str, str]:
        """Return the settings, over the database of before."""
        own = super().environment()
        return {**own, "CLOSED_LOOP_DATABASE_URL": self._url} if self._url else own


@pytest.fixture
def on_sqlite(version: str) -> Iterator[Former]:
    former = Former(known_of("sqlite", version))
    unpack_sqlite(version, former.database)
    yield former
    former.stop()


@pytest.fixture
def on_postgres(version: str, postgres_server: PostgresServer) -> Iterator[Former]:
    name = postgres_server.create_database()
    load_postgres(version, postgres_server, name)
    former = Former(known_of("postgres", version), postgres_server.url(name))
    done = subprocess.run(
        [*PROGRAM, "migrate"],
        env={**os.environ, **former.environment()},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    yield former
    former.stop()
    postgres_server.drop_database(name)


def prove(former: Former, known: dict[str, Any], unique: str) -> None:
    """What stood in it is there, by the key of before; what is new is handled."""
    former.start_all()
    with former.client() as client:
        for response, was in known["responses"].items():
            found = client.get(f"/v1/responses/{response}").json()
            assert {name: found[name] for name in was} == was
        for task, state in known["tasks"].items():
            assert client.get(f"/v1/tasks/{task}").json()["state"] == state
        posted = client.post("/v1/responses", json=a_response(unique)).json()
        assert handled(client, posted["id"])["state"] == "task_open"
        again = client.post(
            "/v1/responses",
            json={
                "external_id": "stored-2",
                "score": 2,
                "touchpoint": "delivery",
                "comment": "Quick and friendly, thank you",
                "customer": {"id": "C-2", "name": "Kim Example", "email": "kim@example.com"},
            },
        ).json()
        assert again["id"] in known["responses"], "a revision meets the response of before"


@pytest.mark.parametrize("version", VERSIONS)
def test_a_sqlite_file_of_a_former_version_goes_on(
    version: str, on_sqlite: Former, unique: str
) -> None:
    prove(on_sqlite, known_of("sqlite", version), unique)


@pytest.mark.postgres
@pytest.mark.parametrize("version", VERSIONS)
def test_a_postgres_of_a_former_version_goes_on(
    version: str, on_postgres: Former, unique: str
) -> None:
    prove(on_postgres, known_of("postgres", version), unique)


def test_every_version_of_the_tables_that_was_released_is_kept() -> None:
    """All but the newest migration must have left a file of each kind behind."""
    migrations = Path(__file__).parents[2] / "migrations" / "versions"
    released = sorted(path.name[:4] for path in migrations.glob("[0-9]*.py"))[:-1]

    for version in released:
        for kind, ending in (("sqlite", "db.gz"), ("postgres", "sql.gz")):
            assert (STORED / f"{kind}-{version}.{ending}").exists()
            assert (STORED / f"{kind}-{version}.json").exists()
