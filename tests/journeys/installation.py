"""A running Closed Loop made of real processes, on either footing.

Embedded is one ``closed-loop serve`` on SQLite. Scaled out takes every service of
``docker-compose.yml`` that is built from our image, with its own command and environment, and
puts the file's nginx configuration in front; only addresses and ports are replaced.
"""

from __future__ import annotations

import contextlib
import html
import os
import re
import secrets
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import httpx
import yaml
from typing_extensions import override

from tests.infra.kafka import KafkaBroker
from tests.infra.nginx import Nginx
from tests.infra.postgres import PostgresServer
from tests.infra.processes import LOOPBACK, Child, data_folder, free_port, wait_until
from tests.infra.smtp import MailServer

ROOT = Path(__file__).parents[2]
ADMIN = ("admin@example.org", "correct horse battery staple")
PROGRAM = [sys.executable, "-m", "services"]

# What the machine's own environment may hold must not reach the installation under test.
CLEAN = {name: "" for name in os.environ if name.startswith("CLOSED_LOOP_")}


def answers(url: str) -> bool:
    """Tell whether the address answers with success."""
    try:
        with urllib.request.urlopen(url, timeout=2) as reply:  # noqa: S310 - our own loopback
            return bool(reply.status == 200)
    except (OSError, urllib.error.URLError):
        return False


class Installation:
    """What a journey knows of the program: an address, a key, and the power switch."""

    def __init__(self) -> None:
        self.key = secrets.token_urlsafe(32)
        self.secret = secrets.token_urlsafe(32)
        self.front = ""
        self.mail: MailServer | None = None
        """Where mail goes; None where it is captured."""
        self._stack = contextlib.ExitStack()
        self._folder = self._stack.enter_context(data_folder("installation"))
        self._children: dict[str, Child] = {}

    @property
    def whole_database(self) -> str:
        """The address under which somebody may look at all tables."""
        raise NotImplementedError

    @property
    def folders(self) -> list[Path]:
        """Where everything lies that it has written, as far as that is on this machine."""
        return [self._folder]

    @property
    def bootstrap(self) -> str | None:
        """Kafka's address; None where the bus is embedded."""
        return None

    @property
    def roles(self) -> list[str]:
        """The processes that can be killed."""
        return list(self._children)

    def _base(self) -> dict[str, str]:
        return {
            **CLEAN,
            "PYTHONPATH": str(ROOT),
            "CLOSED_LOOP_SECRET": self.secret,
            "CLOSED_LOOP_BOOTSTRAP_API_KEY": self.key,
            "CLOSED_LOOP_BOOTSTRAP_ADMIN": ":".join(ADMIN),
            "CLOSED_LOOP_WEBHOOK_ALLOW_HTTP": "true",
            "CLOSED_LOOP_WEBHOOK_ALLOW_NETWORKS": "127.0.0.0/8",
            "CLOSED_LOOP_LOG_FORMAT": "json",
        }

    def start(self, role: str, extra: Mapping[str, str] | None = None) -> None:
        """Start one role and wait until it is ready."""
        raise NotImplementedError

    def start_all(self) -> None:
        """Start everything."""
        raise NotImplementedError

    def kill(self, role: str) -> None:
        """End one role as a power cut would."""
        self._children[role].kill()

    def pause(self, role: str) -> None:
        """Freeze one role: connections stay open, nobody answers."""
        self._children[role].pause()

    def resume(self, role: str) -> None:
        """Let a role go on after ``pause``."""
        self._children[role].resume()

    @property
    def pids(self) -> list[int]:
        """The processes of all roles."""
        return [child.pid for child in self._children.values()]

    def wait_dead(self, role: str, *, seconds: float = 30) -> None:
        """Wait until a role has ended by itself."""
        wait_until(
            lambda: not self._children[role].running, what=f"the end of {role}", seconds=seconds
        )

    def exit_code(self, role: str) -> int | None:
        """Return how a role ended."""
        return self._children[role].exit_code

    def log_of(self, role: str) -> str:
        """Return everything that a role has written."""
        return self._children[role].log.read_text(errors="replace")

    def terminate(self, role: str) -> None:
        """Ask one role to stop."""
        self._children[role].stop(seconds=30)

    def stop(self) -> None:
        """End everything and forget the data."""
        for child in self._children.values():
            child.kill()
        self._stack.close()

    def _spawn(self, role: str, command: list[str], env: Mapping[str, str], port: int) -> None:
        child = Child(
            role,
            command,
            log=self._folder / f"{role}.log",
            cwd=self._folder,
            env=env,
        )
        self._children[role] = child
        child.wait_ready(lambda: answers(f"http://{LOOPBACK}:{port}/readyz"), seconds=60)

    @contextlib.contextmanager
    def client(self, **headers: str) -> Iterator[httpx.Client]:
        """Lend a client that speaks to the front door with the bootstrap key."""
        with httpx.Client(
            base_url=self.front,
            headers={"Authorization": f"Bearer {self.key}", **headers},
            timeout=30,
            trust_env=False,
        ) as client:
            yield client

    def mailed(self, text: str) -> bool:
        """Tell whether a mail with this text in its subject has gone out."""
        with self.browser() as browser:
            return text in html.unescape(browser.get("/mail").text)

    @contextlib.contextmanager
    def browser(self) -> Iterator[httpx.Client]:
        """Lend a client that has signed in as the administrator, as a browser would."""
        with httpx.Client(
            base_url=self.front,
            follow_redirects=True,
            headers={"Origin": self.front, "Accept": "text/html"},
            timeout=30,
            trust_env=False,
        ) as client:
            email, password = ADMIN
            reply = client.post("/sign-in", data={"email": email, "password": password})
            assert reply.status_code == 200, reply.text[:500]
            yield client

    def __enter__(self) -> Self:
        self.start_all()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class Embedded(Installation):
    """One process on SQLite with the embedded bus; mail is captured, or goes to a server."""

    def __init__(self, *, mail: MailServer | None = None) -> None:
        super().__init__()
        self.mail = mail
        self.port = free_port()
        self.front = f"http://{LOOPBACK}:{self.port}"
        self.command = [*PROGRAM, "serve"]
        """What is started; a test may put something around it or in its place."""

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self._folder / "closed-loop.db"

    @property
    @override
    def whole_database(self) -> str:
        """The SQLite file, for reading beside whoever holds it."""
        return f"sqlite+aiosqlite:///file:{self.database}?mode=ro&uri=true"

    def environment(self) -> dict[str, str]:
        """Return the settings of this installation."""
        return {
            **self._base(),
            "CLOSED_LOOP_DATABASE_URL": f"sqlite+aiosqlite:///{self.database}",
            "CLOSED_LOOP_PUBLIC_URL": self.front,
            "CLOSED_LOOP_SMTP_URL": self.mail.url if self.mail else "capture:",
            "CLOSED_LOOP_PORT": str(self.port),
        }

    def start(self, role: str = "all", extra: Mapping[str, str] | None = None) -> None:
        """Start the one process."""
        self._spawn(role, self.command, {**self.environment(), **(extra or {})}, self.port)

    def start_all(self) -> None:
        """Start the one process."""
        self.start()


