"""The disk is full: an honest 503, nothing half-written, and all is well when there is room."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.faults.steady import OneProcess, ready
from tests.infra.postgres import LocalPostgres, PostgresServer, unprivileged_user
from tests.infra.processes import data_folder, wait_until
from tests.journeys.installation import Installation


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A disk with room for a small SQLite database."""
    with _disk(megabytes=48) as folder:
        yield folder


@contextlib.contextmanager
def _disk(*, megabytes: int) -> Iterator[Path]:
    """A file system of a few megabytes; only root can make one."""
    if os.geteuid() != 0:
        pytest.skip("a small file system can be mounted by root only")
    with data_folder("disk") as folder:
        options = ["-t", "tmpfs", "-o", f"size={megabytes}m", "none", str(folder)]
        done = subprocess.run(["mount", *options], capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"a small file system cannot be mounted here: {done.stderr.strip()}")
        try:
            yield folder
        finally:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def cramped(own_postgres_server: PostgresServer) -> Iterator[tuple[str, Path]]:
    """A PostgreSQL database whose tables lie on a small disk, and that disk.

    The server's own files have room: without room for its log it would end, and a database that
    is away is another matter.
    """
    server = own_postgres_server
    if not isinstance(server, LocalPostgres):
        pytest.skip("a tablespace on a small disk needs a PostgreSQL of local binaries")
    with _disk(megabytes=48) as folder:
        place = folder / "tables"
        place.mkdir()
        if (user := unprivileged_user()) is not None:
            shutil.chown(place, user)
        server.run(
            [
                f"CREATE TABLESPACE cramped LOCATION '{place}'",
                "CREATE DATABASE cramped TABLESPACE cramped",
            ]
        )
        try:
            yield server.url("cramped"), folder
        finally:
            server.drop_database("cramped")
            server.run(["DROP TABLESPACE cramped"])


class _OnPostgres(OneProcess):
    """One process whose database is elsewhere, and can be looked at."""

    def __init__(self, url: str, **settings: str) -> None:
        super().__init__(database_url=url, **settings)
        self._url = url

    @property
    def whole_database(self) -> str:
        return self._url


class _OnSmallDisk(OneProcess):
    """One process whose database has little room."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self._file = folder / "closed-loop.db"
        super().__init__(database_url=f"sqlite+aiosqlite:///{self._file}", **settings)

    @property
    def database(self) -> Path:
        return self._file


@contextlib.contextmanager
def _filled(folder: Path, *, leaving: int) -> Iterator[None]:
    """Take all room but so many bytes, and give it back afterwards."""
    filler = folder / "filler"
    disk = os.statvfs(folder)
    take = disk.f_bavail * disk.f_frsize - leaving
    with filler.open("wb") as out, contextlib.suppress(OSError):
        out.write(bytes(max(0, take)))
        out.flush()
    try:
        yield
    finally:
        filler.unlink()


def _post(client: httpx.Client, name: str) -> httpx.Response:
    body = {"external_id": name, "score": 3, "comment": "x" * 4_000, "customer": {"id": name}}
    return client.post("/v1/responses", json=body)


def _ids(installation: Installation, named: str = "external_id") -> set[str]:
    from tests.faults.load import everything

    with installation.client() as client:
        return {one[named] for one in everything(client, "/v1/responses")}


def _refused_for_room(answer: httpx.Response) -> None:
    assert answer.status_code == 503, answer.text
    assert answer.json()["type"].endswith("/storage-full")
    assert answer.headers["retry-after"] == "30"


def test_a_full_disk_is_refused_and_heals_without_a_restart(
    small_disk: Path, unique: str
) -> None:
    with _OnSmallDisk(small_disk, disk_floor_mb="0") as installation:
        _fill_and_make_room(installation, small_disk, leaving=300_000, unique=unique)
        installation.terminate("all")
        with contextlib.closing(sqlite3.connect(installation.database)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.mark.postgres
def test_a_full_disk_of_postgres_is_refused_and_heals_without_a_restart(
    cramped: tuple[str, Path], own_postgres_server: PostgresServer, unique: str
) -> None:
    """The server says 53100, stays up, and so do we; nothing of what was refused is there."""
    url, disk = cramped
    with _OnPostgres(url) as installation:
        _fill_and_make_room(installation, disk, leaving=600_000, unique=unique)
        rows = own_postgres_server.run(["SELECT id FROM ingest_responses"], database="cramped")[
            0
        ]
        assert {row["id"] for row in rows} == _ids(installation, "id")


def _fill_and_make_room(
    installation: Installation, disk: Path, *, leaving: int, unique: str
) -> None:
    """Post until the disk is full, make room, post on: what was answered is what is there."""
    with installation.client() as client:
        accepted = {f"{unique}-{n}" for n in range(5)}
        refused: dict[str, Any] = {}
        for name in accepted:
            assert _post(client, name).status_code == 202
        with _filled(disk, leaving=leaving):
            for n in range(400):
                name = f"{unique}-full-{n}"
                answer = _post(client, name)
                if answer.status_code == 202:
                    accepted.add(name)
                else:
                    refused[name] = answer
                    if len(refused) == 5:
                        break
            assert len(refused) == 5, "the disk was never full"
            for answer in refused.values():
                _refused_for_room(answer)
            # Reading needs no room, and shows what was accepted and nothing else.
            assert _ids(installation) == accepted
        wait_until(
            lambda: _post(client, f"{unique}-again").status_code == 202,
            what="room to be used again",
            seconds=30,
            every=0.2,
        )
        accepted.add(f"{unique}-again")
        wait_until(
            lambda: (
                not client.get(
                    "/v1/responses", params={"state": "received", "limit": "1"}
                ).json()["data"]
            ),
            what="everything to be handled",
            seconds=90,
        )
    assert _ids(installation) == accepted


def test_a_floor_of_free_disk_is_kept(small_disk: Path, unique: str) -> None:
    """With less than the floor nothing new is taken, while work on what is there goes on."""
    with (
        _OnSmallDisk(small_disk, disk_floor_mb="8") as installation,
        installation.client() as client,
    ):
        assert _post(client, unique).status_code == 202
        with _filled(small_disk, leaving=6_000_000):

            def is_refused() -> bool:
                return _post(client, unique).status_code == 503

            # What is free is looked at once a second.
            wait_until(is_refused, what="a refusal", seconds=10, every=0.2)
            _refused_for_room(_post(client, f"{unique}-2"))
            batch = [{"external_id": f"{unique}-3", "score": 9}]
            _refused_for_room(client.post("/v1/responses/batch", json=batch))
            assert ready(installation)[0] == 200
            task = wait_for_task(client, unique)
            closed = client.post(
                f"/v1/tasks/{task}/close", json={"reason": "not_needed", "note": "A slip."}
            )
            assert closed.status_code == 200, closed.text
        wait_until(
            lambda: _post(client, f"{unique}-2").status_code == 202,
            what="responses to be taken again",
            seconds=10,
            every=0.2,
        )


def wait_for_task(client: httpx.Client, name: str) -> str:
    """Return the task of the response with that id, as soon as it has one."""
    found: list[str] = []

    def has_one() -> bool:
        page = client.get("/v1/responses", params={"external_id": name}).json()["data"]
        found.extend(one["task_id"] for one in page if one["task_id"])
        return bool(found)

    wait_until(has_one, what="a task", seconds=30)
    return found[0]
