"""A real PostgreSQL: named by the environment, from Docker, or from the local binaries.

The local one runs as an unprivileged user, with ``fsync=on``, on its own port and folder. A
test asks it for a database of its own, and for users such as the three roles' ones.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import re
import secrets
import shutil
import signal
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from tests.infra import docker
from tests.infra.processes import (
    LOOPBACK,
    Child,
    ServerDidNotStart,
    data_folder,
    free_port,
)
from tests.infra.proxy import FaultProxy

IMAGE = "postgres:15"
ADMIN = "closed_loop_admin"


def identifier(name: str) -> str:
    """Return the name quoted for SQL."""
    return '"' + name.replace('"', '""') + '"'


class PostgresServer:
    """A server and its administrator; how it is started is up to the subclasses."""

    can_be_broken = True
    files: Path | None = None
    """Where its files lie, if on this machine."""

    def __init__(
        self, *, host: str = LOOPBACK, port: int = 0, user: str = ADMIN, password: str = ""
    ) -> None:
        self.host = host
        self.port = port
        self.user = user
        self.password = password

    def start(self) -> None:
        """Start it and return when it answers."""

    def stop(self) -> None:
        """End it in good order and forget its data."""

    def kill(self) -> None:
        """End it as a power cut would; the data stay."""
        raise NotImplementedError

    def pause(self) -> None:
        """Freeze it: connections stay open, nobody answers."""
        raise NotImplementedError

    def resume(self) -> None:
        """Let it go on after ``pause``."""
        raise NotImplementedError

    def restart(self) -> None:
        """Start it again on the same port and data."""
        raise NotImplementedError

    def url(
        self, database: str, *, user: str | None = None, password: str | None = None
    ) -> str:
        """Return the address for our settings; as the administrator unless a user is given."""
        name = quote(user or self.user, safe="")
        word = quote(self.password if user is None else password or "", safe="")
        return f"postgresql+asyncpg://{name}:{word}@{self.host}:{self.port}/{quote(database)}"

    def run(
        self, statements: Sequence[str], *, database: str = "postgres"
    ) -> list[list[dict[str, Any]]]:
        """Run statements one by one as the administrator; return the rows of each."""
        import asyncpg

        async def talk() -> list[list[dict[str, Any]]]:
            connection = await asyncpg.connect(
                host=self.host,
                port=self.port,
                user=self.user,
                password=self.password,
                database=database,
                timeout=10,
            )
            try:
                return [
                    [dict(row) for row in await connection.fetch(statement)]
                    for statement in statements
                ]
            finally:
                await connection.close()

        # In a thread of its own: a fixture may be asked for inside a running event loop.
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(lambda: asyncio.run(talk())).result()

    def create_database(self, name: str | None = None, *, template: str | None = None) -> str:
        """Make an empty database, or a copy of another one, and return its name."""
        name = name or f"test_{secrets.token_hex(6)}"
        like = f" TEMPLATE {identifier(template)}" if template else ""
        self.run([f"CREATE DATABASE {identifier(name)}{like}"])
        return name

    def drop_database(self, name: str) -> None:
        """Forget a database, whoever is still connected to it."""
        self.run([f"DROP DATABASE IF EXISTS {identifier(name)} WITH (FORCE)"])

    def create_user(self, name: str | None = None, password: str | None = None) -> str:
        """Make a user who may sign in and nothing else; the password is the name by default."""
        name = name or f"user_{secrets.token_hex(6)}"
        word = (password or name).replace("'", "''")
        self.run([f"CREATE ROLE {identifier(name)} LOGIN PASSWORD '{word}'"])
        return name

    def drop_user(self, name: str, *, database: str | None = None) -> None:
        """Forget a user, and first what it was granted in the given database."""
        if database:
            self.run([f"DROP OWNED BY {identifier(name)}"], database=database)
        self.run([f"DROP ROLE IF EXISTS {identifier(name)}"])

    def _answers(self) -> bool:
        import asyncpg

        try:
            self.run(["SELECT 1"])
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return False
        return True


class NamedPostgres(PostgresServer):
    """The server that ``CLOSED_LOOP_TEST_POSTGRES`` names; it is not ours to start or break."""

    can_be_broken = False

    def __init__(self, address: str) -> None:
        parts = urlsplit(re.sub(r"^postgres(ql)?(\+\w+)?:", "postgresql:", address))
        super().__init__(
            host=parts.hostname or LOOPBACK,
            port=parts.port or 5432,
            user=parts.username or "postgres",
            password=parts.password or "",
        )

    def start(self) -> None:
        """Make sure that somebody answers."""
        if not self._answers():
            message = (
                f"no PostgreSQL answers at {self.host}:{self.port}"
                " for the user in CLOSED_LOOP_TEST_POSTGRES"
            )
            raise ServerDidNotStart(message)


class DockerPostgres(PostgresServer):
    """A server in a container of the official image."""

    def __init__(self) -> None:
        super().__init__(port=free_port(), password=secrets.token_hex(16))
        self._container: docker.Container | None = None

    def start(self) -> None:
        """Run the container and wait until the server answers."""
        self._container = docker.Container(
            IMAGE,
            env={
                "POSTGRES_USER": self.user,
                "POSTGRES_PASSWORD": self.password,
                "POSTGRES_DB": "postgres",
            },
            ports={self.port: 5432},
        )
        self._container.wait_ready(self._answers)

    def stop(self) -> None:
        """Remove the container."""
        if self._container is not None:
            self._container.remove()
            self._container = None

    def _do(self, verb: str) -> None:
        assert self._container is not None
        self._container.do(verb)

    def kill(self) -> None:
        """SIGKILL."""
        self._do("kill")

    def pause(self) -> None:
        """Freeze it."""
        self._do("pause")

    def resume(self) -> None:
        """Let it go on."""
        self._do("unpause")

    def restart(self) -> None:
        """Start it again on the same data."""
        assert self._container is not None
        self._do("restart")
        self._container.wait_ready(self._answers)


class LocalPostgres(PostgresServer):
    """A server from the local binaries, as an unprivileged user."""

    def __init__(self) -> None:
        super().__init__(password=secrets.token_hex(16))
        self._cleanup = contextlib.ExitStack()
        self._folder: Path | None = None
        self._child: Child | None = None

    def start(self) -> None:
        """Make a fresh cluster and start it on a free port."""
        for attempt in range(3):
            try:
                self._make()
                self._run()
            except ServerDidNotStart:
                # Somebody took the port between looking and binding; look again.
                self.stop()
                if attempt == 2:
                    raise
            else:
                return

    def _make(self) -> None:
        self._folder = folder = self._cleanup.enter_context(data_folder("postgres"))
        self.files = folder
        self.port = free_port()
        word = folder / "password"
        word.write_text(self.password)
        user = unprivileged_user()
        if user is not None:
            shutil.chown(folder, user)
            shutil.chown(word, user)
        done = subprocess.run(
            [
                str(binary("initdb")),
                f"--pgdata={folder / 'data'}",
                f"--username={self.user}",
                f"--pwfile={word}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
            ],
            capture_output=True,
            text=True,
            check=False,
            cwd=folder,
            timeout=120,
            user=user,
            group=user,
            extra_groups=None if user is None else [],
        )
        word.unlink()
        if done.returncode:
            message = f"initdb failed:\n{done.stdout}{done.stderr}"
            raise ServerDidNotStart(message)

    def _run(self) -> None:
        assert self._folder is not None
        options = {
            "listen_addresses": LOOPBACK,
            "port": str(self.port),
            "unix_socket_directories": "",
            "fsync": "on",
            "synchronous_commit": "on",
            "full_page_writes": "on",
            "max_connections": "200",
            "shared_buffers": "64MB",
            "timezone": "UTC",
        }
        self._child = Child(
            "postgres",
            [
                binary("postgres"),
                "-D",
                self._folder / "data",
                *(
                    part
                    for name, value in options.items()
                    for part in ("-c", f"{name}={value}")
                ),
            ],
            log=self._folder / "postgres.log",
            cwd=self._folder,
            user=unprivileged_user(),
        )
        # The password is random, so an answer proves that it is this very server.
        self._child.wait_ready(self._answers)

    def stop(self) -> None:
        """End it in good order and forget its data."""
        if self._child is not None:
            self._child.stop(by=signal.SIGINT)
            self._child = None
        self._cleanup.close()

    def kill(self) -> None:
        """SIGKILL to the server and its workers; the data stay."""
        assert self._child is not None
        # A worker left alone may still answer one more query before it notices.
        workers = children_of(self._child.pid)
        self._child.kill()
        for pid in workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def pause(self) -> None:
        """Freeze the server and every worker."""
        self._signal_all(signal.SIGSTOP)

    def resume(self) -> None:
        """Let them go on."""
        self._signal_all(signal.SIGCONT)

    def _signal_all(self, number: signal.Signals) -> None:
        # Every worker leads a process group of its own, so they are found as its children.
        assert self._child is not None
        pids = [self._child.pid, *children_of(self._child.pid)]
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def restart(self) -> None:
        """Start it again on the same port and data, after ``kill`` or in good order."""
        assert self._child is not None
        self._child.stop(by=signal.SIGINT)
        self._run()


class ThroughProxy(PostgresServer):
    """The same server, reached by the program under test through a proxy."""

    can_be_broken = False

    def __init__(self, server: PostgresServer, proxy: FaultProxy) -> None:
        super().__init__(
            host=proxy.host, port=proxy.port, user=server.user, password=server.password
        )
        self._server = server
        proxy.target = server.port

    def run(
        self, statements: Sequence[str], *, database: str = "postgres"
    ) -> list[list[dict[str, Any]]]:
        """Run statements as the administrator, past the proxy."""
        return self._server.run(statements, database=database)


def children_of(pid: int) -> list[int]:
    """Return the ids of a process's children, from the kernel."""
    tasks = Path(f"/proc/{pid}/task")
    return [
        int(child)
        for task in (tasks.iterdir() if tasks.is_dir() else ())
        for child in (task / "children").read_text().split()
    ]


