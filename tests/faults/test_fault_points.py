"""Every named fault point, twice: the process dies there, and again while it recovers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.faults.load import Load, prove_nothing_lost_nothing_doubled
from tests.infra.processes import ServerDidNotStart, wait_until
from tests.infra.receiver import Receiver
from tests.journeys.installation import Embedded

ROOT = Path(__file__).parents[2]
NAMED = re.compile(r"""fault_point\(\s*["']([a-z_.]+)["']""")


def named_points() -> list[str]:
    """Return every fault point that the code names."""
    return sorted(
        {
            name
            for folder in ("services", "shared")
            for path in (ROOT / folder).rglob("*.py")
            for name in NAMED.findall(path.read_text(encoding="utf-8"))
        }
    )


# Points that the load below cannot reach: they need a due time that is hours away, or somebody
# who asks for them.
ELSEWHERE = {
    "timer.claimed": "tests/handlers/test_tasks.py rings timers by a moved clock",
    "sources.kept_up": "tests/adapters/test_sources_api.py dies there by a moved clock",
    "notify.source_told": "tests/handlers/test_notify_sources.py hears the same event twice",
    "ingest.received_again": "tests/adapters/test_sources_api.py takes a payload in twice",
    "timer.rung": "tests/handlers/test_tasks.py rings timers by a moved clock",
}


@pytest.mark.parametrize("point", [name for name in named_points() if name not in ELSEWHERE])
def test_dying_at_a_fault_point_loses_and_doubles_nothing(
    point: str, receiver: Receiver, unique: str
) -> None:
    """The first start dies there, the second dies there too, the third heals."""
    with Embedded() as installation:
        with installation.client() as client:
            reply = client.post(
                "/v1/webhooks", json={"url": receiver.url, "events": ["task.opened"]}
            )
            receiver.use_secret(reply.json()["secret"])
        installation.terminate("all")
        load = Load(installation, prefix=unique, clients=2)
        load.start()
        for arrival in (4, 2):
            fault = {"CLOSED_LOOP_TEST_FAULT": f"{point}:{arrival}"}
            try:
                installation.start("all", fault)
            except ServerDidNotStart:
                pass  # it died there before it was ready, which is dying there
            else:
                installation.wait_dead("all", seconds=40)
            assert installation.exit_code("all") == 137
        installation.start("all")
        wait_until(lambda: load.accepted > 3, what="posts after healing", seconds=30)
        load.stop()

        prove_nothing_lost_nothing_doubled(installation, load.ledger, receiver, prefix=unique)
