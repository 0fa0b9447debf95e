"""A real Kafka broker: named by the environment, from Docker, or from Maven's jars under Java.

The local one is a single KRaft node. Its jars are copied once into a cache folder; formatting
and starting take about four seconds together.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import shutil
import subprocess
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol
from uuid import uuid4

from tests.infra import docker
from tests.infra.processes import (
    LOOPBACK,
    Child,
    ServerDidNotStart,
    accepts,
    data_folder,
    free_port,
)
from tests.infra.proxy import FaultProxy

VERSION = "4.1.0"
IMAGE = f"apache/kafka:{VERSION}"
CHECKOUT = Path(__file__).parents[2]

POM = f"""<?xml version="1.0" encoding="UTF-8"?>
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>closed-loop.tests</groupId>
  <artifactId>kafka-for-tests</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>{VERSION}</version>
    </dependency>
    <dependency>
      <groupId>org.slf4j</groupId>
      <artifactId>slf4j-simple</artifactId>
      <version>1.7.36</version>
    </dependency>
  </dependencies>
</project>
"""

SETTINGS = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
    "offsets.topic.num.partitions": "4",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    "auto.create.topics.enable": "false",
}


class KafkaBroker(Protocol):
    """What a test may ask of a broker, wherever it came from."""

    bootstrap: str
    can_be_broken: bool
    files: Path | None
    """Where its files lie, if on this machine."""

    def start(self) -> None:
        """Start it and return when it answers under its own cluster id."""

    def stop(self) -> None:
        """End it in good order and forget its data."""

    def kill(self) -> None:
        """End it as a power cut would; the data stay."""

    def pause(self) -> None:
        """Freeze it: connections stay open, nobody answers."""

    def resume(self) -> None:
        """Let it go on after ``pause``."""

    def restart(self) -> None:
        """Start it again on the same port and data, after ``kill`` or in good order."""


def cluster_id(bootstrap: str) -> str | None:
    """Ask a broker for its cluster id; None when it does not answer."""
    from aiokafka.admin import AIOKafkaAdminClient
    from aiokafka.errors import KafkaError

    async def ask() -> str | None:
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=5000)
        try:
            await admin.start()
            return str((await admin.describe_cluster())["cluster_id"])
        except (KafkaError, OSError, TimeoutError):
            return None
        finally:
            with contextlib.suppress(KafkaError, OSError):
                await admin.close()

    # In a thread of its own: a fixture may be asked for inside a running event loop.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(ask())).result()


class NamedKafka:
    """The broker that ``CLOSED_LOOP_TEST_KAFKA`` names; it is not ours to start or break."""

    can_be_broken = False
    files: Path | None = None

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap.removeprefix("kafka://")

    def start(self) -> None:
        """Make sure that somebody answers."""
        if cluster_id(self.bootstrap) is None:
            message = f"no Kafka broker answers at {self.bootstrap} (CLOSED_LOOP_TEST_KAFKA)"
            raise ServerDidNotStart(message)

    def stop(self) -> None:
        """Leave it alone."""

    def _refuse(self) -> None:
        message = "this broker was named by the environment and is not ours to break"
        raise RuntimeError(message)

    kill = pause = resume = restart = _refuse


class DockerKafka:
    """A broker in a container of the official image."""

    can_be_broken = True
    files: Path | None = None

    def __init__(self, proxy: FaultProxy | None = None) -> None:
        self._port = free_port()
        self.bootstrap = _through(proxy, self._port)
        self._container: docker.Container | None = None

    def start(self) -> None:
        """Run the container and wait until the broker answers."""
        settings = SETTINGS | {
            "listeners": "PLAINTEXT://:9092,CONTROLLER://:9093",
            "advertised.listeners": f"PLAINTEXT://{self.bootstrap}",
            "controller.quorum.voters": "1@localhost:9093",
        }
        self._container = docker.Container(
            IMAGE,
            env={f"KAFKA_{k.upper().replace('.', '_')}": v for k, v in settings.items()},
            ports={self._port: 9092},
        )
        self._wait()

    def _wait(self) -> None:
        assert self._container is not None
        self._container.wait_ready(lambda: cluster_id(self.bootstrap) is not None)

    def stop(self) -> None:
        """Remove the container."""
        if self._container is not None:
            self._container.remove()
            self._container = None

    def _do(self, *verb: str) -> None:
        assert self._container is not None
        self._container.do(*verb)

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
        self._do("restart")
        self._wait()


class LocalKafka:
    """A broker from Maven's jars under the local Java."""

    can_be_broken = True
    files: Path | None = None

    def __init__(self, proxy: FaultProxy | None = None) -> None:
        self.bootstrap = ""
        self._proxy = proxy
        self._port = 0
        self._cleanup = contextlib.ExitStack()
        self._folder: Path | None = None
        self._child: Child | None = None
        self._cluster = ""

    def start(self) -> None:
        """Format a fresh folder, start, and make sure that it is this very broker."""
        for attempt in range(3):
            try:
                self._format()
                self._run()
            except ServerDidNotStart:
                # Somebody took the port between looking and binding; look again.
                self.stop()
                if attempt == 2:
                    raise
            else:
                return

    def _format(self) -> None:
        port, controller = free_port(), free_port()
        self.format(
            port,
            cluster=new_cluster(),
            settings={
                "listeners": f"PLAINTEXT://{LOOPBACK}:{port},CONTROLLER://{LOOPBACK}:{controller}",
                "controller.quorum.voters": f"1@{LOOPBACK}:{controller}",
            },
        )

    def format(self, port: int, *, cluster: str, settings: Mapping[str, str]) -> None:
        """Make a folder for a broker that listens on that port, with these settings on top."""
        self._folder = folder = self._cleanup.enter_context(data_folder("kafka"))
        self.files = folder
        self._port = port
        self._cluster = cluster
        self.bootstrap = _through(self._proxy, port)
        settings = {
            **SETTINGS,
            "advertised.listeners": f"PLAINTEXT://{self.bootstrap}",
            "log.dirs": str(folder / "data"),
            **settings,
        }
        (folder / "server.properties").write_text(
            "".join(f"{name}={value}\n" for name, value in settings.items())
        )
        done = subprocess.run(
            # An id that starts with a dash must not look like an option.
            [
                *self._java("kafka.tools.StorageTool"),
                "format",
                f"--cluster-id={self._cluster}",
                f"--config={folder / 'server.properties'}",
            ],
            capture_output=True,
            text=True,
            check=False,
            cwd=folder,
            timeout=120,
        )
        if done.returncode:
            message = f"formatting Kafka's folder failed:\n{done.stdout}{done.stderr}"
            raise ServerDidNotStart(message)

    def _run(self) -> None:
        self.launch()
        self.wait_ready()

    def launch(self) -> None:
        """Start the process, which is not ready yet."""
        assert self._folder is not None
        self._child = Child(
            "kafka",
            [*self._java("kafka.Kafka"), self._folder / "server.properties"],
            log=self._folder / "kafka.log",
            cwd=self._folder,
        )

    def wait_ready(self) -> None:
        """Wait until this very broker answers."""
        child = self._child
        assert child is not None
        child.wait_ready(lambda: accepts(self._port), seconds=120)
        answered: list[str] = []

        def answers() -> bool:
            found = cluster_id(self.bootstrap)
            if found is not None:
                answered.append(found)
            return found is not None

        child.wait_ready(answers, seconds=120)
        if answered[-1] != self._cluster:
            child.stop()
            message = f"another broker answers at {self.bootstrap}"
            raise ServerDidNotStart(message)

    @staticmethod
    def _java(main: str) -> list[str]:
        return [
            "java",
            "-Xmx384m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-cp",
            f"{jars()}/*",
            main,
        ]

    def stop(self) -> None:
        """End it in good order and forget its data."""
        if self._child is not None:
            self._child.stop()
            self._child = None
        self._cleanup.close()

    def kill(self) -> None:
        """End it as a power cut would; the data stay."""
        assert self._child is not None
        self._child.kill()

    def pause(self) -> None:
        """Freeze it: connections stay open, nobody answers."""
        assert self._child is not None
        self._child.pause()

    def resume(self) -> None:
        """Let it go on after ``pause``."""
        assert self._child is not None
        self._child.resume()

    def restart(self) -> None:
        """Start it again on the same port and data."""
        assert self._child is not None
        self._child.stop()
        self._run()