class ScaledOut(Installation):
    """The services of the compose file as processes, nginx in front."""

    def __init__(
        self, kafka: KafkaBroker, postgres: PostgresServer, *, mail: MailServer | None = None
    ) -> None:
        super().__init__()
        self._kafka = kafka
        self.postgres = postgres
        self.mail = mail
        self._database = postgres.create_database()
        self._stack.callback(postgres.drop_database, self._database)
        self._ports = {role: free_port() for role in ("ingest", "loop", "notify")}
        self._front_port = free_port()
        self.front = f"http://{LOOPBACK}:{self._front_port}"
        self._variables = {
            **self._base(),
            "CLOSED_LOOP_PUBLIC_URL": self.front,
            "CLOSED_LOOP_SMTP_URL": mail.url if mail else "capture:",
            "POSTGRES_PASSWORD": postgres.password,
            "ROLES_PASSWORD": secrets.token_urlsafe(16),
            "INSIDE_NETWORK": f"{LOOPBACK}/32",
        }
        text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
        self.compose: dict[str, Any] = _filled_in(yaml.safe_load(text), self._variables)
        self._users: dict[str, str] = {}

    @override
    def mailed(self, text: str) -> bool:
        """Tell whether a mail with this text in its subject has reached the SMTP server."""
        if self.mail is None:
            return super().mailed(text)
        return any(text in str(mail.message["Subject"]) for mail in self.mail.mails)

    @property
    @override
    def folders(self) -> list[Path]:
        """Those of PostgreSQL and Kafka as well, unless they run elsewhere."""
        theirs = (self.postgres.files, self._kafka.files)
        return [self._folder, *(folder for folder in theirs if folder is not None)]

    @property
    def database(self) -> str:
        """The name of the database."""
        return self._database

    @property
    @override
    def whole_database(self) -> str:
        """The database as its administrator sees it."""
        return self.postgres.url(self._database)

    @property
    @override
    def bootstrap(self) -> str:
        """Kafka's address."""
        return self._kafka.bootstrap

    def url_of(self, role: str) -> str:
        """Return the address of one role behind the front door."""
        return f"http://{LOOPBACK}:{self._ports[role]}"

    def database_url(self, role: str) -> str:
        """Return the database address that the compose file gives to this service."""
        return self.environment(role)["CLOSED_LOOP_DATABASE_URL"]

    def environment(self, service: str) -> dict[str, str]:
        """Return a service's own environment, with this machine's addresses."""
        given = {
            name: str(value)
            for name, value in self.compose["services"][service]["environment"].items()
        }
        replaced = {
            name: self._here(value) for name, value in {**given, **self._passed(given)}.items()
        }
        return {
            **CLEAN,
            "PYTHONPATH": str(ROOT),
            **replaced,
            "CLOSED_LOOP_HOST": LOOPBACK,
            "CLOSED_LOOP_PORT": str(self._ports.get(service, 0) or free_port()),
        }

    def _passed(self, given: Mapping[str, str]) -> dict[str, str]:
        """Speak to the database as the users that stand for the file's own."""
        url = given["CLOSED_LOOP_DATABASE_URL"]
        for standing_for, user in self._users.items():
            url = url.replace(f"//{standing_for}:", f"//{user}:")
        return {"CLOSED_LOOP_DATABASE_URL": url}

    def _here(self, value: str) -> str:
        postgres = f"{self.postgres.host}:{self.postgres.port}/{self._database}"
        return (
            value.replace("kafka:9092", self._kafka.bootstrap)
            .replace("postgres:5432/closed_loop", postgres)
            .replace("//closed_loop:", f"//{self.postgres.user}:")
        )

    def _make_users(self) -> None:
        """Do what ``deploy/postgres-users.sh`` does when the database is first made."""
        word = self._variables["ROLES_PASSWORD"]
        for name in ("cl_ingest", "cl_loop", "cl_notify"):
            user = f"{name}_{secrets.token_hex(3)}"
            self.postgres.create_user(user, word)
            self._stack.callback(self.postgres.drop_user, user, database=self._database)
            self._users[name] = user

    def start_all(self) -> None:
        """Make the users, migrate, start the three roles, open the front door."""
        self._make_users()
        self.run("migrate")
        for role in ("ingest", "loop", "notify"):
            self.start(role)
        self._open_front_door()

    def run(self, service: str) -> str:
        """Run a one-off service of the compose file to its end; return what it said."""
        command = [str(part) for part in self.compose["services"][service]["command"]]
        for standing_for, user in self._users.items():
            command = [part.replace(standing_for, user) for part in command]
        done = subprocess.run(
            [*PROGRAM, *command],
            cwd=self._folder,
            env={**os.environ, **self.environment(service)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"{service} failed:\n{done.stdout}\n{done.stderr}"
        return done.stderr

    def start(self, role: str, extra: Mapping[str, str] | None = None) -> None:
        """Start one role with the compose file's command and environment."""
        command = [str(part) for part in self.compose["services"][role]["command"]]
        env = {**self.environment(role), **(extra or {})}
        self._spawn(role, [*PROGRAM, *command], env, self._ports[role])

    def _open_front_door(self) -> None:
        text = (ROOT / "deploy" / "nginx.conf").read_text(encoding="utf-8")
        for role, port in self._ports.items():
            text = text.replace(f"server {role}:8000;", f"server {LOOPBACK}:{port};")
        text = text.replace("listen 8080;", f"listen {LOOPBACK}:{self._front_port};")
        self._stack.enter_context(Nginx(text, port=self._front_port))


def _filled_in(part: Any, variables: Mapping[str, str]) -> Any:
    """Return a parsed document with the variables in its texts filled in."""
    if isinstance(part, dict):
        return {name: _filled_in(value, variables) for name, value in part.items()}
    if isinstance(part, list):
        return [_filled_in(value, variables) for value in part]
    return _substitute(part, variables) if isinstance(part, str) else part


def _substitute(text: str, variables: Mapping[str, str]) -> str:
    """Fill in ``${NAME}``, ``${NAME:-default}`` and ``${NAME:?message}`` as compose does."""

    def value(found: re.Match[str]) -> str:
        name, kind, rest = found.group(1), found.group(2), found.group(3)
        if given := variables.get(name):
            return given
        assert kind != ":?", f"{name} must be set: {rest}"
        return rest or ""

    return re.sub(r"\$\{([A-Z0-9_]+)(?:(:-|:\?)([^}]*))?\}", value, text)
