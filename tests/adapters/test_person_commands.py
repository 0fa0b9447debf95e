"""``closed-loop person``: beside a running installation, and where nobody serves."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import httpx
import pytest

from tests.adapters.test_cli import NOT_FOUND, OK, REFUSED, USAGE, Shell
from tests.infra.processes import LOOPBACK, Child, accepts, free_port, wait_until

ADDRESS = "anna.berg@example.org"
KEY = "a bootstrap key of forty characters here"
WORDS = "Forty minutes in the rain."


class Served(Shell):
    """A folder with an installation that can be started and stopped."""

    @property
    def port_file(self) -> Path:
        return self.folder / "port"

    def serve(self) -> Child:
        port = free_port()
        child = Child(
            "serve",
            [*self.program, "serve", "--port", str(port)],
            log=self.folder / "serve.log",
            cwd=self.folder,
            env={**self.environment, "CLOSED_LOOP_BOOTSTRAP_API_KEY": KEY},
        )
        try:
            child.wait_ready(lambda: accepts(port), seconds=60)
        except BaseException:
            child.kill()
            raise
        self.port_file.write_text(str(port))
        return child

    def call(self, method: str, path: str, document: object = None) -> httpx.Response:
        return httpx.request(
            method,
            f"http://{LOOPBACK}:{self.port_file.read_text()}{path}",
            headers={"Authorization": f"Bearer {KEY}"},
            json=document,
            timeout=30,
            trust_env=False,
        )

    def post(self, number: int) -> str:
        answer = self.call(
            "POST",
            "/v1/responses",
            {
                "external_id": f"A-{number}",
                "score": 2,
                "comment": WORDS,
                "customer": {"id": f"C-{number}", "email": ADDRESS},
            },
        )
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])


@pytest.fixture
def house(tmp_path: Path) -> Served:
    return Served(folder=tmp_path)


def test_a_person_is_exported_and_erased_beside_a_running_installation(house: Served) -> None:
    child = house.serve()
    try:
        response = house.post(1)
        exported = house.run("person", "export", "--response", response, "--out", "one.json")
        asked = house.run("person", "erase", "--response", response)
        erased = house.run("person", "erase", "--response", response, "--yes", "--json")
        shown = house.call("GET", f"/v1/responses/{response}").json()
    finally:
        child.stop(seconds=30)

    assert exported.returncode == OK, exported.stderr
    archive = house.folder / "one.json"
    assert archive.stat().st_mode & 0o777 == 0o600
    (person,) = json.loads(archive.read_text())["persons"]
    assert person["ingest"]["responses"][0]["comment"] == WORDS
    assert person["loop"]
    assert person["notify"] is not None
    assert asked.returncode == REFUSED
    assert erased.returncode == OK, erased.stderr
    certificate = json.loads(erased.stdout)["certificate"]
    assert certificate["services"]["ingest"]["responses"] == 1
    assert set(certificate["services"]) == {"ingest", "loop", "notify"}
    assert shown["score"] == 2
    assert ADDRESS not in erased.stdout + erased.stderr + child.log.read_text()


def test_a_person_is_erased_where_nobody_serves(house: Served) -> None:
    child = house.serve()
    try:
        house.post(1)
        house.post(2)
    finally:
        child.stop(seconds=30)

    done = house.run("person", "erase", "--email", ADDRESS, "--yes")
    again = house.run("person", "export", "--email", ADDRESS)

    assert done.returncode == OK, done.stderr
    assert "persons: 2" in done.stdout
    assert "ingest: responses 2" in done.stdout
    assert again.returncode == NOT_FOUND
    files = [path for path in house.folder.glob("closed-loop.db*") if path.is_file()]
    assert files
    for path in files:
        content = path.read_bytes()
        assert WORDS.encode() not in content, path
        assert ADDRESS.encode() not in content, path


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Served:
    """An installation with nobody in it, migrated once."""
    made = Served(folder=tmp_path_factory.mktemp("empty"))
    assert made.run("migrate").returncode == OK
    return made


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["erase", "--email", ADDRESS, "--yes"], NOT_FOUND),
        (["erase", "--response", "rsp_nothing", "--yes"], NOT_FOUND),
        (["erase", "--yes"], 1),
        (["export", "--id", "C-1"], 1),
        (["export", "--out", "closed-loop.db"], USAGE),
        (["erase", "--email", ADDRESS, "--by", "nobody@example.org"], NOT_FOUND),
    ],
)
def test_how_a_person_can_not_be_named(empty: Served, words: list[str], code: int) -> None:
    done = empty.run("person", *words)

    assert done.returncode == code, done.stderr
    assert done.stdout == ""


def test_whose_time_is_over_is_forgotten_where_nobody_serves(house: Served) -> None:
    child = house.serve()
    try:
        old, young = house.post(1), house.post(2)
        # What the loop has yet to say would open the task again.
        wait_until(
            lambda: house.call("GET", f"/v1/responses/{old}").json()["task_id"], what="task"
        )
    finally:
        child.stop(seconds=30)
    with sqlite3.connect(house.folder / "closed-loop.db") as database:
        database.execute(
            # Longer ago than the period reaches, and no task of theirs is open.
            "UPDATE ingest_responses SET received_at = ?, state = 'closed' WHERE id = ?",
            ("2000-01-01T00:00:00.000000+00:00", old),
        )
    database.close()

    first = house.run("retention", "run", "--dry-run", "--json")
    done = house.run("retention", "run", "--json")
    after = house.run("retention", "run", "--dry-run")

    assert first.returncode == done.returncode == OK, first.stderr + done.stderr
    assert json.loads(first.stdout)["due"] == {"persons": 1, "responses": 1}
    told = json.loads(done.stdout)
    assert (told["persons"], len(told["requests"])) == (1, 1)
    assert told["left"] == {"persons": 0, "responses": 0}
    assert told["others"]["dead_letters"] == {"forgotten": 0, "left": 0}
    assert told["others"]["deliveries"]["forgotten"] == 0
    assert json.loads(first.stdout)["others"]["audit"] is None
    assert json.loads(first.stdout)["deliveries_months"] == 36
    assert "due: persons 0, responses 0" in after.stdout
    with sqlite3.connect(house.folder / "closed-loop.db") as database:
        sealed = dict(database.execute("SELECT id, sealed_person FROM ingest_responses"))
    database.close()
    assert sealed[old] == "erased"
    assert sealed[young] != "erased"