def new_cluster() -> str:
    """Return the id of a cluster that nobody else has."""
    return urlsafe_b64encode(uuid4().bytes).decode().rstrip("=")


def _through(proxy: FaultProxy | None, port: int) -> str:
    """Return where clients are to connect to reach that port."""
    if proxy is None:
        return f"{LOOPBACK}:{port}"
    proxy.target = port
    return proxy.address


def jars() -> Path:
    """Return the folder of Kafka's jars, copied there by Maven on the first call."""
    # The name carries what is in it, so that another version gets another folder.
    mark = hashlib.sha256(POM.encode()).hexdigest()[:8]
    base = Path(os.environ.get("CLOSED_LOOP_TEST_CACHE", CHECKOUT / ".cache"))
    folder = base / "kafka" / f"{VERSION}-{mark}"
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = folder.with_name(f"{folder.name}.{os.getpid()}")
    fresh.mkdir()
    (fresh / "pom.xml").write_text(POM)
    done = subprocess.run(
        [
            "mvn",
            "-q",
            "-B",
            "-f",
            str(fresh / "pom.xml"),
            "dependency:copy-dependencies",
            f"-DoutputDirectory={fresh}",
            "-DincludeScope=runtime",
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    if done.returncode:
        shutil.rmtree(fresh)
        message = (
            f"Maven did not bring Kafka's jars:\n{done.stdout[-2000:]}{done.stderr[-500:]}"
        )
        raise ServerDidNotStart(message)
    try:
        fresh.rename(folder)
    except OSError:  # another run was quicker
        shutil.rmtree(fresh)
    return folder


def missing() -> str | None:
    """Say why no broker can be had on this machine, or None when one can."""
    if os.environ.get("CLOSED_LOOP_TEST_KAFKA") or docker.answers():
        return None
    absent = [tool for tool in ("java", "mvn") if shutil.which(tool) is None]
    if absent:
        return (
            "no Kafka: set CLOSED_LOOP_TEST_KAFKA=host:port, start Docker, or install "
            + " and ".join(absent)
        )
    return None


def new_broker(proxy: FaultProxy | None = None) -> KafkaBroker:
    """Return a broker that is not started yet, from the first source that there is.

    With ``proxy``, which must be listening, clients reach it through that one alone.
    """
    if named := os.environ.get("CLOSED_LOOP_TEST_KAFKA"):
        return NamedKafka(named)
    return DockerKafka(proxy) if docker.answers() else LocalKafka(proxy)
