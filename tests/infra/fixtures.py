"""Fixtures of the real servers, the rule for missing ones, and the last lines of a run.

A test marked with the name of something in ``MISSING`` is skipped with the reason when the
machine cannot give it; with ``CI=true`` it fails instead. Sockets reach loopback only, and
the pure kinds of tests have none at all.
"""

from __future__ import annotations

import functools
import os
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.infra import chromium, kafka, nginx, postgres, strace
from tests.infra.proxy import FaultProxy
from tests.infra.receiver import Receiver
from tests.infra.smtp import MailServer

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

MISSING = {
    "kafka": kafka.missing,
    "postgres": postgres.missing,
    "nginx": nginx.missing,
    "chromium": chromium.missing,
    "strace": strace.missing,
}
LOOPBACK_ONLY = ["127.0.0.1", "::1", "localhost"]
WITHOUT_SOCKETS = {"domain"}
ROOT = Path(__file__).parents[1]


@functools.cache
def _missing(name: str) -> str | None:
    return MISSING[name]()


def in_ci() -> bool:
    """Tell whether a missing server is a failure and not a skip."""
    return os.environ.get("CI", "").lower() in {"1", "true", "yes"}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Give every test its sockets: none for the pure kinds, loopback for the others.

    What runs for minutes is left out unless ``-m`` names it.
    """
    if "soak" not in config.option.markexpr:
        long = [item for item in items if item.get_closest_marker("soak")]
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in long]
    for item in items:
        kind = item.path.relative_to(ROOT).parts[0] if item.path.is_relative_to(ROOT) else ""
        item.add_marker(
            pytest.mark.disable_socket
            if kind in WITHOUT_SOCKETS
            else pytest.mark.allow_hosts(LOOPBACK_ONLY)
        )


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip or fail a test whose server the machine cannot give."""
    for name in MISSING:
        if item.get_closest_marker(name) and (reason := _missing(name)):
            if in_ci():
                pytest.fail(f"{reason} (with CI=true this is a failure)", pytrace=False)
            pytest.skip(reason)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many tests ran on each real server, and why others did not."""
    ran: Counter[str] = Counter()
    skipped: Counter[str] = Counter()
    for outcome in ("passed", "failed", "skipped"):
        for report in terminalreporter.getreports(outcome):
            count = skipped if outcome == "skipped" else ran
            if outcome == "skipped" or report.when == "call":
                count.update(name for name in MISSING if name in report.keywords)
    for name, number in skipped.items():
        reason = _missing(name) or "see above"
        terminalreporter.write_line(f"skipped on {name}: {number} ({reason})", yellow=True)
    terminalreporter.write_line(
        "ran on " + " · ".join(f"{name}: {ran[name]}" for name in MISSING)
    )


@pytest.fixture(scope="session")
def kafka_broker() -> Iterator[kafka.KafkaBroker]:
    """The run's broker, shared by all tests: use topics and groups of your own."""
    broker = kafka.new_broker()
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def own_kafka_broker() -> Iterator[kafka.KafkaBroker]:
    """A broker that this one test may kill, freeze and restart."""
    broker = kafka.new_broker()
    if not broker.can_be_broken:
        pytest.skip("the broker named by CLOSED_LOOP_TEST_KAFKA is not ours to break")
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def proxy() -> Iterator[FaultProxy]:
    """A bad network; its target is set by whoever is put behind it."""
    with FaultProxy() as running:
        yield running


@pytest.fixture
def far_kafka_broker(proxy: FaultProxy) -> Iterator[kafka.KafkaBroker]:
    """A broker of this test's own, behind ``proxy``."""
    broker = kafka.new_broker(proxy)
    if not broker.can_be_broken:
        pytest.skip("the broker named by CLOSED_LOOP_TEST_KAFKA is not ours to break")
    broker.start()
    yield broker
    proxy.heal()
    broker.resume()
    broker.stop()


@pytest.fixture
def unique() -> str:
    """A text that no other test has: for topics, groups and databases on shared servers."""
    return secrets.token_hex(4)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres.PostgresServer]:
    """The run's server, shared by all tests: ask for ``postgres_url`` or make a database."""
    server = postgres.new_server()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def own_postgres_server() -> Iterator[postgres.PostgresServer]:
    """A server that this one test may kill, freeze and restart."""
    server = postgres.new_server()
    if not server.can_be_broken:
        pytest.skip("the server named by CLOSED_LOOP_TEST_POSTGRES is not ours to break")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def postgres_url(postgres_server: postgres.PostgresServer) -> Iterator[str]:
    """The address of an empty database that is this test's alone."""
    name = postgres_server.create_database()
    yield postgres_server.url(name)
    postgres_server.drop_database(name)


@pytest.fixture
def start_nginx() -> Iterator[Callable[..., nginx.Nginx]]:
    """Start nginx with a configuration: ``start_nginx(text_or_path, port=…)``."""
    started: list[nginx.Nginx] = []

    def start(configuration: str | Path, *, port: int) -> nginx.Nginx:
        server = nginx.Nginx(configuration, port=port)
        started.append(server)
        server.start()
        return server

    yield start
    for server in started:
        server.stop()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """The run's browser; tests that use it need ``asyncio(loop_scope="session")``."""
    async with chromium.launched() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: Browser) -> AsyncIterator[Page]:
    """A page in a fresh profile; an error in its console fails the test."""
    context = await browser.new_context(locale="en-GB", timezone_id="Europe/Berlin")
    context.set_default_timeout(15_000)
    fresh = await context.new_page()
    errors: list[str] = []
    fresh.on("pageerror", lambda error: errors.append(str(error)))
    yield fresh
    await context.close()
    assert errors == [], f"the page's scripts failed: {errors}"


@pytest.fixture
def mail_server() -> Iterator[MailServer]:
    """A real SMTP server that collects mail."""
    with MailServer() as server:
        yield server


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A webhook receiver in another process."""
    with Receiver() as running:
        yield running