def binary(name: str) -> Path:
    """Return one of PostgreSQL's programs; the newest version when there are several."""
    found = _find(name)
    if found is None:
        message = f"{name} of PostgreSQL is not installed"
        raise ServerDidNotStart(message)
    return found


def _find(name: str) -> Path | None:
    debian = sorted(
        Path("/usr/lib/postgresql").glob(f"*/bin/{name}"),
        key=lambda path: [int(number) for number in re.findall(r"\d+", path.parts[-3])],
    )
    if debian:
        return debian[-1]
    on_path = shutil.which(name)
    return Path(on_path) if on_path else None


def unprivileged_user() -> str | None:
    """Return whom to become: PostgreSQL refuses to run as root. None when nobody is needed."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    message = "PostgreSQL refuses to run as root, and there is no user postgres or nobody"
    raise ServerDidNotStart(message)


def missing() -> str | None:
    """Say why no server can be had on this machine, or None when one can."""
    if os.environ.get("CLOSED_LOOP_TEST_POSTGRES") or docker.answers():
        return None
    if _find("initdb") is None or _find("postgres") is None:
        return (
            "no PostgreSQL: set CLOSED_LOOP_TEST_POSTGRES=postgresql://user:password@host:port,"
            " start Docker, or install PostgreSQL"
        )
    return None


def new_server() -> PostgresServer:
    """Return a server that is not started yet, from the first source that there is."""
    if named := os.environ.get("CLOSED_LOOP_TEST_POSTGRES"):
        return NamedPostgres(named)
    return DockerPostgres() if docker.answers() else LocalPostgres()
