"""Three Kafka brokers of one cluster, any of which may die without an answer being lost."""

from __future__ import annotations

from pathlib import Path

from tests.infra.kafka import LocalKafka, new_cluster
from tests.infra.processes import LOOPBACK, free_port


class ThreeBrokers:
    """Three local brokers of one cluster: every topic thrice, two copies for an answer."""

    can_be_broken = True
    files: Path | None = None  # each node has its own

    def __init__(self) -> None:
        self.nodes: list[LocalKafka] = []
        self.bootstrap = ""

    def start(self) -> None:
        """Start all three and wait until they answer."""
        ports, controllers = ([free_port() for _ in range(3)] for _ in range(2))
        cluster = new_cluster()
        voters = ",".join(f"{n}@{LOOPBACK}:{port}" for n, port in enumerate(controllers, 1))
        for n, (port, controller) in enumerate(zip(ports, controllers, strict=True), 1):
            node = LocalKafka()
            self.nodes.append(node)
            node.format(
                port,
                cluster=cluster,
                settings={
                    "node.id": str(n),
                    "listeners": (
                        f"PLAINTEXT://{LOOPBACK}:{port},CONTROLLER://{LOOPBACK}:{controller}"
                    ),
                    "controller.quorum.voters": voters,
                    "offsets.topic.replication.factor": "3",
                    "min.insync.replicas": "2",
                },
            )
        self.bootstrap = ",".join(node.bootstrap for node in self.nodes)
        for node in self.nodes:
            node.launch()
        for node in self.nodes:
            node.wait_ready()

    def stop(self) -> None:
        """End all three and forget their data."""
        for node in self.nodes:
            node.kill()
            node.stop()
        self.nodes.clear()

    def kill(self) -> None:
        """SIGKILL to all of them."""
        for node in self.nodes:
            node.kill()

    def pause(self) -> None:
        """Freeze all of them."""
        for node in self.nodes:
            node.pause()

    def resume(self) -> None:
        """Let all of them go on."""
        for node in self.nodes:
            node.resume()

    def restart(self) -> None:
        """Start all of them again on their data."""
        for node in self.nodes:
            node.kill()
            node.launch()
        for node in self.nodes:
            node.wait_ready()
